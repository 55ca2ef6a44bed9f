"""Equal strings of several buffers, against the same thing said in plain Python."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.arrays import factorize, join
from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Ints, Words
from tests.arrays.test_buffer import column, few

TEXTS = st.builds(
    lambda start, size, middle, end: b"%d" % start + b"=" * size + b"%d" % middle + b"=" * size + b"%d" % end,
    st.integers(0, 1), st.sampled_from((0, 3, 70, 300, 700)), st.integers(0, 2), st.integers(0, 1),
)  # fmt: skip
"""Short and long, that differ at their ends or between them alone."""
PARTS = st.lists(st.lists(TEXTS, max_size=6), min_size=1, max_size=3)


def strings(texts: list[bytes]) -> join.Strings:
    length = column(list(map(len, texts)))
    return Buffer(b"".join(texts)), np.cumsum(length) - length, length


def check(parts: list[list[bytes]]) -> None:
    codes, count = join.groups([strings(texts) for texts in parts], key=12345)
    pairs = {
        (text, code)
        for texts, own in zip(parts, codes, strict=True)
        for text, code in zip(texts, own.tolist(), strict=True)
    }
    every = {text for texts in parts for text in texts}
    assert [own.size for own in codes] == list(map(len, parts))
    assert len(pairs) == len({code for _, code in pairs}) == len(every) == count
    assert {code for _, code in pairs} == set(range(count))


@given(PARTS)
def test_equal_strings_of_several_buffers_share_a_code(parts: list[list[bytes]]) -> None:
    check(parts)


def colliding(*, whole: bool) -> Callable[..., Words]:
    """hashes() of which all collide: those of the ends, or of all bytes too."""

    def hashes(buffer: Buffer, at: Ints, length: Ints, key: int, *, ends: bool = False) -> Words:
        same = np.full(at.shape, key, np.uint64)
        return same if ends or whole else factorize.hashes(buffer, at, length, key)

    return hashes


@few
@given(PARTS, st.booleans())
def test_hashes_that_collide_join_nothing(parts: list[list[bytes]], whole: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(join, "hashes", colliding(whole=whole))
        check(parts)


def test_the_key_is_part_of_every_hash() -> None:
    for text in (b"", b"short", b"long" * 100, b"longer than is hashed in blocks" * 3000):
        of_text = strings([text])
        for ends in (False, True):
            hashes = [factorize.hashes(*of_text, key, ends=ends) for key in (0, 1, 2)]
            assert hashes[1] != hashes[2]
            assert hashes[0] == factorize.hashes(*of_text, ends=ends)


@pytest.mark.parametrize("size", [511, 512, 513, 1024, 1300, 1 << 16, (1 << 16) + 1])
def test_long_strings_differ_in_any_byte(size: int) -> None:
    text = bytes(range(256)) * (size // 256 + 1)
    one = strings([text[:size], b"between", text[:size]])
    for place in (0, 1, 63, 64, 500, size // 2, size - 2, size - 1):
        changed = bytearray(text[:size])
        changed[place] ^= 1
        other = strings([text[:size], b"between", bytes(changed)])
        assert join.identical(one, other).tolist() == [True, True, False]
