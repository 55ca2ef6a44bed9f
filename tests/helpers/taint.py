"""Whether a text holds a part of what must not leave: every coding of it, at every alignment."""

import base64
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

WINDOW = 16
"""Bytes of UTF-8 in a row that are a leak."""
PIECE = 8
BITS = 20
STRIDE = WINDOW - PIECE + 1
"""In any WINDOW bytes in a row a whole PIECE begins at a multiple of this."""


def codings(raw: bytes) -> Iterator[str]:
    """The ways in which bytes can stand in a text: as they are, in hex, in base64 at each of its alignments."""
    if "\ufffd" not in (text := raw.decode("utf-8", "replace")):
        yield text
    yield raw.decode("latin-1")
    yield "".join(f"\\x{octet:02x}" if octet > 126 or octet < 32 else chr(octet) for octet in raw)
    yield raw.hex()
    yield raw.hex().upper()
    for shift in range(3):
        # the first and the last characters depend on the neighbours
        middle = slice(4 if shift else 0, -4)
        padded = b"\0" * shift + raw
        yield base64.b64encode(padded).decode()[middle]
        yield base64.urlsafe_b64encode(padded).decode()[middle]


def windows(coded: bytes) -> set[bytes]:
    return {coded[at : at + WINDOW] for at in range(len(coded) - WINDOW + 1)}


def _slots(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Of each word a place in a table: most texts hold nothing that is looked for, and that is soon seen."""
    slots: NDArray[np.uint64] = words * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(64 - BITS)
    return slots


class Taint:
    """What must not stand in a text: WINDOW bytes in a row of any of these, in any coding."""

    def __init__(self, secrets: Iterable[bytes]) -> None:
        texts = {coding.encode() for raw in set(secrets) for coding in codings(raw) if len(coding) >= WINDOW}
        self._windows = {window for coded in texts for window in windows(coded)}
        pieces = {coded[at : at + PIECE] for coded in texts for at in range(0, len(coded) - PIECE + 1, STRIDE)}
        self._pieces = np.unique(np.frombuffer(b"".join(sorted(pieces)), "<u8"))
        self._likely = np.zeros(1 << BITS, np.bool_)
        self._likely[_slots(self._pieces)] = True

    def __len__(self) -> int:
        return len(self._windows)

    def within(self, text: str) -> bool:
        """Whether a text holds a part of it."""
        raw = text.encode("utf-8", "surrogatepass")
        for phase in range(PIECE):
            words = np.frombuffer(raw, "<u8", max(len(raw) - phase, 0) // PIECE, min(phase, len(raw)))
            maybe = np.flatnonzero(self._likely[_slots(words)])
            for number in maybe[np.isin(words[maybe], self._pieces)].tolist():
                at = number * PIECE + phase
                near = raw[max(at - WINDOW + PIECE, 0) : at + WINDOW]
                if any(near[place : place + WINDOW] in self._windows for place in range(len(near) - WINDOW + 1)):
                    return True
        return False
