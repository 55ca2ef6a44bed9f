"""The formats of an audit's reports by name. The libraries of a format are imported with its first report."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from auditor.model.vocabulary import Severity
from auditor.reports.csv import FindingsSheet
from auditor.reports.interface import Report


class Asked(NamedTuple):
    """What is asked of the reports of one audit."""

    fail_on: Severity
    """The severity of --fail-on."""
    names: bool
    """Whether a pipeline's reports name objects."""
    findings: FindingsSheet
    """Shared by the reports."""


Format = Callable[[Asked], Report]
"""Creates a report."""


def _csv(asked: Asked) -> Report:
    from auditor.reports.csv import CsvReport

    return CsvReport(asked.findings)


def _inventory_csv(_: Asked) -> Report:
    from auditor.reports.csv import InventoryCsv

    return InventoryCsv()


def _inventory_parquet(_: Asked) -> Report:
    from auditor.reports.parquet import InventoryParquet

    return InventoryParquet()


def _json(asked: Asked) -> Report:
    from auditor.reports.json import JsonReport

    return JsonReport(asked.fail_on)


def _sarif(asked: Asked) -> Report:
    from auditor.reports.sarif import SarifReport

    return SarifReport(asked.fail_on)


def _remediation(_: Asked) -> Report:
    from auditor.reports.remediation.script import RemediationReport

    return RemediationReport()


def _html(asked: Asked) -> Report:
    from auditor.reports.html.report import HtmlReport

    return HtmlReport(asked.fail_on, asked.findings)


def _junit(asked: Asked) -> Report:
    from auditor.reports.junit import JUnitReport

    return JUnitReport(asked.fail_on, names=asked.names)


def _markdown(asked: Asked) -> Report:
    from auditor.reports.markdown import MarkdownReport

    return MarkdownReport(asked.fail_on, names=asked.names)


def _metrics(asked: Asked) -> Report:
    from auditor.reports.metrics import MetricsReport

    return MetricsReport(asked.fail_on)


REPORTS: Mapping[str, Format] = {
    "csv": _csv,
    "inventory.csv": _inventory_csv,
    "inventory.parquet": _inventory_parquet,
    "json": _json,
    "sarif": _sarif,
    "remediation": _remediation,
    "html": _html,
    "junit": _junit,
    "markdown": _markdown,
    "metrics": _metrics,
}
"""In the order of writing: the metrics last, which say that all else is there."""
