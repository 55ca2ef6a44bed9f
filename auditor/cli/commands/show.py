"""etcd-auditor show."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from auditor.cli import live_options, worker
from auditor.cli.options import Configurations, Evidence, Plugins, Prefixes, WalDir, WorkDir
from auditor.evidence.live.access import TIMEOUT

CODES = (
    "Exit codes: 0 shown, and everything inside the scope was read; "
    "2 no such key, bad usage, nothing readable, or a fault of the auditor's own; "
    "3 shown, and something was not read or not opened: more of the object may lie there."
)


def show(
    evidence: Evidence,
    wanted: Annotated[
        str,
        typer.Argument(
            metavar="KEY", help="An etcd key, or NAMESPACE/NAME of an object of --resource.", show_default=False
        ),
    ],
    resource: Annotated[
        str, typer.Option(help="What KEY is of, as an EncryptionConfiguration names it, unless it is an etcd key.")
    ] = "secrets",
    storage_prefix: Prefixes = None,
    encryption_config: Configurations = None,
    kms_plugin: Plugins = None,
    endpoint: live_options.More = None,
    cacert: live_options.CaCert = None,
    cert: live_options.Cert = None,
    key: live_options.Key = None,
    server_name: live_options.ServerName = "",
    user: live_options.User = "",
    password_file: live_options.PasswordFile = None,
    timeout: live_options.Timeout = TIMEOUT,
    work_dir: WorkDir = None,
    wal_dir: WalDir = None,
    json: Annotated[
        Path | None, typer.Option(help="Write it as JSON, never with values; - for standard output.")
    ] = None,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Write the values to the terminal, after asking. Never into a report.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --reveal: do not ask.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a report that exists.")] = False,
) -> None:
    """Show one object through every place and revision: what changed when, under what; values redacted."""

    from auditor import Options
    from auditor.cli import show as command

    options = Options(
        resources=(resource,),
        storage_prefixes=tuple(storage_prefix or ()),
        encryption_configs=tuple(map(str, encryption_config or ())),
        kms_plugins=tuple(kms_plugin or ()),
        wal_dir=str(wal_dir or ""),
        work_dir=str(work_dir or ""),
        rows=False,
    )
    if reveal and not yes:
        command.confirm(wanted)
    given = live_options.LiveOptions(
        tuple(endpoint or ()), cacert, cert, key, server_name, user, password_file, timeout
    )
    raise typer.Exit(
        worker.run(partial(command.run, evidence, given, wanted, options, json, reveal=reveal, force=force))
    )
