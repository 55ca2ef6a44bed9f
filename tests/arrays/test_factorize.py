"""Groups of equal strings against the same thing said in plain Python, one row at a time."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.arrays import buffer, parallel
from auditor.arrays import factorize as factorizing
from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Ints, Words
from auditor.arrays.factorize import factorize, hashes
from tests.arrays.test_buffer import column, few, strings


def check_groups(body: bytes, at: list[int], length: list[int], numbers: Ints, heads: Ints) -> None:
    texts = [body[start : start + size] for start, size in zip(at, length, strict=True)]
    assert numbers.shape == (len(texts),)
    assert sorted(set(numbers.tolist())) == list(range(len(set(texts)))) == list(range(heads.size))
    assert [texts[heads[number]] for number in numbers.tolist()] == texts


@given(strings())
def test_hashes_depend_on_the_bytes_alone(case: tuple[bytes, list[int], list[int]]) -> None:
    body, at, length = case
    moved = hashes(Buffer(b"\xee" * 5 + body + b"\xee" * 70), column(at) + 5, column(length))
    assert moved.tolist() == hashes(Buffer(body), column(at), column(length)).tolist()


@given(strings())
def test_groups_are_equal_strings(case: tuple[bytes, list[int], list[int]]) -> None:
    body, at, length = case
    check_groups(body, at, length, *factorize(Buffer(body), column(at), column(length)))


@few
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(60, 400), st.integers(0, 3), st.integers(0, 1)), max_size=12))
def test_long_strings_that_differ_only_between_their_ends(drawn: list[tuple[int, int, int, int]]) -> None:
    texts = [
        b"%d" % start + b"=" * size + b"%d" % middle + b"=" * size + b"%d" % end for start, size, middle, end in drawn
    ]
    at = [sum(map(len, texts[:row])) for row in range(len(texts))]
    length = list(map(len, texts))
    body = b"".join(texts)
    check_groups(body, at, length, *factorize(Buffer(body), column(at), column(length)))


def constant(buffer: Buffer, at: Ints, length: Ints, *, ends: bool = False) -> Words:
    return np.full(at.shape, 7, np.uint64)


def by_length(buffer: Buffer, at: Ints, length: Ints, *, ends: bool = False) -> Words:
    return length.astype(np.uint64)


@few
@given(strings(), st.sampled_from([constant, by_length]))
def test_a_collision_of_hashes_joins_nothing(
    case: tuple[bytes, list[int], list[int]], collide: Callable[..., Words]
) -> None:
    body, at, length = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(factorizing, "hashes", collide)
        check_groups(body, at, length, *factorize(Buffer(body), column(at), column(length)))


def test_a_collision_far_into_many_rows_is_seen() -> None:
    """More rows than one chunk, all hashes alike, and only the last string another one."""
    count = 2 * parallel.CHUNK + 3
    body = b"same" * (count - 1) + b"else"
    at, length = np.arange(count, dtype=np.int64) * 4, np.full(count, 4, np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(factorizing, "hashes", constant)
        numbers, heads = factorize(Buffer(body), at, length)
    assert heads.size == 2
    assert (numbers[:-1] == numbers[0]).all()
    assert numbers[-1] != numbers[0]


def test_long_strings_are_grouped_by_their_bytes() -> None:
    """A damaged log leaves fragments of many megabytes: word by word they took a minute."""
    one, other = b"a" * (buffer.LONG + 9), b"a" * (buffer.LONG + 8) + b"b"
    data = Buffer(one + other + one + b"short")
    at = np.array([0, len(one), 2 * len(one), 3 * len(one)])
    length = np.array([len(one)] * 3 + [5])
    numbers, _ = factorize(data, at, length)
    assert numbers[0] == numbers[2]
    assert len(set(numbers.tolist())) == 3
