"""etcd-auditor verify: whether a report, the files beside it and its evidence are what they were."""

import sys
from collections.abc import Sequence
from pathlib import Path

from auditor.cli.progress import hashing
from auditor.options import Options


def run(report: Path, evidence: Sequence[str], options: Options) -> int:
    """0 where all is as reported, 1 where something differs or could not be checked. Raises AuditorError."""
    from rich.text import Text  # all of this in the process that reads: the one that waits needs none of it

    from auditor.reports.terminal import Printer
    from auditor.reports.words import plural
    from auditor.verify.checks import Check, Outcome
    from auditor.verify.verify import verify

    colour = {Outcome.DIFFERS: "bold red", Outcome.UNCHECKED: "bold yellow"}
    console = Printer(sys.stdout)
    made: list[Check] = []
    with hashing() as progress:
        for check in verify(report, evidence, progress, options):
            made.append(check)
            line = Text(f"{check.outcome.value:<11}  {check.what}: {check.said}", colour.get(check.outcome, ""))
            console.print(line, soft_wrap=True)
    failed = sum(not check.holds for check in made)
    held = sum(check.outcome is Outcome.AS_REPORTED for check in made)
    if failed:
        console.print(Text(f"{plural(failed, 'check')} failed, {held:,} held (exit 1)", "bold red"))
        return 1
    what = "report and evidence" if evidence else "the report; no evidence was given"
    console.print(Text(f"ALL AS REPORTED: {plural(held, 'check')}, of {what} (exit 0)", "bold green"))
    return 0
