"""The two ways compared: what the sweep meets, against the rows that the readers make of the same bytes.

A signature at the first byte of a row's value is the row's own, and so is one in its key, where a name may be any text.
One inside a readable value that decodes is part of that object: a manifest that it carries. Anything else no reader has
read: inside a payload that claims encryption, in a value that does not decode or is of no known kind, an object in the
place of a name in a key, or outside every row. It becomes a fragment, which is judged as any other.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.dtypes import Bools, Ints
from auditor.audit import encoded_strays, hidden_writings, strays
from auditor.audit.key_copies import KeyCopies
from auditor.audit.media import Medium, Sweeps
from auditor.evidence import carve
from auditor.evidence.batch import RecordBatch
from auditor.evidence.layout import Layout
from auditor.evidence.ledger import Intervals
from auditor.evidence.notation import Notation
from auditor.evidence.signatures import Form, Mark, Writing
from auditor.evidence.sweep import Hits
from auditor.kubernetes.store import Classified
from auditor.model.evidence import Gap
from auditor.model.vocabulary import Place, Provider
from auditor.text import plural

CROWD, MOST_OF_CROWD = 1 << 16, 256
"""Bytes in which so many strays are told apart, at most; the others are a gap."""


class Spans(NamedTuple):
    """The bytes of a source that rows account for, by where they begin: columns of shape (spans,)."""

    start: Ints
    end: Ints
    readable: Bools
    """Part of a value that needs no key."""
    foreign: Bools
    """Part of a value that is no object of Kubernetes and does not claim to be encrypted."""
    key: Bools
    """An etcd key."""
    hex: Bools
    """Text of a value in hex."""
    escaped: Bools
    """Text of a value with escapes."""
    place: NDArray[np.uint8]
    """Codes of Place of the row."""
    page: Ints
    """Number of the page that holds the row's record."""


_CONTENT = re.compile(rb"(?i)data|apiversion|\\")
"""What an object in JSON has beside its kind: its metadata, its data, its version, or an escape that may spell them."""
NO_COPIES = KeyCopies({}, ())
_INTS, _BOOLS = np.zeros(0, np.int64), np.zeros(0, np.bool_)
NO_SPANS = Spans(_INTS, _INTS, _BOOLS, _BOOLS, _BOOLS, _BOOLS, _BOOLS, np.zeros(0, np.uint8), _INTS)


@dataclass(frozen=True, slots=True)
class Crosscheck:
    """What comes of comparing sweeps and readers of an exhibit: they agree, or differ."""

    fragments: tuple[RecordBatch, ...] = ()
    """What no reader has read, by source."""
    gaps: tuple[Gap, ...] = ()
    files: int = 0
    own: int = 0
    """Beginnings of values that are a row's own."""
    carried: int = 0
    """Beginnings inside readable values: objects that other objects carry."""

    @property
    def differs(self) -> bool:
        return bool(self.fragments or self.gaps)

    @property
    def note(self) -> str:
        """What is to be said of it; empty where no file was swept."""
        if not self.files:
            return ""
        files = plural(self.files, "file")
        manifests = plural(self.carried, "manifest")
        more = f"; {manifests} inside readable objects: see --hunt" if self.carried else ""
        if not self.differs:
            return f"sweep of {files}: each of {self.own:,} beginnings of values is a row's own{more}"
        strays = sum(map(len, self.fragments))
        are = "is" if strays == 1 else "are"
        beginnings = f"{plural(strays, 'beginning')} of values that no reader had met {are} judged too"
        return f"sweep of {files}: {beginnings}{more}"


def compare(
    sweeps: Sweeps,
    spans: Sequence[Spans],
    layout: Layout,
    copies: KeyCopies = NO_COPIES,
    parts: Sequence[Classified] = (),
) -> Crosscheck:
    """The hits of every medium against the rows of it. Raises what ended a sweep.

    Args:
        sweeps: Of the exhibit.
        spans: Of each of its files: spans_of() its name.
        layout: Of the exhibit.
        copies: Of etcd keys in indexes.
        parts: The records of the readers, whose keys and payloads are searched for other writings.
    """
    media = zip(sweeps.searched_files(), spans, strict=True)
    every = [_compare(medium, rows, layout, copies) for medium, rows in media]
    hidden = (gap for medium in sweeps.files for gap in hidden_writings.gaps(medium.source, parts))
    every += [_compare(medium, NO_SPANS, layout, NO_COPIES) for medium in sweeps.searched_residues()]
    return Crosscheck(
        fragments=tuple(fragment for one in every for fragment in one.fragments),
        gaps=(*(gap for one in every for gap in one.gaps), *hidden),
        files=len(sweeps.files),
        own=sum(one.own for one in every),
        carried=sum(one.carried for one in every),
    )


