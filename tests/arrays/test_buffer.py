"""Column arithmetic against the same thing said in plain Python, one row at a time."""

import mmap
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.arrays import parallel
from auditor.arrays.buffer import LONG, Buffer, varints
from auditor.arrays.dtypes import Ints
from auditor.arrays.factorize import hashes
from auditor.arrays.parallel import ranges

few = settings(max_examples=40)

# few different bytes, so that searches hit and strings repeat; sizes on both sides of words and blocks
letters = st.sampled_from(b"ab:/\x00\x1f\x7f\x80\xff")
bodies = st.one_of(st.lists(letters, max_size=20), st.lists(letters, max_size=200)).map(bytes)


@st.composite
def strings(draw: st.DrawFn) -> tuple[bytes, list[int], list[int]]:
    """A buffer, and positions and lengths of strings that lie inside it, the very end included."""
    body = draw(bodies)
    at = draw(st.lists(st.integers(0, len(body)), max_size=12))
    length = [draw(st.one_of(st.integers(0, len(body) - start), st.just(len(body) - start))) for start in at]
    return body, at, length


def column(numbers: list[int]) -> Ints:
    return np.array(numbers, np.int64)


def pad(body: bytes, start: int, size: int) -> bytes:
    return body[start : start + size].ljust(size, b"\0")


@given(bodies, st.data())
def test_words_are_the_next_eight_bytes_and_zeros_past_the_end(body: bytes, data: st.DataObject) -> None:
    at = data.draw(st.lists(st.integers(0, len(body) + 20), max_size=12))
    expected = [int.from_bytes(pad(body, start, 8), "little") for start in at]
    assert Buffer(body).words(column(at)).tolist() == expected


@given(bodies, st.integers(1, 9), st.data())
def test_blocks_are_words_in_a_row(body: bytes, count: int, data: st.DataObject) -> None:
    at = data.draw(st.lists(st.integers(0, len(body) + 20), min_size=1, max_size=12))
    blocks = Buffer(body).blocks(column(at), count)
    assert blocks.shape == (len(at), count)
    assert [row.astype("<u8").tobytes() for row in blocks] == [pad(body, start, 8 * count) for start in at]


@pytest.mark.parametrize("size", range(9))
def test_buffers_shorter_than_a_word(size: int) -> None:
    body = bytes(range(0xF0, 0xF0 + size))
    buffer = Buffer(body)
    assert buffer.size == size
    assert buffer.slice(0, 100) == body
    assert buffer.words(column([0])).tolist() == [int.from_bytes(body, "little")]
    assert buffer.find(column([0]), column([size]), 0xF0).tolist() == [0 if size else -1]
    assert buffer.find(column([0]), column([size]), 0).tolist() == [-1]


def test_a_slice_ends_with_the_buffer() -> None:
    buffer = Buffer(b"0123456789")
    assert buffer.slice(8, 100) == b"89"
    assert buffer.slices(column([0, 8, 10]), column([2, 2, 0])) == [b"01", b"89", b""]


@given(strings(), st.binary(max_size=3), st.data())
def test_starts_with_does_not_look_past_the_strings_end(
    case: tuple[bytes, list[int], list[int]], other: bytes, data: st.DataObject
) -> None:
    body, at, length = case
    begin = data.draw(st.integers(0, len(body)))
    prefix = data.draw(st.sampled_from([body[begin : begin + size] for size in (0, 1, 3, 7, 8, 9, 17)])) + other
    expected = [body[start : start + size].startswith(prefix) for start, size in zip(at, length, strict=True)]
    assert Buffer(body).starts_with(column(at), column(length), prefix).tolist() == expected


def found_in(text: bytes, byte: int, limit: int, *, plain: bool) -> int:
    for distance, octet in enumerate(text[:limit]):
        if octet == byte:
            return distance
        if plain and not 0x20 <= octet < 0x80:
            return -1
    return -1


@given(strings(), letters, st.one_of(st.just(1 << 20), st.integers(1, 40)), st.booleans())
def test_find(case: tuple[bytes, list[int], list[int]], byte: int, limit: int, plain: bool) -> None:
    body, at, length = case
    expected = [
        found_in(body[start : start + size], byte, limit, plain=plain) for start, size in zip(at, length, strict=True)
    ]
    assert Buffer(body).find(column(at), column(length), byte, limit, text=plain).tolist() == expected


@pytest.mark.parametrize("plain", [False, True])
def test_find_each_byte_at_each_distance(plain: bool) -> None:
    """Beside bytes that differ from the wanted one by a borrow, which the arithmetic could mistake for it."""
    for byte in range(256):
        for distance in range(17):
            filler = (byte + 1) % 256 if not plain else (ord("y") if byte == ord("x") else ord("x"))
            body = bytes([filler]) * distance + bytes([byte, filler])
            buffer = Buffer(body)
            assert buffer.find(column([0]), column([len(body)]), byte, text=plain)[0] == distance
            assert buffer.find(column([0]), column([distance]), byte, text=plain)[0] == -1


@given(strings(), letters, st.integers(0, 6))
def test_nth(case: tuple[bytes, list[int], list[int]], byte: int, number: int) -> None:
    body, at, length = case
    expected = []
    for start, size in zip(at, length, strict=True):
        hits = [distance for distance, octet in enumerate(body[start : start + size]) if octet == byte]
        expected.append(hits[number] if number < len(hits) else -1)
    assert Buffer(body).find_nth(column(at), column(length), byte, number).tolist() == expected


