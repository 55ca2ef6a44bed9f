"""Anchors: the part of a value that it is searched for by, one that few other values hold."""

import base64
from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import TypeAlias

import numpy as np

from auditor.arrays.dtypes import Bytes, Ints
from auditor.hunt.forms import GROUP, STEP
from auditor.hunt.word_search import WORD, words_of

SPREAD = 8
"""Candidate anchors of a value, from its beginning to its end."""
BEGINNING = 64
"""Bytes at the start of a text by which texts are sorted first."""
_MIX = np.uint64(0x9E3779B97F4A7C15)

TextSlice: TypeAlias = tuple[bytes, int, int]
"""A text as a slice of longer bytes: whole, begin and end. Copies of all texts would double the memory."""


def choose(texts: Sequence[TextSlice], span: int) -> tuple[Ints, Bytes]:
    """The anchor of each text, of no less than `span` bytes: start in the text and bytes, int64 (n,), uint8 (n, span).

    An anchor starts at a multiple of three, with a group of base64. It is the candidate that the fewest texts hold at
    the same start, and among these the one of the most different bytes: texts may be alike for hundreds of bytes, and
    zeros or spaces stand everywhere.
    """
    # a row a text: the starts of its candidates, evenly spread, and of the one that tells it from its neighbours
    room = np.array([end - begin for _, begin, end in texts], np.int64) - span
    places = np.column_stack(
        [*(room * step // (SPREAD - 1) for step in range(SPREAD)), _distinctive(texts, room, span)]
    )
    places -= places % GROUP
    at = places[:, 0]
    best = np.full(len(texts), np.iinfo(np.int64).max)
    for starts in places.T:
        anchors = _cut(texts, starts, span)
        _, group, count = np.unique(
            words_of(anchors[:, :WORD]) * _MIX ^ words_of(anchors[:, -WORD:]), return_inverse=True, return_counts=True
        )
        octets = np.sort(anchors, axis=1)
        weight = count[group] * span - np.count_nonzero(octets[:, 1:] != octets[:, :-1], axis=1)
        at, best = np.where(weight < best, starts, at), np.minimum(weight, best)
    return at, _cut(texts, at, span)


def _cut(texts: Sequence[TextSlice], at: Ints, span: int) -> Bytes:
    """The bytes from `at` on of each text: (n, span)."""
    starts = zip(texts, at.tolist(), strict=True)
    octets = b"".join([whole[begin + place : begin + place + span] for (whole, begin, _), place in starts])
    return np.frombuffer(octets, np.uint8).reshape(-1, span)


def _distinctive(texts: Sequence[TextSlice], room: Ints, span: int) -> Ints:
    """The start in each text of an anchor with the first byte that tells it from its neighbours in sorted order."""

    def whole(number: int) -> bytes:
        text, begin, end = texts[number]
        return text[begin:end]

    def beginning(number: int) -> bytes:
        text, begin, end = texts[number]
        return text[begin : min(begin + BEGINNING, end)]

    # sorted by their first bytes, and by all bytes only where those are equal
    alphabetical = sorted(range(len(texts)), key=beginning)
    order = [number for _, equal in groupby(alphabetical, beginning) for number in sorted(equal, key=whole)]
    # common[i], common[i + 1]: bytes that the text of rank i shares with its neighbours before and after it
    common = np.zeros(len(texts) + 1, np.int64)
    common[1:-1] = [_common_prefix(whole(one), whole(other), span) for one, other in pairwise(order)]
    start = np.empty(len(texts), np.int64)
    start[order] = np.maximum(common[:-1], common[1:]) - span // 2
    inside: Ints = np.clip(start, 0, room)
    return inside


def _common_prefix(one: bytes, other: bytes, span: int) -> int:
    """The number of bytes that two texts begin with alike."""
    for size in (span, min(len(one), len(other))):  # most differ within a few bytes
        if differing := int.from_bytes(one[:size]) ^ int.from_bytes(other[:size]):
            return size - (differing.bit_length() + 7) // 8
    return min(len(one), len(other))


def to_base64(anchors: Bytes, lead: int) -> Bytes:
    """The base64 of anchors of which the first `lead` bytes belong to the group before: (n, span)."""
    span = anchors.shape[1]
    whole = (span - lead) // GROUP * GROUP
    groups = np.ascontiguousarray(anchors[:, lead : lead + whole]).tobytes()
    characters = np.frombuffer(base64.b64encode(groups), np.uint8)
    return characters.reshape(len(anchors), whole // GROUP * STEP)[:, :span]
