"""The findings of a fleet as writes of objects, and which of them an earlier report has.

A finding in `latest` is known by its kind, cluster, resource and etcd key; in any other place by the revision that
wrote it too, as of `scan --baseline`. A leftover is also known where the earlier report has the same write in another
place: compaction moves it, and nothing new is readable. What was a leftover and is in `latest` now is new.

A fragment without a name or a revision may be of any write. It is known in the same evidence alone. Elsewhere it is new
as far as a backup has more of its kind than any backup of the earlier report; of the others nothing can be told.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from auditor.fleet.report.context import SEVERITIES, Context
from auditor.model.vocabulary import VALUELESS_LABELS, FindingKind, Place

HEADER = ("cluster", "finding", "severity", "resource", "namespace", "name", "place", "key", "revision")
OBJECT = 6
"""Cells of a row that name the object."""
MOVED = frozenset(each.label for each in (Place.HISTORY, Place.DELETED, Place.PREVIOUS_ROOT, Place.FREED, Place.SLACK))
"""Places of leftovers, between which etcd moves a write."""
_ROWS = """
WITH finding_rows AS (
    SELECT CASE WHEN p.known THEN p.who ELSE concat_ws(' ', p.who, p.url) END AS cluster, f.finding, f.severity,
        coalesce(f.resource, '') AS resource, coalesce(f.namespace, '') AS namespace, coalesce(f.name, '') AS name,
        coalesce(f.place, '') AS place, coalesce(f.key, '') AS key, coalesce(f.mod_revision::VARCHAR, '') AS revision,
        coalesce(nullif(p.sha256, ''), p.url) AS evidence, coalesce(f.id, '') AS id,
        coalesce(f.provider, '') AS provider, coalesce(f.key_name, '') AS key_name, coalesce(f.detail, '') AS detail,
        coalesce(f.place, '') <> '' AND NOT list_contains($valueless::VARCHAR[], f.finding) AS stored
    FROM all_findings f JOIN population p USING (backup)
    WHERE p.state = 'examined' AND p.inside AND list_contains($severe::VARCHAR[], f.severity)),
identities AS (
    SELECT *, stored AND (revision = '' AND place <> 'latest'
        OR key IN ('', 'unknown') AND name IN ('', 'unknown')) AS nameless FROM finding_rows)
"""
_WRITES = """
SELECT DISTINCT cluster, finding, severity, resource, namespace, name, place,
    CASE WHEN finding = $grouped THEN concat_ws('/', provider, key_name) WHEN stored THEN key
        ELSE regexp_replace(detail, ' value=#[0-9]+', '', 'g') END, revision
FROM identities WHERE NOT nameless ORDER BY ALL"""
_NAMELESS = """
SELECT DISTINCT cluster, finding, severity, resource, namespace, name, place, evidence, id
FROM identities WHERE nameless ORDER BY ALL"""


class Write(NamedTuple):
    """A finding of a write that has a name."""

    cluster: str
    finding: str
    severity: str
    resource: str
    namespace: str
    name: str
    place: str
    key: str
    """The etcd key; of a finding that is no stored value's what it says instead."""
    revision: str

    @property
    def write(self) -> tuple[str, ...]:
        """What identifies it in any place."""
        return (self.cluster, self.finding, *self[3:OBJECT], self.key, self.revision)

    @property
    def standing(self) -> tuple[str, ...]:
        """What identifies it in its place."""
        revision = "" if self.place == Place.LATEST.label else self.revision
        return (self.cluster, self.finding, *self[3:OBJECT], self.key, self.place, revision)


class Nameless(NamedTuple):
    """A finding of which the name or the revision is lost."""

    cluster: str
    finding: str
    severity: str
    resource: str
    namespace: str
    name: str
    place: str
    evidence: str
    """SHA-256 of the backup, or its URL."""
    id: str

    @property
    def kind(self) -> tuple[str, ...]:
        return tuple(self[:7])


class Changes(NamedTuple):
    """What a report has that the earlier one has not, and the reverse."""

    new: list[tuple[str, ...]]
    gone: list[tuple[str, ...]]
    unmatched: int
    """Findings of which it cannot be told whether the earlier report has them."""


