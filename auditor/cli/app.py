"""The program: its commands, and the options of all of them."""

from typing import Annotated

import typer

from auditor.cli import config, diff, docs, explain, find, fleet, keys, scan, self_check, show, verify, watch
from auditor.cli.commands import Command, Group, configurable
from auditor.version import __version__

SETTINGS = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=SETTINGS,
    help="Find every readable Secret in an etcd snapshot, and say where it lies.",
)


def _version(requested: bool) -> None:
    if requested:
        typer.echo(f"etcd-auditor {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Audit etcd snapshots for Kubernetes encryption at rest. Evidence is only ever read."""


for command, codes in (
    (configurable(scan.scan), scan.CODES),
    (configurable(keys.keys), keys.CODES),
    (configurable(diff.diff), diff.CODES),
    (configurable(watch.watch), watch.CODES),
    (configurable(show.show), show.CODES),
    (configurable(find.find), find.CODES),
    (configurable(verify.verify), verify.CODES),
    (explain.explain, explain.CODES),
    (self_check.self_check, self_check.CODES),
    (docs.docs, docs.CODES),
    (config.config, config.CODES),
):
    app.command(epilog=codes, cls=Command, context_settings=SETTINGS)(command)

app.add_typer(fleet.app, name="fleet")
