"""Work over columns in chunks, on all processors."""

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.dtypes import Ints

_PROCESSORS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


CHUNK = 1 << 15
"""Rows of a chunk: their cache lines stay in the processor's cache from one gather to the next."""


def parallel_for(count: int, work: Callable[[slice], None], size: int = CHUNK) -> None:
    """Call work() for every chunk of `count` rows, on all processors: a gather of numpy's releases the lock.

    Raises the first exception of any call.

    Args:
        count: Rows in all.
        work: Called with the rows of one chunk.
        size: Rows of a chunk.
    """
    parts = iter(list(chunks(count, size)))
    failures: list[BaseException] = []

    def pull() -> None:
        try:
            for part in parts:
                work(part)
        except BaseException as error:  # noqa: BLE001 - raised again below
            failures.append(error)

    helpers = min(_PROCESSORS, count // size) - 1
    threads = [threading.Thread(target=pull) for _ in range(helpers)]
    for thread in threads:
        thread.start()
    pull()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def value_counts(codes: Ints) -> list[tuple[int, int]]:
    """Distinct numbers, ascending, and how often each occurs."""
    ascending = np.sort(codes)
    starts = run_starts(ascending)
    sizes = np.diff(starts, append=ascending.size)
    return list(zip(ascending[starts].tolist(), sizes.tolist(), strict=True))


def split_by(codes: Ints) -> Iterator[tuple[int, Ints]]:
    """Distinct numbers, ascending, and the rows of each in order."""
    order = np.argsort(codes, kind="stable")
    starts = run_starts(codes[order])
    for rows in np.split(order, starts[1:]) if order.size else []:
        yield int(codes[rows[0]]), rows


def run_starts(ascending: Ints) -> Ints:
    """Where each run of equal numbers begins."""
    first = np.ones(ascending.size, np.bool_)
    np.not_equal(ascending[1:], ascending[:-1], out=first[1:])
    return np.flatnonzero(first)


def chunks(count: int, size: int = CHUNK) -> Iterator[slice]:
    """Slices of at most `size` rows that cover `count`."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def ranges(starts: Ints, counts: NDArray[np.integer[Any]], step: int = 1) -> Ints:
    """starts[i], starts[i]+step, ... counts[i] times, for all i in order; shape (counts.sum(),).

    Args:
        starts: First number of each range.
        counts: Numbers of each range.
        step: Distance of two numbers.
    """
    ends = np.cumsum(counts, dtype=np.int64)
    total = int(ends[-1]) if ends.size else 0
    return np.repeat(starts - step * (ends - counts), counts) + np.arange(0, step * total, step, dtype=np.int64)
