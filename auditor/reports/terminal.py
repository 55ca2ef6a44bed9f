"""The summary for people, as wide as their terminal."""

from typing import IO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from auditor.model import Audit, Severity, Verdict
from auditor.reports import words

MOST_GAPS = 10
PIPE_WIDTH = 140
_COLOUR = {Verdict.FINDINGS: "bold red", Verdict.INCONCLUSIVE: "bold yellow", Verdict.NONE: "bold green"}


class Printer(Console):
    """A console that leaves it to the command what to do when nobody reads any more."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(file=stream, width=None if stream.isatty() else PIPE_WIDTH, highlight=False)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def write(audit: Audit, fail_on: Severity, console: Console, *, verbose: bool = False) -> None:
    evidence = audit.evidence
    lines = words.verdict(audit, fail_on)
    console.print(Text(lines[0], _COLOUR[audit.verdict]))
    for line in lines[1:]:
        console.print(Text(line))
    if audit.tally.readable and (also := words.others(audit)):
        console.print(Text(f"Also: {also}"))
    console.print()
    changed = f"changed during the run: {evidence.changed}" if evidence.changed else "unchanged during the run"
    facts = [
        ("Evidence", f"{evidence.name}, {words.extent(audit)}, {changed}; {words.scope(audit)}"),
        ("SHA-256", _hash(audit)),
        ("Trailer", words.trailer(audit)),
        ("Kind", words.kind(audit)),
        ("Policy", audit.policy),
    ]
    if audit.run.case:
        facts.append(("Case", audit.run.case))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in facts:
        grid.add_row(Text(name), Text(text))
    console.print(grid)
    console.print()
    if audit.parts:
        console.print(table(*words.part_table(audit, fail_on), numbers=False))
        console.print()
    console.print(table(*words.place_table(audit)))
    if verbose:
        console.print()
        console.print(table(*words.coverage_table(audit)))
    console.print()
    unread(audit, console)
    for note in audit.notes:
        console.print(Text(f"Note: {note}."))
    if steps := words.next_steps(audit):
        console.print(Text("Next: " + "  ".join(f"{number} {step}" for number, step in enumerate(steps, 1))))
    if audit.tally.readable:
        console.print()
        console.print(table(*words.causes(audit), numbers=False))


def _hash(audit: Audit) -> str:
    sha256 = audit.evidence.sha256
    if audit.parts:
        return words.hashed(audit)
    return f"{sha256} ({words.hashed(audit)})" if sha256 else "not computed"


def unread(audit: Audit, console: Console) -> None:
    for gap in audit.gaps[:MOST_GAPS]:
        console.print(Text(f"Gap: {gap.source}: {gap.reason}", "yellow"))
    if (more := len(audit.gaps) - MOST_GAPS) > 0:
        console.print(Text(f"Gap: {more:,} more, listed by --json and --html", "yellow"))
    console.print(Text("Not examined:"))
    for part in audit.unexamined:
        console.print(Text(f"  {part.what}: {part.reason}", "yellow" if part.decisive else ""))


def table(header: list[str], rows: list[list[str]], *, numbers: bool = True) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for number, name in enumerate(header):
        table.add_column(Text(name), justify="right" if number and numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table
