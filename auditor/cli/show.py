"""etcd-auditor show: one object through every place and revision."""

import sys
from pathlib import Path

import typer

from auditor.cli import live_options, output
from auditor.cli.live_options import LiveOptions
from auditor.cli.progress import bars
from auditor.errors import UsageError
from auditor.options import Options


def confirm(key: str) -> None:
    """Ask whether values may be written to this terminal. Raises UsageError where the answer is not yes."""
    from auditor.text import printable

    shown = printable(key.encode("utf-8", "surrogateescape"))
    try:
        agreed = typer.confirm(f"Write the values of {shown} to this terminal, where its history keeps them?", err=True)
    except typer.Abort:
        agreed = False
    if not agreed:
        raise UsageError("--reveal was not confirmed: nothing was read")


def run(
    evidence: str, given: LiveOptions, key: str, options: Options, json: Path | None, *, reveal: bool, force: bool
) -> int:
    """0 where everything was read, 3 where not. Raises UsageError where there is no such key."""
    access = live_options.access(evidence, given)
    read = [] if access is not None else [evidence]
    output.check(
        [json], [Path(each) for each in (*read, *options.encryption_configs, options.wal_dir) if each], force=force
    )
    from auditor.run_log import RunLog
    from auditor.scanning.one import single

    with bars() as progress:
        hashing, arriving = progress("hashing"), progress("reading")
        with single(evidence, options, access, arriving, RunLog()) as files:
            from auditor.history import find  # the file is being hashed while numpy and the rest are imported

            found = find.history(files, options, key, hashing)
    from auditor.reports import history, terminal

    if json is not None:
        output.save(json, lambda out: history.save(found, out), force=force)
    stream = sys.stderr if json == output.STDOUT else sys.stdout
    history.write(found, terminal.Printer(stream), reveal=reveal)
    return 0 if found.complete else 3
