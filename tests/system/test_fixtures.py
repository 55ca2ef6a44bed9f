"""Every record of the ten real snapshots, at every revision, against the etcd that each restores to.

tests/system/test_truth.py compares the reports with the truth beside each snapshot; this looks at what lies under them.
"""

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import auditor
from auditor.evidence.batch import RecordBatch
from auditor.evidence.etcd import snapshot
from auditor.evidence.file import EvidenceFile
from auditor.evidence.reading import Reading
from auditor.model.vocabulary import EvidenceKind, Place, State
from auditor.protobuf import rpc_pb2 as rpc
from tests.helpers.etcd import Etcd, restore
from tests.helpers.packing import DATA_FILTER

FIXTURES = Path(__file__).parents[2] / "fixtures"
SNAPSHOTS = sorted(FIXTURES.glob("*/*.db"))
TREE = (Place.LATEST, Place.HISTORY, Place.DELETED)
each_snapshot = pytest.mark.parametrize("path", SNAPSHOTS, ids=lambda path: path.stem)


def reading_of(path: Path) -> Reading:
    with EvidenceFile.open(path, hashed=False) as file:
        return snapshot.read_file(file)


def rows(reading: Reading, *places: Place) -> Iterator[tuple[RecordBatch, int]]:
    for batch in reading.batches:
        for row in np.flatnonzero(np.isin(batch.place, places)).tolist():
            yield batch, row


def test_there_are_ten_snapshots() -> None:
    assert len(SNAPSHOTS) == 10


@each_snapshot
def test_every_current_key_has_the_revisions_and_size_that_etcdctl_saw(path: Path) -> None:
    """Those that are exempt from encryption too, which the reports leave out."""
    reading = reading_of(path)
    assert not reading.gaps
    told = {
        entry["key"]: tuple(entry[name] for name in ("create_revision", "mod_revision", "version", "size"))
        for entry in json.loads(path.with_suffix(".truth.json").read_text())["stored"]
        if entry["mod_revision"] <= reading.backend.newest_record  # etcdctl was asked just after the snapshot
    }
    found = {
        batch.key(row).decode(): tuple(
            int(column[row]) for column in (batch.create_revision, batch.mod_revision, batch.version, batch.value_len)
        )
        for batch, row in rows(reading, Place.LATEST)
    }
    later = found.keys() - told.keys()  # written again in between: the truth has a newer one
    assert len(later) <= 4
    assert {key: found[key] for key in found.keys() - later} == told


def served_at(etcd: Etcd, key: bytes, revision: int) -> rpc.RangeResponse:
    answer: rpc.RangeResponse = etcd.call("Range", rpc.RangeRequest(key=key, revision=revision))
    return answer


@each_snapshot
def test_every_record_is_what_a_restored_etcd_serves_at_its_revision(path: Path, tmp_path: Path) -> None:
    """Current values, history and deleted ones; a tombstone is served as nothing."""
    reading, raw = reading_of(path), path.read_bytes()
    seen = 0
    with restore(path, tmp_path / "data") as etcd:
        current = etcd.get_all()
        for batch, row in rows(reading, *TREE):
            key, main = batch.key(row), int(batch.mod_revision[row])
            answer = served_at(etcd, key, max(main, reading.backend.compacted or 0))
            if batch.state[row] & State.TOMBSTONE:
                assert not answer.kvs
                continue
            (kv,) = answer.kvs
            offset, size = int(batch.value_at[row]), int(batch.value_len[row])
            assert raw[offset : offset + size] == kv.value
            assert (kv.mod_revision, kv.create_revision, kv.version) == (
                main,
                batch.create_revision[row],
                batch.version[row],
            )
            newest = current.get(key)
            expected = (
                Place.DELETED if newest is None else Place.LATEST if newest.mod_revision == main else Place.HISTORY
            )
            assert batch.place[row] == expected
            seen += 1
    assert {batch.key(row) for batch, row in rows(reading, Place.LATEST)} == current.keys()
    assert seen > 80


@each_snapshot
def test_rows_of_the_tree_hold_secrets_where_they_say(path: Path) -> None:
    """At each row's offset begins what the row says it is, and the object there bears the row's name."""
    inventory = auditor.scan(path).inventory
    raw = path.read_bytes()
    tree = inventory[inventory.place.isin([place.label for place in TREE])]
    assert len(tree) > 25
    for row in tree.to_dict("records"):
        stored = raw[row["offset"] : row["offset"] + row["size"]]
        if row["provider"] == "identity":
            assert stored.startswith(b"k8s\0\n\x0c\n\x02v1\x12\x06Secret")
            assert row["name"].encode() in stored
        else:
            assert stored.startswith(f"k8s:enc:{row['provider'].replace(' ', ':')}".encode())
            assert f":{row['key_name']}:".encode() in stored[:60]


def test_the_members_own_file_reads_as_the_last_snapshot(tmp_path: Path) -> None:
    """data-dir.tar.gz was packed after stage 7: what the snapshot holds is in it, at the same revisions."""
    with tarfile.open(FIXTURES / "migration-aescbc" / "data-dir.tar.gz") as packed:
        name = next(name for name in packed.getnames() if name.endswith("member/snap/db"))
        packed.extract(name, tmp_path, **DATA_FILTER)
    raw, last = reading_of(tmp_path / name), reading_of(FIXTURES / "migration-aescbc" / "7-rotated.db")
    assert raw.kind == EvidenceKind.RAW_DATABASE
    assert not raw.gaps
    assert raw.backend.members == last.backend.members
    assert raw.backend.newest_record >= last.backend.newest_record
    contents = [
        {
            (batch.key(row), batch.value(row), int(batch.mod_revision[row]))
            for batch, row in rows(reading, *TREE)
            if b"/secrets/" in batch.key(row)
        }
        for reading in (raw, last)
    ]
    assert contents[0] == contents[1]
    assert len(contents[0]) == 34
