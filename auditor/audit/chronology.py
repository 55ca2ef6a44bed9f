"""What is known of time: the times that objects state, the order of etcd's revisions, and the file.

etcd numbers its writes in their order, and kube-apiserver states in a new object when it made it. So whatever was
written before the revision that created an object was written no later than that object says, and whatever was written
after a revision no earlier than what that revision states. Every such time is a claim of whoever wrote it: where two
contradict the order, both are listed.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np

from auditor.arrays.dtypes import Ints
from auditor.evidence.reading import Reading
from auditor.judgement.selection import Selection
from auditor.kubernetes import times
from auditor.kubernetes.store import Classified, Store
from auditor.model.chronology import Chronology, TimeBound, TimeKind
from auditor.model.evidence import Evidence
from auditor.model.vocabulary import Encoding, Place
from auditor.text import KEY, marked, moment, printable

SAMPLE = 1024
"""Objects whose times are read, evenly spread over the revisions."""
BESIDE = 4
"""Objects nearest to a revision that are read too, on each side."""
MOST = 256
"""Revisions that bounds are given of."""
MOST_CONTRADICTIONS = 20
BY_FILE_SYSTEM = "the file system says that"
"""The beginning of a contradiction that another copy of the evidence may not have."""
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
SECRETS = b"/secrets/"
"""In the etcd keys of all Secrets."""
LEEWAY = 2
"""Seconds that clocks of several API servers, and the second that a time is cut to, may account for."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A time that an object states, and the revision that it bounds."""

    revision: int
    time: int
    """Seconds since 1970 UTC."""
    created: bool
    """Whether this revision was written at that time; else not before it."""
    source: str
    """Field, object and revision, in words."""


def chronology(
    store: Store, reading: Reading, evidence: Evidence, revisions: Sequence[int], successors: Mapping[int, int] = {}
) -> Chronology:
    """The bounds of the evidence and of some revisions.

    Args:
        store: All records.
        reading: Says which files are the store's own.
        evidence: As it was at the end of the run.
        revisions: Mod revisions that reports name.
        successors: Of one key, by revision the one that replaced it in the same evidence.
    """
    wanted = sorted({revision for revision in revisions if revision >= 0})[:MOST]
    anchors, examined, objects = anchors_of(store, reading, wanted)
    table = AnchorTable(anchors)
    bounds = [*_of_files(evidence, anchors), *(bound for number in wanted for bound in table.bounds(number))]
    bounds += [
        replace(bound, what=f"revision {number:,} as the current one, until revision {later:,} replaced it")
        for number, later in successors.items()
        for bound in table.bounds(later)
    ]
    contrary = [*_older_files(evidence, anchors), *contradictions(anchors)]
    return Chronology(tuple(bounds), tuple(contrary), examined, objects)


def of_selections(selections: Sequence[Selection], store: Store, reading: Reading, evidence: Evidence) -> Chronology:
    """The bounds of the evidence, and of the revisions with findings.

    Args:
        selections: The judged values.
        store: All records.
        reading: Says which files are the store's own.
        evidence: As it was at the end of the run.
    """
    revisions = [values.batch.mod_revision[values.findings > 0] for values in selections]
    wanted = np.unique(np.concatenate([np.zeros(0, np.int64), *revisions])).tolist()
    return chronology(store, reading, evidence, wanted)


