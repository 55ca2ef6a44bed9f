"""Between what a run found and what its reports show: what is accepted, what is new, and what names become."""

from dataclasses import dataclass
from pathlib import Path

from auditor import options as run_options
from auditor.audit import baseline, custody, ignore, redaction
from auditor.evidence import exhibit
from auditor.model.findings import Acceptance, Baseline, Rows
from auditor.model.vocabulary import FindingKind, Severity
from auditor.options import Options
from auditor.text import shown


@dataclass(frozen=True, slots=True)
class TriageSettings:
    """What the options name, loaded before anything is read."""

    accepted: tuple[ignore.IgnoreRule, ...]
    earlier: baseline.BaselineReport | None
    names: redaction.Redactor

    @property
    def needs_rows(self) -> bool:
        return bool(self.accepted) or self.earlier is not None


@dataclass(frozen=True, slots=True)
class Triaged:
    rows: Rows
    accepted: tuple[tuple[FindingKind, Severity, int], ...]
    acceptances: tuple[Acceptance, ...]
    baseline: Baseline | None
    notes: tuple[str, ...]


def prepare(options: Options, earlier: baseline.BaselineReport | None) -> TriageSettings:
    """earlier: the report that options.baseline names. Raises UsageError and ConfigurationError."""
    return TriageSettings(
        ignore.load(Path(options.ignore)) if options.ignore else (),
        earlier,
        redaction.prepare(options),
    )


def apply(
    settings: TriageSettings,
    rows: Rows,
    files: exhibit.Exhibit,
    database_name: str,
    storage_prefixes: tuple[str, ...],
    options: Options,
) -> Triaged:
    """The rows as reports show them. An ignore file is compared with real names, a baseline with those that are shown.

    database_name: of the evidence's own file. A baseline waits for the hashes of the evidence. Raises UsageError.
    """
    accepted: tuple[tuple[FindingKind, Severity, int], ...] = ()
    acceptances: tuple[Acceptance, ...] = ()
    notes: tuple[str, ...] = ()
    if settings.accepted:
        applied = ignore.apply(settings.accepted, rows, shown(Path(options.ignore).name))
        rows, accepted, acceptances, notes = applied.rows, applied.accepted, applied.entries, applied.notes
    rows = settings.names.rows(rows, storage_prefixes)
    if settings.earlier is None:
        return Triaged(rows, accepted, acceptances, None, notes)
    hashes = custody.hashes(files)
    compared = baseline.compare(
        settings.earlier,
        rows,
        hashes,
        database=hashes.get(database_name, ""),
        redaction=settings.names.redaction,
        options=run_options.settings(options),
    )
    return Triaged(compared.rows, accepted, acceptances, compared.baseline, (*notes, *compared.notes))
