"""The audit: what every report is made from."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from auditor.model.evidence import Evidence, Gap, PageMap, Unexamined
from auditor.model.findings import Acceptance, Baseline, Control, Coverage, KeyUsage, Rows, Tally
from auditor.model.vocabulary import Provider, Severity, Verdict

if TYPE_CHECKING:
    import pandas as pd


Setting: TypeAlias = str | bool | int | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """The run itself: what is needed to repeat it. Times are ISO 8601 in UTC.

    options: exactly as they were given, defaults included. case: what --case named it. tools: name and version of
    what the run was made with, empty where no report needs them. log: seconds since the start, and what was done.
    plugins: each KMS plugin that might be called, and how often it was.
    """

    version: str
    started: str
    finished: str
    options: tuple[tuple[str, Setting], ...]
    case: str = ""
    tools: tuple[tuple[str, str], ...] = ()
    log: tuple[tuple[float, str], ...] = ()
    plugins: tuple[tuple[Provider, str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class ExhibitSummary:
    """One piece of evidence among several of one run. sha256: of its database. severity: the highest of its findings.

    sources: the names of all its files. problem: why nothing in it could be read; the rest is empty then.
    """

    name: str
    kind: str = ""
    size: int = 0
    sha256: str = ""
    trailer: str = ""
    cluster: str = ""
    revision: int = 0
    verdict: Verdict = Verdict.INCONCLUSIVE
    complete: bool = False
    severity: Severity | None = None
    values: int = 0
    readable: int = 0
    in_use: int = 0
    gaps: int = 0
    sources: tuple[str, ...] = ()
    problem: str = ""

    def exit_code(self, fail_on: Severity) -> int:
        """What this piece alone would end with."""
        if self.problem:
            return 2
        if self.severity is not None and self.severity >= fail_on:
            return 1
        return 0 if self.complete else 3


@dataclass(frozen=True)
class Audit:
    """Everything one run saw and concluded; every report is made from this and from nothing else.

    rows: one for each stored value of the selected resources; empty where no report needs rows. policy: the policy
    in words. notes: what was observed and is not judged. redaction: what became of names: empty, `ordinals`, or
    `keyed` with a check of the key. parts: the pieces of evidence, where there are several.
    """

    evidence: Evidence
    pages: PageMap
    policy: str
    resources: tuple[str, ...]
    coverage: tuple[Coverage, ...]
    tally: Tally
    keys: tuple[KeyUsage, ...]
    rows: Rows
    gaps: tuple[Gap, ...]
    unexamined: tuple[Unexamined, ...]
    notes: tuple[str, ...]
    run: Run
    acceptances: tuple[Acceptance, ...] = ()
    baseline: Baseline | None = None
    control: Control | None = None
    redaction: str = ""
    parts: tuple[ExhibitSummary, ...] = ()

    @property
    def findings(self) -> "pd.DataFrame":
        """One row a finding: the columns of the CSV, numbers as nullable Int64."""
        from auditor.model import table  # numpy, which the process that only parses must not load

        return table.frame(table.findings(self.rows, self.evidence))

    @property
    def inventory(self) -> "pd.DataFrame":
        """One row a stored value of the selected resources: the columns of the inventory."""
        from auditor.model import table  # numpy, which the process that only parses must not load

        return table.frame(table.inventory(self.rows, self.evidence))

    @property
    def complete(self) -> bool:
        """Whether everything inside the scope was read and concluded on."""
        return not self.gaps and not any(part.decisive for part in self.unexamined)

    @property
    def verdict(self) -> Verdict:
        if self.tally.findings:
            return Verdict.FINDINGS
        return Verdict.NONE if self.complete else Verdict.INCONCLUSIVE

    @property
    def severities(self) -> tuple[Severity, ...]:
        """Those of findings that are not accepted."""
        accepted = {(finding, severity): count for finding, severity, count in self.tally.accepted}
        return tuple(
            severity for finding, severity, count in self.tally.findings if count > accepted.get((finding, severity), 0)
        )

    def exit_code(self, fail_on: Severity) -> int:
        """1: a finding of at least this severity, not accepted. 3: no such, and not all was read. 0: neither."""
        if any(severity >= fail_on for severity in self.severities):
            return 1
        return 0 if self.complete else 3
