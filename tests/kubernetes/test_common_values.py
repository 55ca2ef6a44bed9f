"""What is too common to say anything, by one value and by many at once."""

import base64
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.arrays.buffer import Buffer
from auditor.kubernetes.common_values import LONGEST_HABIT, random_ones, reason

LEAST = 8


def surely(texts: list[bytes], least: int = LEAST) -> list[bool]:
    length = np.array([len(text) for text in texts], np.int64)
    at = np.cumsum(length) - length
    return [bool(each) for each in random_ones(Buffer(b"".join(texts)), at, length, least)]


@given(st.lists(st.text("0123456789aAbfzZ.-_/ p\xe9", max_size=70).map(str.encode), max_size=12))
def test_what_is_surely_random_has_no_reason(texts: list[bytes]) -> None:
    for text, sure in zip(texts, surely(texts), strict=True):
        assert not sure or reason(b"x", text.strip() or text, LEAST) == ""


@pytest.mark.parametrize("size", [16, 24, 32])
def test_hexadecimal_tokens_are(size: int) -> None:
    rng = random.Random(size)
    texts = [rng.randbytes(size).hex().encode() for _ in range(200)]
    assert sum(surely(texts)) > 150
    coded = [base64.b64encode(rng.randbytes(size)) for _ in range(200)]
    assert all(reason(b"x", text, LEAST) == "" for text in [*texts, *coded])


@pytest.mark.parametrize(
    "text",
    [b"", b"a1b2", b"password1234567890", b"a1a1a1a1a1a1a1a1a1a1", b"10.96.0.1", b"abcdefghijklmnopqrstuvwxyz",
     b"0" * 64, b"a1b2c3d4e5f6 g7h8", b"a1b2c3d4e5f6g7h8" * 5, b"k3s.example.com"],
)  # fmt: skip
def test_what_is_not_surely_so(text: bytes) -> None:
    assert surely([text]) == [False]


def test_bounds() -> None:
    text = b"a1b2c3d4e5f6g7h8i9j0"
    assert surely([text]) == [True]
    assert surely([text], least=len(text) + 1) == [False]
    long = (text * 4)[:LONGEST_HABIT]
    assert surely([long, long + b"k"]) == [True, False]
    # at the end of a buffer that is shorter than what is looked at
    assert surely([b"x" * 3, text]) == [False, True]
