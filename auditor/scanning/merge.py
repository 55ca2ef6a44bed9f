"""Several audits as one: every report is made from it as from any other, and each row says which evidence it is of."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

from auditor.errors import UnreadableEvidence
from auditor.evidence.discovery.arguments import outermost, rename_members
from auditor.model.audit import Audit, ExhibitSummary
from auditor.model.evidence import Backend, Cluster, Evidence, Gap, PageMap, Unexamined
from auditor.model.findings import Acceptance, Cell, Control, Coverage, KeyUsage, Rows, Tally
from auditor.model.vocabulary import Place, Provider, Trailer
from auditor.run_log import RunLog
from auditor.text import moment

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outcome:
    """A piece of evidence: its audit, or why nothing in it could be read.

    base: what the file, folder or container that was given is to be called; no two pieces of different ones share it.
    """

    name: str
    base: str
    result: Audit | str


def merge(name: str, outcomes: Sequence[Outcome], log: RunLog) -> Audit:
    """One audit of all. name: of the container that they came out of; empty where they were given.

    Raises UnreadableEvidence where there is none.

    Counts are sums: an object of two snapshots counts twice. Two pieces must not have the same name.
    """
    audits = [_named(each.base, each.result) for each in outcomes if isinstance(each.result, Audit)]
    audits.sort(key=lambda audit: audit.evidence.name)
    problems = sorted((each.name, each.result) for each in outcomes if isinstance(each.result, str))
    if not audits:
        reasons = "; ".join(why for _, why in problems[:3]) or "no evidence"
        raise UnreadableEvidence(f"{name or 'the evidence'}: none of {len(outcomes):,} pieces can be read: {reasons}")
    first = audits[0]
    parts = tuple(sorted(_parts(audits, problems), key=lambda part: part.name))
    return Audit(
        evidence=_evidence(name, audits, len(parts)),
        pages=PageMap.NONE,
        policy="; ".join(dict.fromkeys(each.policy for each in audits)),
        resources=tuple(dict.fromkeys(resource for each in audits for resource in each.resources)),
        coverage=_coverage(audits),
        tally=_tally([each.tally for each in audits]),
        keys=_keys(audits),
        rows=_rows([each.rows for each in audits]),
        gaps=(
            *(gap for each in audits for gap in each.gaps),
            *(Gap(each, 0, 0, why) for each, why in problems),
        ),
        unexamined=_said(audits, lambda audit: audit.unexamined, _of),
        notes=_said(audits, lambda audit: audit.notes, _noted),
        run=replace(
            first.run,
            started=moment(log.started.timestamp()),
            finished=moment(datetime.now(UTC).timestamp()),
            log=log.lines,
            plugins=_plugins(audits),
        ),
        parts=parts,
        acceptances=_acceptances(audits),
        control=_control(audits),
        redaction=first.redaction,
    )


def _named(base: str, audit: Audit) -> Audit:
    """The audit with files that are called after `base`, so that no two of different pieces are called the same."""
    evidence = audit.evidence
    original = outermost(evidence.name, [container.name for container in evidence.containers])
    renamed = rename_members(base, original, bare=evidence.directory and not evidence.containers)
    names = {each.name: renamed(each.name) for each in (*evidence.sources, *evidence.containers)}
    rows = audit.rows
    if rows.columns:
        sources = [names.get(str(source), source) for source in rows.columns["source"]]
        rows = Rows({**rows.columns, "source": sources}, rows.findings)
    return replace(
        audit,
        evidence=replace(
            evidence,
            name=base + evidence.name.removeprefix(original),
            sources=tuple(replace(each, name=names[each.name]) for each in evidence.sources),
            containers=tuple(replace(each, name=names[each.name]) for each in evidence.containers),
        ),
        rows=rows,
        gaps=tuple(replace(gap, source=names.get(gap.source, renamed(gap.source))) for gap in audit.gaps),
        parts=tuple(
            replace(part, name=renamed(part.name), sources=tuple(names[each] for each in part.sources))
            for part in audit.parts
        ),
    )


def _parts(audits: Sequence[Audit], problems: Sequence[tuple[str, str]]) -> Iterator[ExhibitSummary]:
    """One for each piece; an audit of several is all of its own."""
    for audit in audits:
        yield from audit.parts or [as_part(audit)]
    for name, why in problems:
        yield ExhibitSummary(name, problem=why)


def as_part(audit: Audit) -> ExhibitSummary:
    """What is said of one piece among several."""
    evidence, tally = audit.evidence, audit.tally
    return ExhibitSummary(
        name=evidence.name,
        kind=evidence.description,
        size=evidence.size,
        sha256=evidence.sha256,
        trailer=evidence.trailer,
        cluster=evidence.cluster.uid,
        revision=evidence.backend.revision,
        verdict=audit.verdict,
        complete=audit.complete,
        severity=max(audit.severities, default=None),
        values=sum(count for _, _, _, count, _ in tally.places),
        readable=tally.readable,
        in_use=tally.in_use,
        gaps=len(audit.gaps),
        sources=tuple(source.name for source in evidence.sources),
    )


def _evidence(name: str, audits: Sequence[Audit], count: int) -> Evidence:
    """All files together; what only one database can say of itself is empty."""
    every = [each.evidence for each in audits]
    clusters = {each.cluster.uid for each in every}
    trailers = {each.trailer for each in every}
    return Evidence(
        name=name or f"{count:,} pieces of evidence",
        kind=min(every, key=lambda evidence: evidence.description).kind,
        description=", ".join(sorted({part.kind for part in _parts(audits, ())})),
        size=sum(each.size for each in every),
        modified="",
        sha256="",
        trailer=trailers.pop() if len(trailers) == 1 else Trailer.NONE,
        trailer_bytes=0,
        changed=", ".join(f"{each.name}: {each.changed}" for each in every if each.changed),
        backend=Backend.UNKNOWN,
        cluster=replace(every[0].cluster, newest="") if len(clusters) == 1 else Cluster(),
        sources=tuple(source for each in every for source in each.sources),
        directory=True,
        containers=tuple(dict.fromkeys(container for each in every for container in each.containers)),
    )


def _coverage(audits: Sequence[Audit]) -> tuple[Coverage, ...]:
    counts: Counter[Coverage] = Counter()
    for audit in audits:
        for row in audit.coverage:
            counts[replace(row, values=0)] += row.values
    rows = [replace(row, values=count) for row, count in counts.items()]
    return tuple(sorted(rows, key=lambda row: (row.resource, row.prefix, row.provider, row.key_name, row.place)))


def _tally(tallies: Sequence[Tally]) -> Tally:
    places: Counter[tuple[object, ...]] = Counter()
    opened: Counter[tuple[object, ...]] = Counter()
    marks: Counter[tuple[object, ...]] = Counter()
    accepted: Counter[tuple[object, ...]] = Counter()
    for tally in tallies:
        for *key, count, with_key in tally.places:
            places[tuple(key)] += count
            opened[tuple(key)] += with_key
        for *mark, count in tally.findings:
            marks[tuple(mark)] += count
        for *mark, count in tally.accepted:
            accepted[tuple(mark)] += count
    return Tally(
        places=tuple(sorted((*key, count, opened[key]) for key, count in places.items())),  # type: ignore[misc]
        findings=tuple(sorted((*mark, count) for mark, count in marks.items())),  # type: ignore[misc]
        readable=sum(each.readable for each in tallies),
        contents=sum(each.contents for each in tallies),
        objects=sum(each.objects for each in tallies),
        in_use=sum(each.in_use for each in tallies),
        undetermined=sum(each.undetermined for each in tallies),
        readable_places=tuple(sorted({place for each in tallies for place in each.readable_places})),
        freed_pages=(),
        accepted=tuple(sorted((*mark, count) for mark, count in accepted.items())),  # type: ignore[misc]
    )


def _acceptances(audits: Sequence[Audit]) -> tuple[Acceptance, ...]:
    """The entries of the ignore file, which is the same for all, with their matches in all."""
    entries: dict[str, Acceptance] = {}
    for each in (each for audit in audits for each in audit.acceptances):
        before = entries.get(each.path)
        entries[each.path] = replace(each, matches=each.matches + (before.matches if before else 0))
    return tuple(entries.values())


def _control(audits: Sequence[Audit]) -> Control | None:
    """What was planted in every run: found where every run found it."""
    planted: dict[Place, bool] = {}
    for audit in audits:
        for place, seen in audit.control.planted if audit.control is not None else ():
            planted[place] = seen and planted.get(place, True)
    return Control(tuple(planted.items())) if planted else None


def _keys(audits: Sequence[Audit]) -> tuple[KeyUsage, ...]:
    """The use of each key in all; revisions of different stores cannot be compared, and are left out."""
    groups: dict[tuple[Provider, str, str], list[KeyUsage]] = {}
    for audit in audits:
        for use in audit.keys:
            groups.setdefault((use.provider, use.key_name, use.kek_id), []).append(use)
    uses_of_all = []
    for (provider, key_name, kek_id), uses in sorted(groups.items()):
        places = Counter({place: 0 for use in uses for place, _ in use.places})
        for use in uses:
            places.update(dict(use.places))
        uses_of_all.append(
            KeyUsage(
                provider=provider,
                key_name=key_name,
                kek_id=kek_id,
                places=tuple(sorted(places.items())),
                resources=tuple(sorted({name for use in uses for name in use.resources})),
                oldest=None,
                newest=None,
                values=sum(use.values for use in uses),
                opened=sum(use.opened for use in uses),
                configured=any(use.configured for use in uses),
                objects=tuple(dict.fromkeys(name for use in uses for name in use.objects)),
            )
        )
    return tuple(uses_of_all)


def _rows(every: Sequence[Rows]) -> Rows:
    columns: dict[str, list[Cell]] = {}
    for rows in every:
        for name, column in rows.columns.items():
            columns.setdefault(name, []).extend(column)
    return Rows(columns, [marks for rows in every for marks in rows.findings])


def _said(audits: Sequence[Audit], what: Callable[[Audit], Iterable[T]], named: Callable[[str, T], T]) -> tuple[T, ...]:
    """What is said of every piece once, and of some with their names."""
    counts = Counter(part for audit in audits for part in dict.fromkeys(what(audit)))
    made = (
        part if counts[part] == len(audits) else named(_whose(audit, counts[part], len(audits)), part)
        for audit in audits
        for part in what(audit)
    )
    return tuple(dict.fromkeys(made))


def _whose(audit: Audit, count: int, total: int) -> str:
    return audit.evidence.name if count == 1 else f"in {count:,} of {total:,}"


def _of(name: str, part: Unexamined) -> Unexamined:
    return part if part.what.startswith(name) else replace(part, what=f"{name}: {part.what}")


def _noted(name: str, note: str) -> str:
    return note if note.startswith(name) else f"{name}: {note}"


def _plugins(audits: Sequence[Audit]) -> tuple[tuple[Provider, str, int], ...]:
    calls: Counter[tuple[Provider, str]] = Counter()
    for audit in audits:
        for provider, name, count in audit.run.plugins:
            calls[provider, name] += count
    return tuple((provider, name, count) for (provider, name), count in sorted(calls.items()))
