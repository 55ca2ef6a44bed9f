"""The two ways compared: what the sweep meets, against the rows that the readers make of the same bytes.

A signature at the first byte of a row's value, or in its key, is the row's own. One inside a readable value is part of
that object: a manifest that it carries. Anything else no reader has read: inside a payload that claims encryption, in a
value of no known kind, or outside every row. It becomes a fragment, which is judged as any other.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.evidence import carve
from auditor.evidence.batch import UNKNOWN, RecordBatch
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.headless import CarvedRecord, without_record
from auditor.evidence.sweep import FileSweep, Hits
from auditor.hunt.locate import Layout
from auditor.kubernetes.signatures import KEYS, NEAR, SIGNATURES, Form
from auditor.kubernetes.store import Classified
from auditor.model.evidence import Gap
from auditor.model.vocabulary import Place, Provider, State

LONGEST = 1 << 22
"""Bytes from a signature on that are taken for its value where nothing says how long it is."""
CROWD, MOST_OF_CROWD = 1 << 16, 256
"""Bytes in which so many strays are told apart, at most; the others are a gap."""
ENCLOSING = 1 << 16
"""Bytes before the `kind` of a JSON object in which its brace is looked for."""
_LONGEST = np.array([signature.longest for signature in SIGNATURES])
_AT_START = (Form.PROTOBUF, Form.ENCRYPTED)
"""Signatures of one length, with which a stored value begins."""


class Spans(NamedTuple):
    """The bytes of a source that rows account for, by where they begin: columns of shape (spans,)."""

    start: Ints
    end: Ints
    readable: Bools
    """Part of a value that needs no key."""
    key: Bools
    """An etcd key."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the sweeps of an exhibit say of its readers."""

    fragments: tuple[RecordBatch, ...] = ()
    """What no reader has read, by source."""
    gaps: tuple[Gap, ...] = ()
    files: int = 0
    signatures: int = 0
    """Beginnings of values that are a row's own."""
    manifests: int = 0
    """Beginnings inside readable values: objects that other objects carry."""

    @property
    def differs(self) -> bool:
        return bool(self.fragments or self.gaps)

    @property
    def note(self) -> str:
        """What is to be said of it; empty where no file was swept."""
        if not self.files:
            return ""
        files = f"{self.files:,} {'file' if self.files == 1 else 'files'}"
        carried = f"; {self.manifests:,} manifests inside readable objects: see --hunt" if self.manifests else ""
        if not self.differs:
            return f"sweep of {files}: each of {self.signatures:,} beginnings of values is a row's own{carried}"
        strays = sum(map(len, self.fragments))
        return f"sweep of {files}: {strays:,} beginnings of values that no reader had met are judged too{carried}"


def start(exhibit: Exhibit) -> list[FileSweep]:
    """A sweep of each file that holds stored values, beside its hash."""
    files = [file for role, file in exhibit.files if role not in {Role.SETTINGS, Role.RANGE}]
    return [FileSweep(file, SIGNATURES) for file in files if file.hashing.size]


def compare(sweeps: Sequence[FileSweep], spans: Sequence[Spans], layout: Layout) -> Agreement:
    """The hits of every file against the rows of it: spans_of() its name. Raises what ended a sweep."""
    total = Agreement()
    for sweep, rows in zip(sweeps, spans, strict=True):
        one = _compare(sweep.result(), Buffer(sweep.file.map), sweep.file.name, rows, layout)
        total = Agreement(
            fragments=(*total.fragments, *one.fragments),
            gaps=(*total.gaps, *one.gaps),
            files=total.files + 1,
            signatures=total.signatures + one.signatures,
            manifests=total.manifests + one.manifests,
        )
    return total


def spans_of(parts: Sequence[Classified], source: str) -> Spans:
    """What the rows of a source account for in it."""
    columns: list[tuple[Ints, Ints, Bools, Bools]] = []
    for part in parts:
        batch = part.batch
        if batch.source != source or not batch.located:
            continue
        readable: Bools = part.prefixes.provider == Provider.IDENTITY
        whole = np.ones(len(batch), np.bool_)
        whole[list(batch.extents)] = False
        begin, size = batch.offset[whole], batch.size[whole]
        columns.append((begin, begin + size, readable[whole], np.zeros(begin.size, np.bool_)))
        pieces = [
            (extent.offset, extent.offset + extent.length, readable[row])
            for row, extents in batch.extents.items()
            for extent in extents
            if (extent.source or source) == source
        ]
        if pieces:
            begins, ends, plain = zip(*pieces, strict=True)
            columns.append((np.array(begins), np.array(ends), np.array(plain), np.zeros(len(pieces), np.bool_)))
        if batch.mapped:
            keyed = batch.key_at >= 0
            begin = batch.key_at[keyed]
            no, yes = np.zeros(begin.size, np.bool_), np.ones(begin.size, np.bool_)
            columns.append((begin, begin + batch.key_size[keyed], no, yes))
    if not columns:
        nothing, none = np.zeros(0, np.int64), np.zeros(0, np.bool_)
        return Spans(nothing, nothing, none, none)
    begin, end, plain_, key = (np.concatenate(column) for column in zip(*columns, strict=True))
    order = np.argsort(begin, kind="stable")
    return Spans(begin[order], end[order], plain_[order], key[order])


