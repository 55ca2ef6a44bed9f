"""The rows of each kind of finding, counted by severity, for reports that list ids and names."""

from dataclasses import dataclass, field

from auditor.model.audit import Audit
from auditor.model.vocabulary import Severity

MOST = 50
"""Rows of a kind that are listed."""


@dataclass(slots=True)
class Group:
    """The findings of one kind."""

    severities: dict[Severity, int] = field(default_factory=dict)
    """Number of findings that are not accepted, by severity."""
    ids: list[str] = field(default_factory=list)
    """Ids of the first rows."""
    objects: list[str] = field(default_factory=list)
    """Namespace and name of the first rows, printable."""

    def failing(self, fail_on: Severity) -> int:
        """The number of findings at or above a severity."""
        return sum(count for severity, count in self.severities.items() if severity >= fail_on)


def groups(audit: Audit) -> dict[str, Group]:
    """The findings by the name of their kind; those that are accepted are not counted."""
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
    from auditor.model.table import of_findings  # numpy

    columns = of_findings(audit.rows).columns
    cells = zip(*(columns[name] for name in ("finding", "id", "namespace", "name", "source")), strict=True)
    for kind, number, namespace, name, source in cells:
        group = found.setdefault(str(kind), Group())
        if len(group.ids) < MOST:
            group.ids.append(str(number))
            group.objects.append("/".join(filter(None, (str(namespace), str(name)))) or str(source))
