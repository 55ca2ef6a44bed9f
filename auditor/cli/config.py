"""etcd-auditor config: the options that the environment and a configuration file set, and which of them set each."""

import json
import os
import sys
from typing import Annotated

import typer

from auditor.cli import commands, provenance, settings, worker
from auditor.errors import UsageError

CODES = "Exit codes: 0 shown; 2 something in the file or the environment is refused."


def config(
    ctx: typer.Context,
    command: Annotated[
        list[str] | None, typer.Argument(help="The command that would be run; default: scan.", show_default=False)
    ] = None,
    config: Annotated[
        str, typer.Option("--config", help="The TOML file; else ETCD_AUDITOR_CONFIG names it.", show_default=False)
    ] = "",
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of the file instead.")] = False,
) -> None:
    """List the settings of a command that its command line would find, and where each comes from."""
    known = commands.known(ctx)
    raise typer.Exit(worker.guard(lambda: run(known, " ".join(command or ["scan"]), config, schema=schema)))


def run(known: commands.KnownOptions, command: str, file: str, *, schema: bool) -> int:
    """Print the settings, or the schema. Raises UsageError."""
    if schema:
        sys.stdout.write(json.dumps(settings.schema(known), indent=1) + "\n")
        return 0
    if command not in known:
        raise UsageError(f"{command!r} is no command that has settings: {', '.join(known)}")
    applied = settings.apply(command, known, (), file, os.environ)
    path = file or os.environ.get(settings.VARIABLE, "")
    sys.stdout.write(f"Command {command}; configuration file: {path or 'none is read'}\n")
    sys.stdout.write("Precedence: command line, ETCD_AUDITOR_*, configuration file, ETCDCTL_*, default\n")
    for each in sorted(applied, key=lambda each: each.option.name):
        values = [provenance.setting(each.option.name, value) for value in each.values]
        sys.stdout.write(f"{each.option.name} = {', '.join(values)}  ({each.origin})\n")
    return 0
