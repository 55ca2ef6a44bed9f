"""etcd-auditor scan: run the audit, write the reports, print the summary."""

import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auditor import inputs
from auditor.cli import checksums, live_options, output, worker
from auditor.cli.live_options import NOT_LIVE, LiveOptions
from auditor.cli.options import (
    AcceptPartial,
    CompromisedKeys,
    Configurations,
    Evidences,
    FailOn,
    Hunt,
    HuntFields,
    HuntMinLength,
    K3sToken,
    Keks,
    Level,
    MaxRatio,
    MaxUnpacked,
    Plugins,
    Prefixes,
    Quick,
    Raw,
    UseFoundConfig,
    UseFoundKeys,
    WalDir,
    WorkDir,
    library_options,
)
from auditor.cli.progress import bars, counting
from auditor.cli.reports import Preparing, ReportFiles, write_dataset
from auditor.errors import UsageError
from auditor.model.audit import Audit
from auditor.model.vocabulary import Severity
from auditor.options import Options

if TYPE_CHECKING:
    from auditor.evidence.live.access import Access

CODES = (
    "Exit codes: 0 no finding at or above --fail-on and everything inside the scope was read; "
    "1 a finding at or above --fail-on, unless --ignore accepts it; "
    "2 bad usage, nothing readable, or a fault of the auditor's own; "
    "3 no such finding, and something inside the scope was not read or not concluded on. "
    "Of several pieces of evidence: 1 where one has a finding, else 3 where one was not read, 2 where none was."
)


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
    jobs: int
    force: bool
    verbose: bool

    @property
    def targets(self) -> list[Path | None]:
        """The output files; the snapshot of --keep is the last."""
        snapshot = Path(self.options.keep) if self.options.keep else None
        return [self.csv, self.inventory, self.json, self.html, self.sarif, self.remediation, snapshot]

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


@live_options.live_options
def scan(
    evidence: Evidences,
    resource: Annotated[
        list[str],
        typer.Option(help="What must be encrypted, as an EncryptionConfiguration names it; repeatable; '*' for all."),
    ] = ["secrets"],  # noqa: B006
    storage_prefix: Prefixes = None,
    encryption_config: Configurations = None,
    kms_plugin: Plugins = None,
    current_kek: Keks = None,
    expect: Annotated[
        str, typer.Option(help="encrypted, plaintext, or the write provider: PROVIDER[:KEY].")
    ] = "encrypted",
    compromised_key: CompromisedKeys = None,
    live: LiveOptions = NOT_LIVE,
    work_dir: WorkDir = None,
    range_only: Annotated[
        bool,
        typer.Option(
            "--range",
            help="Read only the current keys under --storage-prefix (/registry), for want of the root role.",
            rich_help_panel=live_options.PANEL,
        ),
    ] = False,
    keep: Annotated[
        Path | None,
        typer.Option(
            help="Keep the snapshot taken, as evidence.", show_default=False, rich_help_panel=live_options.PANEL
        ),
    ] = None,
    fail_on: FailOn = Level.MEDIUM,
    wal_dir: WalDir = None,
    raw: Raw = False,
    hunt: Hunt = False,
    hunt_min_length: HuntMinLength = 8,
    hunt_field: HuntFields = None,
    use_found_keys: UseFoundKeys = False,
    use_found_config: UseFoundConfig = False,
    k3s_token: K3sToken = None,
    expect_sha256: Annotated[
        str, typer.Option("--expect-sha256", help="Refuse evidence whose SHA-256 is another.", show_default=False)
    ] = "",
    expect_cluster: Annotated[
        str, typer.Option(help="Refuse evidence whose kube-system namespace has another uid.", show_default=False)
    ] = "",
    baseline: Annotated[
        Path | None,
        typer.Option(help="An earlier JSON report: say what is new, still there and gone.", show_default=False),
    ] = None,
    ignore: Annotated[
        Path | None,
        typer.Option(help="A YAML file of accepted findings, each with a reason and a date.", show_default=False),
    ] = None,
    redact_names: Annotated[
        bool, typer.Option("--redact-names", help="Put ordinals for namespaces, names and uids in every output.")
    ] = False,
    redact_key: Annotated[
        Path | None,
        typer.Option(help="File with a key: pseudonyms that match between reports made with it.", show_default=False),
    ] = None,
    case: Annotated[str, typer.Option(help="What the reports are to be filed under.", show_default=False)] = "",
    max_unpacked: MaxUnpacked = 64 << 30,
    max_ratio: MaxRatio = 250,
    quick: Quick = False,
    accept_partial: AcceptPartial = False,
    csv: Annotated[Path | None, typer.Option(help="Write the findings, one row each; - for standard output.")] = None,
    inventory: Annotated[
        Path | None, typer.Option(help="Write every value of the resources, to a .csv or .parquet file.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write the report as one HTML file.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the report as JSON.")] = None,
    sarif: Annotated[Path | None, typer.Option(help="Write the findings as SARIF 2.1.0.")] = None,
    remediation: Annotated[
        Path | None, typer.Option(help="Write commands that would remove what was found: they destroy evidence.")
    ] = None,
    dataset: Annotated[
        Path | None, typer.Option(help="Write findings and inventory into a Parquet data set, which may grow.")
    ] = None,
    jobs: Annotated[
        int, typer.Option(min=0, help="Pieces of evidence that are read at once; 0: by the number of processors.")
    ] = 0,
    force: Annotated[bool, typer.Option("--force", help="Overwrite reports that exist.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also print the coverage of every resource.")
    ] = False,
) -> None:
    """Audit a snapshot: classify every value of the resources, and report each that is readable."""
    options = library_options(
        resources=resource,
        storage_prefixes=storage_prefix,
        encryption_configs=encryption_config,
        kms_plugins=kms_plugin,
        current_keks=current_kek,
        expect=expect,
        compromised_keys=compromised_key,
        wal_dir=wal_dir,
        raw=raw,
        work_dir=work_dir,
        keep=keep,
        keep_force=force and keep is not None,
        range_only=range_only,
        hunt=hunt,
        hunt_min_length=hunt_min_length,
        hunt_fields=hunt_field,
        use_found_keys=use_found_keys,
        use_found_config=use_found_config,
        k3s_token=k3s_token,
        expect_sha256=expect_sha256,
        expect_cluster=expect_cluster,
        case=case,
        max_unpacked=max_unpacked,
        max_ratio=max_ratio,
        baseline=baseline,
        ignore=ignore,
        redact_names=redact_names,
        redact_key=redact_key,
        quick=quick,
        accept_partial=accept_partial,
    )
    request = ScanRequest(
        evidence=tuple(evidence),
        live=live,
        options=options,
        fail_on=Severity[fail_on.name],
        csv=csv,
        inventory=inventory,
        json=json,
        html=html,
        sarif=sarif,
        remediation=remediation,
        dataset=dataset,
        jobs=jobs,
        force=force,
        verbose=verbose,
    )
    raise typer.Exit(worker.run(partial(run, request)))


