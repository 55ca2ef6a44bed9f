"""The report as one self-contained HTML file: no script, no network, nothing but its own text."""

from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING

from auditor.model import Audit, Cell, Severity
from auditor.reports import words
from auditor.reports.columns import COLUMNS, Table, of_findings

if TYPE_CHECKING:
    from markupsafe import Markup

SHOWN = ("severity", "finding", "place", "namespace", "name", "provider", "key_name", "same_as_latest", "type",
         "data_keys", "created", "mod_revision", "source", "offset", "size", "detail")  # fmt: skip


def prepare(table: Table) -> "list[Markup]":
    """The rows of the table of findings: made while the evidence is being hashed."""
    return list(_lines([table.columns[name] for name in SHOWN]))


def write(audit: Audit, fail_on: Severity, out: IO[str], prepared: "list[Markup] | None" = None) -> None:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("auditor.reports"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    template = environment.get_template("report.html")
    stream = template.stream(
        audit=audit,
        evidence=audit.evidence,
        verdict=words.verdict(audit, fail_on),
        others=words.others(audit),
        kind=words.kind(audit),
        scope=words.scope(audit),
        trailer=words.trailer(audit),
        steps=words.next_steps(audit),
        parts=words.part_table(audit, fail_on),
        places=words.place_table(audit),
        coverage=words.coverage_table(audit),
        shown=SHOWN,
        meaning=COLUMNS,
        rows=prepare(of_findings(audit.rows)) if prepared is None else prepared,
    )
    stream.enable_buffering(200)
    out.writelines(stream)


def _lines(columns: Sequence[Sequence[Cell]]) -> "Iterator[Markup]":
    """Table rows, escaped here column by column: a template takes several times as long for 50,000 of them."""
    from markupsafe import Markup, escape

    safe = []
    for column in columns:
        texts = {cell: str(escape(cell)) for cell in set(column)}
        safe.append([texts[cell] for cell in column])
    for row in zip(*safe, strict=True):
        yield Markup("<tr><td>" + "</td><td>".join(row) + "</td></tr>\n")  # noqa: S704 - every cell is escaped
