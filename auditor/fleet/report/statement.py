"""The statement for an assessor: one dated page of what was examined, by which criteria, with which exceptions."""

from typing import IO

from auditor.fleet.report.context import Context
from auditor.fleet.report.model import FleetReport, Grid, Section
from auditor.reports.controls import CONTROLS, VERSIONS
from auditor.text import escaped

RELEVANT = (
    "PCI DSS 4.0, 3.5 to 3.7",
    "SOC 2 (Trust Services Criteria 2017), CC6.1 and CC6.7",
    *(f"{control.framework} {VERSIONS[control.framework]} {control.id}".replace("  ", " ") for control in CONTROLS),
)
"""Controls that the statement may be relevant to, with their editions."""

_PERIOD = "SELECT min(taken), max(taken) FROM population WHERE state = 'examined' AND stamp > 0"
_POLICIES = """
SELECT DISTINCT b.policy FROM all_backups b JOIN population p USING (backup) WHERE p.state = 'examined' ORDER BY 1"""


def write(report: FleetReport, context: Context, out: IO[str]) -> None:
    """Write the page, as text."""
    sections = {section.name: section for section in report.sections}
    first, last = context.rows(_PERIOD)[0]
    policies = context.rows(_POLICIES)
    current = (
        "by value, with the newest examined backup of each cluster"
        if context.compared
        else "by object and mod revision only, with the newest examined backup of each cluster"
    )
    lines = [
        "STATEMENT ON THE ENCRYPTION OF SECRETS IN BACKUPS OF ETCD",
        "",
        f"Date                {report.as_of}",
        f"Data set            {report.dataset}",
        f"Tool                etcd-auditor {report.tool}",
        f"Period              {first or 'none'} to {last or 'none'}",
        f"Objects examined    SHA-256 of their list: {report.sha256}",
        f"Current             compared {current}",
        "",
        "Criteria",
        *(f"  {escaped(policy)}" for (policy,) in policies if policy),
        "",
        "Population",
        *_sentences(sections["population"]),
        *_table(sections["population"].grids[0]),
        "",
        "Conclusion",
        *_sentences(sections["conclusion"]),
        *_sentences(sections["rotate"]),
        "",
        "Exceptions",
        *(f"  {each}" for each in report.exceptions or ("none",)),
    ]
    if "migration" in sections:
        lines += ["", sections["migration"].title, *_sentences(sections["migration"])]
        lines += _table(sections["migration"].grids[0])
    lines += ["", "Relevant to (no claim of conformity):", *(f"  {control}" for control in RELEVANT), ""]
    out.write("\n".join(lines))


def _sentences(section: Section) -> list[str]:
    return [f"  {sentence}" for sentence in section.sentences]


def _table(grid: Grid) -> list[str]:
    """A block a row: a wide table does not fit on paper."""
    lines = []
    for row in grid.rows:
        cells = [f"{name} {cell}" for name, cell in zip(grid.header[1:], row[1:], strict=True) if cell not in {"", 0}]
        lines.append(f"  {row[0]}: {'; '.join(cells)}")
    return lines