def anchors_of(store: Store, reading: Reading, revisions: Sequence[int]) -> tuple[list[Anchor], int, int]:
    """Anchors by revision, the number of objects read for them, and of those that could be.

    Args:
        store: All records.
        reading: Says which files are the store's own.
        revisions: Mod revisions near which objects are read.
    """
    parts = [
        part
        for part in store.parts
        if reading.serves(part.batch.source) and not (part.batch.place > Place.DELETED).any()
    ]
    rows = [_readable(part) for part in parts]
    number = np.concatenate([np.zeros(0, np.int64), *(np.full(own.size, at) for at, own in enumerate(rows))])
    row = np.concatenate([np.zeros(0, np.int64), *rows])
    revision = np.concatenate(
        [np.zeros(0, np.int64), *(part.batch.mod_revision[own] for part, own in zip(parts, rows, strict=True))]
    )
    order = np.argsort(revision, kind="stable")
    chosen = order[_sample(revision[order], revisions)]
    anchors = [anchor for at in chosen.tolist() for anchor in _anchors(parts[int(number[at])], int(row[at]))]
    return sorted(anchors, key=lambda anchor: (anchor.revision, anchor.time)), int(chosen.size), int(row.size)


def _readable(part: Classified) -> Ints:
    """Rows of readable objects with a revision, under a storage prefix of the store."""
    readable = (part.prefixes.encoding != Encoding.NONE) & ~part.outside & (part.batch.mod_revision > 0)
    return np.flatnonzero(readable & (part.batch.create_revision > 0))


def _sample(ascending: Ints, revisions: Sequence[int]) -> Ints:
    """Indices into revisions in order: evenly spread ones, and those beside the wanted revisions."""
    if not ascending.size:
        return np.zeros(0, np.int64)
    spread = np.linspace(0, ascending.size - 1, min(SAMPLE, ascending.size)).astype(np.int64)
    near = np.searchsorted(ascending, np.array(revisions, np.int64))
    beside = (near[:, None] + np.arange(-BESIDE, BESIDE + 1)).ravel()
    return np.unique(np.concatenate([spread, beside[(beside >= 0) & (beside < ascending.size)]]))


def _anchors(part: Classified, row: int) -> Iterator[Anchor]:
    """The times of one object: its creation bounds the revision that created it, every other its last revision."""
    batch = part.batch
    revision, created = int(batch.mod_revision[row]), int(batch.create_revision[row])
    key = marked(printable(batch.key(row)), KEY)
    encoding = Encoding(int(part.prefixes.encoding[row]))
    stated = times.times(batch.value(row), encoding)
    for field, second in stated:
        if field == times.CREATED:
            yield Anchor(created, second, True, f"{field} of {key}, created at revision {created:,}")
    others = [(second, field) for field, second in stated if field != times.CREATED]
    if SECRETS in batch.key(row):
        others += [(second, field) for field, second in times.issued(batch.value(row), encoding)]
    if others:
        second, field = max(others)
        yield Anchor(revision, second, False, f"{field} of {key}, written at revision {revision:,}")


class AnchorTable:
    """Anchors in the order of their revisions, and what they say of any revision."""

    def __init__(self, anchors: Sequence[Anchor]) -> None:
        """anchors: In the order of their revisions."""
        self._revisions = [anchor.revision for anchor in anchors]
        self._newest = list(accumulate(anchors, _later))
        """By anchor the one with the newest time up to it."""
        created = (anchor if anchor.created else None for anchor in reversed(anchors))
        self._oldest = list(accumulate(created, _earlier))[::-1]
        """By anchor the creation with the oldest time from it on."""

    def bounds(self, revision: int) -> Iterator[TimeBound]:
        """When a revision was written: no earlier than any time up to it, no later than any creation from it on."""
        what = f"the write of revision {revision:,}"
        behind = bisect_right(self._revisions, revision)
        first = bisect_left(self._revisions, revision)
        before = self._newest[behind - 1] if behind else None
        after = self._oldest[first] if first < len(self._oldest) else None
        for bound, anchor in (("not before", before), ("not after", after)):
            if anchor is not None:
                kind = TimeKind.RECORDED if anchor.revision == revision else TimeKind.ORDER
                yield TimeBound(what, bound, moment(anchor.time), kind, anchor.source)


def _later(one: Anchor, other: Anchor) -> Anchor:
    return other if (other.time, other.revision) > (one.time, one.revision) else one


