"""The run of a scan: its options are checked, the audit is run, reports are written, the summary is printed."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from auditor.cli import checksums, live_options, output
from auditor.cli.live_options import LiveOptions
from auditor.cli.progress import bars, counting
from auditor.cli.reports import Preparing, ReportFiles, rotation_files, write_dataset, write_rotation
from auditor.errors import UsageError
from auditor.model.audit import Audit
from auditor.model.vocabulary import Severity
from auditor.options import Options
from auditor.text import shown

if TYPE_CHECKING:
    from auditor.evidence.live.access import Access


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """One scan, as on the command line."""

    evidence: tuple[str, ...]
    live: LiveOptions
    options: Options
    fail_on: Severity
    csv: Path | None
    inventory: Path | None
    json: Path | None
    html: Path | None
    sarif: Path | None
    remediation: Path | None
    dataset: Path | None
    rotation: Path | None
    split_by: str
    jobs: int
    force: bool
    verbose: bool

    @property
    def targets(self) -> list[Path | None]:
        """The output files; the snapshot of --keep is the last."""
        snapshot = Path(self.options.keep) if self.options.keep else None
        return [self.csv, self.inventory, self.json, self.html, self.sarif, self.remediation, self.rotation, snapshot]

    @property
    def reports(self) -> dict[str, Path]:
        """The files of the reports, by the name of the format."""
        files = {
            "csv": self.csv,
            f"inventory{self.inventory.suffix if self.inventory else ''}": self.inventory,
            "json": self.json,
            "sarif": self.sarif,
            "remediation": self.remediation,
            "html": self.html,
        }
        return {name: path for name, path in files.items() if path is not None}


def run(request: ScanRequest) -> int:
    """The exit code: 1 findings at or above --fail-on, 3 inconclusive, 0 neither. Raises AuditorError."""
    from auditor.evidence.discovery.arguments import resolve_arguments
    from auditor.verify.own import is_report

    _check(request)
    evidence = resolve_arguments(request.evidence, is_report)
    access = live_options.access(evidence[0], request.live) if len(evidence) == 1 else None
    if len(evidence) > 1:
        live_options.none(evidence, request.live)
    options = request.options
    other_inputs = (
        options.wal_dir,
        options.k3s_token,
        options.baseline,
        options.ignore,
        options.redact_key,
        options.owners,
    )
    inputs = [*(evidence if access is None else ()), *options.encryption_configs, *filter(None, other_inputs)]
    protected = [*map(Path, inputs), *live_options.files(request.live)]
    output.check([*request.targets, *checksums.targets(request.targets)], protected, force=request.force)
    if request.dataset is not None:
        output.folder(request.dataset, protected)
    reports = ReportFiles(request.reports, request.fail_on)
    audit = _audit(evidence, access, request, reports)
    reports.write(audit, force=request.force)
    if request.dataset is not None:
        write_dataset(audit, request.dataset, force=request.force)
    written = request.targets
    if request.rotation is not None:
        lists = rotation_files(audit, request.rotation, split=bool(request.split_by))
        write_rotation(lists, force=request.force)
        written = [*(target for target in written if target != request.rotation), *lists]
    checksums.write(written, force=request.force)
    from auditor.reports import terminal

    printer = terminal.Printer(sys.stderr if output.STDOUT in request.targets else sys.stdout)
    terminal.write(audit, request.fail_on, printer, verbose=request.verbose)
    return audit.exit_code(request.fail_on)


def _check(request: ScanRequest) -> None:
    """Raises UsageError where options contradict each other."""
    if request.inventory is not None and request.inventory.suffix not in {".csv", ".parquet"}:
        raise UsageError(f"--inventory {request.inventory}: the name must end in .csv or .parquet")
    _check_rotation(request)
    if request.options.redact_names and request.remediation is not None:
        raise UsageError("--remediation writes commands with the names of objects: leave out --redact-names")
    if request.options.keep == str(output.STDOUT):
        raise UsageError("--keep - : name a file for the snapshot")


def _check_rotation(request: ScanRequest) -> None:
    """Raises UsageError where the options of the list of what to rotate contradict each other."""
    if request.rotation is None:
        for name, value in (("--split-by", request.split_by), ("--owners", request.options.owners)):
            if value:
                raise UsageError(f"{name} is about the list of what to rotate: give --rotation too")
        if request.options.owner_label:
            raise UsageError("--owner-label is about the list of what to rotate: give --rotation too")
    elif request.rotation.suffix not in {".csv", ".md"}:
        raise UsageError(f"--rotation {request.rotation}: the name must end in .csv or .md")
    elif request.split_by not in {"", "owner"}:
        raise UsageError(f"--split-by {shown(request.split_by)}: only `owner` is known")


def _audit(evidence: list[str], access: "Access | None", request: ScanRequest, reports: ReportFiles) -> Audit:
    # the names that --case may hold are known by the rows
    named = request.options.redact_names and bool(request.options.case)
    options = replace(
        request.options,
        rows=named or any((*request.targets, request.dataset)),
        # copies of what an encrypted Secret holds are to be rotated too
        listed=bool(request.inventory or request.dataset or (request.rotation and request.options.hunt)),
    )
    if len(evidence) > 1:
        if request.rotation is not None:
            raise UsageError("--rotation is of one evidence item: name one")
        from auditor.scanning import many

        with counting() as report:
            audit = many.scan(evidence, options, request.jobs, report)
        reports.prepare(audit.rows)
        return audit
    import auditor

    with bars() as observer:
        return auditor.scan(evidence[0], options, observer=Preparing(observer, reports), access=access)
