"""Migration verification: two exhibits -> a `Comparison` of their current values, and the leftovers of each."""

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from os import PathLike
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from auditor.audit import examine
from auditor.audit.judgement import Judgement
from auditor.diff import fit, objects, rows
from auditor.diff.objects import Content, FormChange
from auditor.errors import UnreadableEvidence
from auditor.evidence import exhibit
from auditor.judgement.criteria import kms_clients
from auditor.judgement.selection import Selection
from auditor.model import exit_codes
from auditor.model.audit import Audit
from auditor.model.evidence import Unexamined
from auditor.model.findings import Cell
from auditor.model.vocabulary import FindingKind, Place, Provider, Severity, State, Verdict
from auditor.observer import SILENT, Observer
from auditor.options import Options
from auditor.run_log import RunLog
from auditor.scanning.exhibit import single
from auditor.text import plural

if TYPE_CHECKING:
    from auditor.evidence.live.access import Access

CURRENT = (
    FindingKind.PLAINTEXT
    | FindingKind.UNRECOGNISED
    | FindingKind.ORPHANED
    | FindingKind.UNDECRYPTABLE
    | FindingKind.MISPLACED
)
"""Findings of a current value that --expect-before rules out."""
LISTED = 20
"""Objects that the summary names."""
STALE = FindingKind.STALE_PROVIDER | FindingKind.STALE_KEY | FindingKind.STALE_KEK
"""More of them, of a value under another key than the expected one. Leftovers of BEFORE do not count."""


@dataclass(frozen=True, slots=True)
class DiffOptions:
    """The options of a comparison."""

    before: Options
    after: Options
    access: "tuple[Access | None, Access | None]" = (None, None)
    """How to reach each side that is a live etcd."""
    expect_before: str = ""
    """As Options.expect; empty where nothing is expected of BEFORE."""
    different_clusters: bool = False
    """Compare evidence of two clusters, too."""
    any_order: bool = False
    """Compare though AFTER is the older one."""
    same_content: bool = False
    """Nothing may have appeared, vanished or changed."""
    rows: bool = True
    """Fill the columns of every object; reports other than the summary need them."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The comparison of two exhibits."""

    before: Audit
    after: Audit
    objects: Mapping[tuple[FormChange, Content], int]
    """The number of objects by form and content."""
    rewritten: int
    """Objects of another mod revision."""
    keys: tuple[tuple[Provider, str, int, int], ...]
    """(provider, key name, values in BEFORE, values in AFTER), of current values."""
    unlike: int
    """Values of BEFORE that are not as --expect-before says."""
    unexamined: tuple[Unexamined, ...]
    notes: tuple[str, ...]
    columns: Mapping[str, Sequence[Cell]]
    """diff.rows.COLUMNS of every object; empty where no report needs them."""
    worst: Mapping[str, Sequence[Cell]]
    """The same of the first LISTED problems."""
    problems: int
    """Objects that are not as they should be."""
    same_content: bool
    """DiffOptions.same_content."""

    def of(self, *forms: FormChange) -> int:
        """The number of objects with one of these forms."""
        return sum(count for (form, _), count in self.objects.items() if form in forms)

    def with_content(self, content: Content) -> int:
        """The number of objects with this content."""
        return sum(count for (_, each), count in self.objects.items() if each is content)

    @property
    def moved(self) -> int:
        """Objects that appeared, vanished or hold other content."""
        return self.of(FormChange.APPEARED, FormChange.VANISHED) + self.with_content(Content.CHANGED)

    @property
    def complete(self) -> bool:
        """Whether both sides were read and concluded, and the comparison answers every question."""
        inconclusive = any(part.decisive for part in self.unexamined)
        return self.before.complete and self.after.complete and not inconclusive

    def failed(self, fail_on: Severity) -> bool:
        """Whether AFTER, or BEFORE where something is expected of it, is not as it must be."""
        failing = any(severity >= fail_on for _, severity, _ in self.after.tally.findings)
        return failing or self.unlike > 0 or (self.same_content and self.moved > 0)

    def exit_code(self, fail_on: Severity) -> int:
        """1: something is not as it must be. 3: no such thing, and the comparison is incomplete. 0: neither."""
        return exit_codes.of(failed=self.failed(fail_on), complete=self.complete)

    def verdict(self, fail_on: Severity) -> Verdict:
        """The conclusion: findings of medium severity or above stand in it where --fail-on lets them pass."""
        if self.failed(fail_on):
            return Verdict.FINDINGS
        if not self.complete:
            return Verdict.INCONCLUSIVE
        grave = any(severity >= Severity.MEDIUM for _, severity, _ in self.after.tally.findings)
        return Verdict.ACCEPTED if grave else Verdict.NONE


