"""etcd-auditor show."""

from pathlib import Path
from typing import Annotated

import typer

from auditor.cli import worker
from auditor.cli.options import Configurations, Evidence, Plugins, Prefixes, WalDir

CODES = (
    "Exit codes: 0 shown, and everything inside the scope was read; "
    "2 no such key, bad usage, nothing readable, or a fault of the auditor's own; "
    "3 shown, and something was not read or not opened: more of the object may lie there."
)


def show(
    evidence: Evidence,
    key: Annotated[
        str, typer.Argument(help="An etcd key, or NAMESPACE/NAME of an object of --resource.", show_default=False)
    ],
    resource: Annotated[
        str, typer.Option(help="What KEY is of, as an EncryptionConfiguration names it, unless it is an etcd key.")
    ] = "secrets",
    storage_prefix: Prefixes = None,
    encryption_config: Configurations = None,
    kms_plugin: Plugins = None,
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

    def task() -> int:
        from auditor import Options
        from auditor.cli import show as command
        from auditor.errors import UsageError
        from auditor.evidence.live.access import is_endpoint

        options = Options(
            resources=(resource,),
            storage_prefixes=tuple(storage_prefix or ()),
            encryption_configs=tuple(map(str, encryption_config or ())),
            kms_plugins=tuple(kms_plugin or ()),
            wal_dir=str(wal_dir or ""),
            rows=False,
        )
        if is_endpoint(evidence):
            raise UsageError(f"show reads files: save a snapshot with `etcd-auditor scan {evidence} --keep FILE` first")
        if reveal and not yes:
            command.confirm(key)
        return command.run(Path(evidence), key, options, json, reveal=reveal, force=force)

    raise typer.Exit(worker.run(task))
