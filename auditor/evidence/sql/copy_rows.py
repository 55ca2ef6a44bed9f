"""Rows of PostgreSQL's COPY in text format: a line a row, tabs between its fields, `\\N` for NULL."""

from collections.abc import Sequence

from auditor.evidence.beginnings import LEAST
from auditor.evidence.containers.residue import holds_value
from auditor.evidence.file import EvidenceFile
from auditor.evidence.sql import grammar
from auditor.evidence.sql.rows import NUMBERS, TEXTS, TextRows
from auditor.evidence.sql.spans import Spans

END = b"\\."


def read(
    file: EvidenceFile, at: int, columns: Sequence[str], rows: TextRows, accounted: Spans, table: int = 0
) -> tuple[int, bool]:
    """Add the rows from a position on; the position behind them, and whether a line ends them.

    Lines that are no rows are left out of `accounted`.

    Args:
        file: The text.
        at: Where the first row begins.
        columns: Names of the fields.
        rows: Where they are added.
        accounted: Where the stretches that were read are added.
        table: Number of the table.
    """
    places = {column: number for number, column in enumerate(columns)}
    numbers = [places[column] for column in NUMBERS]
    texts = [places[column] for column in TEXTS]
    others = sorted({*range(len(columns))}.difference(numbers, texts))
    text = file.map
    while at < file.size:
        end = text.find(b"\n", at, at + grammar.LONGEST_ROW)
        stop = end + 1 if end >= 0 else min(file.size, at + grammar.LONGEST_ROW)
        line = text[at : end if end >= 0 else stop]
        line = line.removesuffix(b"\r")
        if line == END:
            accounted.add(at, stop)
            return stop, True
        if end < 0 and not line:
            break
        if _add(line, at, len(columns), (numbers, texts, others), rows, table):
            accounted.add(at, stop)
        at = stop
    return at, False


def _add(line: bytes, at: int, count: int, places: tuple[list[int], ...], rows: TextRows, table: int) -> bool:
    """Add the row of a line; whether it is one.

    Args:
        line: Without its end.
        at: Where it begins.
        count: Number of its fields.
        places: Of NUMBERS and of TEXTS among them, and of the others, in which no value may begin.
        rows: Where it is added.
        table: Number of the table.
    """
    fields = line.split(b"\t")
    if len(fields) != count:
        return False
    if any(len(fields[place]) >= LEAST and holds_value(fields[place]) for place in places[2]):
        return False
    try:
        numbers = [grammar.number(fields[place]) for place in places[0]]
    except ValueError:
        return False
    begins, begin = [], at
    for cell in fields:
        begins.append(begin)
        begin += len(cell) + 1
    name, *values = places[1]
    texts = [grammar.copied(fields[name], begins[name], is_bytes=False)]
    texts += [grammar.copied(fields[place], begins[place], is_bytes=True) for place in values]
    rows.add(numbers, table, texts)
    return True


def skip(file: EvidenceFile, at: int) -> tuple[int, int]:
    """The position behind the rows of another table, and how many bytes they have; -1 where nothing ends them."""
    if file.map[at : at + 2] == END:
        end = grammar.END_OF_COPY.match(file.map, at)
        return (end.end(), 0) if end is not None else (at, -1)
    while (found := file.map.find(b"\n" + END, at)) >= 0:
        if (end := grammar.END_OF_COPY.match(file.map, found + 1)) is not None:
            return end.end(), found + 1 - at
        at = found + 1
    return file.size, -1
