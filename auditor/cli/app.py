"""The commands and their options."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from auditor import __version__
from auditor.cli import worker

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Find every readable Secret in an etcd snapshot, and say where it lies.",
)

CODES = (
    "Exit codes: 0 no finding at or above --fail-on and everything inside the scope was read; "
    "1 a finding at or above --fail-on; 2 bad usage, nothing readable, or a fault of the auditor's own; "
    "3 no such finding, and something inside the scope was not read or not concluded on."
)


class Level(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"etcd-auditor {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Audit etcd snapshots for Kubernetes encryption at rest. Evidence is only ever read."""


Evidence = Annotated[
    Path,
    typer.Argument(help="An etcd snapshot, a raw member/snap/db, or a data directory.", show_default=False),
]
WalDir = Annotated[
    Path | None, typer.Option(help="The WAL of a data directory, where it lies elsewhere.", show_default=False)
]
Prefixes = Annotated[
    list[str] | None,
    typer.Option(
        "--storage-prefix",
        help="kube-apiserver's --etcd-prefix; repeatable. Detected when left out.",
        show_default=False,
    ),
]
Configurations = Annotated[
    list[Path] | None,
    typer.Option(
        "--encryption-config",
        help="An EncryptionConfiguration; repeatable for several API servers.",
        show_default=False,
    ),
]
Plugins = Annotated[
    list[str] | None,
    typer.Option(
        "--kms-plugin", help="NAME[=unix:///path]: a KMS plugin that may be called; repeatable.", show_default=False
    ),
]
Keks = Annotated[
    list[str] | None,
    typer.Option("--current-kek", help="NAME=KEYID: the KEK in force of a KMS; repeatable.", show_default=False),
]


@app.command(epilog=CODES)
def scan(
    evidence: Evidence,
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
    compromised_key: Annotated[
        list[str] | None,
        typer.Option(help="PROVIDER:NAME of a key that must open nothing; repeatable.", show_default=False),
    ] = None,
    fail_on: Annotated[Level, typer.Option(help="The least severity that makes the exit code 1.")] = Level.MEDIUM,
    wal_dir: WalDir = None,
    hunt: Annotated[
        bool, typer.Option("--hunt", help="Look for copies of Secrets' values, and for keys, everywhere.")
    ] = False,
    hunt_min_length: Annotated[int, typer.Option(min=4, help="Bytes of the shortest value that --hunt looks for.")] = 8,
    hunt_field: Annotated[
        list[str] | None,
        typer.Option(
            help="A field of Secrets that --hunt looks for whatever it holds; repeatable.", show_default=False
        ),
    ] = None,
    use_found_keys: Annotated[
        bool, typer.Option("--use-found-keys", help="Open with keys that lie in the evidence itself.")
    ] = False,
    k3s_token: Annotated[
        Path | None,
        typer.Option(help="File with k3s' or RKE2's server token: it opens their record of keys.", show_default=False),
    ] = None,
    expect_sha256: Annotated[
        str, typer.Option("--expect-sha256", help="Refuse evidence whose SHA-256 is another.", show_default=False)
    ] = "",
    expect_cluster: Annotated[
        str, typer.Option(help="Refuse evidence whose kube-system namespace has another uid.", show_default=False)
    ] = "",
    case: Annotated[str, typer.Option(help="What the reports are to be filed under.", show_default=False)] = "",
    quick: Annotated[bool, typer.Option("--quick", help="Only latest, history and deleted; no hashing.")] = False,
    accept_partial: Annotated[
        bool,
        typer.Option(
            "--accept-partial", help="Let --quick conclude: what it leaves out does not make the exit code 3."
        ),
    ] = False,
    csv: Annotated[Path | None, typer.Option(help="Write the findings, one row each; - for standard output.")] = None,
    inventory: Annotated[
        Path | None, typer.Option(help="Write every value of the resources, to a .csv or .parquet file.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write the report as one HTML file.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the report as JSON.")] = None,
    remediation: Annotated[
        Path | None, typer.Option(help="Write commands that would remove what was found: they destroy evidence.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite reports that exist.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also print the coverage of every resource.")
    ] = False,
) -> None:
    """Audit a snapshot: classify every value of the resources, and report each that is readable."""

    def task() -> int:
        from auditor import Options
        from auditor.cli import scan as command
        from auditor.model import Severity

        options = Options(
            resources=tuple(resource),
            storage_prefixes=tuple(storage_prefix or ()),
            encryption_configs=tuple(map(str, encryption_config or ())),
            kms_plugins=tuple(kms_plugin or ()),
            current_keks=tuple(current_kek or ()),
            expect=expect,
            compromised_keys=tuple(compromised_key or ()),
            wal_dir=str(wal_dir or ""),
            hunt=hunt,
            hunt_min_length=hunt_min_length,
            hunt_fields=tuple(hunt_field or ()),
            use_found_keys=use_found_keys,
            k3s_token=str(k3s_token or ""),
            expect_sha256=expect_sha256,
            expect_cluster=expect_cluster,
            case=case,
            quick=quick,
            accept_partial=accept_partial,
        )
        request = command.Request(
            evidence=evidence,
            options=options,
            fail_on=Severity[fail_on.name],
            csv=csv,
            inventory=inventory,
            json=json,
            html=html,
            remediation=remediation,
            force=force,
            verbose=verbose,
        )
        return command.run(request)

    raise typer.Exit(worker.run(task))


KEY_CODES = (
    "Exit codes: 0 everything inside the scope was read; 2 bad usage, nothing readable, or a fault of the auditor's "
    "own; "
    "3 something was not read or not concluded on: what nothing read needs may be needed there."
)


@app.command(epilog=KEY_CODES)
def keys(
    evidence: Evidence,
    storage_prefix: Prefixes = None,
    encryption_config: Configurations = None,
    kms_plugin: Plugins = None,
    current_kek: Keks = None,
    wal_dir: WalDir = None,
    json: Annotated[Path | None, typer.Option(help="Write the table, with the objects, as JSON; - for output.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a report that exists.")] = False,
) -> None:
    """Say which keys a restore of this evidence needs: by provider, key name and KEK id, over every resource."""

    def task() -> int:
        from auditor import Options
        from auditor.cli import keys as command

        options = Options(
            resources=("*",),
            storage_prefixes=tuple(storage_prefix or ()),
            encryption_configs=tuple(map(str, encryption_config or ())),
            kms_plugins=tuple(kms_plugin or ()),
            current_keks=tuple(current_kek or ()),
            wal_dir=str(wal_dir or ""),
            rows=False,
        )
        return command.run(evidence, options, json, force=force)

    raise typer.Exit(worker.run(task))


VERIFY_CODES = (
    "Exit codes: 0 all is as reported; 1 something differs or could not be checked, and the lines say what and where; "
    "2 bad usage: no report, or no evidence of its kind."
)


@app.command(epilog=VERIFY_CODES)
def verify(
    report: Annotated[
        Path, typer.Argument(help="A JSON report, or a SHA256SUMS file that etcd-auditor wrote.", show_default=False)
    ],
    evidence: Annotated[
        Path | None, typer.Argument(help="The evidence that it is of, to be hashed and looked at.", show_default=False)
    ] = None,
    wal_dir: WalDir = None,
) -> None:
    """Hold a report to its own hashes, to the SHA256SUMS beside it, and to the evidence: what differs, and where.

    The hashes are no signatures: to rule out a forgery, sign or time-stamp the SHA256SUMS file.
    """

    def task() -> int:
        from auditor.cli import verify as command

        return command.run(report, evidence, wal_dir)

    raise typer.Exit(worker.run(task))
