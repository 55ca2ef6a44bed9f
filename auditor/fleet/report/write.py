"""The report as files: HTML, CSV, JSON, Markdown, JUnit."""

import json as json_library
from typing import IO
from xml.sax.saxutils import escape, quoteattr

from auditor.fleet.report.model import Answer, FleetReport
from auditor.reports import csv as csv_library

FORMAT, VERSION = "etcd-auditor fleet report", 1
CSV_COLUMNS = ("section", "table", "row", "column", "value")
MARKDOWN_SECTIONS = 4
"""Sections in --markdown: the conclusion, and the first three."""


def json(report: FleetReport, out: IO[str]) -> None:
    """Everything, and what a later report is compared with."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "tool": report.tool,
        "dataset": report.dataset,
        "as_of": report.as_of,
        "severe": report.severe,
        "new": report.new,
        "open_questions": report.open_questions,
        "objects_sha256": report.sha256,
        "sections": [
            {
                "name": section.name,
                "title": section.title,
                "answer": section.answer.value,
                "sentences": section.sentences,
                "tables": [
                    {"name": grid.name, "columns": grid.header, "rows": [list(row) for row in grid.rows]}
                    for grid in section.grids
                ],
            }
            for section in report.sections
        ],
        "state": report.state,
    }
    json_library.dump(document, out, indent=1)
    out.write("\n")


def csv(report: FleetReport, out: IO[str]) -> None:
    """A line a cell of every table: section, table, row, column, value. Cells are inert, as in all our CSV."""
    cells = [
        (section.name, grid.name, number, name, cell)
        for section in report.sections
        for grid in section.grids
        for number, row in enumerate(grid.rows, 1)
        for name, cell in zip(grid.header, row, strict=True)
    ]
    columns = dict(zip(CSV_COLUMNS, zip(*cells, strict=True) if cells else [()] * len(CSV_COLUMNS), strict=True))
    out.writelines(csv_library.lines(columns, frozenset({"row"})))


def markdown(report: FleetReport, out: IO[str]) -> None:
    """The conclusion and the first sections, in counts."""
    for section in report.sections[:MARKDOWN_SECTIONS]:
        out.write(f"## {section.title}: {section.answer.value}\n\n")
        out.writelines(f"- {_plain(sentence)}\n" for sentence in section.sentences)
        out.writelines(f"- {grid.name}: {len(grid.rows):,}\n" for grid in section.grids)
        out.write("\n")


def junit(report: FleetReport, out: IO[str]) -> None:
    """A test case a section: it fails where there are findings, and is an error where something is unknown."""
    failures = sum(section.answer is Answer.FINDINGS for section in report.sections)
    errors = sum(section.answer is Answer.UNKNOWN for section in report.sections)
    out.write('<?xml version="1.0" encoding="UTF-8"?>\n')
    counts = f'tests="{len(report.sections)}" failures="{failures}" errors="{errors}"'
    out.write(f'<testsuite name="etcd-auditor fleet" {counts}>\n')
    for section in report.sections:
        out.write(f"<testcase classname={quoteattr('fleet')} name={quoteattr(section.title)}>")
        kind = {Answer.FINDINGS: "failure", Answer.UNKNOWN: "error"}.get(section.answer)
        if kind:
            message, text = quoteattr(section.sentences[0]), escape("\n".join(section.sentences))
            out.write(f"<{kind} message={message}>{text}</{kind}>")
        out.write("</testcase>\n")
    out.write("</testsuite>\n")


def html(report: FleetReport, out: IO[str]) -> None:
    """One self-contained page; its only script searches it."""
    from importlib.resources import files

    from jinja2 import Environment, PackageLoader, StrictUndefined

    from auditor.reports.html import assets

    environment = Environment(
        loader=PackageLoader("auditor.fleet.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    text = files("auditor.fleet.report").joinpath("static", "search.js").read_text(encoding="utf-8")
    script = assets.Script("search", text, module=False)
    conclusion, *sections = report.sections
    outcome = {Answer.FINDINGS: "findings", Answer.UNKNOWN: "inconclusive", Answer.NONE: "none"}[conclusion.answer]
    page = environment.get_template("fleet.html").stream(
        report=report,
        conclusion=conclusion,
        sections=sections,
        outcome="accepted" if outcome == "none" and report.standing else outcome,
        policy=assets.policy((script,)),
        script=script,
    )
    out.writelines(page)


def _plain(text: str) -> str:
    """A sentence that no reader of Markdown takes for a link, a tag or a table."""
    return "".join(f"\\{mark}" if mark in "\\`*_[]<>|#" else mark for mark in text)


FORMATS = {"json": json, "csv": csv, "markdown": markdown, "junit": junit, "html": html}