@given(strings(), st.data())
def test_equal_is_bytewise_equality(case: tuple[bytes, list[int], list[int]], data: st.DataObject) -> None:
    body, at, length = case
    twice = body + body
    other = [
        data.draw(st.one_of(st.just(start + len(body)), st.integers(0, len(twice) - size)))
        for start, size in zip(at, length, strict=True)
    ]
    pairs = zip(at, other, length, strict=True)
    expected = [twice[start : start + size] == twice[there : there + size] for start, there, size in pairs]
    assert Buffer(twice).equal(column(at), column(other), column(length)).tolist() == expected


@pytest.mark.parametrize("size", [1, 7, 8, 9, 63, 64, 65, 130])
def test_equal_and_hashes_see_every_single_byte(size: int) -> None:
    """Strings that differ in one byte only, wherever it is, and not the byte behind them."""
    body = bytes(range(1, size + 1))
    changed = [body[:i] + bytes([body[i] ^ 0x80]) + body[i + 1 :] for i in range(size)]
    same = [body]
    raw = body + b"\xff" + b"".join(text + b"\xaa" for text in changed + same)
    other = column([len(body) + 1 + i * (size + 1) for i in range(size + 1)])
    at, length = np.zeros(size + 1, np.int64), np.full(size + 1, size, np.int64)
    buffer = Buffer(raw)
    assert buffer.equal(at, other, length).tolist() == [False] * size + [True]
    hashed = hashes(buffer, other, length)
    own = hashes(buffer, at, length)
    assert (hashed == own).tolist() == [False] * size + [True]


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


@given(st.lists(st.one_of(st.integers(0, (1 << 56) - 1), st.integers(0, 300)), max_size=12), st.binary(max_size=8))
def test_varints_are_read_back(values: list[int], rest: bytes) -> None:
    words = [int.from_bytes(pad(varint(value) + rest, 0, 8), "little") for value in values]
    value, size = varints(np.array(words, np.uint64))
    assert value.tolist() == values
    assert size.tolist() == [len(varint(value)) for value in values]


@given(st.integers(1 << 56, (1 << 64) - 1))
def test_a_varint_longer_than_a_word_has_no_size(value: int) -> None:
    word = int.from_bytes(varint(value)[:8], "little")
    assert varints(np.array([word], np.uint64))[1].tolist() == [0]


@given(st.lists(st.tuples(st.integers(0, 1 << 40), st.integers(0, 6)), max_size=20))
def test_expand_counts_up_from_each_start(runs: list[tuple[int, int]]) -> None:
    expected = [start + i for start, count in runs for i in range(count)]
    found = ranges(column([start for start, _ in runs]), column([count for _, count in runs]))
    assert found.tolist() == expected


@given(st.lists(st.integers(-3, 3), max_size=30))
def test_counts(numbers: list[int]) -> None:
    assert parallel.value_counts(column(numbers)) == sorted(Counter(numbers).items())


@pytest.mark.parametrize("count", [0, 1, parallel.CHUNK, 3 * parallel.CHUNK + 1])
def test_spread_works_on_every_row_once(count: int) -> None:
    touched = np.zeros(count, np.int64)

    def work(part: slice) -> None:
        touched[part] += 1

    parallel.parallel_for(count, work)
    assert (touched == 1).all()


def test_spread_raises_what_a_chunk_raised() -> None:
    def work(part: slice) -> Any:
        if part.start:
            raise LookupError(part.start)

    with pytest.raises(LookupError):
        parallel.parallel_for(4 * parallel.CHUNK, work)


@given(st.binary(min_size=8, max_size=100), st.sampled_from([1, 2, 4, 8]))
def test_words_that_lie_apart(body: bytes, step: int) -> None:
    expected = [int.from_bytes(body[at : at + 8], "little") for at in range(0, len(body) - 7, step)]
    assert Buffer(body).strided_words(step).tolist() == expected


@given(st.lists(st.sampled_from([b"ab", b"a", b"b", b"abc"]), max_size=12), st.data())
def test_occurrences_are_those_that_bytes_find(pieces: list[bytes], data: st.DataObject) -> None:
    raw = b"".join(pieces)
    pattern = data.draw(st.sampled_from([b"a", b"ab", b"abc", b"bab"]))
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, len(raw)))
    expected = [at for at in range(start, end - len(pattern) + 1) if raw.startswith(pattern, at)]
    assert list(Buffer(raw).occurrences(pattern, start, end)) == expected


def test_nothing_behind_a_mapping_that_ends_on_a_page_is_read(tmp_path: Path) -> None:
    """CPython up to 3.11.4 dies of it where no memory is mapped behind: the process is one of its own."""
    path = tmp_path / "page"
    path.write_bytes(bytes(mmap.PAGESIZE - 3) + b"end")
    code = (
        "import mmap, sys; from auditor.arrays.buffer import Buffer\n"
        "with open(sys.argv[1], 'rb') as file:\n"
        "    maps = [mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) for _ in range(64)]\n"
        "    for raw in maps[1::2]: raw.close()\n"
        "    for raw in maps[::2]:\n"
        f"        assert list(Buffer(raw).occurrences(b'end', 0, {mmap.PAGESIZE})) == [{mmap.PAGESIZE - 3}]\n"
        f"        assert not list(Buffer(raw).occurrences(b'no', 0, {mmap.PAGESIZE}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("size", [0, 1, 63, 64, 511, 512, 513, 1300, LONG, LONG + 700])
def test_one_byte_of_a_range_is_seen_wherever_it_stands(size: int) -> None:
    for place in {0, size // 2, size - 1, size, size + 1}:
        raw = bytearray(size + 3)
        if 0 <= place < len(raw):
            raw[place] = 1
        parts = [(0, size), (min(1, size), size), (0, max(size - 1, 0)), (min(2, size), size), (size, size)]
        starts, ends = (np.array(column, np.int64) for column in zip(*parts, strict=True))
        expected = [any(raw[start:end]) for start, end in parts]
        assert Buffer(bytes(raw)).nonzero(starts, ends).tolist() == expected
