import asyncio
import io

import pytest

from gateways.simulator import progress
from gateways.simulator.tally import Tally


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(progress, "LIVE_EVERY_S", 0.01)
    monkeypatch.setattr(progress, "PLAIN_EVERY_S", 0.01)


def shown_on(stream):
    """What appears while one post is refused and one accepted."""
    tally = Tally()
    tally.add_answer(200, readings=6, latency_ms=1)
    tally.add_answer(403, readings=5, latency_ms=1)

    async def watch():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(progress.show_progress(tally, stream), 0.1)

    asyncio.run(watch())
    return stream.getvalue()


def test_a_log_gets_whole_lines():
    lines = shown_on(io.StringIO()).splitlines()
    assert lines[0].startswith("2 posts, ")
    assert lines[0].endswith("posts/s, 11 readings, 1 refused or unanswered")


def test_a_terminal_gets_one_line_rewritten():
    shown = shown_on(Terminal())
    assert shown.count("\n") == 1  # left behind at the end
    assert "2 posts" in shown
    assert "11 readings, 1 refused or unanswered" in shown