def _earlier(later: Anchor | None, anchor: Anchor | None) -> Anchor | None:
    """The older of two creations, of which `later` is of the later revision; of equal ones the earlier."""
    if anchor is None or later is None:
        return anchor or later
    return anchor if (anchor.time, anchor.revision) <= (later.time, later.revision) else later


def _of_files(evidence: Evidence, anchors: Sequence[Anchor]) -> Iterator[TimeBound]:
    """When the evidence was made: not before what stands in it, and not after what the file system says."""
    newest = max(anchors, key=lambda anchor: anchor.time, default=None)
    if newest is not None:
        yield TimeBound("the evidence", "not before", moment(newest.time), TimeKind.RECORDED, newest.source)
    if evidence.cluster.created:
        source = "creationTimestamp of the cluster's own namespace"
        yield TimeBound("the cluster", "at", evidence.cluster.created, TimeKind.RECORDED, source)
    # what was unpacked or received lies in files of our own, whose times say nothing
    kept = evidence.containers or (evidence.sources if evidence.live is None else ())
    for file in kept:
        if file.stored:
            source = f"last modification of the object {file.name} by its store: the last write under its name"
            yield TimeBound(f"the content of {file.name}", "not after", file.stored, TimeKind.STORE, source)
        elif file.modified and file.stored is None:
            source = f"modification time of {file.name} by the file system: whoever may write the file may set it"
            yield TimeBound(f"the content of {file.name}", "not after", file.modified, TimeKind.FILE, source)


def _older_files(evidence: Evidence, anchors: Sequence[Anchor]) -> Iterator[str]:
    """Files that the file system says are older than a time that stands in the evidence's database."""
    newest = max(anchors, key=lambda anchor: anchor.time, default=None)
    for file in evidence.containers or evidence.sources:
        if newest is not None and file.stored and file.stored < moment(newest.time - LEEWAY):
            stated = f"{newest.source}, states {moment(newest.time)}"
            yield f"the store says that {file.name} was last written {file.stored}, and {stated}"
    if newest is not None and evidence.modified and evidence.modified < moment(newest.time - LEEWAY):
        yield (
            f"{BY_FILE_SYSTEM} the database was last changed {evidence.modified}, and {newest.source}, "
            f"states {moment(newest.time)}"
        )


def coarse(times_: Chronology) -> Chronology:
    """The chronology without the moments at which certificates begin, which find them in public logs.

    In their place stands the first day of the quarter: they are no earlier than that either.
    """
    bounds = (
        replace(each, time=_quarter(each.time)) if each.source.startswith(times.NOT_BEFORE) else each
        for each in times_.bounds
    )
    contrary = (
        _MOMENT.sub(lambda match: _quarter(match[0]), each) if times.NOT_BEFORE in each else each
        for each in times_.contradictions
    )
    return replace(times_, bounds=tuple(bounds), contradictions=tuple(contrary))


def _quarter(time: str) -> str:
    """The beginning of the quarter of a time."""
    return f"{time[:4]}-{(int(time[5:7]) - 1) // 3 * 3 + 1:02}-01T00:00:00Z"


def contradictions(anchors: Sequence[Anchor]) -> list[str]:
    """Creations that are older than what an earlier revision states, beyond what clocks account for.

    anchors: In the order of their revisions.
    """
    found: list[str] = []
    newest: Anchor | None = None
    for anchor in anchors:
        if newest is not None and anchor.created and anchor.time + LEEWAY < newest.time:
            found.append(
                f"{anchor.source}, states {moment(anchor.time)}, and {newest.source}, states {moment(newest.time)}: "
                "the revisions are in the other order"
            )
        if newest is None or anchor.time > newest.time:
            newest = anchor
    more = len(found) - MOST_CONTRADICTIONS
    return [*found[:MOST_CONTRADICTIONS], *([f"{more:,} more"] if more > 0 else [])]