def run(request: ScanRequest) -> int:
    """The exit code: 1 findings at or above --fail-on, 3 inconclusive, 0 neither. Raises AuditorError."""
    from auditor.evidence.discovery import bystanders
    from auditor.evidence.discovery.arguments import resolve_arguments
    from auditor.verify.own import is_report

    _check(request)
    passed: list[str] = []
    evidence = resolve_arguments(request.evidence, is_report, passed)
    access = live_options.access(evidence[0], request.live) if len(evidence) == 1 else None
    if len(evidence) > 1:
        live_options.none(evidence, request.live)
    if len(evidence) > 1 and inputs.STDIN in evidence:
        raise UsageError("standard input is one piece of evidence: scan it by itself")
    unnamed = tuple(path for path in evidence if path not in request.evidence and inputs.is_pipe(path))
    request = replace(request, options=replace(request.options, unnamed_pipes=unnamed))
    options = request.options
    other_inputs = options.wal_dir, options.k3s_token, options.baseline, options.ignore, options.redact_key
    files = [*(evidence if access is None else ()), *options.encryption_configs, *filter(None, other_inputs)]
    protected = [*map(Path, files), *live_options.files(request.live)]
    output.check([*request.targets, *checksums.targets(request.targets)], protected, force=request.force)
    if request.dataset is not None:
        output.folder(request.dataset, protected)
    reports = ReportFiles(request.reports, request.fail_on)
    audit = _audit(evidence, access, request, reports)
    if passed:
        note = bystanders.note(passed, "the folders that were named", every=request.verbose)
        audit = replace(audit, notes=(*audit.notes, note))
    reports.write(audit, force=request.force)
    if request.dataset is not None:
        write_dataset(audit, request.dataset, force=request.force)
    checksums.write(request.targets, force=request.force)
    from auditor.reports import terminal

    printer = terminal.Printer(sys.stderr if output.STDOUT in request.targets else sys.stdout)
    terminal.write(audit, request.fail_on, printer, verbose=request.verbose)
    return audit.exit_code(request.fail_on)


def _check(request: ScanRequest) -> None:
    """Raises UsageError where options contradict each other."""
    if request.inventory is not None and request.inventory.suffix not in {".csv", ".parquet"}:
        raise UsageError(f"--inventory {request.inventory}: the name must end in .csv or .parquet")
    if request.options.redact_names and request.remediation is not None:
        raise UsageError("--remediation writes commands with the names of objects: leave out --redact-names")
    if request.options.keep == str(output.STDOUT):
        raise UsageError("--keep - : name a file for the snapshot")


def _audit(evidence: list[str], access: "Access | None", request: ScanRequest, reports: ReportFiles) -> Audit:
    # the names that --case may hold are known by the rows
    named = request.options.redact_names and bool(request.options.case)
    options = replace(request.options, rows=named or any((*request.targets, request.dataset)))
    if len(evidence) > 1:
        from auditor.scanning import many

        with counting() as report:
            audit = many.scan(evidence, options, request.jobs, report)
        reports.prepare(audit.rows)
        return audit
    import auditor

    with bars() as observer:
        return auditor.scan(evidence[0], options, observer=Preparing(observer, reports), access=access)
