"""From one backup's audit to its rows of every table, and to the file in which a worker leaves them."""

import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from auditor.fleet import clusters
from auditor.fleet.backup import State
from auditor.fleet.compare import ValueIds
from auditor.fleet.schema import TABLES
from auditor.fleet.settings import Order
from auditor.model import table
from auditor.model.audit import Audit
from auditor.model.table import Table
from auditor.model.vocabulary import FindingKind, Place, Provider, Severity
from auditor.reports import parquet
from auditor.text import hex_id, moment, shown
from auditor.version import __version__

Row = dict[str, Any]
UNKNOWN, SEVERAL = clusters.UNKNOWN, clusters.SEVERAL
LOCAL = frozenset({Provider.AESCBC, Provider.AESGCM, Provider.SECRETBOX})
"""Providers whose keys are in files."""
WITH = "decrypts with the key in "
"""How the column `detail` begins to name the object that holds a value's key."""
COUNTED = {"finding_rows": "findings", "inventory_rows": "inventory", "key_rows": "keys"}
"""Columns of `backups` that say how many rows a table has of a backup, beside `value_ids` of `values`."""
_ROW = "backup.json"


def row(order: Order, state: State, reason: str = "", **cells: object) -> Row:
    """The row of `backups` for one backup.

    Args:
        order: The order.
        state: What became of it.
        reason: Why it was not examined; empty where it was.
        cells: Further columns.
    """
    backup = order.backup
    every = order.settings.clusters
    uid = str(cells.get("cluster", UNKNOWN))
    by_url = every.of_url(*backup.places)
    label, owner = clusters.named(every.own(by_url, uid), uid)
    row = {
        **dict.fromkeys(TABLES["backups"].names),
        "backup": order.id,
        "url": backup.kept,
        "source_argument": backup.source,
        "size": backup.size,
        "modified": backup.modified,
        "etag": backup.etag,
        "version": not backup.latest,
        "taken": backup.taken,
        "state": state.value,
        "reason": reason,
        "attempts": 1,
        "cluster": uid,
        "label": label,
        "expected_label": by_url.name if by_url is not None else "",
        "owner": owner,
        "applied": order.settings.applied(backup, uid),
        "compare": order.settings.compare_check,
        "beside": order.settings.beside,
        "held_keys": order.held_keys,
        "tried_keys": order.tried_keys,
        "tried_from": " ".join(each.id for each in order.key_backups),
        "tool": __version__,
        "finished": moment(datetime.now(UTC).timestamp()),
        "run": order.settings.run,
        **cells,
    }
    return legible_row(row)


def legible_row(row: Row) -> Row:
    """A row whose texts are UTF-8, which names of files need not be."""
    return {name: legible(cell) if isinstance(cell, str) else cell for name, cell in row.items()}


