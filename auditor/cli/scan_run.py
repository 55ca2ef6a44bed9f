"""The run of a scan: its options are checked, the audit is run, reports are written, the summary is printed."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from auditor import inputs
from auditor.cli import live_options, output
from auditor.cli.progress import bars, counting
from auditor.cli.reports import Preparing, ReportFiles, rotation_files, write_dataset, write_rotation
from auditor.cli.scan_request import ScanRequest
from auditor.encryption.kms import address
from auditor.errors import UsageError
from auditor.model.audit import Audit

if TYPE_CHECKING:
    from auditor.evidence.live.access import Access


LEADING = 21
"""Objects with findings that are looked up for the summary: those that it names, and one that says there are more."""


def run(request: ScanRequest) -> int:
    """The exit code: 1 findings at or above --fail-on, 3 inconclusive, 0 neither. Raises AuditorError."""
    from auditor.evidence.discovery import bystanders, texts
    from auditor.evidence.discovery.arguments import Beside, resolve_arguments
    from auditor.verify.own import is_report

    request.check()
    beside = Beside(given=request.options.encryption_configs)
    evidence = resolve_arguments(request.evidence, is_report, beside)
    if len(evidence) > 1:
        live_options.none(evidence, request.live)
    if len(evidence) > 1 and inputs.STDIN in evidence:
        raise UsageError("standard input is one evidence item: scan it by itself")
    unnamed = tuple(path for path in evidence if path not in request.evidence and inputs.is_pipe(path))
    options = replace(request.options, unnamed_pipes=unnamed, companion_configs=tuple(beside.companions))
    options = replace(options, beside_texts=tuple(beside.texts) if options.hunt else ())
    request = replace(request, options=options)
    access, current_access = live_options.accesses([evidence[0], request.options.current], request.live)
    protected = _inputs(evidence if access is None else [], request, current=current_access is None)
    request.seals.check(request.targets)
    output.check(
        [*request.targets, request.metrics, *request.seals.files(request.targets)], protected, force=request.force
    )
    if request.dataset is not None:
        output.folder(request.dataset, protected)
    reports = ReportFiles(request.reports, request.fail_on, names=request.names)
    reports.check(options, len(evidence))
    audit = reports.of_cluster(_audit(evidence, (access, current_access), request, reports), options)
    audit = replace(audit, run=replace(audit.run, origins=request.origins))
    if beside.passed:
        note = bystanders.note(beside.passed, "the folders that were named", every=request.verbose)
        audit = replace(audit, notes=(*audit.notes, note))
    if unsearched := texts.unsearched(options, evidence):
        audit = replace(audit, unexamined=(*audit.unexamined, *unsearched))
    reports.write(audit, force=request.force)
    if request.dataset is not None:
        write_dataset(audit, request.dataset, force=request.force)
    written, rows = request.targets, reports.rows
    if request.rotation is not None:
        lists = rotation_files(audit, request.rotation, split=bool(request.split_by))
        rows |= write_rotation(lists, force=request.force)
        written = [*(target for target in written if target != request.rotation), *lists]
    request.seals.write(written, force=request.force)
    from auditor.reports import terminal

    printer = terminal.Printer(sys.stderr if output.STDOUT in request.targets else sys.stdout)
    terminal.write(audit, request.fail_on, printer, verbose=request.verbose, names=request.names or None)
    if lines := output.written([*written, request.metrics, *request.seals.files(written), request.dataset], rows):
        printer.print(*lines, sep="\n", markup=False, soft_wrap=True)
    return audit.exit_code(request.fail_on)


def _inputs(evidence: list[str], request: ScanRequest, *, current: bool) -> list[Path]:
    """The files that are read, over which nothing is written. current: whether --current is a file."""
    options = request.options
    files = [*options.current_configs, *([options.current] if current else [])]
    files += [options.wal_dir, options.k3s_token, options.baseline, options.ignore, options.redact_key, options.owners]
    files += address.files(options.kms)
    read = [*evidence, *options.encryption_configs, *(path for path, _ in options.companion_configs)]
    paths = [*map(Path, [*read, *filter(None, files)])]
    return [*paths, *live_options.files(request.live), *filter(None, [request.seals.sign])]


def _audit(
    evidence: list[str],
    accesses: "tuple[Access | None, Access | None]",
    request: ScanRequest,
    reports: ReportFiles,
) -> Audit:
    # the names that --case may hold are known by the rows
    named = request.options.redact_names and bool(request.options.case)
    rows = named or request.verbose or any((*request.targets, request.metrics, request.dataset))
    options = replace(
        request.options,
        rows=rows,
        leading=0 if rows else LEADING,
        # copies of what an encrypted Secret holds are to be rotated too
        listed=bool(request.inventory or request.dataset or (request.rotation and request.options.hunt)),
    )
    options = reports.any_cluster(options)
    if len(evidence) > 1:
        from auditor.scanning import many

        with counting() as report:
            audit = many.scan(evidence, options, request.jobs, report)
        reports.prepare(audit.rows)
        return audit
    import auditor

    with bars() as observer:
        preparing = Preparing(observer, reports)
        return auditor.scan(evidence[0], options, observer=preparing, access=accesses[0], current_access=accesses[1])
