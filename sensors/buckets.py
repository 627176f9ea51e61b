"""Readings in buckets of time, with NumPy: imported where needed, like sensors.decoders.frames."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensors.decoders.frames import FLAGS, Numbers, decode


class Summary(NamedTuple):
    """What each bucket holds of a quantity; NaN for nothing."""

    minimum: list[float]
    mean: list[float]
    maximum: list[float]


def condense(
    times: Sequence[int], advertisements: Sequence[bytes], *, bucket_s: int, gap_s: int
) -> tuple[list[int], dict[str, Summary]]:
    """The starts of those buckets that hold readings, and their quantities by name.

    `times` are Unix seconds, ascending, at least one. Buckets are aligned to Unix time; with
    `bucket_s` 0 each reading is its own. After the start of a gap, which is longer than `gap_s` and
    than two buckets, comes a bucket without values, so that no line is drawn across.
    """
    at = np.array(times, np.int64)
    numbers = at // (bucket_s or 1)
    first = np.flatnonzero(np.diff(numbers, prepend=numbers[0] - 1))
    starts = numbers[first] * (bucket_s or 1)
    ends = np.flatnonzero(np.diff(starts) > max(gap_s, 2 * bucket_s)) + 1
    summaries = {
        name: Summary(*(np.insert(v, ends, np.nan).tolist() for v in _reduced(values, first)))
        for name, values in decode(advertisements).items()
        if name not in FLAGS
    }
    return np.insert(starts, ends, starts[ends - 1] + (bucket_s or 1)).tolist(), summaries


def _reduced(values: Numbers, first: NDArray[np.intp]) -> tuple[Numbers, Numbers, Numbers]:
    """Minimum, mean and maximum of the runs of `values` that begin at `first`."""
    known = ~np.isnan(values)
    count = np.add.reduceat(known, first, dtype=np.int64)
    with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN that is meant
        mean = np.add.reduceat(np.where(known, values, 0), first) / count
    return np.fmin.reduceat(values, first), mean, np.fmax.reduceat(values, first)
