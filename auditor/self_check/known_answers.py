"""Evidence of every store and place, packed into this package, and the rows that an audit of it must report.

The evidence is a real etcd's, PostgreSQL's, MariaDB's, dqlite's, SQLite's as kine writes it, a real etcdctl's, and
packed as Gardener, vCluster, Rancher, dbctl and Velero pack it; every value in it is invented.
`tests/self_check/maker.py` makes the pack, and writes it only where each row agrees with what was put into the stores.
"""

import json
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from auditor.options import Options

PACK = "known-answers.tar.xz"
_SAFELY: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
"""Of tarfile.extractall() from Python 3.11.4 on; the archive is the package's own."""
ANSWERS = "answers.json"
AS_OF = "2026-11-01T00:00:00Z"
"""The time by which something in the evidence has expired."""
COLUMNS = (
    "place", "finding", "severity", "judged", "resource", "namespace", "name", "key", "provider", "key_name", "kek_id",
    "encoding", "decrypted", "same_as_latest", "type", "data_keys", "create_revision", "mod_revision", "version",
    "state", "source", "offset", "size", "extents", "page", "also_in",
)  # fmt: skip
"""Columns of the inventory that are compared."""
MOST_DIFFERENCES = 10
"""Differences of one case that are named."""

Row = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """One item of evidence, and what an audit of it must report."""

    name: str
    """What it is, in words."""
    path: str
    """The evidence, below the unpacked folder."""
    configurations: tuple[str, ...]
    """EncryptionConfigurations, below the same folder."""
    carve: bool
    """Whether it is raw bytes, whose values are met by signature."""
    exit_code: int
    """Of the audit."""
    rows: tuple[Row, ...]
    """The cells of COLUMNS of each row of the inventory."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the audit of one case reports, in comparison with what it must."""

    case: Case
    rows: int
    """Rows that the audit reports."""
    differences: tuple[str, ...]
    """The differences, in words; empty where there are none."""

    @property
    def matches(self) -> bool:
        """Whether every row is the known one."""
        return not self.differences


@contextmanager
def unpacked(work_dir: str = "") -> Iterator[tuple[Path, tuple[Case, ...]]]:
    """A folder with the evidence, removed at the end, and the cases. work_dir: where; the system's if empty."""
    with (
        tempfile.TemporaryDirectory(prefix="etcd-auditor-", dir=work_dir or None) as name,
        resources.as_file(resources.files(__package__) / PACK) as pack,
    ):
        folder = Path(name)
        with tarfile.open(pack) as archive:
            archive.extractall(folder, **_SAFELY)  # noqa: S202 - the package's own
        document = json.loads((folder / ANSWERS).read_text(encoding="utf-8"))
        yield folder, tuple(_case(each) for each in document["cases"])


def _case(entry: dict[str, Any]) -> Case:
    return Case(
        name=entry["name"],
        path=entry["path"],
        configurations=tuple(entry["configurations"]),
        carve=entry["carve"],
        exit_code=entry["exit_code"],
        rows=tuple(map(tuple, entry["rows"])),
    )


def answer(case: Case, folder: Path) -> Answer:
    """The audit of one case held against its known rows. A failure of the audit is a difference."""
    from auditor.errors import AuditorError

    try:
        rows, code = report(case, folder)
    except AuditorError as error:
        return Answer(case, 0, (f"the audit failed: {error}",))
    return Answer(case, len(rows), tuple(_differences(case, rows, code)))


def report(case: Case, folder: Path) -> tuple[tuple[Row, ...], int]:
    """The rows that an audit of a case reports, and its exit code. Raises AuditorError."""
    from auditor.model import table
    from auditor.model.vocabulary import Severity
    from auditor.scanning.one import one

    options = Options(
        encryption_configs=tuple(str(folder / each) for each in case.configurations),
        as_of=AS_OF,
        carve=case.carve,
    )
    audit = one(str(folder / case.path), options)
    columns = table.inventory(audit.rows, audit.evidence).columns
    rows = tuple(tuple(map(_cell, cells)) for cells in zip(*(columns[name] for name in COLUMNS), strict=True))
    return rows, audit.exit_code(Severity.MEDIUM)


def _cell(cell: Any) -> str | int:
    return cell if isinstance(cell, str | int) else str(cell)


def _differences(case: Case, rows: Sequence[Row], code: int) -> Iterator[str]:
    if code != case.exit_code:
        yield f"the exit code is {code}, not {case.exit_code}"
    known, reported = set(case.rows), set(rows)
    odd = [("is missing", row) for row in case.rows if row not in reported]
    odd += [("is not a known one", row) for row in rows if row not in known]
    if not odd and len(rows) != len(case.rows):
        yield f"{len(rows)} rows, not {len(case.rows)}: some are repeated or missing"
    for what, row in odd[:MOST_DIFFERENCES]:
        cells = dict(zip(COLUMNS, row, strict=True))
        yield f"a row {what}: {cells['place']} {cells['provider']}, {cells['source']} at offset {cells['offset']}"
    if len(odd) > MOST_DIFFERENCES:
        yield f"and {len(odd) - MOST_DIFFERENCES} more rows"