def state(context: Context) -> dict[str, list[list[str]]]:
    """The findings at --fail-on or above inside the retention, for a later report."""
    severe = list(SEVERITIES[SEVERITIES.index(context.questions.fail_on) :])
    asked = {"severe": severe, "valueless": sorted(VALUELESS_LABELS)}
    grouped = {"grouped": FindingKind.WEAK_PROVIDER.label}
    return {
        "writes": [list(row) for row in context.named(_ROWS + _WRITES, asked | grouped)],
        "nameless": [list(row) for row in context.named(_ROWS + _NAMELESS, asked)],
    }


def is_state(earlier: dict[str, Any]) -> bool:
    """Whether an earlier report has what state() says, or nothing of it. Raises KeyError, TypeError."""
    return "writes" not in earlier or all(
        isinstance(row, list) and len(row) == len(HEADER) and all(isinstance(cell, str) for cell in row)
        for name in ("writes", "nameless")
        for row in earlier[name]
    )


def compare(now: dict[str, Any], earlier: dict[str, Any]) -> Changes:
    """What is new, gone, and not to be told. Both: of since.state()."""
    writes = [Write(*row) for row in now["writes"]]
    nameless = [Nameless(*row) for row in now["nameless"]]
    if "writes" not in earlier:
        return _by_object(writes, nameless, earlier["findings"])
    before = [Write(*row) for row in earlier["writes"]]
    standing, known = (
        _severest((each.standing, each) for each in before),
        _severest((each.write, each) for each in before),
    )
    new = {
        each.standing: tuple(each)
        for each in writes
        if _rank(each) > standing.get(each.standing, -1)
        and (each.place not in MOVED or _rank(each) > known.get(each.write, -1))
    }
    present = {each.standing for each in writes}
    gone = {each.standing: tuple(each) for each in before if each.standing not in present}
    surplus, unmatched = _surplus(nameless, [Nameless(*row) for row in earlier["nameless"]])
    return Changes(sorted([*new.values(), *surplus]), sorted(gone.values()), unmatched)


def _surplus(now: Sequence[Nameless], earlier: Sequence[Nameless]) -> tuple[list[tuple[str, ...]], int]:
    """Nameless findings that are new, and how many others are of evidence that the earlier report does not have."""
    known = {(each.evidence, each.id, each.finding) for each in earlier}
    most: dict[tuple[str, ...], int] = {}
    for (kind, _), count in Counter((each.kind, each.evidence) for each in earlier).items():
        most[kind] = max(count, most.get(kind, 0))
    allowed: Counter[tuple[tuple[str, ...], str]] = Counter()
    new: list[tuple[str, ...]] = []
    unmatched = 0
    for each in now:
        place = (each.kind, each.evidence)
        allowed[place] += 1
        if (each.evidence, each.id, each.finding) in known:
            continue
        if allowed[place] > most.get(each.kind, 0):
            new.append((*each[:7], "", ""))
        else:
            unmatched += 1
    return new, unmatched


def _by_object(
    writes: Iterable[Write], nameless: Iterable[Nameless], findings: Iterable[Sequence[str | None]]
) -> Changes:
    """The changes since a report of an earlier version, which names objects alone: none of its findings is known."""
    before = {tuple(cell or "" for cell in row) for row in findings}
    rows = {each.standing: tuple(each) for each in writes} | {each: (*each[:7], "", "") for each in nameless}
    new = [row for row in rows.values() if row[:OBJECT] not in before]
    blank = ("",) * (len(HEADER) - OBJECT)
    gone = [(*each, *blank) for each in before - {row[:OBJECT] for row in rows.values()}]
    return Changes(sorted(new), sorted(gone), len(rows) - len(new))


def _rank(write: Write) -> int:
    return SEVERITIES.index(write.severity)


def _severest(rows: Iterable[tuple[tuple[str, ...], Write]]) -> dict[tuple[str, ...], int]:
    """The rank of the severest finding, by what identifies it."""
    ranks: dict[tuple[str, ...], int] = {}
    for identity, write in rows:
        ranks[identity] = max(_rank(write), ranks.get(identity, -1))
    return ranks
