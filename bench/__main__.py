"""`python -m bench`: check every contestant, measure them in turns, compare."""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.bodies import write_keys, write_magazine
from bench.check import check
from bench.contestants import CONTESTANTS, Contestant
from bench.load import THREADS, Generator
from bench.measure import WARM_UP_S, Result, measure, measure_generator, measure_limit
from bench.report import Report
from bench.servers import Arena
from bench.system import BenchError, describe, ensure_disk

OUT = Path(__file__).with_name("out")
POSTS_PER_SECOND = 4000  # prepared; more than anybody here can take on two cores


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is tidied up
    contestants = [c for c in CONTESTANTS if not options.only or c.name in options.only]
    if options.with_worker:
        contestants = [c.with_worker() for c in contestants]
    if options.ruled:
        contestants += [c.with_rules(options.ruled) for c in contestants if c.is_ours]
    try:
        with ExitStack() as stack:
            folder = Path(
                stack.enter_context(
                    tempfile.TemporaryDirectory(prefix="ruuvinet-bench-", dir=options.folder)
                )
            )
            folder.chmod(0o711)  # PostgreSQL may have to run as somebody else
            ensure_disk(folder)
            _run(options, contestants, folder, stack)
    except (BenchError, pytest.UsageError) as error:  # the second: a server does not start
        sys.stderr.write(f"bench: {error}\n")
        return 1
    return 0


def _run(
    options: argparse.Namespace, contestants: list[Contestant], folder: Path, stack: ExitStack
) -> None:
    keys = folder / "keys.json"
    write_keys(keys)
    arena = Arena(folder, keys, stack)
    for contestant in contestants:
        check(arena, contestant, folder)
        _say(f"check  {contestant.name}: stores exactly what it must")
    if options.check:
        return

    posts = options.posts or POSTS_PER_SECOND * 2 * (options.seconds + WARM_UP_S)
    _say(f"make   {posts} signed bodies")
    magazine = write_magazine(folder, posts=posts, threads=THREADS)
    generator = Generator(magazine)
    machine = describe(folder)
    machine["postgresql"] = arena.postgresql.run("SHOW server_version")[0][0]
    report = Report(
        machine,
        measure_generator(generator, folder),
        {
            "rounds": options.rounds,
            "seconds": options.seconds,
            "with_worker": options.with_worker,
            "ruled": options.ruled,
        },
        contestants,
    )

    def measure_one(contestant: Contestant, round_: int) -> list[Result]:
        if not contestant.is_limit:
            return measure(arena, contestant, generator, round_=round_, seconds=options.seconds)
        batch = report.batch_of(contestant.database)
        limit = measure_limit(
            arena, contestant, magazine, batch=batch, round_=round_, seconds=options.seconds
        )
        return [limit]

    for round_ in range(options.rounds):
        # Nobody always comes first, or after the same one.
        turn = round_ * len(contestants) // options.rounds
        for contestant in contestants[turn:] + contestants[:turn]:
            for result in measure_one(contestant, round_ + 1):
                report.results.append(result)
                _say(
                    f"round {round_ + 1} of {options.rounds}  {result.contestant:15} "
                    f"{result.mode:10} {result.requests_s:6.0f} req/s"
                )
    sys.stdout.write(report.text())
    for path in report.write(OUT):
        _say(f"written to {path}")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=8, help="of each measurement")
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", choices=[c.name for c in CONTESTANTS],
        help="some of: %(choices)s",
    )  # fmt: skip
    parser.add_argument("--check", action="store_true", help="check the contestants, no more")
    parser.add_argument(
        "--with-worker", action="store_true", help="run RuuviNet's worker and timetable as well"
    )
    parser.add_argument(
        "--ruled", type=_share, default=0.0, metavar="SHARE",
        help="measure RuuviNet also with its worker and alert rules on this share of the sensors",
    )  # fmt: skip
    parser.add_argument(
        "--folder", type=Path, default=Path("/var/tmp"), help="on the disk to measure"  # noqa: S108
    )  # fmt: skip
    parser.add_argument("--posts", type=int, help="bodies to prepare for each contestant")
    return parser.parse_args(arguments)


def _share(text: str) -> float:
    share = float(text)
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError("a share is more than 0 and at most 1")
    return share


_started = time.monotonic()


def _say(text: str) -> None:
    sys.stdout.write(f"{time.monotonic() - _started:5.0f} s  {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
