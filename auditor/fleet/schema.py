"""The tables of the data set: columns, types, and the version of both."""

from dataclasses import dataclass

import pyarrow as pa

from auditor.model.table import COLUMNS, NUMBERS

VERSION = 1
"""Grows where a reader of the older tables would go wrong; columns may be added within a version."""
_TEXT, _NUMBER, _FLAG, _REAL = pa.string(), pa.int64(), pa.bool_(), pa.float64()


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema(list(columns.items()))


_ROWS = pa.schema(
    [("backup", _TEXT), *((name, _NUMBER if name in NUMBERS else _TEXT) for name in COLUMNS if name != "evidence")]
)
TABLES: dict[str, pa.Schema] = {
    "backups": _schema(
        backup=_TEXT,
        url=_TEXT,
        source_argument=_TEXT,
        size=_NUMBER,
        modified=_TEXT,
        etag=_TEXT,
        taken=_TEXT,
        state=_TEXT,
        reason=_TEXT,
        attempts=_NUMBER,
        cluster=_TEXT,
        label=_TEXT,
        expected_label=_TEXT,
        owner=_TEXT,
        applied=_TEXT,
        kind=_TEXT,
        sha256=_TEXT,
        etcd_cluster=_TEXT,
        revision=_NUMBER,
        newest=_TEXT,
        trailer=_TEXT,
        verdict=_TEXT,
        severity=_TEXT,
        complete=_FLAG,
        exhibits=_NUMBER,
        values=_NUMBER,
        readable=_NUMBER,
        readable_alone=_NUMBER,
        known_keys=_TEXT,
        local_values=_NUMBER,
        beside=_TEXT,
        held_keys=_TEXT,
        tried_keys=_TEXT,
        tried_from=_TEXT,
        hold=_TEXT,
        version=_FLAG,
        readable_latest=_NUMBER,
        undetermined=_NUMBER,
        current_holders=_NUMBER,
        unopened_latest=_NUMBER,
        gaps=_NUMBER,
        finding_rows=_NUMBER,
        inventory_rows=_NUMBER,
        key_rows=_NUMBER,
        value_ids=_NUMBER,
        common_values=_NUMBER,
        unread_secrets=_NUMBER,
        compare=_TEXT,
        redaction=_TEXT,
        policy=_TEXT,
        configurations=_NUMBER,
        tool=_TEXT,
        finished=_TEXT,
        run=_TEXT,
        seconds=_REAL,
    ),
    "sources": _schema(backup=_TEXT, source=_TEXT, kind=_TEXT, size=_NUMBER, modified=_TEXT, sha256=_TEXT),
    "findings": _ROWS,
    "inventory": _ROWS,
    "keys": _schema(
        backup=_TEXT,
        provider=_TEXT,
        key_name=_TEXT,
        kek_id=_TEXT,
        kek_version=_TEXT,
        origin=_TEXT,
        configured=_FLAG,
        configurations=_NUMBER,
        values=_NUMBER,
        latest=_NUMBER,
        opened=_NUMBER,
        failed=_NUMBER,
        oldest=_NUMBER,
        newest=_NUMBER,
    ),
    "coverage": _schema(
        backup=_TEXT, resource=_TEXT, exempt=_FLAG, provider=_TEXT, key_name=_TEXT, place=_TEXT, values=_NUMBER
    ),
    "gaps": _schema(backup=_TEXT, source=_TEXT, offset=_NUMBER, length=_NUMBER, reason=_TEXT),
    "values": _schema(backup=_TEXT, id=_TEXT, field=_TEXT, value_id=_TEXT, current=_FLAG, readable=_FLAG),
}
"""Columns of every table, in order. `backup` joins them; `id` joins values with inventory and findings."""


@dataclass(frozen=True, slots=True)
class Partition:
    """Where the rows of one backup go."""

    cluster: str
    month: str

    def path(self, table: str) -> str:
        """The folder, as DuckDB, pandas and Spark read it."""
        return f"{table}/cluster={self.cluster}/month={self.month}"
