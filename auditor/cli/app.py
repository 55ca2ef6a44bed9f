"""The program: its commands, and the options of all of them."""

from typing import Annotated

import typer

from auditor.cli import diff, find, keys, scan, show, verify, watch
from auditor.cli.commands import Command
from auditor.version import __version__

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Find every readable Secret in an etcd snapshot, and say where it lies.",
)


def _version(requested: bool) -> None:
    if requested:
        typer.echo(f"etcd-auditor {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Audit etcd snapshots for Kubernetes encryption at rest. Evidence is only ever read."""


app.command(epilog=scan.CODES, cls=Command)(scan.scan)
app.command(epilog=keys.CODES, cls=Command)(keys.keys)
app.command(epilog=diff.CODES, cls=Command)(diff.diff)
app.command(epilog=watch.CODES, cls=Command)(watch.watch)
app.command(epilog=show.CODES, cls=Command)(show.show)
app.command(epilog=find.CODES, cls=Command)(find.find)
app.command(epilog=verify.CODES, cls=Command)(verify.verify)
