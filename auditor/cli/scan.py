"""etcd-auditor scan: run the audit, write what was asked for, print the summary."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from auditor.cli import output, sums
from auditor.cli.progress import counting, hashing
from auditor.errors import UsageError
from auditor.evidence.expand import expand
from auditor.model import Audit, Rows, Severity
from auditor.options import Options

if TYPE_CHECKING:
    from markupsafe import Markup

    from auditor.reports.columns import Table


@dataclass(frozen=True, slots=True)
class Request:
    """One scan as the command line asked for it."""

    evidence: tuple[str, ...]
    options: Options
    fail_on: Severity
    csv: Path | None
    inventory: Path | None
    json: Path | None
    html: Path | None
    remediation: Path | None
    dataset: Path | None
    jobs: int
    force: bool
    verbose: bool

    @property
    def targets(self) -> list[Path | None]:
        return [self.csv, self.inventory, self.json, self.html, self.remediation]


def run(request: Request) -> int:
    """The exit code: 1 findings at or above --fail-on, 3 inconclusive, 0 neither. Raises AuditorError."""
    if request.inventory is not None and request.inventory.suffix not in {".csv", ".parquet"}:
        raise UsageError(f"--inventory {request.inventory}: the name must end in .csv or .parquet")
    evidence = expand(request.evidence)
    given = (*request.options.encryption_configs, request.options.wal_dir, request.options.k3s_token)
    read = [*map(Path, evidence), *map(Path, filter(None, given))]
    output.check([*request.targets, *sums.targets(request.targets)], read, force=request.force)
    if request.dataset is not None:
        output.folder(request.dataset, read)
    ahead = _Ahead(request)
    audit = _audit(evidence, request, ahead)
    _write(audit, request, ahead)
    _summarise(audit, request)
    return audit.exit_code(request.fail_on)


def _audit(evidence: list[str], request: Request, ahead: _Ahead) -> Audit:
    rows = any(target is not None for target in (*request.targets, request.dataset))
    options = replace(request.options, rows=rows)
    if len(evidence) > 1:
        from auditor import many

        with counting() as told:
            audit = many.scan(evidence, options, request.jobs, told)
        ahead(audit.rows)
        return audit
    from auditor import scan

    with hashing() as progress:
        return scan(evidence[0], options, progress, ahead=ahead)


class _Ahead:
    """What of the reports can be written while the evidence is still being hashed."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self.table: Table | None = None
        self.csv: list[str] | None = None
        self.html: list[Markup] | None = None

    def __call__(self, rows: Rows) -> None:
        if not (self._request.csv or self._request.html):
            return
        from auditor.reports import columns, csv, html

        self.table = columns.of_findings(rows)
        self.csv = csv.prepare(self.table) if self._request.csv else None
        self.html = html.prepare(self.table) if self._request.html else None


def _write(audit: Audit, request: Request, ahead: _Ahead) -> None:
    from auditor.reports import csv, html, json, parquet, remediation
    from auditor.reports.columns import inventory, sealed

    force = request.force
    if request.csv and ahead.table is not None:
        found = sealed(ahead.table, audit)
        output.save(request.csv, lambda out: csv.write(found, out, ahead.csv), force=force)
    if request.inventory and request.inventory.suffix == ".csv":
        output.save(request.inventory, lambda out: csv.write(inventory(audit), out), force=force)
    elif request.inventory:
        output.save(request.inventory, lambda out: parquet.write(inventory(audit), out), force=force, binary=True)
    if request.json:
        output.save(request.json, lambda out: json.write(audit, request.fail_on, out), force=force)
    if request.remediation:
        output.save(request.remediation, lambda out: remediation.write(audit, out), force=force)
    if request.html:
        output.save(request.html, lambda out: html.write(audit, request.fail_on, out, ahead.html), force=force)
    if request.dataset:
        from auditor.reports import dataset

        made = list(dataset.files(audit))
        output.fill(request.dataset, [(path, partial(dataset.write, table)) for path, table in made], force=force)
    sums.write(request.targets, force=force)


def _summarise(audit: Audit, request: Request) -> None:
    from auditor.reports import terminal

    stream = sys.stderr if output.STDOUT in request.targets else sys.stdout
    terminal.write(audit, request.fail_on, terminal.Printer(stream), verbose=request.verbose)
