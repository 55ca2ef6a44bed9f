"""The inventory as Parquet: the columns of the CSV, numbers as int64, null where unknown or not applicable."""

from typing import IO

from auditor.reports.columns import NUMBERS, Table


def write(table: Table, out: IO[bytes]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = [
        pa.array([cell if isinstance(cell, int) else None for cell in column], pa.int64())
        if name in NUMBERS
        else pa.array(column, pa.string())
        for name, column in table.columns.items()
    ]
    pq.write_table(pa.table(arrays, names=list(table.columns)), out, compression="zstd")
