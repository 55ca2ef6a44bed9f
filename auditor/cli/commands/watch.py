"""etcd-auditor watch."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from auditor.cli import live_options, worker
from auditor.cli.options import Configurations, Keks, Plugins, Prefixes
from auditor.evidence.live.access import TIMEOUT

CODES = (
    "Exit codes: 0 no current value is left in the old form, as a second read bore out; 1 it ended (--once, --for, "
    "Ctrl-C) while some remain; 2 bad usage, no endpoint answers, permission denied, or a fault of the auditor's own; "
    "3 none remains, and there is no object at all, or a value that no key of the given configuration opens."
)


def watch(
    endpoint: Annotated[
        str,
        typer.Argument(help="https://HOST:2379", show_default=False, envvar="ETCDCTL_ENDPOINTS"),
    ],
    resource: Annotated[
        list[str], typer.Option(help="What is rewritten, as an EncryptionConfiguration names it; repeatable.")
    ] = ["secrets"],  # noqa: B006
    storage_prefix: Prefixes = None,
    encryption_config: Configurations = None,
    kms_plugin: Plugins = None,
    current_kek: Keks = None,
    expect: Annotated[
        str, typer.Option(help="What the rewrite is to bring about: encrypted, plaintext, or PROVIDER[:KEY].")
    ] = "encrypted",
    once: Annotated[bool, typer.Option("--once", help="Read once, say what remains, and end.")] = False,
    for_: Annotated[
        float, typer.Option("--for", min=0, help="End after so many seconds; 0: only when nothing remains.")
    ] = 0.0,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two lines where there is no terminal.")] = 10.0,
    stuck_after: Annotated[
        float, typer.Option(min=0, help="Seconds after which an object that was passed over counts as stuck.")
    ] = 60.0,
    patience: Annotated[
        float, typer.Option(min=0, help="Seconds without any endpoint that answers, before it is given up.")
    ] = 300.0,
    more: live_options.More = None,
    cacert: live_options.CaCert = None,
    cert: live_options.Cert = None,
    key: live_options.Key = None,
    server_name: live_options.ServerName = "",
    user: live_options.User = "",
    password_file: live_options.PasswordFile = None,
    timeout: live_options.Timeout = TIMEOUT,
    json: Annotated[
        Path | None, typer.Option(help="Write the state at the end as JSON; - for standard output.")
    ] = None,
    remediation: Annotated[
        Path | None,
        typer.Option(help="Write a script that rewrites what the first read finds to remain, to read and to run."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")] = False,
) -> None:
    """Follow a rewrite while it runs: how many objects remain, where, how fast it goes, and which are stuck.

    Nothing is written to etcd, and a role that may read the resources' keys is enough.
    """

    from auditor import Options
    from auditor.cli import watch as command

    options = Options(
        resources=tuple(resource),
        storage_prefixes=tuple(storage_prefix or ()),
        encryption_configs=tuple(map(str, encryption_config or ())),
        kms_plugins=tuple(kms_plugin or ()),
        current_keks=tuple(current_kek or ()),
        expect=expect,
    )
    request = command.WatchRequest(
        endpoint=endpoint,
        live=live_options.LiveOptions(tuple(more or ()), cacert, cert, key, server_name, user, password_file, timeout),
        options=options,
        once=once,
        seconds=for_,
        every=every,
        stuck_after=stuck_after,
        patience=patience,
        json=json,
        remediation=remediation,
        force=force,
    )
    raise typer.Exit(worker.run(partial(command.run, request)))
