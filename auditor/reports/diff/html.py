"""The comparison as one self-contained HTML file: the page of a scan, whose rows are objects, most severe first."""

from collections.abc import Mapping, Sequence
from typing import IO

from auditor.diff.compare import Comparison, leftovers
from auditor.diff.objects import Content, FormChange
from auditor.diff.rows import COLUMNS, NUMBERS
from auditor.model.findings import Cell
from auditor.model.vocabulary import Severity
from auditor.reports import provenance, verdict
from auditor.reports.diff import json as diff_json
from auditor.reports.diff import words
from auditor.reports.html import drawing, embed, shell
from auditor.reports.html.shell import Shell, Tile, View
from auditor.reports.meaning import MEANING

HEADER = ("severity", "object", "form", "content", "before", "after", "finding", "detail", "resource")
VIEW = View(
    noun="object",
    nouns="objects",
    shown=(
        *("severity", "name", "namespace", "form", "content", "finding", "before_provider", "before_key_name"),
        *("after_provider", "after_key_name"),
    ),
    phone=("severity", "name", "namespace", "form", "finding"),
    facets=(
        ("form", "Form"),
        ("content", "Content"),
        ("after_provider", "Provider after"),
        ("namespace", "Namespace"),
        ("severity", "Severity"),
        ("finding", "Finding"),
    ),
    numbers=NUMBERS,
    lines=(
        *(("severity",), ("namespace", "name"), ("form",), ("content",), ("before_provider", "before_key_name")),
        *(("after_provider", "after_key_name"), ("finding",), ("detail",), ("resource",)),
    ),
)
_RANKS = {severity.label: int(severity) for severity in Severity}


def write(comparison: Comparison, fail_on: Severity, out: IO[str]) -> None:
    """Write the page. fail_on: the severity of --fail-on."""
    custody = diff_json.document(comparison, fail_on)
    custody.pop(diff_json.ROWS)  # the page embeds by columns what it lists of them
    columns, total = _rows(comparison), sum(comparison.objects.values())
    listed = len(columns["form"])
    count = min(listed, shell.MOST)
    some = f"The first {count:,} of {listed:,}" if count < listed else f"{listed:,}"
    after = comparison.after
    head = Shell(
        command=" diff",
        heading=f"{comparison.before.evidence.name} and {after.evidence.name} compared",
        version=after.run.version,
        finished=after.run.finished,
        case=after.run.case,
        outcome=comparison.verdict(fail_on).name.lower(),
        verdict=words.verdict(comparison, fail_on),
        scope=[f"Scope: {', '.join(after.resources)}, current values of both, and what AFTER left behind."],
        tiles=_tiles(comparison, columns),
    )
    explained = {"findings": {kind.label: list(texts) for kind, texts in MEANING.items()}, "places": {}, "evidence": ""}
    page = shell.render(
        head,
        "diff.html",
        embed.script("explained", explained) + embed.script("view", VIEW.plain),
        view=VIEW,
        steps=[shell.Step(step.who, step.what) for step in verdict.steps(after)],
        said=f"{some} of {total:,} objects, most severe first: those whose form or content differs, is unknown, or is "
        "not as it should be.",
        header=HEADER,
        lines=shell.lines(columns, VIEW.lines, range(count)),
        tables=[
            ("objects by form and content", words.forms(comparison)),
            ("current values by key", words.keys(comparison)),
            ("values left behind", words.leftover_table(comparison)),
        ],
        drawn=_charts(comparison),
        facts=_facts(comparison),
        not_examined=words.unexamined(comparison),
        notes=words.notes(comparison),
        custody=[
            ("Started", comparison.before.run.started),
            ("Finished", after.run.finished),
            *provenance.facts(after.run),
        ],
        columns=COLUMNS,
    )
    out.write(shell.document(page, columns, NUMBERS, custody))


def _rows(comparison: Comparison) -> Mapping[str, Sequence[Cell]]:
    """The objects that differ or are not as they should be, most severe first."""
    chosen = words.differences(comparison)
    severities = [comparison.columns["severity"][row] for row in chosen]
    order = [chosen[number] for number in shell.by_severity(severities, _RANKS)]
    return {name: [comparison.columns[name][row] for row in order] for name in COLUMNS}


def _facts(comparison: Comparison) -> list[tuple[str, str]]:
    origins = comparison.after.run.origins
    return [
        ("Before", words.side(comparison.before)),
        ("After", words.side(comparison.after)),
        ("Cluster", words.cluster(comparison)),
        ("Policy of AFTER", comparison.after.policy),
        ("Run", f"etcd-auditor {comparison.after.run.version}, {comparison.after.run.started}"),
        *([("Settings", ", ".join(f"{name} ({origin})" for name, origin in origins))] if origins else []),
    ]


def _tiles(comparison: Comparison, columns: Mapping[str, Sequence[Cell]]) -> list[Tile]:
    """The figures at the head: those that count objects filter the table."""
    grave = [severity.label for severity in Severity if severity > Severity.LOW]
    count = sum(cell in set(grave) for cell in columns["severity"])
    wrong = FormChange.STILL_PLAINTEXT, FormChange.TURNED_TO_PLAINTEXT
    readable = sum(count for _, count in leftovers(comparison.after).values())
    points = len(words.unexamined(comparison)) if not comparison.complete else 0
    changed = comparison.with_content(Content.CHANGED)
    return [
        Tile.of_rows(count, "objects that are not as they should be", "bad" if count else "good", severity=grave),
        *(
            Tile.of_rows(number, form.label, ("bad" if form in wrong else ""), form=(form.label,))
            for form in FormChange
            if form is not FormChange.UNCHANGED and (number := comparison.of(form))
        ),
        Tile.of_rows(changed, "hold other content", "open" if changed else "", content=(Content.CHANGED.label,)),
        Tile(f"{readable:,}", "readable values left behind in AFTER", "bad" if readable else "good", "#changes"),
        Tile(f"{points:,}", "unresolved gaps", "open" if points else "good", "#unexamined"),
    ]


def _charts(comparison: Comparison) -> list[drawing.Chart]:
    """Current values by provider and key, before and after."""
    series = [
        {"provider": provider.label, "name": words.label_of(provider.label, name), "counts": [before, after]}
        for provider, name, before, after in comparison.keys
    ]
    chart = drawing.bars(
        "shares", "Current values by provider and key", {"rows": ["BEFORE", "AFTER"], "series": series}
    )
    return [chart] if chart is not None else []
