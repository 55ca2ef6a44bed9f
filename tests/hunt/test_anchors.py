"""Which piece of a value it is searched for by, and what base64 makes of it."""

import base64
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.arrays.dtypes import Bytes, Ints
from auditor.hunt import anchors, forms
from auditor.hunt.word_search import STEPS

SPAN = max(STEPS)
SPANS = pytest.mark.parametrize("span", STEPS)


def choose(texts: list[bytes], span: int) -> tuple[Ints, Bytes]:
    """Of each text as a part of something longer."""
    return anchors.choose([(b"some" + text + b"thing", 4, 4 + len(text)) for text in texts], span)


def test_texts_are_told_apart_by_what_follows_a_long_beginning() -> None:
    """They are ordered by it first."""
    rng = random.Random(3)
    heads = [rng.randbytes(anchors.BEGINNING + 100) for _ in range(3)]
    texts = [head + b"%015d" % number + rng.randbytes(20) for number in range(50) for head in heads]
    at, chosen = choose(texts, SPAN)
    assert len(np.unique(chosen, axis=0)) == len(texts)
    assert (at > anchors.BEGINNING).all()


@SPANS
@given(data=st.data())
def test_a_piece_lies_inside_and_begins_a_group(span: int, data: st.DataObject) -> None:
    texts = data.draw(st.lists(st.binary(min_size=span, max_size=100), min_size=1, max_size=20))
    at, chosen = choose(texts, span)
    assert (at % forms.GROUP == 0).all()
    assert [bytes(each) for each in chosen] == [
        text[begin : begin + span] for text, begin in zip(texts, at.tolist(), strict=True)
    ]
    assert all(begin + span <= len(text) for text, begin in zip(texts, at.tolist(), strict=True))


@SPANS
@given(data=st.data(), lead=st.integers(0, 2))
def test_base64_of_a_piece_is_a_part_of_that_of_the_value(span: int, data: st.DataObject, lead: int) -> None:
    text = data.draw(st.binary(min_size=span, max_size=100))
    at, chosen = choose([text], span)
    (coded,) = anchors.to_base64(chosen, lead)
    solid = (len(text) - lead) // 3 * 3
    whole = base64.b64encode(text[lead : lead + solid])
    begin = int(at[0]) // forms.GROUP * 4
    assert whole[begin : begin + span] == bytes(coded)


def test_what_is_alike_is_not_chosen() -> None:
    rng = random.Random(1)
    head, tail = rng.randbytes(300), rng.randbytes(300)
    texts = [head + b"%09d" % number + tail for number in range(200)]
    _, chosen = choose(texts, SPAN)
    assert len(np.unique(chosen, axis=0)) == 200


def test_neither_zeros_nor_spaces_are_chosen() -> None:
    rng = random.Random(2)
    for filler in (b"\0", b" "):
        texts = [filler * 200 + rng.randbytes(60) + filler * 200 for _ in range(50)]
        assert not any(filler * 8 in bytes(each) for each in choose(texts, SPAN)[1])