def spans_of(parts: Sequence[Classified], source: str) -> Spans:
    """What the rows of a source account for in it."""
    columns: list[tuple[Any, ...]] = []
    for part in parts:
        batch = part.batch
        if batch.source != source or not batch.located:
            continue
        readable: Bools = (part.prefixes.provider == Provider.IDENTITY) & ~part.prefixes.malformed
        foreign: Bools = part.prefixes.provider == Provider.UNKNOWN
        whole = np.ones(len(batch), np.bool_)
        whole[list(batch.extents)] = False
        begin, size = batch.offset[whole], batch.size[whole]
        no = np.zeros(begin.size, np.bool_)
        written = (no, no)
        if batch.notation is not None:
            notation = batch.notation[whole]
            written = (notation == Notation.HEX, notation > Notation.HEX)
        at = batch.place[whole], batch.page[whole]
        columns.append((begin, begin + size, readable[whole], foreign[whole], no, *written, *at))
        pieces = [
            (extent.offset, extent.offset + extent.length, row)
            for row, extents in batch.extents.items()
            for extent in extents
            if (extent.source or source) == source
        ]
        if pieces:
            begin, end, row = np.array(pieces, np.int64).T
            no = np.zeros(row.size, np.bool_)
            columns.append((begin, end, readable[row], foreign[row], no, no, no, batch.place[row], batch.page[row]))
        if batch.mapped:
            keyed = batch.key_at >= 0
            begin = batch.key_at[keyed]
            no, yes = np.zeros(begin.size, np.bool_), np.ones(begin.size, np.bool_)
            at = batch.place[keyed], batch.page[keyed]
            columns.append((begin, begin + batch.key_size[keyed], no, no, yes, no, no, *at))
    if not columns:
        return NO_SPANS
    order = np.argsort(np.concatenate([column[0] for column in columns]), kind="stable")
    return Spans(*(np.concatenate(column)[order] for column in zip(*columns, strict=True)))


def _compare(medium: Medium, spans: Spans, layout: Layout, copies: KeyCopies) -> Crosscheck:
    hits, source, buffer = medium.hits, medium.source, medium.buffer
    own, carried = _explained(hits, medium.marks, spans)
    own &= ~_objects_in_keys(medium, spans)
    own |= ~carried & copies.holds(source, buffer, hits.end - 1)
    strayed = ~own & ~carried
    if medium.companion:
        strayed &= _may_be_secret(hits, medium.marks)
    rows, crowded = _crowds(hits, np.flatnonzero(strayed))
    held = Intervals(spans.start, spans.end)
    records = list(strays.fragments(buffer, hits, rows, held, medium.marks, text=medium.is_text))
    decoded = encoded_strays.fragments(buffer, source, hits, rows, held, medium.marks)
    batches = [carve.batch(buffer, source, records, Place.SLACK)] if records else []
    batches += [decoded.records] if decoded.records is not None else []
    gaps = tuple(
        Gap(source, begin, end - begin, "more beginnings of values stand here than can be told apart")
        for begin, end in (*hits.crowded, *crowded)
    )
    return Crosscheck(
        fragments=tuple(part for batch in batches for part in _placed(batch, medium.offset, layout, spans).split()),
        gaps=tuple(replace(gap, offset=gap.offset + medium.offset) for gap in (*gaps, *decoded.gaps)),
        own=int(own.sum()),
        carried=int(carried.sum()),
    )


