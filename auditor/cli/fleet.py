"""etcd-auditor fleet: the commands about every backup of every cluster."""

from functools import partial
from pathlib import Path
from typing import IO, Annotated

import typer

from auditor import inputs
from auditor.cli import output, worker
from auditor.cli.commands import Command, Commands, configurable
from auditor.cli.fleet_report import FleetReportRequest, run_report
from auditor.cli.fleet_run import FleetScanRequest, run_scan
from auditor.cli.options import (
    CompromisedKeys,
    Configurations,
    Expect,
    FailOn,
    Hunt,
    Keks,
    Kms,
    Level,
    MaxRatio,
    MaxUnpacked,
    Plugins,
    Prefixes,
    RedactKey,
    Resources,
    Token,
    UseFoundConfig,
    UseFoundKeys,
    WorkDir,
    Yes,
    kms_options,
    library_options,
)
from auditor.errors import UsageError
from auditor.model.vocabulary import Severity
from auditor.sandbox import Limits
from auditor.text import shown

SETTINGS = {"help_option_names": ["-h", "--help"]}
SCAN_CODES = (
    "Exit codes: 0 every backup was read and concluded, without a finding at or above --fail-on; 1 such a finding; "
    "2 bad usage, a source or the data set that cannot be read, or a fault of the auditor's own; 3 no such finding, "
    "and a backup failed or is incomplete, there is none, or it is a first look (--since, --sample, "
    "--newest-per-cluster)."
)
REPORT_CODES = (
    "Exit codes: 0 no finding in a backup inside the retention, and no open question; 1 such a finding, with "
    "--new-only one that the baseline does not have, or an incomplete migration; 2 bad usage, or a data set that "
    "cannot be read; 3 no such finding, and a backup is missing, unread, a sample, too old or without its keys, or a "
    "question is unknown."
)
EXEMPT = Limits(exemption="a fleet's first process reads no evidence")
KEY_CODES = "Exit codes: 0 the key was written; 2 bad usage, or the file exists."

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=SETTINGS,
    help="Every backup of every cluster: one data set, and the questions across it.",
)
TLS = "A scheduler that exists"


@app.command(name="scan", epilog=SCAN_CODES, cls=Command, context_settings=SETTINGS)
@configurable
def scan(
    source: Annotated[
        list[str],
        typer.Argument(
            help="Folders, patterns, prefixes of buckets (s3://, gs://, az://), or @FILE with one a line.",
            show_default=False,
        ),
    ],
    dataset: Annotated[str, typer.Option(help="Folder or bucket prefix of the data set.", show_default=False)],
    compare_key: Annotated[
        Path | None,
        typer.Option(help="Key of `fleet new-key`: tells the same value across backups.", show_default=False),
    ] = None,
    no_compare: Annotated[
        bool, typer.Option("--no-compare", help="Keep nothing that tells the same value across backups.")
    ] = False,
    new_compare_key: Annotated[
        bool, typer.Option("--new-compare-key", help="Begin the table of value ids anew, with another key.")
    ] = False,
    clusters: Annotated[
        Path | None,
        typer.Option(
            help="TOML or YAML: which backups are whose, keys, owner, schedule, retention.", show_default=False
        ),
    ] = None,
    since: Annotated[
        str, typer.Option(help="Only backups taken since a day, ISO 8601: inconclusive.", show_default=False)
    ] = "",
    sample: Annotated[int, typer.Option(min=0, help="Only so many backups: inconclusive; 0 for all.")] = 0,
    newest_per_cluster: Annotated[
        int, typer.Option(min=0, help="Only the newest backups of each cluster: inconclusive; 0 for all.")
    ] = 0,
    retries: Annotated[int, typer.Option(min=0, help="Further attempts after a failure that may pass.")] = 2,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Examine again what failed for good in an earlier run.")
    ] = False,
    scheduler: Annotated[
        str, typer.Option(help="tls://HOST:PORT of a Dask scheduler.", show_default=False, rich_help_panel=TLS)
    ] = "",
    tls_ca: Annotated[Path | None, typer.Option(help="PEM file.", show_default=False, rich_help_panel=TLS)] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="PEM file.", show_default=False, rich_help_panel=TLS)] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM file.", show_default=False, rich_help_panel=TLS)] = None,
    jobs: Annotated[
        int, typer.Option(min=0, help="Backups that are read at once; 0: by the number of processors.")
    ] = 0,
    dashboard: Annotated[bool, typer.Option("--dashboard", help="Serve Dask's dashboard on loopback.")] = False,
    resource: Resources = ["secrets"],  # noqa: B006
    storage_prefix: Prefixes = None,
    encryption_config: Configurations = None,
    kms_plugin: Plugins = None,
    kms: Kms = None,
    yes: Yes = False,
    current_kek: Keks = None,
    expect: Expect = "encrypted",
    compromised_key: CompromisedKeys = None,
    hunt: Hunt = False,
    use_found_keys: UseFoundKeys = False,
    use_found_config: UseFoundConfig = False,
    k3s_token: Token = None,
    redact_names: Annotated[
        bool, typer.Option("--redact-names", help="Put pseudonyms for names, the same in every backup.")
    ] = False,
    redact_key: RedactKey = None,
    work_dir: WorkDir = None,
    max_unpacked: MaxUnpacked = 64 << 30,
    max_ratio: MaxRatio = 250,
    fail_on: FailOn = Level.MEDIUM,
    json: Annotated[
        Path | None, typer.Option(help="Write a line of JSON for each backup; - for standard output.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file of --json that exists.")] = False,
) -> None:
    """Examine every backup that the data set does not hold yet. A run that was stopped goes on where it was."""
    options = library_options(
        resources=resource,
        storage_prefixes=storage_prefix,
        encryption_configs=encryption_config,
        kms_plugins=kms_plugin,
        current_keks=current_kek,
        **kms_options(kms, 0, prove=False, yes=yes),
        expect=expect,
        compromised_keys=compromised_key,
        hunt=hunt,
        use_found_keys=use_found_keys,
        use_found_config=use_found_config,
        k3s_token=k3s_token,
        redact_names=redact_names,
        redact_key=redact_key,
        work_dir=work_dir,
        max_unpacked=max_unpacked,
        max_ratio=max_ratio,
    )
    for path in (*options.encryption_configs, options.k3s_token, options.redact_key, str(compare_key or "")):
        if path and inputs.is_pipe(path):
            raise UsageError(f"{shown(path)} is a pipe: workers read files of keys themselves: name a file")
    # fmt: off
    request = FleetScanRequest(
        sources=tuple(source), dataset=dataset, compare_key=str(compare_key or ""), no_compare=no_compare,
        new_compare_key=new_compare_key, clusters=str(clusters or ""), since=since, sample=sample,
        newest=newest_per_cluster, retries=retries, retry_failed=retry_failed, scheduler=scheduler,
        tls=(str(tls_ca or ""), str(tls_cert or ""), str(tls_key or "")), jobs=jobs, dashboard=dashboard,
        options=options, fail_on=Severity[fail_on.name], json=json, force=force,
    )
    # fmt: on
    raise typer.Exit(worker.run(partial(run_scan, request), EXEMPT))


