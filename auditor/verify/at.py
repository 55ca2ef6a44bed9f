"""The row at an offset of evidence, and whether what it says stands there: read again, and no byte of it is quoted."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from auditor.errors import UsageError
from auditor.evidence.discovery import exhibits
from auditor.evidence.file import EvidenceFile
from auditor.model import table
from auditor.model.audit import Audit
from auditor.observer import Observer
from auditor.options import Options
from auditor.scanning.one import one
from auditor.text import printable
from auditor.verify import evidence

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Spot:
    """The row at an offset, and the file read again there."""

    row: Row
    """The columns of the inventory, or of the finding where no stored value begins there."""
    findings: tuple[str, ...]
    """The findings of every row with this offset; how severe they are depends on the options of the audit."""
    signature: str
    """The bytes that a value of this row begins with, which hold nothing of its content; empty where it has none."""
    same: bool
    """Whether they stand there; without a signature, whether the row's bytes lie inside the file."""


def find(path: str, source: str, offset: int, options: Options, observer: Observer) -> Spot:
    """The row that begins at an offset.

    Args:
        path: The evidence.
        source: The file that the offset is of; empty where there is one.
        offset: A byte of that file.
        options: How the evidence is read, and which values are looked at.
        observer: Its methods are called with the progress.

    Raises:
        UsageError: No row begins there; the message names the one that holds the offset.
        UnreadableEvidence: Nothing can be read.
    """
    options = replace(options, rows=True, leading=0)
    audit = one(path, options, observer)
    names = [file.name for file in audit.evidence.sources]
    if source not in names and (source or len(names) != 1):
        raise UsageError(f"--source: the offset is of one of {', '.join(names)}: name it")
    source = source or names[0]
    rows = _rows(audit, source)
    if not any(row["offset"] == offset for row in rows) and not options.hunt:
        # the hunt's rows are of any bytes: it is gone through only where nothing else begins here
        audit = one(path, replace(options, hunt=True), observer)
        rows = _rows(audit, source)
    here = [row for row in rows if row["offset"] == offset]
    if not here:
        keys = options.encryption_configs or options.kms or options.kms_plugins
        more = "" if keys else "; a copy of an encrypted value is a row only with the keys: give the report's options"
        raise UsageError(f"{source}: no row begins at offset {offset:,}{_holder(rows, offset)}{more}")
    with ExitStack() as stack:
        opened = stack.enter_context(exhibits.opened(path, options))
        files = [file for _, opener in opened for _, file in stack.enter_context(opener()).files]
        file = next((file for file in files if file.name == source), None)
        if file is None:
            raise UsageError(f"{source} lies in a container of several evidence items: give the one that it is of")
        expected, same = _stands(file, here[0])
    findings = tuple(dict.fromkeys(str(row["finding"]) for row in here if row["finding"]))
    return Spot(here[0], findings, expected, same)


def _rows(audit: Audit, source: str) -> list[Row]:
    """The rows of one file: stored values, then the findings that are of no stored value."""
    values = table.inventory(audit.rows, audit.evidence)
    findings = table.findings(audit.rows, audit.evidence)
    return [*_of(values, source, ()), *_of(findings, source, evidence.HITS)]


def _of(rows: table.Table, source: str, kinds: Sequence[str] | frozenset[str]) -> Iterator[Row]:
    for cells in rows.rows():
        row = dict(zip(table.COLUMNS, cells, strict=True))
        if row["source"] == source and type(row["offset"]) is int and (not kinds or row["finding"] in kinds):
            yield row


def _holder(rows: Sequence[Row], offset: int) -> str:
    """The row whose bytes hold an offset, in words; empty where none does."""
    for row in rows:
        first, size = row["offset"], row["size"]
        if type(size) is int and first <= offset < first + size:
            return f"; it lies inside the row at offset {first:,}, of {size:,} bytes: give --at {first}"
    return ""


def _stands(file: EvidenceFile, row: Row) -> tuple[str, bool]:
    """The signature of a row, printable, and whether it stands in the file."""
    at, size = int(row["offset"]), int(row["size"])
    expected = evidence.beginning(row)
    if expected is None:
        return "", at + size <= file.size
    return printable(expected), evidence.is_written(file.map[at : at + size], expected, row)
