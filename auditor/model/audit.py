"""The audit: the one object that every report is made from."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from auditor.model import exit_codes
from auditor.model.chronology import Chronology
from auditor.model.evidence import Balance, CurrentReference, Evidence, Gap, PageMap, Unexamined
from auditor.model.findings import Acceptance, Baseline, BootstrapRecord, Control, Coverage, KeyUsage, Rows, Tally
from auditor.model.kms import KmsCalls, PluginSuggestion
from auditor.model.rotation import Rotation
from auditor.model.vocabulary import Place, Provider, RedactionMethod, Severity, Trailer, Verdict
from auditor.options import Setting

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Run:
    """One run of this program: all that is needed to repeat it."""

    version: str
    """Version of this program."""
    started: str
    """Start of the run, ISO 8601 in UTC."""
    finished: str
    """End of the run, ISO 8601 in UTC."""
    options: tuple[tuple[str, Setting], ...]
    """Name and value of every option, defaults included, in the order and under the names of
    auditor.options.settings().
    """
    origins: tuple[tuple[str, str], ...] = ()
    """Options that a configuration file or a variable sets, and its name; empty where the command line sets all."""
    case: str = ""
    """The case that --case names; empty where it names none."""
    tools: tuple[tuple[str, str], ...] = ()
    """Name and version of the interpreter, this program and its libraries; empty where no report needs them."""
    log: tuple[tuple[float, str], ...] = ()
    """Steps of the run: seconds since its start, and a sentence."""
    plugins: tuple[tuple[Provider, str, int], ...] = ()
    """KMS plugins that the run may call: provider, name and number of calls."""
    kms: tuple[KmsCalls, ...] = ()
    """The calls of --kms, to each key."""
    provenance: tuple[tuple[str, str], ...] = ()
    """Name and text of what is known of where the run was made, and with what; empty where no report needs them."""


@dataclass(frozen=True, slots=True)
class Redaction:
    """The pseudonyms that stand for the names of objects in every report of the run."""

    method: RedactionMethod
    """Ordinals, or pseudonyms by a key."""
    key_check: str = ""
    """Check value of the key of a KEYED redaction: reports with the same one can be compared by pseudonym."""

    @property
    def label(self) -> str:
        """Method and check value, as reports write them."""
        return f"{self.method.value} {self.key_check}".rstrip()


@dataclass(frozen=True, slots=True)
class ExhibitSummary:
    """One exhibit among several of one run, in numbers."""

    name: str
    """Printable name of the exhibit."""
    kind: str = ""
    """Kind of evidence, in words."""
    size: int = 0
    """Bytes of its database."""
    sha256: str = ""
    """SHA-256 of its database; empty where it is not computed."""
    trailer: Trailer | None = None
    """State of the SHA-256 that etcd appends to a snapshot; None where nothing could be read."""
    cluster: str = ""
    """Uid of its kube-system namespace; empty where it is not readable."""
    revision: int = 0
    """Current revision of its store."""
    complete: bool = False
    """Whether everything inside the scope was read and concluded."""
    severity: Severity | None = None
    """Highest severity among its findings that are not accepted; None where there are none."""
    accepted: Severity | None = None
    """Highest severity among its accepted findings; None where there are none."""
    values: int = 0
    """Number of stored values of the selected resources."""
    readable: int = 0
    """Number of plaintext values among them."""
    readable_places: tuple[Place, ...] = ()
    """Places that hold them."""
    current_holders: int = 0
    """Number of leftovers among the plaintext ones that hold what is current."""
    gaps: int = 0
    """Number of parts that were not read or not concluded."""
    sources: tuple[str, ...] = ()
    """Names of all its files."""
    problem: str = ""
    """Why nothing in it could be read; every other field but the name is empty then."""

    def exit_code(self, fail_on: Severity) -> int:
        """The exit code of a run on this exhibit alone."""
        if self.problem:
            return 2
        failed = self.severity is not None and self.severity >= fail_on
        return exit_codes.of(failed=failed, complete=self.complete)

    def verdict(self, fail_on: Severity) -> Verdict:
        """The conclusion on this exhibit alone."""
        return Verdict.of(self.severity, self.accepted, fail_on, complete=self.complete and not self.problem)


@dataclass(frozen=True)
class Audit:
    """Observations and conclusions of one run; every report is made from this and from nothing else."""

    evidence: Evidence
    """The evidence: its files, and what its store says of itself."""
    pages: PageMap
    """Kind of each page of the database; PageMap.NONE where there are no pages."""
    policy: str
    """The policy that values are judged by, as one line of text."""
    resources: tuple[str, ...]
    """Names of the resources whose values are judged."""
    coverage: tuple[Coverage, ...]
    """Counts of the stored values of every resource, judged or not, by key and place."""
    tally: Tally
    """Counts over the judged values."""
    keys: tuple[KeyUsage, ...]
    """Keys that the judged values need, and configured keys that none of them needs."""
    rows: Rows
    """One row for each stored value of the selected resources, and for each finding without one; empty where no report
    needs rows."""
    gaps: tuple[Gap, ...]
    """Parts inside the scope that were not read or not concluded."""
    unexamined: tuple[Unexamined, ...]
    """Parts that the run leaves out."""
    notes: tuple[str, ...]
    """Observations that are not judged, one sentence a note."""
    run: Run
    """Version, options and times of the run."""
    acceptances: tuple[Acceptance, ...] = ()
    """Entries of the ignore file, and how many findings each matches."""
    chronology: Chronology | None = None
    """What is known of time; None where no report needs it, and for several exhibits."""
    current: CurrentReference | None = None
    """Newer evidence that decides what is current; None where the evidence itself does."""
    baseline: Baseline | None = None
    """Comparison with an earlier report; None without --baseline."""
    control: Control | None = None
    """Positive control of the run; None where none was run."""
    rotation: Rotation | None = None
    """What to rotate; None where it was not asked for."""
    ledger: tuple[Balance, ...] = ()
    """What the readers account for, of each medium that has a ledger; empty with --quick."""
    redaction: Redaction | None = None
    """Pseudonyms in place of names; None where names stay."""
    bootstrap: tuple[BootstrapRecord, ...] = ()
    """Records of configuration that k3s or RKE2 keeps in the store."""
    plugins: tuple[PluginSuggestion, ...] = ()
    """KMS plugins by their own Pods in the evidence."""
    encrypts: bool = False
    """Whether configurations that were given write each judged resource with an encrypting provider."""
    parts: tuple[ExhibitSummary, ...] = ()
    """Summaries of the exhibits where there are several; empty for one."""

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
        """Whether everything inside the scope was read and concluded."""
        return not self.gaps and not any(part.decisive for part in self.unexamined)

    def verdict(self, fail_on: Severity = Severity.MEDIUM) -> Verdict:
        """The conclusion. fail_on: the least severity that fails the run."""
        accepted = max((severity for _, severity, count in self.tally.accepted if count), default=None)
        return Verdict.of(max(self.severities, default=None), accepted, fail_on, complete=self.complete)

    @property
    def severities(self) -> tuple[Severity, ...]:
        """Severities of the findings that are not accepted."""
        accepted = {(finding, severity): count for finding, severity, count in self.tally.accepted}
        return tuple(
            severity for finding, severity, count in self.tally.findings if count > accepted.get((finding, severity), 0)
        )

    def exit_code(self, fail_on: Severity) -> int:
        """1: a finding of at least this severity, not accepted. 3: none, and a gap in the scope. 0: neither."""
        failed = any(severity >= fail_on for severity in self.severities)
        return exit_codes.of(failed=failed, complete=self.complete)
