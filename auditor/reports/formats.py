"""The formats of an audit's reports by name. The libraries of a format are imported with its first report."""

from collections.abc import Callable, Mapping

from auditor.model.vocabulary import Severity
from auditor.reports.csv import FindingsSheet
from auditor.reports.interface import Report

Format = Callable[[Severity, FindingsSheet], Report]
"""Creates a report. Severity: of --fail-on. FindingsSheet: shared by the reports of one audit."""


def _csv(_: Severity, findings: FindingsSheet) -> Report:
    from auditor.reports.csv import CsvReport

    return CsvReport(findings)


def _inventory_csv(_: Severity, __: FindingsSheet) -> Report:
    from auditor.reports.csv import InventoryCsv

    return InventoryCsv()


def _inventory_parquet(_: Severity, __: FindingsSheet) -> Report:
    from auditor.reports.parquet import InventoryParquet

    return InventoryParquet()


def _json(fail_on: Severity, _: FindingsSheet) -> Report:
    from auditor.reports.json import JsonReport

    return JsonReport(fail_on)


def _sarif(fail_on: Severity, _: FindingsSheet) -> Report:
    from auditor.reports.sarif import SarifReport

    return SarifReport(fail_on)


def _remediation(_: Severity, __: FindingsSheet) -> Report:
    from auditor.reports.remediation.script import RemediationReport

    return RemediationReport()


def _html(fail_on: Severity, findings: FindingsSheet) -> Report:
    from auditor.reports.html.report import HtmlReport

    return HtmlReport(fail_on, findings)


REPORTS: Mapping[str, Format] = {
    "csv": _csv,
    "inventory.csv": _inventory_csv,
    "inventory.parquet": _inventory_parquet,
    "json": _json,
    "sarif": _sarif,
    "remediation": _remediation,
    "html": _html,
}
"""In the order of writing."""
