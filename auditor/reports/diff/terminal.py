"""The comparison for people, as wide as their terminal."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from auditor.diff.compare import LISTED, Comparison
from auditor.model.vocabulary import Severity
from auditor.reports.diff import words
from auditor.reports.terminal import COLOUR, table

MOST = 20
"""Lines about gaps and parts not examined; the other reports have all of them."""


def write(comparison: Comparison, fail_on: Severity, console: Console) -> None:
    head, *rest = words.verdict(comparison, fail_on)
    console.print(Text(head, COLOUR[comparison.verdict(fail_on)]))
    for line in rest:
        console.print(Text(line))
    console.print()
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in (
        ("BEFORE", words.side(comparison.before)),
        ("AFTER", words.side(comparison.after)),
        ("Cluster", words.cluster(comparison)),
        ("Policy", f"{comparison.after.policy} (AFTER)"),
    ):
        grid.add_row(Text(name), Text(text))
    console.print(grid)
    for header, rows in (words.forms(comparison), words.keys(comparison), words.leftover_table(comparison)):
        if rows:
            console.print()
            console.print(table(header, rows))
    if comparison.problems:
        console.print()
        console.print(table(*words.worst(comparison), numbers=False))
        if (more := comparison.problems - LISTED) > 0:
            console.print(Text(f"and {more:,} more: see --csv, --html or --json"))
    console.print()
    lines = words.unexamined(comparison)
    console.print(Text("Not examined:"))
    for line in lines[:MOST]:
        console.print(Text(f"  {line}"))
    if (more := len(lines) - MOST) > 0:
        console.print(Text(f"  and {more:,} more, listed by --json and --html"))
    for note in words.notes(comparison):
        console.print(Text(f"Note: {note}."))
