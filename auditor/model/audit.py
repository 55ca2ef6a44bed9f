"""The audit: what every report is made from."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from auditor.model.evidence import Evidence, Gap, PageMap, Unexamined
from auditor.model.findings import Acceptance, Baseline, Control, Coverage, KeyUsage, Rows, Tally
from auditor.model.vocabulary import Provider, RedactionMethod, Severity, Trailer, Verdict
from auditor.options import Setting

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Run:
    """What is needed to repeat the run. Times are ISO 8601 in UTC."""

    version: str
    """Of this program."""
    started: str
    finished: str
    options: tuple[tuple[str, Setting], ...]
    """Exactly as they were given, defaults included, under the names of auditor.options.settings()."""
    case: str = ""
    """What --case names it."""
    tools: tuple[tuple[str, str], ...] = ()
    """Name and version of what the run was made with; empty where no report needs them."""
    log: tuple[tuple[float, str], ...] = ()
    """Seconds since the start, and what was done."""
    plugins: tuple[tuple[Provider, str, int], ...] = ()
    """Provider and name of each KMS plugin that might be called, and how often it was."""


@dataclass(frozen=True, slots=True)
class Redaction:
    """What stands for the names of objects in every report of the run."""

    method: RedactionMethod
    key_check: str = ""
    """Of KEYED: reports that share it share their key, so that their pseudonyms can be compared."""

    @property
    def label(self) -> str:
        return f"{self.method.value} {self.key_check}".rstrip()


@dataclass(frozen=True, slots=True)
class ExhibitSummary:
    """One exhibit among several of one run."""

    name: str
    kind: str = ""
    size: int = 0
    sha256: str = ""
    """Of its database."""
    trailer: Trailer | None = None
    cluster: str = ""
    """The uid of its kube-system namespace; empty where it is not readable."""
    revision: int = 0
    verdict: Verdict = Verdict.INCONCLUSIVE
    complete: bool = False
    severity: Severity | None = None
    """The highest of its findings that are not accepted."""
    values: int = 0
    """Stored values of the selected resources."""
    readable: int = 0
    """Of those, plaintext ones."""
    in_use: int = 0
    """Of those, leftovers with the content of the current, encrypted value."""
    gaps: int = 0
    """Their number."""
    sources: tuple[str, ...] = ()
    """The names of all its files."""
    problem: str = ""
    """Why nothing in it could be read; the rest is empty then."""

    def exit_code(self, fail_on: Severity) -> int:
        """What this piece alone would end with."""
        if self.problem:
            return 2
        if self.severity is not None and self.severity >= fail_on:
            return 1
        return 0 if self.complete else 3


@dataclass(frozen=True)
class Audit:
    """Everything one run saw and concluded; every report is made from this and from nothing else."""

    evidence: Evidence
    pages: PageMap
    policy: str
    """The policy in words."""
    resources: tuple[str, ...]
    """Names of those that were judged."""
    coverage: tuple[Coverage, ...]
    tally: Tally
    keys: tuple[KeyUsage, ...]
    rows: Rows
    """One for each stored value of the selected resources; empty where no report needs rows."""
    gaps: tuple[Gap, ...]
    unexamined: tuple[Unexamined, ...]
    notes: tuple[str, ...]
    """What was observed and is not judged."""
    run: Run
    acceptances: tuple[Acceptance, ...] = ()
    """The entries of the ignore file."""
    baseline: Baseline | None = None
    control: Control | None = None
    """What was planted in this run to be found."""
    redaction: Redaction | None = None
    """What stands for names; None where they stand as they are."""
    parts: tuple[ExhibitSummary, ...] = ()
    """The exhibits, where there are several."""

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
