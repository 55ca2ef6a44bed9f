"""The piece of a long value that it is searched for by: one that few other values hold."""

import base64
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from auditor.columns import Bytes, Ints, Words
from auditor.hunt.forms import GROUP, STEP
from auditor.hunt.words import SPAN, WORD

SPREAD = 8
"""Pieces of a value that are weighed, from its beginning to its end."""
_MIX = np.uint64(0x9E3779B97F4A7C15)


def choose(texts: Sequence[bytes]) -> tuple[Ints, Bytes]:
    """Where in each text, of no less than SPAN bytes, its piece begins, and the pieces: int64 (n,), uint8 (n, SPAN).

    It begins at a multiple of three, with a group of base64. It is the piece that the fewest texts hold at the places
    that were looked at, and of these the one of the most different bytes: texts may be alike for hundreds of bytes,
    and zeros or spaces stand everywhere.
    """
    room = np.array([len(text) for text in texts], np.int64) - SPAN
    places = np.column_stack([*(room * step // (SPREAD - 1) for step in range(SPREAD)), _apart(texts, room)])
    places -= places % GROUP
    each = [text[at : at + SPAN] for text, mine in zip(texts, places.tolist(), strict=True) for at in mine]
    weighed = np.frombuffer(b"".join(each), np.uint8).reshape(*places.shape, SPAN)
    first, last = _words(weighed[..., :WORD]), _words(weighed[..., -WORD:])
    _, same, count = np.unique(first * _MIX ^ last, return_inverse=True, return_counts=True)
    octets = np.sort(weighed, axis=-1)
    different = np.count_nonzero(octets[..., 1:] != octets[..., :-1], axis=-1)
    best = np.argmin(count[same.reshape(places.shape)] * SPAN - different, axis=1)
    rows = np.arange(len(texts))
    return places[rows, best], weighed[rows, best]


def _words(octets: Bytes) -> Words:
    words: Words = np.ascontiguousarray(octets).view("<u8")[..., 0]
    return words


def _apart(texts: Sequence[bytes], room: Ints) -> Ints:
    """A place in each text whose piece holds the first byte that tells it from the texts that begin most like it."""
    order = sorted(range(len(texts)), key=texts.__getitem__)
    alike = np.zeros(len(texts) + 1, np.int64)
    alike[1:-1] = [_common(texts[one], texts[other]) for one, other in pairwise(order)]
    place = np.empty(len(texts), np.int64)
    place[order] = np.maximum(alike[:-1], alike[1:]) - SPAN // 2
    inside: Ints = np.clip(place, 0, room)
    return inside


def _common(one: bytes, other: bytes) -> int:
    """How many bytes two texts begin with alike."""
    for size in (SPAN, min(len(one), len(other))):  # most are told apart by a few bytes
        if differing := int.from_bytes(one[:size]) ^ int.from_bytes(other[:size]):
            return size - (differing.bit_length() + 7) // 8
    return min(len(one), len(other))


def coded(pieces: Bytes, lead: int) -> Bytes:
    """What base64 makes of pieces of which the first `lead` bytes belong to the group before: (n, SPAN)."""
    whole = (SPAN - lead) // GROUP * GROUP
    groups = np.ascontiguousarray(pieces[:, lead : lead + whole]).tobytes()
    characters = np.frombuffer(base64.b64encode(groups), np.uint8)
    return characters.reshape(len(pieces), whole // GROUP * STEP)[:, :SPAN]