def compare(
    before: "str | PathLike[str]", after: "str | PathLike[str]", options: DiffOptions, observer: Observer = SILENT
) -> Comparison:
    """The comparison of two exhibits.

    Args:
        before: A file, a data directory, or the URL of a live endpoint.
        after: The same.
        options: The options of both sides, and of the comparison.
        observer: Its methods are called with the progress of hashing.

    Raises:
        UnreadableEvidence: A side holds no current values.
        UsageError: The two are of different clusters, or in the wrong order.
    """
    side_options = replace(options.before, rows=False), replace(options.after, rows=False)
    if options.expect_before:
        side_options = replace(side_options[0], expect=options.expect_before), side_options[1]
    with ExitStack() as stack:
        logs = RunLog(observer), RunLog(observer)
        exhibits = [
            stack.enter_context(single(os.fspath(path), each, log, access))
            for path, each, access, log in zip((before, after), side_options, options.access, logs, strict=True)
        ]
        judgements = _judge(exhibits, side_options, logs)
        names = [f"{side} ({each.name})" for side, each in zip(("BEFORE", "AFTER"), exhibits, strict=True)]
        current = [_current(name, each) for name, each in zip(names, judgements, strict=True)]
        same_store = fit.same_store(judgements)
        same_cluster = fit.same_cluster(
            names, judgements, different_clusters=options.different_clusters, any_order=options.any_order
        )
        diff = objects.compare(current[0], current[1], same_cluster=same_cluster is True and same_store)
        counts = _counts(diff, current, options)
        before_audit, after_audit = (
            examine.conclude(*each) for each in zip(exhibits, judgements, side_options, logs, strict=True)
        )
    comparison = Comparison(
        before=before_audit, after=after_audit, **counts, unexamined=(), notes=(), same_content=options.same_content
    )
    known = same_cluster is not None or options.different_clusters
    return replace(
        comparison,
        unexamined=(*_pending(names, judgements), *_unexamined(comparison, known=known, any_order=options.any_order)),
        notes=tuple(_notes(comparison, int(diff.recreated.sum()), same_store=same_store)),
    )


class _Counts(TypedDict):
    """The fields of a Comparison that are counted before its audits are concluded."""

    objects: Mapping[tuple[FormChange, Content], int]
    rewritten: int
    keys: tuple[tuple[Provider, str, int, int], ...]
    unlike: int
    columns: Mapping[str, Sequence[Cell]]
    worst: Mapping[str, Sequence[Cell]]
    problems: int


def _counts(diff: objects.Diff, current: Sequence[Selection], options: DiffOptions) -> _Counts:
    by_key = [objects.by_key(each) for each in current]
    problems = rows.problems(diff)
    unlike = 0
    if options.expect_before:
        unlike = int(((current[0].findings & np.uint16(CURRENT | STALE)) != 0).sum())
    return {
        "objects": diff.tally(),
        "rewritten": int(diff.rewritten.sum()),
        "keys": tuple(
            (*key, by_key[0].get(key, 0), by_key[1].get(key, 0))
            for key in sorted({key for each in by_key for key in each})
        ),
        "unlike": unlike,
        "columns": rows.columns(diff) if options.rows else {},
        "worst": rows.columns(diff, problems, LISTED),
        "problems": int(problems.size),
    }


def _judge(files: Sequence[exhibit.Exhibit], options: Sequence[Options], logs: Sequence[RunLog]) -> list[Judgement]:
    """Both judgements, each with the resources that the other's configurations add."""
    # of both sides where they have the same --kms: no wrapped key is asked for twice
    clients = kms_clients(options[1])
    earlier = clients if options[0].kms == options[1].kms else kms_clients(options[0])
    try:
        after = examine.judge(files[1], options[1], logs[1], clients=clients)
        before = examine.judge(files[0], options[0], logs[0], after.resources, clients=earlier)
        if more := before.resources - after.resources:
            after = examine.judge(files[1], options[1], logs[1], more, clients=clients)
    finally:
        for client in (*clients, *earlier):
            client.close()
    return [before, after]


def _current(name: str, judgement: Judgement) -> Selection:
    selection = objects.current(judgement.selections)
    if selection is None:
        raise UnreadableEvidence(f"{name} holds no database: there are no current values to compare")
    return selection


def _pending(names: Sequence[str], judgements: Sequence[Judgement]) -> list[Unexamined]:
    """Writes of a data directory's WAL that take effect at etcd's next start: what is current then is not compared."""
    points = []
    for name, judgement in zip(names, judgements, strict=True):
        if count := sum(int(values.batch.has(State.NOT_YET_APPLIED).sum()) for values in judgement.selections):
            what = "committed write of the WAL" if count == 1 else "committed writes of the WAL"
            reason = "its database has not applied them yet: not compared; scan reports them"
            points.append(Unexamined(f"{count:,} {what} of {name}", reason, decisive=True))
    return points


def _unexamined(comparison: Comparison, *, known: bool, any_order: bool) -> list[Unexamined]:
    points = []
    if not known:
        reason = "neither a kube-system namespace nor an etcd cluster id can be read on both sides"
        points.append(Unexamined("whether both are of one cluster", f"{reason}; --different-clusters accepts it", True))
    if unordered := [
        audit.evidence for audit in (comparison.before, comparison.after) if not audit.evidence.backend.revision
    ]:
        reason = f"the revision of {unordered[0].name} is unknown; --any-order accepts it"
        points.append(Unexamined("whether AFTER is the newer one", reason, not any_order))
    if unknown := comparison.of(FormChange.UNKNOWN):
        points.append(
            Unexamined(
                f"the form of {plural(unknown, 'object')}", "their bytes differ, and the key's name is not told", True
            )
        )
    if unknown := comparison.with_content(Content.UNKNOWN):
        reason = "the bytes differ, and no key decrypts them on both sides"
        points.append(Unexamined(f"the content of {plural(unknown, 'object')}", reason, comparison.same_content))
    return points


def _notes(comparison: Comparison, again: int, *, same_store: bool) -> list[str]:
    notes = []
    hashes = {comparison.before.evidence.sha256, comparison.after.evidence.sha256}
    if len(hashes) == 1 and hashes != {""}:
        notes.append("BEFORE and AFTER are one file by their SHA-256: nothing can differ")
    if not same_store:
        notes.append("one side is of kine and the other of etcd: their revisions, and so their order, are not compared")
    if again:
        what = "object was" if again == 1 else "objects were"
        notes.append(f"{again:,} {what} deleted and created again in between")
    sides = (("BEFORE", comparison.before), ("AFTER", comparison.after))
    for side, audit in sides:
        if audit.gaps and comparison.of(FormChange.APPEARED, FormChange.VANISHED):
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
