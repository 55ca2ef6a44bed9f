"""Figures of a run for Prometheus' textfile collector (its text format 0.0.4): no namespace and no name in them.

A run that concludes nothing writes no file: the one of the run before stays, and its age says so.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import IO, ClassVar

from auditor.model.audit import Audit
from auditor.model.vocabulary import Place, Provider, Severity
from auditor.reports.interface import Report
from auditor.reports.rows_of import groups

Labels = Mapping[str, str]


class MetricsReport(Report):
    """One file, which the collector's own user must be able to read."""

    private: ClassVar[bool] = False

    def __init__(self, fail_on: Severity) -> None:
        self._fail_on = fail_on

    def write(self, audit: Audit, out: IO[str]) -> None:
        own = {"case": audit.run.case} if audit.run.case else {}
        for name, what, samples in _metrics(audit, self._fail_on):
            out.write(f"# HELP etcd_audit_{name} {what}\n# TYPE etcd_audit_{name} gauge\n")
            for labels, value in samples:
                out.write(f"etcd_audit_{name}{_labels({**own, **labels})} {value}\n")


def _metrics(audit: Audit, fail_on: Severity) -> Iterator[tuple[str, str, list[tuple[Labels, int]]]]:
    finished = _seconds(audit.run.finished)
    yield (
        "last_success_timestamp_seconds",
        "End of the last run that reached a conclusion.",
        [({}, finished or 0)],
    )
    yield "exit_code", "Exit code of that run: 0, 1 findings, 3 inconclusive.", [({}, audit.exit_code(fail_on))]
    newest = _seconds(audit.evidence.cluster.newest)
    if newest is not None:
        yield "evidence_timestamp_seconds", "Newest object time in the evidence.", [({}, newest)]
    readable: Counter[str] = Counter({place.label: 0 for place in Place})
    for place, provider, _, count, _ in audit.tally.places:
        readable[place.label] += count * (provider is Provider.IDENTITY)
    yield (
        "readable_values",
        "Readable values of what must be encrypted, by place.",
        [({"place": place}, readable[place]) for place in readable],
    )
    severities: Counter[Severity] = Counter(dict.fromkeys(Severity, 0))
    for group in groups(audit).values():
        severities.update(group.severities)
    yield (
        "findings",
        "Findings that are not accepted, by severity.",
        [({"severity": severity.label}, count) for severity, count in sorted(severities.items())],
    )
    gaps = len(audit.gaps) + sum(part.decisive for part in audit.unexamined)
    yield "gaps", "Parts inside the scope that were not read or not concluded.", [({}, gaps)]
    yield "info", "Version of etcd-auditor.", [({"version": audit.run.version}, 1)]


def _seconds(moment: str) -> int | None:
    """Seconds since 1970 of a time in ISO 8601; None for none."""
    try:
        time = datetime.fromisoformat(moment)
    except ValueError:
        return None
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp())


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    escapes = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
    return "{" + ",".join(f'{name}="{value.translate(escapes)}"' for name, value in labels.items()) + "}"