def _explained(hits: Hits, marks: Sequence[Mark], spans: Spans) -> tuple[Bools, Bools]:
    """Which hits are a row's own, and which lie inside a readable value."""
    if not spans.start.size or not hits.end.size:
        nothing = np.zeros(hits.end.size, np.bool_)
        return nothing, nothing
    opens = np.array([mark.opens_row for mark in marks], np.bool_)[hits.signature]
    claims = np.array([mark.form is Form.ENCRYPTED for mark in marks], np.bool_)[hits.signature]
    letters = np.array([mark.letters for mark in marks])[hits.signature]
    last = hits.end - 1
    span = np.searchsorted(spans.start, last, "right") - 1
    around = np.maximum(span, 0)
    inside = (span >= 0) & (last < spans.end[around])
    # a key may name whatever it likes, but no key holds the bytes that begin an object in protobuf or CBOR
    binary = np.isin(np.array([mark.form for mark in marks])[hits.signature], (Form.PROTOBUF, Form.CBOR))
    own = inside & ((spans.key[around] & ~binary) | (opens & (hits.end - letters == spans.start[around])))
    own |= inside & _opens_text(hits, marks, spans, around)
    # what another application writes about encryption is no value, and nothing that is readable
    return own, inside & ~own & (spans.readable[around] | (claims & spans.foreign[around]))


def _objects_in_keys(medium: Medium, spans: Spans) -> Bools:
    """Which hits are the kind of an object in JSON that is an etcd key, or stands in one: a name alone is none."""
    hits, keys = medium.hits, np.zeros(medium.hits.end.size, np.bool_)
    if not spans.key.any() or not hits.end.size:
        return keys
    json = np.array([mark.form is Form.JSON for mark in medium.marks], np.bool_)[hits.signature]
    span = np.searchsorted(spans.start, hits.end - 1, "right") - 1
    around = np.maximum(span, 0)
    keys = json & (span >= 0) & spans.key[around] & (hits.end <= spans.end[around])
    for hit in np.flatnonzero(keys).tolist():
        start, end = int(spans.start[around[hit]]), int(spans.end[around[hit]])
        keys[hit] = _CONTENT.search(medium.buffer.slice(start, end - start)) is not None
    return keys


def _opens_text(hits: Hits, marks: Sequence[Mark], spans: Spans, around: Ints) -> Bools:
    """Which hits begin a value as the text of its row writes it: in hex, or with escapes. around: their spans."""
    writing = np.array([mark.writing for mark in marks])[hits.signature]
    letters = np.array([mark.letters for mark in marks])[hits.signature]
    longest = np.array([mark.signature.longest for mark in marks])[hits.signature]
    length = hits.end - spans.start[around]
    opens: Bools = spans.hex[around] & (writing == Writing.HEX) & (length == letters)
    opens |= spans.escaped[around] & (writing == Writing.ESCAPED) & (length <= longest)
    return opens


def _may_be_secret(hits: Hits, marks: Sequence[Mark]) -> Bools:
    """Which hits may be a v1 Secret's: all that a companion is held to."""
    forms = np.array([mark.form for mark in marks])[hits.signature]
    may_be: Bools = (forms == Form.PROTOBUF) | (forms == Form.JSON)
    return may_be


def _placed(batch: RecordBatch, offset: int, layout: Layout, spans: Spans) -> RecordBatch:
    """The records with place and page: of the row that holds them, else by where they lie.

    Args:
        batch: The records.
        offset: Where in the source their medium begins.
        layout: Of the exhibit.
        spans: What the rows account for in the medium.
    """
    begin = batch.offset
    if offset:
        batch = replace(batch, mapped=False, stored_at=batch.offset + offset, stored_len=batch.size)
    at = batch.offset.tolist()
    place = np.array([layout.place(batch.source, each) for each in at], np.uint8)
    page = np.array([layout.page(batch.source, each) for each in at], np.int64)
    if spans.start.size:
        around = np.searchsorted(spans.start, begin, "right") - 1
        inside = (around >= 0) & (begin < spans.end[around])
        place[inside], page[inside] = spans.place[around[inside]], spans.page[around[inside]]
    return replace(batch, place=place, page=page)


def _crowds(hits: Hits, rows: Ints) -> tuple[Ints, list[tuple[int, int]]]:
    """The rows of hits without those that crowd, and where those stand: stretches of bytes, adjacent ones as one."""
    window = hits.end[rows] // CROWD
    begins = np.searchsorted(window, window, "left")  # hits ascend
    excess = np.arange(rows.size) - begins >= MOST_OF_CROWD
    stretches: list[tuple[int, int]] = []
    for number in np.unique(window[excess]).tolist():
        ends = hits.end[rows[excess & (window == number)]]
        begin, end = int(ends[0]), int(ends[-1])
        if stretches and begin - stretches[-1][1] <= CROWD:
            begin = stretches.pop()[0]
        stretches.append((begin, end))
    return rows[~excess], stretches
