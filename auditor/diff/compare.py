"""Migration verification: two pieces of evidence in, a `Comparison` of what each holds now, and what is left behind."""

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from os import PathLike
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from auditor.audit import examine
from auditor.diff import objects, rows
from auditor.diff.objects import Content, FormChange
from auditor.errors import UnreadableEvidence, UsageError
from auditor.evidence import exhibit
from auditor.judgement.selection import Selection
from auditor.model.audit import Audit
from auditor.model.evidence import Evidence, Unexamined
from auditor.model.findings import Cell
from auditor.model.vocabulary import FindingKind, Place, Provider, Severity
from auditor.observer import SILENT, Observer
from auditor.options import Options
from auditor.run_log import RunLog
from auditor.scanning.one import single
from auditor.text import hex_id

if TYPE_CHECKING:
    from auditor.evidence.live.access import Access

IN_LATEST = (
    FindingKind.PLAINTEXT
    | FindingKind.UNRECOGNISED
    | FindingKind.ORPHANED
    | FindingKind.UNDECRYPTABLE
    | FindingKind.MISPLACED
)
LISTED = 20
"""Objects that the summary names."""
STALE = FindingKind.STALE_PROVIDER | FindingKind.STALE_KEY | FindingKind.STALE_KEK
"""What makes a value of BEFORE another than --expect-before says; leftovers of BEFORE do not count."""


@dataclass(frozen=True, slots=True)
class DiffOptions:
    """What a comparison is asked for. expect_before: as Options.expect, empty where BEFORE is held to nothing.

    different_clusters, any_order: do not refuse those. same_content: nothing may have appeared, vanished or changed.
    rows: make columns of every object; reports other than the summary need them. access: how to reach each side that
    is a live etcd.
    """

    before: Options
    after: Options
    access: "tuple[Access | None, Access | None]" = (None, None)
    expect_before: str = ""
    different_clusters: bool = False
    any_order: bool = False
    same_content: bool = False
    rows: bool = True


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was compared. objects: in both, by form and content; rewritten: those of a new revision.

    keys: (provider, key name, values in BEFORE, values in AFTER), of current values. unlike: values of BEFORE that
    are not as --expect-before says. columns: diff_rows.COLUMNS of every object, empty where no report needs them;
    worst: of the first LISTED of those that are not as they should be; problems: how many those are.
    """

    before: Audit
    after: Audit
    objects: Mapping[tuple[FormChange, Content], int]
    rewritten: int
    keys: tuple[tuple[Provider, str, int, int], ...]
    unlike: int
    unexamined: tuple[Unexamined, ...]
    notes: tuple[str, ...]
    columns: Mapping[str, Sequence[Cell]]
    worst: Mapping[str, Sequence[Cell]]
    problems: int
    same_content: bool

    def of(self, *forms: FormChange) -> int:
        return sum(count for (form, _), count in self.objects.items() if form in forms)

    def with_content(self, content: Content) -> int:
        return sum(count for (_, each), count in self.objects.items() if each is content)

    @property
    def moved(self) -> int:
        """Objects that appeared, vanished or hold other content."""
        return self.of(FormChange.APPEARED, FormChange.VANISHED) + self.with_content(Content.CHANGED)

    @property
    def complete(self) -> bool:
        """Whether both sides were read and concluded on, and what was asked of them could be told."""
        open_ = any(part.decisive for part in self.unexamined)
        return self.before.complete and self.after.complete and not open_

    def failed(self, fail_on: Severity) -> bool:
        """Whether AFTER, or BEFORE where something is expected of it, is not as it must be."""
        failing = any(severity >= fail_on for _, severity, _ in self.after.tally.findings)
        return failing or self.unlike > 0 or (self.same_content and self.moved > 0)

    def exit_code(self, fail_on: Severity) -> int:
        """1: something is not as it must be. 3: no such thing, and not everything was read or told. 0: neither."""
        if self.failed(fail_on):
            return 1
        return 0 if self.complete else 3


def compare(
    before: "str | PathLike[str]", after: "str | PathLike[str]", wanted: DiffOptions, observer: Observer = SILENT
) -> Comparison:
    """before, after: files, data directories, or URLs of live endpoints.

    Raises UnreadableEvidence where a side holds no current values, UsageError where the two do not fit together.
    """
    options = replace(wanted.before, rows=False), replace(wanted.after, rows=False)
    if wanted.expect_before:
        options = replace(options[0], expect=wanted.expect_before), options[1]
    with ExitStack() as stack:
        logs = RunLog(observer), RunLog(observer)
        exhibits = [
            stack.enter_context(single(os.fspath(path), each, log, access))
            for path, each, access, log in zip((before, after), options, wanted.access, logs, strict=True)
        ]
        judged = _judged(exhibits, options, logs)
        names = [f"{side} ({each.name})" for side, each in zip(("BEFORE", "AFTER"), exhibits, strict=True)]
        current = [_current(name, each) for name, each in zip(names, judged, strict=True)]
        same_cluster = _fitting(names, judged, wanted)
        diff = objects.compare(current[0], current[1], same_cluster=same_cluster is True)
        counted = _counted(diff, current, wanted)
        before_audit, after_audit = (
            examine.conclude(*each) for each in zip(exhibits, judged, options, logs, strict=True)
        )
    comparison = Comparison(
        before=before_audit, after=after_audit, **counted, unexamined=(), notes=(), same_content=wanted.same_content
    )
    known = same_cluster is not None or wanted.different_clusters
    return replace(
        comparison,
        unexamined=tuple(_unexamined(comparison, known=known)),
        notes=tuple(_notes(comparison, int(diff.recreated.sum()))),
    )


def _fitting(names: list[str], judged: Sequence[examine.Judgement], wanted: DiffOptions) -> bool | None:
    """Whether both are of one cluster; None where it cannot be told. Raises UsageError where they do not fit."""
    facts = [(each.cluster.uid, each.reading.backend.cluster_id, each.reading.backend.revision) for each in judged]
    same = _same_cluster(names, facts, wanted)
    if same is not False:
        _in_order(names, facts, wanted)
    return same


class _Counted(TypedDict):
    """The fields of a Comparison that are counted before its audits are concluded: see there."""

    objects: Mapping[tuple[FormChange, Content], int]
    rewritten: int
    keys: tuple[tuple[Provider, str, int, int], ...]
    unlike: int
    columns: Mapping[str, Sequence[Cell]]
    worst: Mapping[str, Sequence[Cell]]
    problems: int


def _counted(diff: objects.Diff, current: Sequence[Selection], wanted: DiffOptions) -> _Counted:
    by_key = [objects.by_key(each) for each in current]
    problems = rows.problems(diff)
    unlike = 0
    if wanted.expect_before:
        unlike = int(((current[0].findings & np.uint16(IN_LATEST | STALE)) != 0).sum())
    return {
        "objects": diff.tally(),
        "rewritten": int(diff.rewritten.sum()),
        "keys": tuple(
            (*key, by_key[0].get(key, 0), by_key[1].get(key, 0))
            for key in sorted({key for each in by_key for key in each})
        ),
        "unlike": unlike,
        "columns": rows.columns(diff) if wanted.rows else {},
        "worst": rows.columns(diff, problems, LISTED),
        "problems": int(problems.size),
    }


def _judged(
    files: Sequence[exhibit.Exhibit], options: Sequence[Options], logs: Sequence[RunLog]
) -> list[examine.Judgement]:
    """Both, each with the resources that the other's configurations add: what one side encrypts is compared."""
    after = examine.judge(files[1], options[1], logs[1])
    before = examine.judge(files[0], options[0], logs[0], after.resources)
    if more := before.resources - after.resources:
        after = examine.judge(files[1], options[1], logs[1], more)
    return [before, after]


