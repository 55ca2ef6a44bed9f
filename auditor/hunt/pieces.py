"""The piece of a value that it is searched for by: one that few other values hold."""

import base64
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from auditor.columns import Bytes, Ints, chunks
from auditor.hunt.forms import GROUP, STEP
from auditor.hunt.words import WORD, words_of

SPREAD = 8
"""Pieces of a value that are weighed, from its beginning to its end."""
AT_ONCE = 1 << 14
"""Texts whose pieces are cut and weighed at once."""
_MIX = np.uint64(0x9E3779B97F4A7C15)


def choose(texts: Sequence[bytes], span: int) -> tuple[Ints, Bytes]:
    """Where in each text, of no less than `span` bytes, its piece begins, and the pieces: int64 (n,), uint8 (n, span).

    It begins at a multiple of three, with a group of base64. It is the piece that the fewest texts hold at the places
    that were looked at, and of these the one of the most different bytes: texts may be alike for hundreds of bytes,
    and zeros or spaces stand everywhere.
    """
    room = np.array([len(text) for text in texts], np.int64) - span
    places = np.column_stack([*(room * step // (SPREAD - 1) for step in range(SPREAD)), _apart(texts, room, span)])
    places -= places % GROUP
    keys = np.empty(places.shape, np.uint64)
    different = np.empty(places.shape, np.uint8)
    for part in chunks(len(texts), AT_ONCE):
        weighed = _cut(texts[part], places[part], span)
        keys[part] = words_of(weighed[..., :WORD]) * _MIX ^ words_of(weighed[..., -WORD:])
        weighed.sort(axis=-1)
        different[part] = np.count_nonzero(weighed[..., 1:] != weighed[..., :-1], axis=-1)
    _, same, count = np.unique(keys, return_inverse=True, return_counts=True)
    best = np.argmin(count[same.reshape(places.shape)] * span - different, axis=1)
    at = places[np.arange(len(texts)), best]
    return at, _cut(texts, at[:, None], span)[:, 0]


def _cut(texts: Sequence[bytes], places: Ints, span: int) -> Bytes:
    """The pieces of each text at its places: (n, places, span)."""
    pieces = [text[at : at + span] for text, mine in zip(texts, places.tolist(), strict=True) for at in mine]
    return np.frombuffer(bytearray().join(pieces), np.uint8).reshape(*places.shape, span)


def _apart(texts: Sequence[bytes], room: Ints, span: int) -> Ints:
    """A place in each text whose piece holds the first byte that tells it from the texts that begin most like it."""
    order = sorted(range(len(texts)), key=texts.__getitem__)
    alike = np.zeros(len(texts) + 1, np.int64)
    alike[1:-1] = [_common(texts[one], texts[other], span) for one, other in pairwise(order)]
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
