"""Several audits merged into one, for the same reports as any other; every row names its evidence."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

from auditor.audit import unexamined
from auditor.errors import UnreadableEvidence
from auditor.evidence.discovery.arguments import outermost, rename_members
from auditor.model.audit import Audit, ExhibitSummary, Run
from auditor.model.evidence import Backend, Cluster, CurrentReference, Evidence, Gap, PageMap, Source, Unexamined
from auditor.model.findings import Acceptance, Control, Coverage, Finding, Rows, Tally
from auditor.model.vocabulary import FindingKind, Place, Provider, Severity, Trailer
from auditor.run_log import RunLog
from auditor.scanning import merged_keys, merged_rotation, shared_rows
from auditor.text import moment

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one exhibit."""

    name: str
    base: str
    """The name of its file, folder or container in the merged audit; no two of them share one."""
    result: Audit | str
    """The audit, or why nothing could be read."""


def merge(name: str, outcomes: Sequence[Outcome], log: RunLog) -> Audit:
    """One audit of all exhibits. Counts are sums: an object of two snapshots counts twice.

    Args:
        name: The container of the exhibits; empty where each is an argument of its own.
        outcomes: One an exhibit; their names are unique.
        log: The log of the whole run.

    Raises:
        UnreadableEvidence: No exhibit could be read.
    """
    audits = [_rename(each.base, each.result) for each in outcomes if isinstance(each.result, Audit)]
    audits = sorted(unexamined.settled(audits), key=lambda audit: audit.evidence.name)
    problems = sorted((each.name, each.result) for each in outcomes if isinstance(each.result, str))
    if not audits:
        reasons = "; ".join(why for _, why in problems[:3]) or "no evidence"
        raise UnreadableEvidence(f"{name or 'the evidence'}: none of {len(outcomes):,} pieces can be read: {reasons}")
    first = audits[0]
    rows, repeats = shared_rows.distinct_rows(
        [(each.evidence.name, each.rows, shared_rows.files(each.evidence.sources)) for each in audits]
    )
    parts = tuple(sorted(_parts(audits, problems), key=lambda part: part.name))
    return Audit(
        evidence=_evidence(name, audits, len(parts)),
        pages=PageMap.NONE,
        policy="; ".join(dict.fromkeys(each.policy for each in audits)),
        resources=tuple(dict.fromkeys(resource for each in audits for resource in each.resources)),
        coverage=_coverage(audits),
        tally=_tally([each.tally for each in audits], repeats),
        keys=merged_keys.merge(audits),
        bootstrap=tuple(dict.fromkeys(record for each in audits for record in each.bootstrap)),
        plugins=tuple(dict.fromkeys(plugin for each in audits for plugin in each.plugins)),
        rows=rows,
        gaps=(*(gap for each in audits for gap in each.gaps), *(Gap(each, 0, 0, why) for each, why in problems)),
        unexamined=_distinct(audits, lambda audit: audit.unexamined, _prefix_item),
        notes=_distinct(audits, lambda audit: audit.notes, _prefix_note),
        run=_run(audits, log),
        encrypts=all(each.encrypts for each in audits),
        parts=parts,
        acceptances=_acceptances(audits),
        current=_current(audits),
        control=_control(audits),
        rotation=merged_rotation.merge(audits),
        redaction=first.redaction,
        ledger=tuple(own for each in audits for own in each.ledger),
    )


def _run(audits: Sequence[Audit], log: RunLog) -> Run:
    return replace(
        audits[0].run,
        started=moment(log.started.timestamp()),
        finished=moment(datetime.now(UTC).timestamp()),
        log=log.lines,
        plugins=_plugins(audits),
        kms=tuple(calls for each in audits for calls in each.run.kms),
    )


def _current(audits: Sequence[Audit]) -> CurrentReference | None:
    """The newer evidence, which is the same for all, with what limits it for any of them."""
    references = [audit.current for audit in audits if audit.current is not None]
    limits = dict.fromkeys(limit for reference in references for limit in reference.limits)
    return replace(references[0], limits=tuple(limits)) if references else None


def _rename(base: str, audit: Audit) -> Audit:
    """The audit with files named after `base`, so that no two exhibits have files of one name."""
    evidence = audit.evidence
    original = outermost(evidence.name, [container.name for container in evidence.containers])
    rename = rename_members(base, original, bare=evidence.directory and not evidence.containers)
    names = {each.name: rename(each.name) for each in (*evidence.sources, *evidence.containers)}
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
        ledger=tuple(replace(own, medium=names.get(own.medium, own.medium)) for own in audit.ledger),
        gaps=tuple(replace(gap, source=names.get(gap.source, rename(gap.source))) for gap in audit.gaps),
        parts=tuple(
            replace(part, name=rename(part.name), sources=tuple(names[each] for each in part.sources))
            for part in audit.parts
        ),
    )


def _parts(audits: Sequence[Audit], problems: Sequence[tuple[str, str]]) -> Iterator[ExhibitSummary]:
    """One summary an exhibit; an audit of several has those of its own."""
    for audit in audits:
        yield from audit.parts or [as_part(audit)]
    for name, why in problems:
        yield ExhibitSummary(name, problem=why)


def as_part(audit: Audit) -> ExhibitSummary:
    """The summary of one exhibit among several."""
    evidence, tally = audit.evidence, audit.tally
    return ExhibitSummary(
        name=evidence.name,
        kind=evidence.description,
        size=evidence.size,
        sha256=evidence.sha256,
        trailer=evidence.trailer,
        cluster=evidence.cluster.identity,
        revision=evidence.backend.revision,
        complete=audit.complete,
        severity=max(audit.severities, default=None),
        accepted=max((severity for _, severity, count in tally.accepted if count), default=None),
        values=sum(count for _, _, _, count, _ in tally.places),
        readable=tally.readable,
        readable_places=tally.readable_places,
        current_holders=tally.current_holders,
        gaps=len(audit.gaps),
        sources=tuple(source.name for source in evidence.sources),
    )


