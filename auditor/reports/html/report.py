"""The report as one self-contained HTML file, which opens from disk and uses no network.

The file is a sequence of named parts, each with a hash, and ends in the custody for `etcd-auditor verify` (seal.py).
"""

from typing import IO

from auditor.model import table
from auditor.model.audit import Audit
from auditor.model.findings import Rows
from auditor.model.table import Table
from auditor.model.vocabulary import Severity
from auditor.reports import csv, objects
from auditor.reports.csv import FindingsSheet
from auditor.reports.html import assets, charts, embed, page, seal, shell
from auditor.reports.html.page import PageData
from auditor.reports.interface import Report


def prepare(table: Table, rows: Rows) -> PageData:
    """Prepare a page. table: table.of_findings(rows)."""
    for template in ("shell.html", "report.html"):  # they are cached, as the scripts are
        shell.environment().get_template(template)
    assets.scripts()
    return PageData(
        table=table,
        lines={name: embed.column(name, cells) for name, cells in table.columns.items() if name != "evidence"},
        groups=objects.group(table),
        charts=charts.prepare(table, rows),
    )


def write(
    audit: Audit, fail_on: Severity, out: IO[str], prepared: PageData | None = None, sheet: csv.Sheet | None = None
) -> None:
    """Write the page.

    Args:
        audit: The audit.
        fail_on: The severity of --fail-on.
        out: The text stream.
        prepared: The prepare()d page, where it exists already.
        sheet: The findings as CSV, where they exist already.
    """
    if prepared is None:
        prepared = prepare(table.of_findings(audit.rows), audit.rows)
    sealed_rows = table.with_hashes(prepared.table, audit.evidence)
    custody = seal.Custody(audit, fail_on, sheet or csv.sheet(sealed_rows))
    lines = prepared.lines | {"evidence": embed.column("evidence", sealed_rows.columns["evidence"])}
    parts = shell.parts(
        page.render(audit, fail_on, prepared, custody),
        embed.findings({name: lines[name] for name in sealed_rows.columns}),
    )
    out.write(seal.START)
    for name, text in parts.items():
        out.write(seal.mark(name))
        out.write(text)
    out.write(custody.element(parts))
    out.write(seal.END)


class HtmlReport(Report):
    """The page."""

    def __init__(self, fail_on: Severity, findings: FindingsSheet) -> None:
        self._fail_on = fail_on
        self._findings = findings
        self._prepared: PageData | None = None

    def prepare(self, rows: Rows) -> None:
        self._prepared = prepare(self._findings.prepare(rows), rows)

    def write(self, audit: Audit, out: IO[str]) -> None:
        write(audit, self._fail_on, out, self._prepared, self._findings.sheet(audit))
