"""The piece of a value that it is searched for by: one that few other values hold."""

import base64
from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import TypeAlias

import numpy as np

from auditor.arrays.dtypes import Bytes, Ints
from auditor.hunt.forms import GROUP, STEP
from auditor.hunt.word_search import WORD, words_of

SPREAD = 8
"""Pieces of a value that are weighed, from its beginning to its end."""
BEGINNING = 64
"""Bytes by which texts are ordered first."""
_MIX = np.uint64(0x9E3779B97F4A7C15)


Part: TypeAlias = tuple[bytes, int, int]
"""A text as a part of what is kept anyway: whole, begin and end. A copy of every text would take as much again."""


def choose(texts: Sequence[Part], span: int) -> tuple[Ints, Bytes]:
    """Where in each text, of no less than `span` bytes, its piece begins, and the pieces: int64 (n,), uint8 (n, span).

    It begins at a multiple of three, with a group of base64. It is the piece that the fewest texts hold at the same
    place, and of these the one of the most different bytes: texts may be alike for hundreds of bytes, and zeros or
    spaces stand everywhere.
    """
    room = np.array([end - begin for _, begin, end in texts], np.int64) - span
    places = np.column_stack([*(room * step // (SPREAD - 1) for step in range(SPREAD)), _apart(texts, room, span)])
    places -= places % GROUP
    at = places[:, 0]
    best = np.full(len(texts), np.iinfo(np.int64).max)
    for each in places.T:
        piece = _cut(texts, each, span)
        _, same, count = np.unique(
            words_of(piece[:, :WORD]) * _MIX ^ words_of(piece[:, -WORD:]), return_inverse=True, return_counts=True
        )
        octets = np.sort(piece, axis=1)
        weight = count[same] * span - np.count_nonzero(octets[:, 1:] != octets[:, :-1], axis=1)
        at, best = np.where(weight < best, each, at), np.minimum(weight, best)
    return at, _cut(texts, at, span)


def _cut(texts: Sequence[Part], at: Ints, span: int) -> Bytes:
    """A piece of each text: (n, span)."""
    places = zip(texts, at.tolist(), strict=True)
    pieces = b"".join([whole[begin + place : begin + place + span] for (whole, begin, _), place in places])
    return np.frombuffer(pieces, np.uint8).reshape(-1, span)


def _apart(texts: Sequence[Part], room: Ints, span: int) -> Ints:
    """A place in each text whose piece holds the first byte that tells it from the texts that begin most like it."""

    def whole(number: int) -> bytes:
        text, begin, end = texts[number]
        return text[begin:end]

    def beginning(number: int) -> bytes:
        text, begin, end = texts[number]
        return text[begin : min(begin + BEGINNING, end)]

    # ordered by what they begin with, and by all of it only where that is the same
    alphabetical = sorted(range(len(texts)), key=beginning)
    order = [number for _, same in groupby(alphabetical, beginning) for number in sorted(same, key=whole)]
    alike = np.zeros(len(texts) + 1, np.int64)
    alike[1:-1] = [_common(whole(one), whole(other), span) for one, other in pairwise(order)]
    place = np.empty(len(texts), np.int64)
    place[order] = np.maximum(alike[:-1], alike[1:]) - span // 2
    inside: Ints = np.clip(place, 0, room)
    return inside


def _common(one: bytes, other: bytes, span: int) -> int:
    """How many bytes two texts begin with alike."""
    for size in (span, min(len(one), len(other))):  # most are told apart by a few bytes
        if differing := int.from_bytes(one[:size]) ^ int.from_bytes(other[:size]):
            return size - (differing.bit_length() + 7) // 8
    return min(len(one), len(other))


def coded(pieces: Bytes, lead: int) -> Bytes:
    """What base64 makes of pieces of which the first `lead` bytes belong to the group before: (n, span)."""
    span = pieces.shape[1]
    whole = (span - lead) // GROUP * GROUP
    groups = np.ascontiguousarray(pieces[:, lead : lead + whole]).tobytes()
    characters = np.frombuffer(base64.b64encode(groups), np.uint8)
    return characters.reshape(len(pieces), whole // GROUP * STEP)[:, :span]