@app.command(name="new-key", epilog=KEY_CODES, cls=Command, context_settings=SETTINGS)
def new_key(
    file: Annotated[Path, typer.Argument(help="The new file, for --compare-key.", show_default=False)],
) -> None:
    """Make a key for --compare-key: 32 random bytes. Keep it as an encryption key."""
    raise typer.Exit(worker.run(partial(_write_key, file), EXEMPT))


def _write_key(file: Path) -> int:
    from auditor.fleet.compare import new_key

    output.check([file], [], force=False)
    if file == output.STDOUT:
        raise UsageError("a key goes into a file: name one")

    def write(out: IO[str]) -> None:
        out.write(new_key())

    output.save(file, write, force=False)
    return 0


@app.command(name="report", epilog=REPORT_CODES, cls=Command, context_settings=SETTINGS)
@configurable
def report(
    dataset: Annotated[str, typer.Argument(help="The data set of `fleet scan`.", show_default=False)],
    html: Annotated[Path | None, typer.Option(help="Write the report as one HTML file.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write every cell of every table; - for standard output.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the report as JSON, which --baseline reads.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the first sections, in counts, as Markdown.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write a test case for each section.")] = None,
    statement: Annotated[Path | None, typer.Option(help="Write one dated page for an assessor.")] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="An earlier JSON report: say what is new and gone.", show_default=False)
    ] = None,
    new_only: Annotated[
        bool, typer.Option("--new-only", help="Fail on findings that the baseline does not have, and on no others.")
    ] = False,
    as_of: Annotated[
        str, typer.Option(help="The time by which ages count, ISO 8601; now when left out.", show_default=False)
    ] = "",
    max_age: Annotated[str, typer.Option(help="The age at which a cluster's newest backup is too old.")] = "26h",
    retention: Annotated[
        str, typer.Option(help="Only backups so young count as findings; else by --clusters.", show_default=False)
    ] = "",
    restore_days: Annotated[int, typer.Option(min=0, help="Days around a backup in which another can replace it.")] = 7,
    fail_on: FailOn = Level.MEDIUM,
    migration: Annotated[
        str, typer.Option(help="PROVIDER[:NAME], such as kms: is the migration complete?", show_default=False)
    ] = "",
    since: Annotated[
        str,
        typer.Option(
            "--from",
            help="The day from which backups are looked at: every one must show it, from the first that does.",
            show_default=False,
        ),
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Overwrite reports that exist.")] = False,
) -> None:
    """Ask a data set the questions across backups and clusters."""
    files = {"html": html, "csv": csv, "json": json, "markdown": markdown, "junit": junit}
    request = FleetReportRequest(
        dataset=dataset,
        baseline=str(baseline or ""),
        new_only=new_only,
        as_of=as_of,
        max_age=max_age,
        retention=retention,
        restore_days=restore_days,
        fail_on=fail_on.value,
        migration=migration,
        since=since,
        statement=statement,
        files={name: path for name, path in files.items() if path is not None},
        force=force,
    )
    raise typer.Exit(worker.run(partial(run_report, request), EXEMPT))
