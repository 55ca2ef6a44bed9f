"""The piece of a long value that it is searched for by: one that few other values hold."""

import base64
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from auditor.columns import Buffer, Bytes, Ints
from auditor.hunt.forms import GROUP, STEP
from auditor.hunt.words import SPAN, WORD

SPREAD = 8
"""Pieces of a value that are weighed, from its beginning to its end."""
_MIX = np.uint64(0x9E3779B97F4A7C15)


def choose(texts: Sequence[bytes]) -> Ints:
    """Where in each text, of no less than SPAN bytes, its piece begins: a multiple of three, int64 of shape (n,).

    The piece that the fewest texts hold at the places that were looked at, and of these the one of the most different
    bytes: texts may be alike for hundreds of bytes, and zeros or spaces stand everywhere.
    """
    lengths = np.array([len(text) for text in texts], np.int64)
    starts = np.cumsum(lengths) - lengths
    room = lengths - SPAN
    places = np.column_stack([*(room * step // (SPREAD - 1) for step in range(SPREAD)), _apart(texts, room)])
    places -= places % GROUP
    at = starts[:, None] + places
    data = Buffer(b"".join(texts))
    words, lasts = data.words(at), data.words(at + SPAN - WORD)
    _, same, count = np.unique(words * _MIX ^ lasts, return_inverse=True, return_counts=True)
    octets = np.sort(np.stack((words, lasts), axis=-1).view(np.uint8), axis=-1)
    different = np.count_nonzero(octets[..., 1:] != octets[..., :-1], axis=-1)
    best = np.argmin(count[same.reshape(at.shape)] * octets.shape[-1] - different, axis=1)
    chosen: Ints = places[np.arange(len(texts)), best]
    return chosen


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
    size = min(len(one), len(other))
    differing = int.from_bytes(one[:size]) ^ int.from_bytes(other[:size])
    return size - (differing.bit_length() + 7) // 8


def cut(texts: Sequence[bytes], at: Ints) -> Bytes:
    """The pieces that begin there: uint8 of shape (n, SPAN)."""
    parts = b"".join(text[begin : begin + SPAN] for text, begin in zip(texts, at.tolist(), strict=True))
    return np.frombuffer(parts, np.uint8).reshape(-1, SPAN)


def coded(pieces: Bytes, lead: int) -> Bytes:
    """What base64 makes of pieces of which the first `lead` bytes belong to the group before: (n, SPAN)."""
    whole = (SPAN - lead) // GROUP * GROUP
    groups = np.ascontiguousarray(pieces[:, lead : lead + whole]).tobytes()
    characters = np.frombuffer(base64.b64encode(groups), np.uint8)
    return characters.reshape(len(pieces), whole // GROUP * STEP)[:, :SPAN]
