"""The summary for people, as wide as their terminal."""

import io
import re
from typing import IO, cast

from rich.console import Console
from rich.table import Table
from rich.text import Text

from auditor.model.audit import Audit
from auditor.model.vocabulary import Severity, Verdict
from auditor.reports import rotation, tables, words

MOST_GAPS = 10
PIPE_WIDTH = 140
FACTS = ("Evidence", "Live", "SHA-256", "Trailer", "Kind", "Policy", "Case", "Baseline", "Names")
_BLANKS = re.compile(r" +$", re.MULTILINE)
_COLOUR = {Verdict.FINDINGS: "bold red", Verdict.INCONCLUSIVE: "bold yellow", Verdict.NONE: "bold green"}


class _Trimmed(io.TextIOBase):
    """A stream that drops blanks at the ends of lines, which pad the last column of a table."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(_BLANKS.sub("", text))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()


class Printer(Console):
    """A console that raises BrokenPipeError when its reader is gone."""

    def __init__(self, stream: IO[str]) -> None:
        if stream.isatty():
            super().__init__(file=stream, highlight=False)
        else:
            super().__init__(file=cast("IO[str]", _Trimmed(stream)), width=PIPE_WIDTH, highlight=False)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def write(audit: Audit, fail_on: Severity, console: Console, *, verbose: bool = False) -> None:
    lines = words.verdict(audit, fail_on)
    console.print(Text(lines[0], _COLOUR[audit.verdict]))
    for line in lines[1:]:
        console.print(Text(line))
    if audit.tally.readable and (also := words.others(audit)):
        console.print(Text(f"Also: {also}"))
    console.print()
    facts = words.facts(audit)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name in FACTS:
        if name in facts:
            grid.add_row(Text(name), Text(facts[name]))
    console.print(grid)
    console.print()
    _counts(audit, fail_on, console, verbose=verbose)
    gaps(audit, console)
    if control := words.control(audit):
        console.print(Text(f"Control: {control}."))
    absent(audit, console)
    for note in audit.notes:
        console.print(Text(f"Note: {note}."))
    if steps := words.next_steps(audit):
        console.print(Text("Next: " + "  ".join(f"{number} {step}" for number, step in enumerate(steps, 1))))
    if audit.rotation is not None:
        console.print(Text(f"Rotation: {rotation.counts(audit.rotation)}."))
    if audit.tally.readable:
        console.print()
        console.print(table(*tables.of_causes(audit), numbers=False))


def _counts(audit: Audit, fail_on: Severity, console: Console, *, verbose: bool) -> None:
    if audit.parts:
        console.print(table(*tables.of_parts(audit, fail_on), numbers=False))
        console.print()
    console.print(table(*tables.of_places(audit)))
    if verbose:
        console.print()
        console.print(table(*tables.of_coverage(audit)))
    console.print()


def absent(audit: Audit, console: Console) -> None:
    """The first of the absent findings, which only the baseline has."""
    findings = audit.baseline.absent if audit.baseline is not None else ()
    for finding in findings[:MOST_GAPS]:
        what = "/".join(filter(None, (finding.namespace, finding.name))) or finding.source
        where = f" in {finding.place}" if finding.place else ""
        console.print(Text(f"Gone: {finding.finding} of {finding.resource or 'the configuration'} {what}{where}"))
    if (more := len(findings) - MOST_GAPS) > 0:
        console.print(Text(f"Gone: {more:,} more, listed by --json"))


def gaps(audit: Audit, console: Console) -> None:
    """The first gaps, and everything that was not examined."""
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