def _evidence(name: str, audits: Sequence[Audit], count: int) -> Evidence:
    """All files together; the facts of a single database are empty."""
    exhibits = [each.evidence for each in audits]
    clusters = {each.cluster.identity for each in exhibits}
    trailers = {each.trailer for each in exhibits}
    return Evidence(
        name=name or f"{count:,} evidence items",
        kind=min(exhibits, key=lambda evidence: evidence.description).kind,
        description=", ".join(sorted({part.kind for part in _parts(audits, ())})),
        size=sum(each.size for each in exhibits),
        modified="",
        sha256="",
        trailer=trailers.pop() if len(trailers) == 1 else Trailer.NONE,
        trailer_bytes=0,
        changed=", ".join(f"{each.name}: {each.changed}" for each in exhibits if each.changed),
        backend=Backend.UNKNOWN,
        cluster=replace(exhibits[0].cluster, newest="", clusters=()) if len(clusters) == 1 else Cluster(),
        sources=tuple(_sources(exhibits)),
        directory=True,
        containers=tuple(dict.fromkeys(container for each in exhibits for container in each.containers)),
    )


def _sources(exhibits: Sequence[Evidence]) -> Iterable[Source]:
    """Every file once, also one that several exhibits have beside them; a change that any of them met is kept."""
    sources = sorted((source for each in exhibits for source in each.sources), key=lambda source: bool(source.changed))
    return {source.name: source for source in sources}.values()


def _coverage(audits: Sequence[Audit]) -> tuple[Coverage, ...]:
    counts: Counter[Coverage] = Counter()
    for audit in audits:
        for row in audit.coverage:
            counts[replace(row, values=0)] += row.values
    rows = [replace(row, values=count) for row, count in counts.items()]
    return tuple(sorted(rows, key=lambda row: (row.resource, row.prefix, row.provider, row.key_name, row.place)))


def _tally(tallies: Sequence[Tally], repeats: Sequence[Finding]) -> Tally:
    places: Counter[tuple[object, ...]] = Counter()
    opened: Counter[tuple[object, ...]] = Counter()
    findings: Counter[tuple[FindingKind, Severity]] = Counter()
    accepted: Counter[tuple[FindingKind, Severity]] = Counter()
    for tally in tallies:
        for *key, count, with_key in tally.places:
            places[tuple(key)] += count
            opened[tuple(key)] += with_key
        for kind, severity, count in tally.findings:
            findings[kind, severity] += count
        for kind, severity, count in tally.accepted:
            accepted[kind, severity] += count
    return Tally(
        places=tuple(sorted((*key, count, opened[key]) for key, count in places.items())),  # type: ignore[misc]
        findings=tuple(sorted(shared_rows.counts_without(findings, repeats))),
        readable=sum(each.readable for each in tallies),
        contents=sum(each.contents for each in tallies),
        objects=sum(each.objects for each in tallies),
        current_holders=sum(each.current_holders for each in tallies),
        objects_of_holders=sum(each.objects_of_holders for each in tallies),
        undetermined=sum(each.undetermined for each in tallies),
        readable_places=tuple(sorted({place for each in tallies for place in each.readable_places})),
        freed_pages=(),
        accepted=tuple(sorted(shared_rows.counts_without(accepted, [each for each in repeats if each.accepted]))),
    )


def _acceptances(audits: Sequence[Audit]) -> tuple[Acceptance, ...]:
    """The entries of the ignore file, which is the same for all, with their matches in all."""
    entries: dict[str, Acceptance] = {}
    for entry in (entry for audit in audits for entry in audit.acceptances):
        before = entries.get(entry.path)
        entries[entry.path] = replace(entry, matches=entry.matches + (before.matches if before else 0))
    return tuple(entries.values())


def _control(audits: Sequence[Audit]) -> Control | None:
    """The positive control of all runs: detected in a place where every run detected it."""
    planted: dict[Place, bool] = {}
    for audit in audits:
        for place, detected in audit.control.planted if audit.control is not None else ():
            planted[place] = detected and planted.get(place, True)
    return Control(tuple(planted.items())) if planted else None


def _distinct(
    audits: Sequence[Audit], items: Callable[[Audit], Iterable[T]], prefix: Callable[[str, T], T]
) -> tuple[T, ...]:
    """The items of all audits, each once; one that not every audit has says which do."""
    counts = Counter(item for audit in audits for item in dict.fromkeys(items(audit)))
    texts = (
        item if counts[item] == len(audits) else prefix(_owner(audit, counts[item], len(audits)), item)
        for audit in audits
        for item in items(audit)
    )
    return tuple(dict.fromkeys(texts))


def _owner(audit: Audit, count: int, total: int) -> str:
    return audit.evidence.name if count == 1 else f"in {count:,} of {total:,}"


def _prefix_item(name: str, item: Unexamined) -> Unexamined:
    return item if item.what.startswith(name) else replace(item, what=f"{name}: {item.what}")


def _prefix_note(name: str, note: str) -> str:
    return note if note.startswith(name) else f"{name}: {note}"


def _plugins(audits: Sequence[Audit]) -> tuple[tuple[Provider, str, int], ...]:
    calls: Counter[tuple[Provider, str]] = Counter()
    for audit in audits:
        for provider, name, count in audit.run.plugins:
            calls[provider, name] += count
    return tuple((provider, name, count) for (provider, name), count in sorted(calls.items()))
