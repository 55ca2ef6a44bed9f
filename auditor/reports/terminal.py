"""The summary for people, as wide as their terminal."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import IO, cast

from rich.console import Console
from rich.table import Table
from rich.text import Text

from auditor.model.audit import Audit
from auditor.model.evidence import Unexamined
from auditor.model.vocabulary import Severity, Verdict
from auditor.reports import rotation, tables, together, verdict, words
from auditor.reports.grid import Grid

MOST_GAPS = 10
MOST_OBJECTS = 20
PIPE_WIDTH = 140
FACTS = ("Evidence", "Live", "SHA-256", "Trailer", "Kind", "Policy", "Current", "Case", "Baseline", "Names", "Settings")
OBJECT_COLUMNS = ("severity", "finding", "place", "same as latest", "valid until", "used by", "rows")
DROPPED = ("used by", "rows", "valid until")
"""Columns of the objects that a narrow terminal does without, the first one first."""
_BLANKS = re.compile(r" +$", re.MULTILINE)
COLOUR = {
    Verdict.FINDINGS: "bold red",
    Verdict.ACCEPTED: "bold yellow",
    Verdict.INCONCLUSIVE: "bold yellow",
    Verdict.NONE: "bold",
}


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


def write(
    audit: Audit, fail_on: Severity, console: Console, *, verbose: bool = False, names: bool | None = None
) -> None:
    """Print the summary.

    Args:
        audit: The audit.
        fail_on: The severity of --fail-on.
        console: Where to.
        verbose: Whether every object with a finding is listed, and the coverage of every resource.
        names: Whether objects are named, else the ids of their rows are; by default where the console is a terminal.
    """
    lines = verdict.sentences(audit, fail_on)
    console.print(Text(lines[0], COLOUR[audit.verdict(fail_on)]))
    for line in lines[1:]:
        console.print(Text(line))
    console.print()
    head = words.facts(audit)
    console.print(facts({name: head[name] for name in FACTS if name in head}))
    console.print()
    _counts(audit, fail_on, console, verbose=verbose)
    _objects(audit, console, verbose=verbose, names=console.is_terminal if names is None else names)
    gaps(audit, console, audit.unexamined if verbose else together.unexamined(audit))
    if control := words.control(audit):
        console.print(Text(f"Self-test: {control}."))
    absent(audit, console)
    for note in audit.notes if verbose else together.notes(audit):
        console.print(Text(f"Note: {note}."))
    if steps := verdict.next_steps(audit):
        console.print(Text("Next: " + "  ".join(f"{number} {step}" for number, step in enumerate(steps, 1))))
    if audit.rotation is not None:
        console.print(Text(f"Rotation: {rotation.counts(audit.rotation)}."))
    if explained := verdict.explained(audit):
        console.print(Text(f"Explained by `etcd-auditor explain`: {', '.join(explained)}"))


def facts(lines: Mapping[str, str]) -> Table:
    """A line for each name, its text beside it."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in lines.items():
        grid.add_row(Text(name), Text(text))
    return grid


def _counts(audit: Audit, fail_on: Severity, console: Console, *, verbose: bool) -> None:
    if audit.parts:
        header, parts = tables.of_parts(audit, fail_on)
        console.print(Grid(header, parts, texts=tables.PART_TEXTS, optional=tables.PART_OPTIONAL))
        console.print()
    header, rows = tables.of_places_briefly(audit)
    console.print(Grid(*tables.of_places(audit), texts=(), instead=Grid(header, rows, texts=tables.PLACE_TEXTS)))
    if verbose:
        console.print()
        console.print(table(*tables.of_coverage(audit)))
    console.print()


def _objects(audit: Audit, console: Console, *, verbose: bool, names: bool) -> None:
    """The objects with findings, most severe first."""
    if not audit.rows.columns:
        return
    from auditor.model.table import of_findings  # numpy, which the process that only parses must not load
    from auditor.reports import objects

    groups = objects.group(of_findings(audit.rows), len(audit.rows) if verbose else MOST_OBJECTS)
    rows = []
    for line, id_ in zip(groups.lines, groups.ids, strict=True):
        cells = dict(zip(objects.HEADER, line, strict=True))
        name = cells["object"] if cells["resource"] in {"", "secrets"} else f"{cells['resource']} {cells['object']}"
        rows.append([name if names else id_, *(cells[column] for column in OBJECT_COLUMNS)])
    if not rows:
        return
    header = ["object" if names else "row", *OBJECT_COLUMNS]
    unused = [name for number, name in enumerate(header) if not any(row[number] for row in rows)]
    texts = {name for name in header if name != "rows"}
    console.print(Grid(header, rows, texts=texts, optional=DROPPED).without(unused))
    if groups.objects > len(rows):
        console.print(Text("and more: -v lists all of them, as do --csv and --html"))
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


def gaps(audit: Audit, console: Console, unexamined: Sequence[Unexamined] | None = None) -> None:
    """The first gaps, and everything that was not examined. unexamined: in place of all the audit's parts."""
    for gap in audit.gaps[:MOST_GAPS]:
        console.print(Text(f"Gap: {gap.source}: {gap.reason}", "yellow"))
    if (more := len(audit.gaps) - MOST_GAPS) > 0:
        console.print(Text(f"Gap: {more:,} more, listed by --json and --html", "yellow"))
    console.print(Text("Not examined:"))
    for part in audit.unexamined if unexamined is None else unexamined:
        console.print(Text(f"  {part.what}: {part.reason}", "yellow" if part.decisive else ""))


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: bool = True) -> Grid:
    """A table as wide as its terminal. numbers: whether all columns but the first are aligned to the right."""
    return Grid(header, rows, texts=() if numbers else None)
