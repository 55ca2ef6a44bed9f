"""Triage of the findings for reports: acceptance, comparison with a baseline, and redaction."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from auditor import options as run_options
from auditor.audit import baseline, custody, ignore, redaction
from auditor.evidence import exhibit
from auditor.kubernetes.trees import seconds
from auditor.model.findings import Acceptance, Baseline, Rows
from auditor.model.vocabulary import FindingKind, Severity
from auditor.options import Options
from auditor.text import moment, shown


@dataclass(frozen=True, slots=True)
class TriageInputs:
    """Files that the options name, loaded before the evidence is read."""

    accepted: tuple[ignore.IgnoreRule, ...]
    """Rules of the ignore file."""
    earlier: baseline.BaselineReport | None
    """Report to compare with; None without --baseline."""
    names: redaction.Redactor
    """Redactor of names."""

    @property
    def needs_rows(self) -> bool:
        """Whether triage needs the rows of the audit."""
        return bool(self.accepted) or self.earlier is not None


@dataclass(frozen=True, slots=True)
class Triaged:
    """The outcome of the triage."""

    rows: Rows
    """Rows as reports show them."""
    accepted: tuple[tuple[FindingKind, Severity, int], ...]
    """Kind, severity and number of accepted findings."""
    acceptances: tuple[Acceptance, ...]
    """Entries of the ignore file, and how many findings each matches."""
    baseline: Baseline | None
    """Comparison with an earlier report; None without --baseline."""
    notes: tuple[str, ...]
    """Notes on the ignore file and the baseline."""


def prepare(options: Options, earlier: baseline.BaselineReport | None) -> TriageInputs:
    """The files by the options. Raises UsageError and ConfigurationError.

    earlier: the report that options.baseline names.
    """
    return TriageInputs(
        ignore.load(Path(options.ignore)) if options.ignore else (),
        earlier,
        redaction.prepare(options),
    )


def apply(
    inputs: TriageInputs,
    rows: Rows,
    files: exhibit.Exhibit,
    own: str,
    storage_prefixes: tuple[str, ...],
    options: Options,
) -> Triaged:
    """The rows as reports show them. Rules of an ignore file match real names, a baseline holds redacted ones.

    A baseline waits for the hashes of the evidence.

    Args:
        inputs: rules, earlier report and redactor.
        rows: of the audit.
        files: the exhibit.
        own: name of the evidence's own file.
        storage_prefixes: of the evidence.
        options: of the run.

    Raises:
        UsageError: pseudonyms of the two reports cannot be compared.
    """
    accepted: tuple[tuple[FindingKind, Severity, int], ...] = ()
    acceptances: tuple[Acceptance, ...] = ()
    notes: tuple[str, ...] = ()
    if inputs.accepted:
        name = shown(Path(options.ignore).name)
        outcome = ignore.apply(inputs.accepted, rows, name, _day(options.as_of))
        rows, accepted, acceptances, notes = outcome.rows, outcome.accepted, outcome.entries, outcome.notes
    rows = inputs.names.rows(rows, storage_prefixes, own)
    if inputs.earlier is None:
        return Triaged(rows, accepted, acceptances, None, notes)
    hashes = custody.hashes(files)
    comparison = baseline.compare(
        inputs.earlier,
        rows,
        hashes,
        database=hashes.get(own, ""),
        redaction=inputs.names.redaction,
        options=run_options.settings(options),
    )
    return Triaged(comparison.rows, accepted, acceptances, comparison.baseline, (*notes, *comparison.notes))


def _day(as_of: str) -> date:
    """The day on which entries of an ignore file have expired: today, or a later one that the options name.

    An earlier one accepts nothing that has expired since.
    """
    today = datetime.now(UTC).date()
    return max(today, date.fromisoformat(moment(seconds(as_of))[:10])) if as_of else today
