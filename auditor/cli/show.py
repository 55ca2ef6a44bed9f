"""etcd-auditor show: one object through every place and revision."""

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from auditor.cli import checksums, confinement, live_options, output, single_item, worker
from auditor.cli.live_options import NOT_LIVE, LiveOptions
from auditor.cli.options import (
    Carve,
    Configurations,
    Evidence,
    Kms,
    KmsBudget,
    Plugins,
    Prefixes,
    Range,
    Raw,
    WalDir,
    WorkDir,
    kms_options,
    library_options,
)
from auditor.cli.progress import bars
from auditor.encryption.kms import address
from auditor.errors import UsageError
from auditor.options import Options

CODES = (
    "Exit codes: 0 shown, and everything inside the scope was read; "
    "2 no such key, bad usage, nothing readable, or a fault of the auditor's own; "
    "3 shown, and something was not read or not decrypted: more of the object may lie there."
)


@live_options.live_options
def show(
    evidence: Evidence,
    object_name: Annotated[
        str | None,
        typer.Argument(
            metavar="KEY",
            help="An etcd key, or NAMESPACE/NAME of an object of --resource; without it their names are listed.",
            show_default=False,
        ),
    ] = None,
    resource: Annotated[
        str | None,
        typer.Option(
            help="What NAMESPACE/NAME is of, as an EncryptionConfiguration names it; secrets when left out.",
            show_default=False,
        ),
    ] = None,
    storage_prefix: Prefixes = None,
    encryption_config: Configurations = None,
    kms_plugin: Plugins = None,
    kms: Kms = None,
    kms_budget: KmsBudget = 0,
    live: LiveOptions = NOT_LIVE,
    range_only: Range = False,
    work_dir: WorkDir = None,
    wal_dir: WalDir = None,
    raw: Raw = False,
    carve: Carve = False,
    json: Annotated[
        Path | None, typer.Option(help="Write it as JSON, never with values; - for standard output.")
    ] = None,
    at: Annotated[
        int | None,
        typer.Option(
            "--at",
            min=0,
            help="An offset of a report's row, instead of a KEY: what stands there is read again from the file.",
            show_default=False,
        ),
    ] = None,
    source: Annotated[
        str,
        typer.Option("--source", help="The file that --at is of, where there are several.", show_default=False),
    ] = "",
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Write the values to standard output, after asking. Never into a report.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask: neither before --reveal, nor before the calls of --kms.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a report that exists.")] = False,
) -> None:
    """Show one object through every place and revision: what changed when, under what; values redacted."""

    if resource is not None and (object_name or "").startswith("/"):
        raise UsageError("--resource is of a NAMESPACE/NAME, and an etcd key names its own: leave one of them out")
    options = library_options(
        resources=[resource or "secrets"],
        storage_prefixes=storage_prefix,
        encryption_configs=encryption_config,
        kms_plugins=kms_plugin,
        **kms_options(kms, kms_budget, yes=yes),
        wal_dir=wal_dir,
        raw=raw,
        carve=carve,
        work_dir=work_dir,
        range_only=range_only,
        rows=False,
    )
    limits = confinement.limits([evidence], [options], [json])
    if at is not None:
        if object_name is not None or reveal or json is not None or live_options.is_live(evidence):
            raise UsageError("--at is of a file, and stands instead of a KEY: leave out KEY, --reveal and --json")
        options = replace(options, resources=(resource or "*",))
        raise typer.Exit(worker.run(partial(spot, evidence, source, at, options), limits))
    if object_name is None:
        if reveal or json is not None:
            raise typer.BadParameter("--reveal and --json need a KEY")
        raise typer.Exit(worker.run(partial(names, evidence, live, options), limits))
    if reveal and not yes:
        confirm(object_name)
    task = partial(run, evidence, live, object_name, options, json, reveal=reveal, force=force)
    raise typer.Exit(worker.run(task, limits))


def names(evidence: str, live: LiveOptions, options: Options) -> int:
    """Print the names of the objects: 0 where everything was read, 3 where not."""
    evidence = single_item.single(evidence)
    access = live_options.access(evidence, live)
    from auditor.scanning.exhibit import single

    with bars() as observer, single(evidence, options, observer, access) as exhibit:
        from auditor.history import names as objects  # numpy takes time

        listing, gaps = objects.listing(exhibit, options)
    sys.stdout.writelines(f"{name}\n" for name in listing)
    sys.stderr.write(f"etcd-auditor: {len(listing):,} names; give one as KEY\n")
    return 3 if gaps else 0


def spot(evidence: str, source: str, offset: int, options: Options) -> int:
    """0 where what the row at an offset says stands there, 3 where not. Raises UsageError where no row begins there."""
    from auditor.reports import spot as report
    from auditor.reports import terminal
    from auditor.verify import at

    with bars() as observer:
        found = at.find(single_item.single(evidence), source, offset, options, observer)
    report.write(found.row, found.findings, found.signature, terminal.Printer(sys.stdout), same=found.same)
    return 0 if found.same else 3


def confirm(key: str) -> None:
    """Ask whether values may be written to this terminal. Raises UsageError where the answer is not yes."""
    from auditor.text import shown

    try:
        consent = typer.confirm(
            f"Write the values of {shown(key)} to this terminal, where its history keeps them?", err=True
        )
    except typer.Abort:
        consent = False
    if not consent:
        raise UsageError("--reveal was not confirmed: nothing was read")


def run(
    evidence: str, live: LiveOptions, key: str, options: Options, json: Path | None, *, reveal: bool, force: bool
) -> int:
    """0 where everything was read, 3 where not. Raises UsageError where there is no such key."""
    evidence = single_item.single(evidence)
    access = live_options.access(evidence, live)
    files = [] if access is not None else [evidence]
    named = (*files, *options.encryption_configs, *address.files(options.kms), options.wal_dir)
    inputs = [Path(each) for each in named if each]
    output.check([json, *checksums.targets([json])], [*inputs, *live_options.files(live)], force=force)
    from auditor.scanning.exhibit import single

    with bars() as observer, single(evidence, options, observer, access) as exhibit:
        from auditor.history import find  # imported while the file is being hashed: numpy takes time

        history = find.history(exhibit, options, key, observer)
    from auditor.reports import history as report
    from auditor.reports import terminal

    if json is not None:
        output.save(json, lambda out: report.save(history, out), force=force)
        checksums.write([json], force=force)
    stream = sys.stderr if json == output.STDOUT else sys.stdout
    report.write(history, terminal.Printer(stream), reveal=reveal)
    return 0 if history.complete else 3
