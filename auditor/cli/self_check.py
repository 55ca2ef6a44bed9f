"""etcd-auditor self-check: whether this installation answers known evidence rightly, and is what was installed."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auditor.cli import confinement, worker
from auditor.cli.options import SigningKey, TimeStamp, WorkDir
from auditor.cli.sealing import NO_SEALS, Seals
from auditor.options import Options

if TYPE_CHECKING:
    from auditor.self_check.result import SelfCheck

CODES = (
    "Exit codes: 0 every known answer is right and no installed file differs from its record; 1 one is wrong, or a "
    "file differs; 2 bad usage, or a fault of the auditor's own."
)


def self_check(
    json: Annotated[
        Path | None, typer.Option(help="Write the result as JSON, to be filed with a case.", show_default=False)
    ] = None,
    sign: SigningKey = None,
    timestamp: TimeStamp = "",
    work_dir: WorkDir = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a report that exists.")] = False,
) -> None:
    """Audit known evidence of every store and place, and hold the installed files against their record and the lock."""
    scratch, programs = str(work_dir or ""), sign is not None
    limits = confinement.limits([], [Options(work_dir=scratch)], [json], programs=programs, elsewhere=timestamp)
    raise typer.Exit(worker.run(partial(run, json, scratch, Seals(sign, timestamp), force=force), limits))


def run(json: Path | None, work_dir: str, seals: Seals = NO_SEALS, *, force: bool) -> int:
    """0 where the check passes, else 1. Raises AuditorError."""
    from auditor.cli import output
    from auditor.self_check import result
    from auditor.self_check.check import check

    seals.check([json])
    output.check([json, *seals.files([json])], [seals.sign] if seals.sign is not None else [], force=force)
    outcome = check(work_dir)
    if json is not None:
        output.save(json, partial(result.write, outcome), force=force)
        seals.write([json], force=force)
    _print(outcome, [json, *seals.files([json])])
    return 0 if outcome.passes else 1


def _print(outcome: "SelfCheck", files: Sequence[Path | None]) -> None:
    from rich.text import Text

    from auditor.cli import output
    from auditor.reports import terminal
    from auditor.self_check.words import lines

    printer = terminal.Printer(sys.stderr if output.STDOUT in files else sys.stdout)
    conclusion, facts, differences = lines(outcome)
    printer.print(Text(conclusion, "bold" if outcome.passes else "bold red"))
    printer.print(terminal.facts(facts))
    for line in differences:
        printer.print(Text(line), soft_wrap=True)
    if written := output.written(files):
        printer.print(*written, sep="\n", markup=False, soft_wrap=True)
