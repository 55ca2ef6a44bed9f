"""Parts of values that stand where the rest is lost: at a page's border, in freed bytes, in a value without its end.

A page that is used anew takes the middle, the beginning or the end of what it held. Pieces of each form of a value are
searched; a run of equal bytes around one is a part of it where each end of the run is the value's own, or lies where
bytes are lost.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.evidence.layout import Layout
from auditor.find.model import Remnant
from auditor.hunt import forms
from auditor.hunt.literal_search import Searcher
from auditor.hunt.locate import ValueIndex
from auditor.hunt.needles import Needle
from auditor.kubernetes.store import Store
from auditor.model.vocabulary import Place, State

PIECE, STRIDE = 8, 512
"""Bytes of a piece, and from one piece to the next."""
CERTAIN = 8
"""Bytes of a run that ends somewhere in freed bytes; at a page's border a shorter one is a part."""
HEADERS = (0, 4, 16)
"""Bytes of a page before what it continues: nothing, SQLite's number of the next page, bbolt's header."""
LOSSY = frozenset({Place.FREED, Place.PREVIOUS_ROOT, Place.SLACK, Place.WAL})
"""Places in which bytes outside every value may be the rest of one: in files without pages nothing is used anew."""


class RemnantSearch:
    """The search for parts of some values."""

    def __init__(self, needles: Sequence[Needle], layout: Layout) -> None:
        self._layout = layout
        self._texts: list[tuple[int, bytes]] = []
        pieces: dict[bytes, list[tuple[int, int]]] = {}
        for form in forms.forms(needles):
            text = form.text
            self._texts.append((form.needle.number, text))
            size = min(PIECE, max(len(text) // 2, 2))
            for at in sorted({*range(0, len(text) - size + 1, STRIDE), len(text) - size}):
                pieces.setdefault(text[at : at + size], []).append((len(self._texts) - 1, at))
        self._places = list(pieces.values())
        self._sizes = [len(piece) for piece in pieces]
        self._searcher = Searcher(list(pieces))

    def parts(self, store: Store, source: str, buffer: Buffer, *, mapped: bool) -> Iterator[Remnant]:
        """The parts in one buffer.

        Args:
            store: All records.
            source: Name of the buffer's file.
            buffer: The bytes.
            mapped: Whether a position is an offset in the file.
        """
        numbers, ends = self._searcher.search(buffer)
        if not numbers.size:
            return
        self._index, self._source, self._buffer, self._mapped = (
            ValueIndex(store, source, buffer),
            source,
            buffer,
            mapped,
        )
        known: set[tuple[int, int]] = set()
        for number, end in zip(numbers.tolist(), ends.tolist(), strict=True):
            for which, at in self._places[number]:
                ordinal, text = self._texts[which]
                run = self._run(text, at, end - self._sizes[number])
                if run is not None and (ordinal, run) not in known:
                    known.add((ordinal, run))
                    yield Remnant(ordinal, source, run)

    def _run(self, text: bytes, at: int, position: int) -> int | None:
        """Where the run of equal bytes around a piece begins, if it is a part of a text; else None.

        Args:
            text: Of a form.
            at: The piece's start in the text.
            position: Its start in the buffer.
        """
        begin = position - at
        start = max(0, -begin)
        octets = self._buffer.slice(begin + start, len(text) - start)
        first = at
        while first > start and octets[first - 1 - start] == text[first - 1]:
            first -= 1
        last = at
        while last < len(text) and last - start < len(octets) and octets[last - start] == text[last]:
            last += 1
        if first == 0 and last == len(text):
            return None  # the whole is no part
        size = last - first
        if first > 0 and not self._lost(begin + first, size, before=True):
            return None
        if last < len(text) and not self._lost(begin + last, size, before=False):
            return None
        return begin + first

    def _lost(self, position: int, size: int, *, before: bool) -> bool:
        """Whether what stood beside a position may be lost.

        Args:
            position: The first byte of a run, or the one behind its last.
            size: Bytes of the run.
            before: Whether what stood before the position is asked for; else from it on.
        """
        page_size = self._layout.pages.page_size
        paged = self._mapped and bool(page_size) and self._source == self._layout.pages.source
        if self._mapped and (position <= 0 or position >= self._buffer.size):
            return True
        if paged and position % page_size in (HEADERS if before else (0,)):
            return True
        which, inside = self._index.around(np.array([position - 1 if not before else position], np.int64))
        if inside[0]:
            holder = self._index.holder(int(which[0]))
            start = int(holder.batch.value_at[holder.row])
            edge = position == (start if before else start + int(holder.batch.value_len[holder.row]))
            flag = State.HEAD_LOST if before else State.TAIL_LOST
            return edge and bool(holder.batch.state[holder.row] & flag)
        return self._mapped and size >= CERTAIN and self._layout.place(self._source, position) in LOSSY
