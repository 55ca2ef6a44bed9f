"""The rows of each kind of finding, counted by severity, for reports that list ids and names."""

from dataclasses import dataclass, field

from auditor.model.audit import Audit
from auditor.model.vocabulary import Severity

MOST = 50
"""Rows of a kind and severity that are listed."""


@dataclass(slots=True)
class Group:
    """The findings of one kind that are not accepted, by severity."""

    severities: dict[Severity, int] = field(default_factory=dict)
    """Number of findings."""
    rows: dict[Severity, list[tuple[str, str]]] = field(default_factory=dict)
    """Id of the first rows, and namespace and name, printable."""

    def failing(self, fail_on: Severity) -> int:
        """The number of findings at or above a severity."""
        return sum(count for severity, count in self.severities.items() if severity >= fail_on)

    def listed(self, severity: Severity, *, names: bool) -> list[str]:
        """The first rows of a severity: names of their objects, or ids."""
        return list(dict.fromkeys(name if names else id_ for id_, name in self.rows.get(severity, ())))


def groups(audit: Audit) -> dict[str, Group]:
    """The findings by the name of their kind."""
    found: dict[str, Group] = {}
    accepted = {(kind, severity): count for kind, severity, count in audit.tally.accepted}
    for kind, severity, count in audit.tally.findings:
        group = found.setdefault(kind.label, Group())
        left = count - accepted.get((kind, severity), 0)
        group.severities[severity] = group.severities.get(severity, 0) + left
    if audit.rows.columns:
        _list(audit, found)
    return found


def _list(audit: Audit, found: dict[str, Group]) -> None:
    from auditor.model.table import pairs_of  # numpy

    columns = audit.rows.columns
    for row, finding in pairs_of(audit.rows):
        rows = found.setdefault(finding.kind.label, Group()).rows.setdefault(finding.severity, [])
        if not finding.accepted and len(rows) < MOST:
            name = "/".join(filter(None, (str(columns["namespace"][row]), str(columns["name"][row]))))
            rows.append((str(columns["id"][row]), name or str(columns["source"][row])))