def _compare(hits: Hits, buffer: Buffer, source: str, spans: Spans, layout: Layout) -> Agreement:
    last = hits.end - 1
    span = np.searchsorted(spans.start, last, "right") - 1
    inside = span >= 0
    inside[inside] = last[inside] < spans.end[span[inside]]
    own = carried = np.zeros(hits.end.size, np.bool_)
    if spans.start.size:
        around = np.where(inside, span, 0)
        begins = np.isin(hits.signature, _AT_START) & (hits.end - _LONGEST[hits.signature] == spans.start[around])
        own = inside & (spans.key[around] | begins)
        carried = inside & ~own & spans.readable[around]
    strays, crowded = _crowds(hits, np.flatnonzero(~own & ~carried))
    records = list(_fragments(buffer, hits, strays, spans))
    joined: tuple[RecordBatch, ...] = ()
    if records:
        batch = carve.batch(buffer, source, records, Place.SLACK)
        places = [layout.place(source, record.value_at) for record in records]
        pages = [layout.page(source, record.value_at) for record in records]
        batch = replace(batch, place=np.array(places, np.uint8), page=np.array(pages, np.int64))
        joined = batch.split()
    gaps = tuple(
        Gap(source, begin, end - begin, "more beginnings of values stand here than can be told apart")
        for begin, end in (*hits.crowded, *crowded)
    )
    return Agreement(joined, gaps, 1, int(own.sum()), int(carried.sum()))


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


def _fragments(buffer: Buffer, hits: Hits, rows: Ints, spans: Spans) -> Iterator[CarvedRecord]:
    """The values that begin at these hits, apart from each other; each ends at the latest where a row begins."""
    done = 0
    for row in rows.tolist():
        form, end = Form(int(hits.signature[row])), int(hits.end[row])
        if end <= done:
            continue
        if form is Form.CBOR and not any(name in buffer.slice(end, NEAR) for name in KEYS):
            continue
        low = max(end - SIGNATURES[form].longest, 0)
        begin = low + max(buffer.slice(low, end - low).rfind(SIGNATURES[form].opening), 0)
        following = int(np.searchsorted(spans.start, end, "left"))
        stop = int(spans.start[following]) if following < spans.start.size else buffer.size
        stop = min(stop, begin + LONGEST)
        if form is Form.JSON:
            record = _json(buffer, max(begin - 1, 0), done, stop)
        elif form in _AT_START:
            record = without_record(buffer, begin, begin, stop)
        else:
            near = buffer.slice(begin, stop - begin).rstrip(b"\0")
            record = _bare(begin, max(begin + len(near), end), State.HEAD_LOST | State.TAIL_LOST)
        yield record
        done = max(record.end, end)


def _json(buffer: Buffer, at: int, floor: int, stop: int) -> CarvedRecord:
    """The JSON object whose `kind` stands at `at`, to its last brace; what is near where it is not whole."""
    low = max(floor, at - ENCLOSING)
    before = buffer.slice(low, at - low)
    stop = next(buffer.occurrences(b"\0", at, stop), stop)  # no text has a zero byte
    text = before + buffer.slice(at, stop - at)
    depth, place = 0, len(before)
    while (place := max(before.rfind(b"{", 0, place), before.rfind(b"}", 0, place))) >= 0:
        depth += 1 if before[place : place + 1] == b"}" else -1
        if depth < 0:
            break
    if place >= 0:
        decoded = text[place:].decode("utf-8", "surrogateescape")
        try:
            _, length = json.JSONDecoder().raw_decode(decoded)
        except (ValueError, RecursionError):
            pass
        else:
            return _bare(low + place, low + place + len(decoded[:length].encode("utf-8", "surrogateescape")))
    begin = low + place if place >= 0 else at
    return _bare(begin, max(stop, at + 1), State.HEAD_LOST | State.TAIL_LOST)


def _bare(begin: int, end: int, state: State = State(0)) -> CarvedRecord:  # noqa: B008 - an immutable flag
    unknown = UNKNOWN
    return CarvedRecord(begin, end, unknown, 0, begin, end - begin, unknown, unknown, unknown, unknown, state)
