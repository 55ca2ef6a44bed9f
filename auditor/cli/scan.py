"""etcd-auditor scan: run the audit, write what was asked for, print the summary."""

import sys
from dataclasses import dataclass
from pathlib import Path

from auditor.cli import output
from auditor.errors import UsageError
from auditor.model import Audit, Severity


@dataclass(frozen=True, slots=True)
class Request:
    """One scan as the command line asked for it."""

    evidence: Path
    resources: tuple[str, ...]
    storage_prefixes: tuple[str, ...]
    encryption_configs: tuple[str, ...]
    kms_plugins: tuple[str, ...]
    current_keks: tuple[str, ...]
    expect: str
    compromised_keys: tuple[str, ...]
    quick: bool
    accept_partial: bool
    fail_on: Severity
    csv: Path | None
    inventory: Path | None
    json: Path | None
    html: Path | None
    force: bool
    verbose: bool

    @property
    def targets(self) -> list[Path | None]:
        return [self.csv, self.inventory, self.json, self.html]


def run(request: Request) -> int:
    """The exit code: 1 findings at or above --fail-on, 3 inconclusive, 0 neither. Raises AuditorError."""
    if request.inventory is not None and request.inventory.suffix not in {".csv", ".parquet"}:
        raise UsageError(f"--inventory {request.inventory}: the name must end in .csv or .parquet")
    read = [request.evidence, *map(Path, request.encryption_configs)]
    output.check(request.targets, read, force=request.force)
    audit = _audit(request)
    _write(audit, request)
    _summarise(audit, request)
    return audit.exit_code(request.fail_on)


def _audit(request: Request) -> Audit:
    from auditor import Options, scan

    options = Options(
        resources=request.resources,
        storage_prefixes=request.storage_prefixes,
        encryption_configs=request.encryption_configs,
        kms_plugins=request.kms_plugins,
        current_keks=request.current_keks,
        expect=request.expect,
        compromised_keys=request.compromised_keys,
        quick=request.quick,
        accept_partial=request.accept_partial,
        rows=any(target is not None for target in request.targets),
    )
    if not sys.stderr.isatty():
        return scan(request.evidence, options)
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("hashing"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("hashing", total=None)
        return scan(request.evidence, options, lambda done, total: bar.update(task, completed=done, total=total))


def _write(audit: Audit, request: Request) -> None:
    from auditor.reports import csv, html, json, parquet
    from auditor.reports.columns import findings, inventory

    force = request.force
    if request.csv:
        output.save(request.csv, lambda out: csv.write(findings(audit), out), force=force)
    if request.inventory and request.inventory.suffix == ".csv":
        output.save(request.inventory, lambda out: csv.write(inventory(audit), out), force=force)
    elif request.inventory:
        output.save(request.inventory, lambda out: parquet.write(inventory(audit), out), force=force, binary=True)
    if request.json:
        output.save(request.json, lambda out: json.write(audit, request.fail_on, out), force=force)
    if request.html:
        output.save(request.html, lambda out: html.write(audit, request.fail_on, out), force=force)


def _summarise(audit: Audit, request: Request) -> None:
    from auditor.reports import terminal

    stream = sys.stderr if output.STDOUT in request.targets else sys.stdout
    terminal.write(audit, request.fail_on, terminal.Printer(stream), verbose=request.verbose)
