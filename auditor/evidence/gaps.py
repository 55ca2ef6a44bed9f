"""Gaps of one kind, of which there may be millions: the first ones one by one, the others as one."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from auditor.arrays.dtypes import Ints

LISTED = 100
"""Gaps of one kind that are listed one by one."""
T = TypeVar("T")


def listed(rows: Ints, one: Callable[[int], T], rest: Callable[[Ints], T]) -> Iterator[T]:
    """The gaps of many rows.

    Args:
        rows: The rows.
        one: The gap of one of the first LISTED rows.
        rest: The gap of all the others, where there are any.
    """
    yield from map(one, rows[:LISTED].tolist())
    if rows.size > LISTED:
        yield rest(rows[LISTED:])
