"""etcd-auditor keys."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from auditor.cli import live_options, worker
from auditor.cli.options import (
    Configurations,
    Evidence,
    Keks,
    MaxRatio,
    MaxUnpacked,
    Plugins,
    Prefixes,
    WalDir,
    WorkDir,
)
from auditor.evidence.live.access import TIMEOUT

CODES = (
    "Exit codes: 0 everything inside the scope was read; 2 bad usage, nothing readable, or a fault of the auditor's "
    "own; "
    "3 something was not read or not concluded on: what nothing read needs may be needed there."
)


def keys(
    evidence: Evidence,
    storage_prefix: Prefixes = None,
    encryption_config: Configurations = None,
    kms_plugin: Plugins = None,
    current_kek: Keks = None,
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
    max_unpacked: MaxUnpacked = 64 << 30,
    max_ratio: MaxRatio = 250,
    json: Annotated[Path | None, typer.Option(help="Write the table, with the objects, as JSON; - for output.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a report that exists.")] = False,
) -> None:
    """Say which keys a restore of this evidence needs: by provider, key name and KEK id, over every resource."""

    from auditor import Options
    from auditor.cli import keys as command

    options = Options(
        resources=("*",),
        storage_prefixes=tuple(storage_prefix or ()),
        encryption_configs=tuple(map(str, encryption_config or ())),
        kms_plugins=tuple(kms_plugin or ()),
        current_keks=tuple(current_kek or ()),
        wal_dir=str(wal_dir or ""),
        work_dir=str(work_dir or ""),
        max_unpacked=max_unpacked,
        max_ratio=max_ratio,
        rows=False,
    )
    given = live_options.LiveOptions(
        tuple(endpoint or ()), cacert, cert, key, server_name, user, password_file, timeout
    )
    raise typer.Exit(worker.run(partial(command.run, evidence, given, options, json, force=force)))