def legible(text: str) -> str:
    """A text as Parquet and reports take it: one that is no UTF-8 is made printable."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return shown(text)
    return text


def of_audit(order: Order, audit: Audit, ids: ValueIds) -> tuple[Row, dict[str, pa.Table]]:
    """The row of a backup that was examined, and its rows of all other tables."""
    evidence = audit.evidence
    severities = audit.severities
    written = row(
        order,
        State.EXAMINED,
        cluster=cluster_of(ids),
        kind=evidence.description,
        sha256=evidence.sha256,
        etcd_cluster=hex_id(evidence.backend.cluster_id) if evidence.backend.cluster_id is not None else "",
        revision=evidence.backend.revision or None,
        newest=evidence.cluster.newest,
        trailer=evidence.trailer.label,
        verdict=audit.verdict().value,
        severity=max(severities).label if severities else "",
        complete=audit.complete,
        exhibits=max(1, len(audit.parts)),
        readable=audit.tally.readable + _known(audit),
        readable_alone=audit.tally.readable,
        undetermined=audit.tally.undetermined,
        current_holders=audit.tally.current_holders,
        gaps=len(audit.gaps),
        value_ids=len(ids.rows),
        common_values=ids.common,
        unread_secrets=ids.unread,
        redaction=audit.redaction.label if audit.redaction is not None else "",
        policy=audit.policy,
        configurations=ids.configurations,
        **_counts(audit),
    )
    rows = _tables(order.id, audit, ids)
    written |= {column: rows[name].num_rows for column, name in COUNTED.items()}
    if _known(audit):
        known = rows["inventory"].filter(pc.match_substring(rows["inventory"]["finding"], FindingKind.KNOWN_KEY.label))
        written["readable_latest"] += pc.sum(pc.equal(known["place"], Place.LATEST.label)).as_py()
        details = {part for detail in known["detail"].to_pylist() for part in detail.split("; ") if WITH in part}
        written["known_keys"] = "; ".join(sorted(part.partition(WITH)[2] for part in details))
    return written, rows


def add_gap(written: Row, rows: dict[str, pa.Table], reason: str) -> None:
    """Add a gap of the whole backup to what of_audit() returns."""
    cells = {"backup": written["backup"], "source": "", "offset": 0, "length": 0, "reason": reason}
    rows["gaps"] = pa.concat_tables([rows["gaps"], pa.Table.from_pylist([cells], TABLES["gaps"])])
    written |= {"complete": False, "gaps": written["gaps"] + 1}


def cluster_of(ids: ValueIds) -> str:
    """The uid of the cluster that a backup shows, UNKNOWN or SEVERAL."""
    uids = sorted({uid for each in ids.clusters for uid in each.split(", ") if uid})
    return uids[0] if len(uids) == 1 else SEVERAL if uids else UNKNOWN


def _known(audit: Audit) -> int:
    """The number of values whose keys others have."""
    return sum(count for kind, _, count in audit.tally.findings if kind is FindingKind.KNOWN_KEY)


def _counts(audit: Audit) -> Row:
    latest = [place for place in audit.tally.places if place[0] is Place.LATEST]
    return {
        "values": sum(count for _, _, _, count, _ in audit.tally.places),
        "local_values": sum(count for _, provider, _, count, _ in audit.tally.places if provider in LOCAL),
        "readable_latest": sum(count for _, provider, _, count, _ in latest if provider is Provider.IDENTITY),
        "unopened_latest": sum(
            count - opened for _, provider, _, count, opened in latest if provider is not Provider.IDENTITY
        ),
    }


def _tables(id_: str, audit: Audit, ids: ValueIds) -> dict[str, pa.Table]:
    """Rows of every table but `backups`."""
    keys = [
        {
            "provider": key.provider.label,
            "key_name": key.key_name,
            "kek_id": key.kek_id,
            "kek_version": key.kek_version,
            "origin": key.origin,
            "configured": key.configured,
            "configurations": ids.listed[key.provider.label, key.key_name],
            "values": key.values,
            "latest": dict(key.places).get(Place.LATEST, 0),
            "opened": key.opened,
            "failed": key.failed,
            "oldest": key.oldest,
            "newest": key.newest,
        }
        for key in audit.keys
    ]
    coverage = [
        {
            **{name: getattr(each, name) for name in ("resource", "exempt", "key_name", "values")},
            "provider": each.provider.label,
            "place": each.place.label,
        }
        for each in audit.coverage
    ]
    names = ("source", "offset", "length", "reason")
    gaps = [{name: getattr(gap, name) for name in names} for gap in audit.gaps]
    names = ("kind", "size", "modified", "sha256")
    sources = [
        {"source": each.name, **{name: getattr(each, name) for name in names}} for each in audit.evidence.sources
    ]
    values = [dict(zip(("id", "field", "value_id", "current", "readable"), cells, strict=True)) for cells in ids.rows]
    return {
        "findings": _rows(id_, table.of_findings(audit.rows)),
        "inventory": _rows(id_, table.of_values(audit.rows)),
        **{
            name: pa.Table.from_pylist([{"backup": id_, **each} for each in rows], TABLES[name])
            for name, rows in {
                "sources": sources,
                "keys": keys,
                "coverage": coverage,
                "gaps": gaps,
                "values": values,
            }.items()
        },
    }


def _rows(id_: str, rows: Table) -> pa.Table:
    cells = parquet.table(Table({name: column for name, column in rows.columns.items() if name != "evidence"}))
    return cells.add_column(0, "backup", pa.array([id_] * cells.num_rows, pa.string()))


def pack(backup: Row, tables: Mapping[str, pa.Table]) -> bytes:
    """One file with everything of a backup: it is there whole, or not at all."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(_ROW, json.dumps(backup))
        for name, rows in tables.items():
            if rows.num_rows:
                archive.writestr(name, to_parquet(rows))
    return out.getvalue()


def unpack(raw: bytes) -> tuple[Row, dict[str, pa.Table]]:
    """What pack() was given, without empty tables. Raises ValueError for any other bytes."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            backup: Row = json.loads(archive.read(_ROW))
            names = [name for name in archive.namelist() if name in TABLES]
            return backup, {name: pq.read_table(pa.BufferReader(archive.read(name))) for name in names}
    except (zipfile.BadZipFile, KeyError, pa.ArrowInvalid) as error:
        raise ValueError(type(error).__name__) from None


def to_parquet(rows: pa.Table) -> bytes:
    """The bytes of a Parquet file."""
    out = pa.BufferOutputStream()
    pq.write_table(rows, out, compression="zstd")
    return bytes(out.getvalue())


def of_rows(rows: Iterable[Row]) -> pa.Table:
    """Rows of `backups` as a table."""
    return pa.Table.from_pylist(list(rows), TABLES["backups"])


def severity(cell: str | None) -> Severity | None:
    """The severity of a cell of `backups`."""
    return next((level for level in Severity if level.label == cell), None)
