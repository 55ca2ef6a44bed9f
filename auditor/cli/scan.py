"""etcd-auditor scan: run the audit, write what was asked for, print the summary."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from auditor.cli import checksums, live_options, output
from auditor.cli.live_options import LiveOptions
from auditor.cli.progress import bars, counting
from auditor.errors import UsageError
from auditor.evidence.discovery.arguments import resolve_arguments
from auditor.model.audit import Audit
from auditor.model.findings import Rows
from auditor.model.vocabulary import Severity
from auditor.options import Options

if TYPE_CHECKING:
    from auditor.evidence.live.access import Access
    from auditor.model.table import Table
    from auditor.reports.html.report import Prepared


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """One scan as the command line asked for it."""

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
    jobs: int
    force: bool
    verbose: bool

    @property
    def targets(self) -> list[Path | None]:
        """Every file that is written; the evidence kept is the last."""
        kept = Path(self.options.keep) if self.options.keep else None
        return [self.csv, self.inventory, self.json, self.html, self.sarif, self.remediation, kept]


def run(request: ScanRequest) -> int:
    """The exit code: 1 findings at or above --fail-on, 3 inconclusive, 0 neither. Raises AuditorError."""
    if request.inventory is not None and request.inventory.suffix not in {".csv", ".parquet"}:
        raise UsageError(f"--inventory {request.inventory}: the name must end in .csv or .parquet")
    asked = request.options
    if asked.redact_names and request.remediation is not None:
        raise UsageError("--remediation writes commands with the names of objects: leave out --redact-names")
    if asked.keep == str(output.STDOUT):
        raise UsageError("--keep - : name a file for the snapshot")
    given = (*asked.encryption_configs, asked.wal_dir, asked.k3s_token, asked.baseline, asked.ignore, asked.redact_key)
    evidence = resolve_arguments(request.evidence)
    access = live_options.access(evidence[0], request.live) if len(evidence) == 1 else None
    if len(evidence) > 1:
        live_options.none(evidence, request.live)
    files = [] if access is not None else map(Path, evidence)
    read = [*files, *map(Path, filter(None, given))]
    output.check([*request.targets, *checksums.targets(request.targets)], read, force=request.force)
    if request.dataset is not None:
        output.folder(request.dataset, read)
    ahead = _Ahead(request)
    audit = _audit(evidence, access, request, ahead)
    _write(audit, request, ahead)
    _summarise(audit, request)
    return audit.exit_code(request.fail_on)


def _audit(evidence: list[str], access: Access | None, request: ScanRequest, ahead: _Ahead) -> Audit:
    rows = any(target is not None for target in (*request.targets, request.dataset))
    options = replace(request.options, rows=rows)
    if len(evidence) > 1:
        from auditor.scanning import many

        with counting() as told:
            audit = many.scan(evidence, options, request.jobs, told)
        ahead(audit.rows)
        return audit
    from auditor import scan

    with bars() as progress:
        hashing, arriving = progress("hashing"), progress("reading")
        return scan(evidence[0], options, hashing, ahead=ahead, access=access, arriving=arriving)


class _Ahead:
    """What of the reports can be written while the evidence is still being hashed."""

    def __init__(self, request: ScanRequest) -> None:
        self._request = request
        self.table: Table | None = None
        self.csv: list[str] | None = None
        self.html: Prepared | None = None

    def __call__(self, rows: Rows) -> None:
        if not (self._request.csv or self._request.html):
            return
        from auditor.model import table
        from auditor.reports import csv
        from auditor.reports.html import report

        self.table = table.of_findings(rows)
        self.csv = csv.prepare(self.table)
        self.html = report.prepare(self.table, rows) if self._request.html else None


def _write(audit: Audit, request: ScanRequest, ahead: _Ahead) -> None:
    force = request.force
    sheet = None
    if ahead.table is not None:
        from auditor.model.table import sealed
        from auditor.reports import csv

        found = sealed(ahead.table, audit.evidence)
        sheet = csv.sheet(found, ahead.csv)
        if request.csv:
            output.save(request.csv, lambda out: csv.write(found, out, sheet), force=force)
            _warn(csv.too_long(found, _called(request.csv)))
    if request.inventory and request.inventory.suffix == ".csv":
        from auditor.model.table import inventory
        from auditor.reports import csv

        stored = inventory(audit.rows, audit.evidence)
        output.save(request.inventory, lambda out: csv.write(stored, out), force=force)
        _warn(csv.too_long(stored, _called(request.inventory)))
    elif request.inventory:
        from auditor.model.table import inventory
        from auditor.reports import parquet

        output.save(
            request.inventory,
            lambda out: parquet.write(inventory(audit.rows, audit.evidence), out),
            force=force,
            binary=True,
        )
    if request.json:
        from auditor.reports import json

        output.save(request.json, lambda out: json.write(audit, request.fail_on, out), force=force)
    if request.sarif:
        from auditor.reports import sarif

        output.save(request.sarif, lambda out: sarif.write(audit, request.fail_on, out), force=force)
    if request.remediation:
        from auditor.reports import remediation

        output.save(request.remediation, lambda out: remediation.write(audit, out), force=force)
    if request.html:
        from auditor.reports.html import report

        output.save(request.html, lambda out: report.write(audit, request.fail_on, out, ahead.html, sheet), force=force)
    if request.dataset:
        from auditor.reports import dataset

        made = list(dataset.files(audit))
        output.fill(request.dataset, [(path, partial(dataset.write, table)) for path, table in made], force=force)
    checksums.write(request.targets, force=force)


def _called(target: Path) -> str:
    return "standard output" if target == output.STDOUT else target.name


def _warn(text: str) -> None:
    if text:
        sys.stderr.write(f"etcd-auditor: {text}\n")


def _summarise(audit: Audit, request: ScanRequest) -> None:
    from auditor.reports import terminal

    stream = sys.stderr if output.STDOUT in request.targets else sys.stdout
    terminal.write(audit, request.fail_on, terminal.Printer(stream), verbose=request.verbose)
