"""The visible page: everything that is readable without scripts, and the places that scripts fill."""

from dataclasses import dataclass
from typing import Any

from auditor.model.audit import Audit
from auditor.model.evidence import Source, Stat
from auditor.model.table import COLUMNS, NUMBERS, Table
from auditor.model.vocabulary import FindingKind, Severity
from auditor.options import Options, settings
from auditor.reports import key_table, objects, provenance, rotation, tables, time_table, verdict, words
from auditor.reports.html import charts, drawing, embed, explain, next_steps, shell, tiles
from auditor.reports.html.seal import Custody
from auditor.reports.html.shell import Shell, View
from auditor.reports.meaning import MEANING
from auditor.text import hex_id

MOST_GAPS = 200
"""Gaps that are listed; the JSON report has all."""
FACTS = ("Case", "Evidence", "SHA-256", "Trailer", "Kind", "Policy", "Current", "Run", "Live", "Baseline", "Names")
LABELS = {"Trailer": "etcd's trailer"}
SHOWN = ("provider", "same_as_latest", "type", "page", "offset")
"""Columns that are visible at first, behind what names a finding."""
SHOWN_OF_SEVERAL = ("provider", "same_as_latest", "offset")
"""The same where a column says of which exhibit a finding is."""
FACETS = (
    ("place", "Place"),
    ("provider", "Provider"),
    ("namespace", "Namespace"),
    ("severity", "Severity"),
    ("finding", "Finding"),
)


@dataclass(frozen=True, slots=True)
class PageData:
    """The parts of a page that need no hash of the evidence."""

    table: Table
    lines: dict[str, str]
    """The findings' columns as JSON, without the hash of the evidence."""
    groups: objects.ObjectGroups
    charts: charts.ChartData


def render(audit: Audit, fail_on: Severity, data: PageData, custody: Custody) -> str:
    """The visible part of a page, as HTML from the first element to the last before the scripts.

    Args:
        audit: The audit.
        fail_on: The severity of --fail-on.
        data: The parts that need no hash.
        custody: The custody at the end of the page.
    """
    evidence = audit.evidence
    control = words.control(audit)
    head = Shell(
        command="",
        heading=evidence.name,
        version=audit.run.version,
        finished=audit.run.finished,
        case=audit.run.case,
        outcome=audit.verdict(fail_on).name.lower(),
        verdict=verdict.sentences(audit, fail_on),
        scope=[_scope(audit), *([f"Self-test: {control}."] if control else [])],
        tiles=tiles.of(audit),
    )
    columns = view(audit)
    scripts = embed.script("explained", explain.document(audit)) + embed.script("view", columns.plain)
    return shell.render(head, "report.html", scripts, view=columns, **_body(audit, fail_on, data, custody))


def view(audit: Audit) -> View:
    """The columns and filters of an audit's table: with several exhibits each row says which it is of."""
    exhibits = {source: part.name for part in audit.parts for source in (part.name, *part.sources)}
    several = len(audit.parts) > 1
    which = ("exhibit",) if several else ()
    return View(
        noun="finding",
        nouns="findings",
        shown=("severity", "name", "namespace", "finding", "place", *which, *(SHOWN_OF_SEVERAL if several else SHOWN)),
        phone=("severity", "name", "namespace", "finding", *which),
        facets=((("exhibit", "Evidence"),) if several else ()) + FACETS,
        numbers=NUMBERS,
        exhibits=exhibits if several else {},
    )


def _body(audit: Audit, fail_on: Severity, data: PageData, custody: Custody) -> dict[str, object]:
    """The variables of the template."""
    evidence, chronology, groups = audit.evidence, audit.chronology, data.groups
    places = tables.of_places_briefly(audit) if tables.has_many_keys(audit) else tables.of_places(audit)
    given, defaults = _options(audit)
    return {
        "audit": audit,
        "facts": facts(audit),
        "sources": [(source, _stats(source)) for source in evidence.sources],
        "backend": _backend(audit),
        "options": given,
        "defaults": defaults,
        "provenance": provenance.facts(audit.run),
        "gaps": audit.gaps[:MOST_GAPS],
        "more_gaps": max(0, len(audit.gaps) - MOST_GAPS),
        "decisive": [part for part in audit.unexamined if part.decisive],
        "standing": [part for part in audit.unexamined if not part.decisive],
        "steps": next_steps.of(audit, data.table),
        **_rotation(audit),
        "causes": tables.of_causes(audit),
        "parts": tables.of_parts(audit, fail_on),
        "places": places,
        "place_numbers": [name for name in places[0][1:] if name not in tables.PLACE_TEXTS],
        "coverage": tables.of_coverage(audit),
        "times": (time_table.HEADER, time_table.rows(chronology)) if chronology is not None else None,
        "time_remarks": time_table.remarks(chronology) if chronology is not None else (),
        "keys": (key_table.HEADER, key_table.table(audit)),
        "drawn": drawing.charts(charts.document(audit, data.charts)),
        "groups": groups,
        "groups_said": _groups(groups),
        "header": objects.HEADER,
        "sha256": custody.findings,
        "meanings": _meanings(audit),
        "gone": _absent(audit),
        "acceptances": _acceptances(audit),
        "controls": _controls(custody.controls),
        "limitations": explain.LIMITATIONS,
        "columns": COLUMNS,
    }


def _groups(groups: objects.ObjectGroups) -> str:
    """How many objects there are, and how many of them are listed."""
    if not groups.findings:
        return "There are none."
    findings = words.plural(groups.findings, "finding")
    if groups.objects > len(groups.lines):
        return f"The first {len(groups.lines):,} of {groups.objects:,} objects with {findings}, most severe first."
    return f"{words.plural(groups.objects, 'object')} with {findings}, most severe first."


def _options(audit: Audit) -> tuple[list[tuple[str, str]], int]:
    """The options that were given, and the number of those that have their defaults."""
    defaults = settings(Options())
    given = [(name, _text(value)) for name, value in audit.run.options if value != defaults.get(name)]
    return given, len(audit.run.options) - len(given)


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


def facts(audit: Audit) -> list[tuple[str, str]]:
    """The facts of the evidence and the run that a page lists."""
    known = words.facts(audit)
    return [(LABELS.get(name, name), known[name]) for name in FACTS if name in known]


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
