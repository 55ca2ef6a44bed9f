"""etcd-auditor keys: which keys a restore of the evidence needs."""

import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auditor.cli import checksums, confinement, live_options, output, provenance, worker
from auditor.cli.live_options import NOT_LIVE, LiveOptions
from auditor.cli.options import (
    Carve,
    Configurations,
    Evidence,
    Keks,
    Kms,
    KmsBudget,
    KmsProve,
    MaxRatio,
    MaxUnpacked,
    Plugins,
    Prefixes,
    Range,
    Raw,
    Token,
    WalDir,
    WorkDir,
    Yes,
    kms_options,
    library_options,
)
from auditor.cli.progress import bars
from auditor.cli.single_item import single
from auditor.encryption.kms import address
from auditor.observer import SILENT
from auditor.options import Options

if TYPE_CHECKING:
    from auditor.model.audit import Audit

CODES = (
    "Exit codes: 0 everything inside the scope was read; 1 a key that was supplied does not decrypt values that name "
    "it, or the server token not the record; 2 bad usage, nothing readable, or a fault of the auditor's own; "
    "3 something was not read or not concluded: what nothing read needs may be needed there."
)

CAUTION = (
    "Other backups, other members and the WAL may need a key that nothing here needs; removing one does not destroy it."
)


@live_options.live_options
def keys(
    evidence: Evidence,
    storage_prefix: Prefixes = None,
    encryption_config: Configurations = None,
    kms_plugin: Plugins = None,
    kms: Kms = None,
    kms_budget: KmsBudget = 0,
    kms_prove: KmsProve = False,
    yes: Yes = False,
    current_kek: Keks = None,
    k3s_token: Token = None,
    live: LiveOptions = NOT_LIVE,
    range_only: Range = False,
    work_dir: WorkDir = None,
    wal_dir: WalDir = None,
    raw: Raw = False,
    carve: Carve = False,
    max_unpacked: MaxUnpacked = 64 << 30,
    max_ratio: MaxRatio = 250,
    html: Annotated[Path | None, typer.Option(help="Write the keys as one HTML file.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the table, with the objects, as JSON; - for output.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a report that exists.")] = False,
) -> None:
    """List the keys that a restore of this evidence needs: by provider, key name and KEK id, over every resource."""

    options = library_options(
        resources=["*"],
        storage_prefixes=storage_prefix,
        encryption_configs=encryption_config,
        kms_plugins=kms_plugin,
        **kms_options(kms, kms_budget, prove=kms_prove, yes=yes),
        current_keks=current_kek,
        k3s_token=k3s_token,
        wal_dir=wal_dir,
        raw=raw,
        carve=carve,
        work_dir=work_dir,
        range_only=range_only,
        max_unpacked=max_unpacked,
        max_ratio=max_ratio,
        rows=False,
        origin=provenance.origin([evidence]) if html else (),
    )
    limits = confinement.limits([evidence], [options], (html, json))
    raise typer.Exit(worker.run(partial(run, evidence, live, options, (html, json), force=force), limits))


def run(
    evidence: str, live: LiveOptions, options: Options, targets: tuple[Path | None, Path | None], *, force: bool
) -> int:
    """0 where everything was read, 1 where a supplied key fails on values that name it, 3 where not all was read.

    Args:
        evidence: The evidence.
        live: How to reach it where it is live.
        options: The options of the audit.
        targets: The files of --html and --json.
        force: Whether they may exist.
    """
    evidence = single(evidence)
    access = live_options.access(evidence, live)
    files = [] if access is not None else [Path(evidence)]
    named = [
        *options.encryption_configs,
        *address.files(options.kms),
        *filter(None, (options.wal_dir, options.k3s_token)),
    ]
    inputs = [*files, *map(Path, named), *live_options.files(live)]
    output.check([*targets, *checksums.targets(targets)], inputs, force=force)
    from auditor import scan

    with bars() if options.kms else nullcontext(SILENT) as observer:
        audit = scan(evidence, options, observer=observer, access=access)
    from rich.text import Text

    from auditor.reports import key_table, terminal

    supplied = bool(options.encryption_configs or options.kms_plugins or options.kms or options.k3s_token)
    code = key_table.exit_code(audit)
    _save(audit, targets, supplied=supplied, force=force)
    stream = sys.stderr if output.STDOUT in targets else sys.stdout
    console = terminal.Printer(stream)
    console.print(terminal.table(key_table.HEADER, key_table.table(audit)))
    console.print()
    for sentence in key_table.sentences(audit, supplied=supplied):
        console.print(Text(f"{sentence[0].upper()}{sentence[1:]}."))
    if options.k3s_token and not audit.bootstrap:
        console.print(Text("--k3s-token: there is no record of k3s or RKE2 under /bootstrap/ to decrypt."))
    terminal.gaps(audit, console)
    for note in audit.notes if audit.evidence.live is not None else ():
        console.print(Text(f"Note: {note}."))
    console.print(Text(CAUTION))
    if lines := output.written([*targets, *checksums.targets(targets)]):
        console.print(*lines, sep="\n", markup=False, soft_wrap=True)
    return code


def _save(audit: "Audit", targets: tuple[Path | None, Path | None], *, supplied: bool, force: bool) -> None:
    """Write the documents. targets: of --html and --json; supplied: whether keys were."""
    from auditor.reports import key_table
    from auditor.reports.html import keys as keys_page

    html, json = targets
    if json is not None:
        output.save(json, lambda out: key_table.write(audit, key_table.exit_code(audit), out), force=force)
    if html is not None:
        output.save(html, lambda out: keys_page.write(audit, out, supplied=supplied), force=force)
    checksums.write(targets, force=force)
