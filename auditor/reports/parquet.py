"""The inventory as Parquet: the columns of the CSV, numbers as int64, null where unknown or not applicable."""

from typing import IO, TYPE_CHECKING, ClassVar

from auditor.model.audit import Audit
from auditor.model.table import NUMBERS, Table, inventory
from auditor.reports.interface import Report

if TYPE_CHECKING:
    import pyarrow as pa


def write(rows: Table, out: IO[bytes]) -> None:
    import pyarrow.parquet as pq

    pq.write_table(table(rows), out, compression="zstd")


def table(rows: Table) -> "pa.Table":
    import pyarrow as pa

    arrays = [
        pa.array([cell if isinstance(cell, int) else None for cell in column], pa.int64())
        if name in NUMBERS
        else pa.array(column, pa.string())
        for name, column in rows.columns.items()
    ]
    return pa.table(arrays, names=list(rows.columns))


class InventoryParquet(Report):
    """One row a value of the selected resources."""

    binary: ClassVar[bool] = True

    def write(self, audit: Audit, out: IO[bytes]) -> None:
        write(inventory(audit.rows, audit.evidence), out)

    def rows(self, audit: Audit) -> int:
        return len(audit.rows)
