"""etcd-auditor find: whether the evidence holds some values, and where."""

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from auditor.cli import checksums, confinement, live_options, output, worker
from auditor.cli.live_options import NOT_LIVE, LiveOptions
from auditor.cli.options import (
    Carve,
    Configurations,
    Evidences,
    Kms,
    KmsBudget,
    MaxRatio,
    MaxUnpacked,
    Plugins,
    Prefixes,
    WalDir,
    WorkDir,
    Yes,
    kms_options,
    library_options,
)
from auditor.cli.progress import bars
from auditor.encryption.kms import address
from auditor.options import Options

CODES = (
    "Exit codes: 0 no value was found, and everything was read; 1 a value was found; "
    "2 bad usage, nothing readable, or a fault of the auditor's own; "
    "3 no value was found, and something was not read or not decrypted, or holds a part of a value whose rest is lost."
)


@live_options.live_options
def find(
    evidence: Evidences,
    value_file: Annotated[
        Path,
        typer.Option(help="The values, one a line; - for standard input. Never on the command line.", metavar="FILE"),
    ],
    whole: Annotated[bool, typer.Option("--whole", help="The bytes of the file are one value.")] = False,
    storage_prefix: Prefixes = None,
    encryption_config: Configurations = None,
    kms_plugin: Plugins = None,
    kms: Kms = None,
    kms_budget: KmsBudget = 0,
    yes: Yes = False,
    live: LiveOptions = NOT_LIVE,
    work_dir: WorkDir = None,
    wal_dir: WalDir = None,
    carve: Carve = False,
    max_unpacked: MaxUnpacked = 64 << 30,
    max_ratio: MaxRatio = 250,
    json: Annotated[Path | None, typer.Option(help="Write the places as JSON; - for standard output.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a report that exists.")] = False,
) -> None:
    """Find values: raw, in base64 or with JSON's escapes, in readable, decrypted and freed bytes; print none."""

    options = library_options(
        resources=["*"],
        storage_prefixes=storage_prefix,
        encryption_configs=encryption_config,
        kms_plugins=kms_plugin,
        **kms_options(kms, kms_budget, yes=yes),
        wal_dir=wal_dir,
        carve=carve,
        work_dir=work_dir,
        max_unpacked=max_unpacked,
        max_ratio=max_ratio,
        rows=False,
    )
    task = partial(run, evidence, live, options, str(value_file), json, whole=whole, force=force)
    raise typer.Exit(worker.run(task, confinement.limits(evidence, [options], [json])))


def run(
    evidence: list[str],
    live: LiveOptions,
    options: Options,
    value_file: str,
    json: Path | None,
    *,
    whole: bool,
    force: bool,
) -> int:
    """1 where a value was found, 0 where none is there, 3 where that cannot be told. Raises AuditorError."""
    from auditor.evidence.discovery.arguments import Beside, resolve_arguments
    from auditor.find import values
    from auditor.verify.own import is_report

    beside = Beside()
    paths = resolve_arguments(evidence, is_report, beside)
    options = replace(
        options,
        beside_texts=tuple(beside.texts),
        companion_configs=tuple(beside.companions),
        keeps_texts=True,
    )
    if len(paths) > 1:
        live_options.none(paths, live)
    access = live_options.access(paths[0], live) if len(paths) == 1 else None
    files = [*(paths if access is None else ()), *options.encryption_configs, options.wal_dir]
    files += address.files(options.kms)
    inputs = [Path(each) for each in (*files, value_file if value_file != values.STDIN else "") if each]
    output.check([json, *checksums.targets([json])], [*inputs, *live_options.files(live)], force=force)
    wanted = values.load(value_file, whole=whole)
    from auditor.find.everywhere import everywhere

    with bars() as observer:
        findings = everywhere(paths, options, wanted, observer, access)
    from auditor.reports import find as report
    from auditor.reports import terminal

    if json is not None:
        output.save(json, lambda out: report.save(findings, out), force=force)
        checksums.write([json], force=force)
    stream = sys.stderr if json == output.STDOUT else sys.stdout
    report.write(findings, terminal.Printer(stream))
    return findings.exit_code
