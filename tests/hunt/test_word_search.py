"""Searching by whole words: at every place, past four gigabytes, and where a word stands everywhere."""

import mmap
import random
from pathlib import Path

import numpy as np
import pytest

from auditor.arrays.buffer import Buffer
from auditor.hunt import word_search
from auditor.hunt.literal_search import MOST
from auditor.hunt.word_search import STEPS, WordSearcher

SPAN = max(STEPS)
LENGTHS = pytest.mark.parametrize("length", STEPS)


def searcher(*patterns: bytes) -> WordSearcher:
    return WordSearcher(np.frombuffer(b"".join(patterns), np.uint8).reshape(len(patterns), -1))


def hits(search: WordSearcher, data: bytes) -> list[tuple[int, int]]:
    numbers, starts = search.search(Buffer(data))
    return list(zip(numbers.tolist(), starts.tolist(), strict=True))


@LENGTHS
def test_at_every_place_and_up_to_both_ends(length: int) -> None:
    pattern = b"exactly 15 long"[:length]
    search = searcher(pattern, b"not to be found"[:length])
    for before in range(20):
        for behind in range(20):
            assert hits(search, b"." * before + pattern + b"." * behind) == [(0, before)]
        assert not hits(search, b"." * before + pattern[:-1])
        assert not hits(search, pattern[1:] + b"." * before)
    assert not hits(search, b"")


def test_equal_and_overlapping_patterns() -> None:
    search = searcher(b"abcabcabcabcabc", b"abcabcabcabcabc", b"bcabcabcabcabca")
    assert hits(search, b"abcabcabcabcabcabc") == [(0, 0), (1, 0), (2, 1), (0, 3), (1, 3)]


@pytest.mark.night
@pytest.mark.slow
@pytest.mark.parametrize("length", [min(STEPS), max(STEPS)])
def test_past_four_gigabytes_and_at_every_stripe(length: int, tmp_path: Path) -> None:
    size = (4 << 30) + (3 << 20) + 5
    path = tmp_path / "sparse"
    stripe = word_search.STRIPE * STEPS[length]
    spots = [0, stripe - 4, stripe * 2, stripe * 5 + 1 - length, (1 << 32) - 7, (1 << 32) + 15, size - length]
    with path.open("wb") as out:
        for spot in spots:
            out.seek(spot)
            out.write(b"needle-\0-needle"[:length])
        out.truncate(size)
    with path.open("rb") as file:
        buffer = Buffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        numbers, starts = searcher(b"not to be found"[:length], b"needle-\0-needle"[:length]).search(buffer)
    assert starts.tolist() == spots
    assert set(numbers.tolist()) == {1}


def test_what_is_everywhere_is_told_and_its_first_hits_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_search, "STRIPE", 1 << 10)
    search = searcher(b"every fifteenth", b"here only twice")
    data = b"here only twice" + b"every fifteenth" * 3 * MOST + b"here only twice"
    assert hits(search, data) == [(1, 0), *((0, 15 * number) for number in range(1, MOST + 1)), (1, len(data) - 15)]
    assert search.overflowing == {0}


def test_a_word_that_fills_pages_costs_time_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patterns that begin with zeros, among pages of zeros."""
    monkeypatch.setattr(word_search, "PORTION", 1000)
    zeros = [bytes(9) + b"%06d" % number for number in range(500)]
    data = bytes(30_001) + b"000123" + bytes(20_000) + b"000400" + bytes(30_000)
    assert hits(searcher(*zeros, b"here only twice"), data) == [(123, 30_001 - 9), (400, 50_007 - 9)]


@LENGTHS
def test_what_overlaps_itself(length: int) -> None:
    """Against a plain search: few letters, so that patterns stand in each other and in themselves."""
    rng = random.Random(length)
    patterns = sorted(
        {bytes(rng.choices(b"ab\0", k=length)) for _ in range(50)} | {b"ab" * 4 + b"ababab\0"[: length - 8]}
    )
    data = b"".join(rng.choice(patterns)[rng.randrange(4) :] for _ in range(500)) + patterns[0]
    for end in range(len(data) - 20, len(data) + 1):
        expected = [
            (number, at) for at in range(end) for number, each in enumerate(patterns) if data[at:end].startswith(each)
        ]
        assert hits(searcher(*patterns), data[:end]) == expected


def test_what_repeats() -> None:
    texts = [bytes(15), b"abc" + b"=" * 12, b"a" * 7 + b"b" * 8, b"abcd" * 3 + b"abc", bytes(7) + b"12345678"]
    patterns = np.frombuffer(b"".join(texts), np.uint8).reshape(-1, SPAN)
    assert word_search.repeating(patterns).tolist() == [True, True, True, False, False]
    short = np.frombuffer(b"aaaaaaabbaaaaaaaaaaaaabb", np.uint8).reshape(-1, 8)
    assert word_search.repeating(short).tolist() == [True, True, False]


@LENGTHS
def test_among_thousands_of_patterns_and_random_bytes(length: int) -> None:
    rng = random.Random(5)
    patterns = [rng.randbytes(8).hex().encode()[:length] for _ in range(20_000)]
    noise = rng.randbytes(200_000).hex().upper().encode()
    placed = sorted(rng.sample(range(0, len(noise) - length, length), 500))
    data = bytearray(noise)
    expected = []
    for spot in placed:
        number = rng.randrange(len(patterns))
        data[spot : spot + length] = patterns[number]
        expected.append((number, spot))
    assert hits(searcher(*patterns), bytes(data)) == expected