def _current(name: str, judged: examine.Judgement) -> Selection:
    selection = objects.current(judged.selections)
    if selection is None:
        raise UnreadableEvidence(f"{name} holds no database: there are no current values to compare")
    return selection


def _same_cluster(names: list[str], facts: list[tuple[str, int | None, int]], wanted: DiffOptions) -> bool | None:
    """None where it cannot be told. Raises UsageError where they differ and that was not said."""
    (uid, etcd, _), (other, other_etcd, _) = facts
    if uid and other:
        what, (one, two) = "kube-system namespace's uid", (uid, other)
    elif etcd is not None and other_etcd is not None:
        # derived from the members a cluster began with: another one where members came or went
        what, (one, two) = "etcd cluster id by its members", (hex_id(etcd), hex_id(other_etcd))
    else:
        return None
    if one == two:
        return True
    if not wanted.different_clusters:
        raise UsageError(
            f"{names[0]} and {names[1]} are of different clusters: the {what} is {one} and {two}; nothing was "
            "compared. Give --different-clusters if that is meant"
        )
    return False


def _in_order(names: list[str], facts: list[tuple[str, int | None, int]], wanted: DiffOptions) -> None:
    older, newer = facts[0][2], facts[1][2]
    if newer < older and not wanted.any_order:
        raise UsageError(
            f"{names[1]} is at revision {newer:,} and {names[0]} at {older:,}: AFTER is the older one; nothing was "
            "compared. Exchange them, or give --any-order if a store was set back"
        )


def _unexamined(comparison: Comparison, *, known: bool) -> list[Unexamined]:
    points = []
    if not known:
        reason = "neither a kube-system namespace nor an etcd cluster id can be read on both sides"
        points.append(Unexamined("whether both are of one cluster", f"{reason}; --different-clusters accepts it", True))
    if unknown := comparison.of(FormChange.UNKNOWN):
        points.append(
            Unexamined(f"the form of {unknown:,} objects", "their bytes differ, and the key's name is not told", True)
        )
    if unknown := comparison.with_content(Content.UNKNOWN):
        reason = "the bytes differ, and no key opens them on both sides"
        points.append(Unexamined(f"the content of {unknown:,} objects", reason, comparison.same_content))
    return points


def _notes(comparison: Comparison, again: int) -> list[str]:
    notes = []
    if again:
        what = "object was" if again == 1 else "objects were"
        notes.append(f"{again:,} {what} deleted and created again in between")
    sides = (("BEFORE", comparison.before), ("AFTER", comparison.after))
    for side, each in sides:
        if each.gaps and comparison.of(FormChange.APPEARED, FormChange.VANISHED):
            notes.append(f"{side} has gaps: what appeared or vanished may lie in them")
    return notes


def leftovers(audit: Audit) -> dict[Place, tuple[int, int]]:
    """Values in every place but latest, and how many of them are readable."""
    counts: dict[Place, tuple[int, int]] = {}
    for place, provider, _, count, _ in audit.tally.places:
        if place is not Place.LATEST:
            values, readable = counts.get(place, (0, 0))
            counts[place] = values + count, readable + count * (provider is Provider.IDENTITY)
    return counts


def revision(evidence: Evidence) -> str:
    compacted = evidence.backend.compacted
    return f"{evidence.backend.revision:,}" + (f", compacted at {compacted:,}" if compacted is not None else "")
