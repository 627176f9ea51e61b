"""Says how a running simulation does: one live line on a terminal, else a plain line at times."""

import asyncio
import time
from typing import TextIO

from tqdm import tqdm

from gateways.simulator.tally import Tally

LIVE_EVERY_S = 0.5
PLAIN_EVERY_S = 10


async def show_progress(tally: Tally, stream: TextIO) -> None:
    """Report `tally` on `stream` until cancelled."""
    if stream.isatty():
        await _show_live(tally, stream)
    else:
        await _show_plain(tally, stream)


async def _show_live(tally: Tally, stream: TextIO) -> None:
    layout = "{elapsed}  {n_fmt} posts  {rate_fmt}{postfix}"
    with tqdm(file=stream, unit=" posts", bar_format=layout, dynamic_ncols=True) as line:
        while True:
            line.set_postfix_str(_rest(tally), refresh=False)
            line.n = tally.posts
            line.refresh()
            await asyncio.sleep(LIVE_EVERY_S)


async def _show_plain(tally: Tally, stream: TextIO) -> None:
    before, before_at = 0, time.monotonic()
    while True:
        await asyncio.sleep(PLAIN_EVERY_S)
        now = time.monotonic()
        posts_per_s = (tally.posts - before) / (now - before_at)
        stream.write(f"{tally.posts} posts, {posts_per_s:.1f} posts/s, {_rest(tally)}\n")
        stream.flush()
        before, before_at = tally.posts, now


def _rest(tally: Tally) -> str:
    failed = tally.refused + tally.unanswered
    return f"{tally.readings} readings, {failed} refused or unanswered"
