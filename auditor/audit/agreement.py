"""The two ways compared: what the sweep meets, against the rows that the readers make of the same bytes.

A signature at the first byte of a row's value, or in its key, is the row's own. One inside a readable value is part of
that object: a manifest that it carries. Anything else no reader has read: inside a payload that claims encryption, in a
value of no known kind, or outside every row. It becomes a fragment, which is judged as any other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.audit import encoded_strays, strays
from auditor.errors import UnreadableEvidence
from auditor.evidence import carve
from auditor.evidence.batch import RecordBatch
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.reading import Reading
from auditor.evidence.sweep import FileSweep, Hits
from auditor.hunt.locate import Layout
from auditor.kubernetes import signatures
from auditor.kubernetes.signatures import Form, Mark
from auditor.kubernetes.store import Classified
from auditor.model.evidence import Gap, PageMap
from auditor.model.vocabulary import EvidenceKind, Place, Provider

CROWD, MOST_OF_CROWD = 1 << 16, 256
"""Bytes in which so many strays are told apart, at most; the others are a gap."""
HEAD = 1 << 16
"""Leading bytes of a file that tell whether it is a text."""


class MediumSweep(NamedTuple):
    """The sweep of one file, and what is searched for in it."""

    sweep: FileSweep
    marks: tuple[Mark, ...]
    companion: bool
    """Whether the file only came with the evidence: what it may hold is a Secret, or a key, which others look for."""


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


NO_SPANS = Spans(np.zeros(0, np.int64), np.zeros(0, np.int64), *(np.zeros(0, np.bool_) for _ in range(3)))


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


def start(exhibit: Exhibit, resources: Iterable[str]) -> list[MediumSweep]:
    """A sweep of each file, beside its hash.

    resources: those that must be encrypted, as options and configurations name them.
    """
    kind = signatures.kinds(resources)
    sweeps = []
    for role, file in exhibit.files:
        if role is Role.RANGE or not file.hashing.size:
            continue
        searched = signatures.SECRET if role is Role.SETTINGS else kind
        text = _is_text(bytes(file.map[:HEAD]))
        marks = signatures.text_marks(searched) if text else signatures.marks(searched)
        sweep = FileSweep(file, [mark.signature for mark in marks])
        sweeps.append(MediumSweep(sweep, marks, role is Role.SETTINGS))
    return sweeps


def _is_text(head: bytes) -> bool:
    """Whether a file may be a text: mysqldump writes every byte as it is but zeros, line ends and quotation marks."""
    return b"\0" not in head


def compare(media: Sequence[MediumSweep], spans: Sequence[Spans], layout: Layout) -> Agreement:
    """The hits of every file against the rows of it: spans_of() its name. Raises what ended a sweep."""
    total = Agreement()
    for medium, rows in zip(media, spans, strict=True):
        one = _compare(medium, Buffer(medium.sweep.file.map), rows, layout)
        total = Agreement(
            fragments=(*total.fragments, *one.fragments),
            gaps=(*total.gaps, *one.gaps),
            files=total.files + 1,
            signatures=total.signatures + one.signatures,
            manifests=total.manifests + one.manifests,
        )
    return total


def unrecognised(exhibit: Exhibit, media: Sequence[MediumSweep], error: UnreadableEvidence) -> Reading:
    """The reading of an exhibit that no reader understands, where a sweep meets values in it; else raises the error."""
    if not compare(media, [NO_SPANS] * len(media), Layout.of(exhibit, PageMap.NONE)).differs:
        raise error
    kind = EvidenceKind.UNRECOGNISED
    files = [file for role, file in exhibit.files if role is not Role.SETTINGS]
    return Reading(
        kind=kind,
        description=kind.label,
        gaps=(*exhibit.gaps, *(Gap(file.name, 0, file.size, str(error)) for file in files)),
        unexamined=tuple(exhibit.unexamined),
        notes=tuple(exhibit.notes),
        kinds={file.name: kind.label for file in files},
    )


def spans_of(parts: Sequence[Classified], source: str) -> Spans:
    """What the rows of a source account for in it."""
    columns: list[tuple[Any, ...]] = []
    for part in parts:
        batch = part.batch
        if batch.source != source or not batch.located:
            continue
        readable: Bools = part.prefixes.provider == Provider.IDENTITY
        foreign: Bools = part.prefixes.provider == Provider.UNKNOWN
        whole = np.ones(len(batch), np.bool_)
        whole[list(batch.extents)] = False
        begin, size = batch.offset[whole], batch.size[whole]
        columns.append((begin, begin + size, readable[whole], foreign[whole], np.zeros(begin.size, np.bool_)))
        pieces = [
            (extent.offset, extent.offset + extent.length, readable[row], foreign[row], False)
            for row, extents in batch.extents.items()
            for extent in extents
            if (extent.source or source) == source
        ]
        if pieces:
            begins, ends, *kinds = zip(*pieces, strict=True)
            columns.append((np.array(begins), np.array(ends), *(np.array(kind, np.bool_) for kind in kinds)))
        if batch.mapped:
            keyed = batch.key_at >= 0
            begin = batch.key_at[keyed]
            no, yes = np.zeros(begin.size, np.bool_), np.ones(begin.size, np.bool_)
            columns.append((begin, begin + batch.key_size[keyed], no, no, yes))
    if not columns:
        return NO_SPANS
    order = np.argsort(np.concatenate([column[0] for column in columns]), kind="stable")
    return Spans(*(np.concatenate(column)[order] for column in zip(*columns, strict=True)))


def _compare(medium: MediumSweep, buffer: Buffer, spans: Spans, layout: Layout) -> Agreement:
    hits, source = medium.sweep.result(), medium.sweep.file.name
    own, carried = _explained(hits, medium.marks, spans)
    strayed = ~own & ~carried
    if medium.companion:
        strayed &= _may_be_secret(hits, medium.marks)
    rows, crowded = _crowds(hits, np.flatnonzero(strayed))
    records = list(strays.fragments(buffer, hits, rows, spans.start, medium.marks))
    decoded = encoded_strays.fragments(buffer, source, hits, rows, spans.start, medium.marks)
    batches = [carve.batch(buffer, source, records, Place.SLACK)] if records else []
    batches += [decoded.records] if decoded.records is not None else []
    gaps = tuple(
        Gap(source, begin, end - begin, "more beginnings of values stand here than can be told apart")
        for begin, end in (*hits.crowded, *crowded)
    )
    fragments = tuple(part for batch in batches for part in _placed(batch, layout).split())
    return Agreement(fragments, (*gaps, *decoded.gaps), 1, int(own.sum()), int(carried.sum()))


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
    own = inside & (spans.key[around] | (opens & (hits.end - letters == spans.start[around])))
    # what another application writes about encryption is no value, and nothing that is readable
    return own, inside & ~own & (spans.readable[around] | (claims & spans.foreign[around]))


def _may_be_secret(hits: Hits, marks: Sequence[Mark]) -> Bools:
    """Which hits may be a v1 Secret's: all that a companion is held to."""
    forms = np.array([mark.form for mark in marks])[hits.signature]
    may_be: Bools = (forms == Form.PROTOBUF) | (forms == Form.JSON)
    return may_be


def _placed(batch: RecordBatch, layout: Layout) -> RecordBatch:
    """The records with place and page by where they lie."""
    at = batch.offset.tolist()
    places = [layout.place(batch.source, offset) for offset in at]
    pages = [layout.page(batch.source, offset) for offset in at]
    return replace(batch, place=np.array(places, np.uint8), page=np.array(pages, np.int64))


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
