"""The visible page: everything that is readable without scripts, and the places that scripts fill."""

from functools import cache
from typing import TYPE_CHECKING, Any

from auditor.model.audit import Audit
from auditor.model.evidence import Source, Stat
from auditor.model.table import COLUMNS
from auditor.model.vocabulary import FindingKind, Severity
from auditor.reports import controls, currency, key_table, objects, rotation, tables, time_table, verdict, words
from auditor.reports.html import embed, explain
from auditor.reports.html.assets import Policy
from auditor.reports.html.seal import Custody
from auditor.reports.meaning import MEANING
from auditor.text import hex_id

if TYPE_CHECKING:
    from jinja2 import Template

MOST_GAPS = 200
"""Gaps that are listed; the JSON report has all."""
FACTS = ("Case", "Evidence", "SHA-256", "Trailer", "Kind", "Policy", "Current", "Run", "Live", "Baseline", "Names")
LABELS = {"Trailer": "etcd's trailer"}
CONFIDENTIAL = "Confidential: names of Secrets"


@cache
def template() -> "Template":
    """The template, compiled once: that takes longer than to render it."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("auditor.reports.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    return environment.get_template("report.html")


def render(audit: Audit, fail_on: Severity, groups: objects.ObjectGroups, policy: Policy, custody: Custody) -> str:
    """The visible part of a page, as HTML from the first element to the last before the scripts.

    Args:
        audit: The audit.
        fail_on: The severity of --fail-on.
        groups: The findings by object.
        policy: The content security policy of the page.
        custody: The custody at the end of the page.
    """
    evidence = audit.evidence
    return template().render(
        audit=audit,
        evidence=evidence,
        policy=policy,
        confidential=CONFIDENTIAL,
        verdict=verdict.sentences(audit, fail_on),
        outcome=audit.verdict(fail_on).name.lower(),
        scope=_scope(audit),
        control=words.control(audit),
        figures=_figures(audit),
        facts=_facts(audit),
        sources=[(source, _stats(source)) for source in evidence.sources],
        backend=_backend(audit),
        options=[(name, _text(value)) for name, value in audit.run.options],
        gaps=audit.gaps[:MOST_GAPS],
        more_gaps=max(0, len(audit.gaps) - MOST_GAPS),
        decisive=[part for part in audit.unexamined if part.decisive],
        standing=[part for part in audit.unexamined if not part.decisive],
        steps=verdict.next_steps(audit),
        **_rotation(audit),
        causes=tables.of_causes(audit),
        parts=tables.of_parts(audit, fail_on),
        places=tables.of_places(audit),
        coverage=tables.of_coverage(audit),
        times=(time_table.HEADER, time_table.rows(audit.chronology)) if audit.chronology is not None else None,
        time_remarks=time_table.remarks(audit.chronology) if audit.chronology is not None else (),
        keys=(key_table.HEADER, key_table.table(audit)),
        groups=groups,
        header=objects.HEADER,
        sha256=custody.findings,
        meanings=_meanings(audit),
        gone=_absent(audit),
        acceptances=_acceptances(audit),
        controls=_controls(custody.controls),
        wording=controls.WORDING,
        limitations=explain.LIMITATIONS,
        columns=COLUMNS,
        explained=embed.script("explained", explain.document(audit)),
    )


def _rotation(audit: Audit) -> dict[str, object]:
    """The list of what to rotate, for the template."""
    if audit.rotation is None:
        return {"rotation": None, "rotated": "", "rotation_classes": rotation.CLASSES}
    table, counts = rotation.table(audit.rotation), rotation.counts(audit.rotation)
    return {"rotation": table, "rotated": counts, "rotation_classes": rotation.CLASSES}


def _scope(audit: Audit) -> str:
    """The scope of the verdict, in one sentence."""
    places = sorted({place for place, *_ in audit.tally.places})
    place_names = ", ".join("freed pages" if place.label == "freed" else place.label for place in places) or "no place"
    resources = ", ".join(audit.resources) or "no resource"
    extent = f"{words.scope(audit)}, {words.extent(audit)}"
    return f"Scope: {resources} in {audit.evidence.name} ({extent}); seen in: {place_names}."


def _figures(audit: Audit) -> list[tuple[str, str, str]]:
    """(figure, text, class): the figures at the head of the page."""
    tally = audit.tally
    values = sum(count for *_, count, _ in tally.places)
    opened = sum(opened for *_, opened in tally.places)
    current = currency.current(audit)
    open_points = verdict.open_points(audit)
    return [
        (f"{tally.readable:,}", f"readable of {words.plural(values, 'value')}", "bad" if tally.readable else "good"),
        (f"{current:,}", "of them current values", "bad" if current else "good"),
        (
            f"{tally.current_holders:,}",
            f"{'of them' if audit.current else 'leftovers that'} hold what is current {currency.reference(audit)}",
            "bad" if tally.current_holders else "good",
        ),
        _objects(audit),
        (f"{opened:,}", "values decrypted with a key", ""),
        (f"{open_points:,}", "unresolved gaps", "open" if open_points else "good"),
    ]


def _objects(audit: Audit) -> tuple[str, str, str]:
    """The tile of the objects that are readable; of a fragment nobody knows which it is of."""
    count, text = audit.tally.objects, "objects with a readable value"
    if audit.tally.readable and not count:
        return "unknown", text, "bad"
    return f"{count:,}", text, "bad" if count else "good"


def _facts(audit: Audit) -> list[tuple[str, str]]:
    facts = words.facts(audit)
    return [(LABELS.get(name, name), facts[name]) for name in FACTS if name in facts]


def _stats(source: Source) -> list[tuple[str, str]]:
    before, after = source.before, source.after
    if before == after:
        return [("before and after the run", _stat(before))]
    return [("before the run", _stat(before)), ("after the run", _stat(after))]


def _stat(stat: Stat) -> str:
    return f"{stat.size:,} bytes, modified {stat.mtime or 'unknown'}, inode changed {stat.ctime or 'unknown'}"


def _backend(audit: Audit) -> list[tuple[str, str]]:
    backend, cluster = audit.evidence.backend, audit.evidence.cluster
    members = ", ".join(f"{member} {name}".strip() for member, name in backend.members)
    facts = [
        ("revision", f"{backend.revision:,}" if backend.revision else "unknown"),
        ("compacted at", words.compaction(backend)),
        ("storage version", backend.storage_version),
        ("cluster version", backend.cluster_version),
        ("etcd cluster id", None if backend.cluster_id is None else hex_id(backend.cluster_id)),
        ("members", members),
        (
            "raft",
            None if backend.consistent_index is None else f"index {backend.consistent_index}, term {backend.term}",
        ),
        ("pages", f"{backend.pages:,} of {backend.page_size:,} bytes" if backend.page_size else None),
        ("pairs by bucket", ", ".join(f"{name} {count:,}" for name, count in backend.buckets)),
        ("Kubernetes cluster", words.clusters(cluster) if cluster.several else cluster.uid),
        ("created", cluster.created),
        ("newest object time", cluster.newest),
        ("storage prefixes", ", ".join(cluster.prefixes)),
    ]
    return [(name, value or "not known") for name, value in facts]


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "-"
    return str(value) or "-"


def _absent(audit: Audit) -> tuple[list[str], list[list[str]], int]:
    """Header, the first of the findings that only the baseline has, and the number of others."""
    findings = audit.baseline.absent if audit.baseline is not None else ()
    rows = [
        [
            finding.finding,
            finding.severity,
            finding.place,
            finding.resource,
            f"{finding.namespace}/{finding.name}".strip("/"),
            finding.source,
        ]
        for finding in findings[:MOST_GAPS]
    ]
    return ["finding", "severity", "place", "resource", "object", "source"], rows, max(0, len(findings) - MOST_GAPS)


def _acceptances(audit: Audit) -> tuple[list[str], list[list[str]]]:
    rows = [
        [entry.path, entry.reason, entry.expires + (" (expired)" if entry.expired else ""), f"{entry.matches:,}"]
        for entry in audit.acceptances
    ]
    return ["entry", "reason", "until", "findings"], rows


def _controls(controls_table: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Header and rows: controls, with the findings that may be relevant to each."""
    rows = []
    for control in controls_table:
        findings = ", ".join(
            f"{part['values']:,} {part['finding']} {part['place']}".strip() for part in control["findings"]
        )
        coverage = control["coverage"]
        values = f"{coverage['readable']:,} of {coverage['values']:,}" if coverage else "-"
        framework = f"{control['framework']} {control['framework_version']}".strip()
        rows.append([framework, control["control"], control["title"], findings or "-", values])
    return ["framework", "control", "about", "findings", "readable values"], rows


def _meanings(audit: Audit) -> list[tuple[str, str, str, int]]:
    """Name, meaning, remedy and number of values of each finding in the audit."""
    counts: dict[FindingKind, int] = {}
    for finding, _, count in audit.tally.findings:
        counts[finding] = counts.get(finding, 0) + count
    return [(finding.label, *MEANING[finding], count) for finding, count in counts.items()]
