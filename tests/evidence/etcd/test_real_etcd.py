"""Databases that a real etcd wrote, against etcd's own answers and etcdutl's."""

import json
import subprocess
from pathlib import Path

import numpy as np

from auditor.evidence.etcd import snapshot
from auditor.evidence.file import EvidenceFile
from auditor.evidence.reading import Reading
from auditor.model.vocabulary import EvidenceKind, Place, State
from auditor.protobuf import rpc_pb2 as rpc
from tests.helpers.etcd import Etcd, binary


def read(path: Path) -> Reading:
    with EvidenceFile.open(path, hashed=False) as file:
        return snapshot.read_file(file)


def status(path: Path) -> dict[str, int]:
    line = [binary("etcdutl"), "snapshot", "status", str(path), "-w", "json"]
    answer: dict[str, int] = json.loads(subprocess.run(line, check=True, capture_output=True).stdout)
    return answer


def by_place(reading: Reading, place: Place) -> list[tuple[bytes, bytes, int]]:
    return sorted(
        (batch.key(row), batch.value(row), int(batch.mod_revision[row]))
        for batch in reading.batches
        for row in np.flatnonzero(batch.place == place).tolist()
    )


def work(etcd: Etcd) -> None:
    """What the fixtures lack: re-creation, transactions, leases, odd keys, values of many pages, compaction."""
    for round_ in range(3):
        etcd.put(b"/registry/secrets/a/again", b"v%d" % round_)
        etcd.delete(b"/registry/secrets/a/again")
    etcd.put(b"/registry/secrets/a/again", b"back")
    etcd.put(b"/registry/secrets/a/gone", b"was here")
    etcd.delete(b"/registry/secrets/a/gone")
    etcd.put_many([(b"/registry/txn/%03d" % number, b"x" * number) for number in range(100)])
    for number in range(20):
        etcd.put(b"/registry/leased/%d" % number, b"leased", lease=etcd.lease(3600))
    etcd.put(b"\xff\x00binary\xfe", b"\x00\xff" * 40)
    etcd.put(b"/registry/empty", b"")
    etcd.put(b"/registry/long/" + b"k" * 300, b"long key")
    for number in range(5):
        etcd.put(b"/registry/large", bytes([number]) * 200_000)


def test_keys_values_and_counts_are_etcds_own(program: str, tmp_path: Path) -> None:
    with Etcd(tmp_path / "data", program=program) as etcd:
        work(etcd)
        served = sorted((key, kv.value, kv.mod_revision) for key, kv in etcd.get_all().items())
        header = etcd.call("Status", rpc.StatusRequest()).header
        saved = etcd.save(tmp_path / "saved.db")
    reading = read(saved)
    assert not reading.gaps
    assert by_place(reading, Place.LATEST) == served
    history = [value for key, value, _ in by_place(reading, Place.HISTORY) if key.endswith(b"/again") and value]
    assert history == [b"v0", b"v1", b"v2"]
    assert [value for _, value, _ in by_place(reading, Place.DELETED) if value] == [b"was here"]
    told = status(saved)
    facts = reading.backend
    assert (facts.newest_record, facts.pairs) == (told["revision"], told["totalKey"])
    assert facts.pages * facts.page_size == told["totalSize"]
    assert facts.members[0][0] == f"{header.member_id:x}"
    assert facts.cluster_id == header.cluster_id


def test_compaction_leaves_what_etcd_still_serves(program: str, tmp_path: Path) -> None:
    with Etcd(tmp_path / "data", program=program) as etcd:
        work(etcd)
        revision = etcd.put(b"/registry/last", b"last")
        etcd.compact(revision)
        etcd.put(b"/registry/last", b"after")
        served = sorted((key, kv.value, kv.mod_revision) for key, kv in etcd.get_all().items())
        saved = etcd.save(tmp_path / "saved.db")
    reading = read(saved)
    assert by_place(reading, Place.LATEST) == served
    assert [value for _, value, _ in by_place(reading, Place.HISTORY)] == [b"last"]
    assert not [value for _, value, _ in by_place(reading, Place.DELETED) if value]
    assert (reading.backend.compacted, reading.backend.scheduled) == (revision, revision)


def test_transactions_have_sub_revisions(program: str, tmp_path: Path) -> None:
    with Etcd(tmp_path / "data", program=program) as etcd:
        revision = etcd.put_many([(b"/k/%d" % number, b"v") for number in range(5)])
        saved = etcd.save(tmp_path / "saved.db")
    (batch,) = read(saved).batches
    assert batch.mod_revision.tolist() == [revision] * 5
    assert batch.sub_revision.tolist() == [0, 1, 2, 3, 4]


def test_an_empty_store_has_no_rows_and_no_gaps(program: str, tmp_path: Path) -> None:
    with Etcd(tmp_path / "data", program=program) as etcd:
        saved = etcd.save(tmp_path / "saved.db")
    reading = read(saved)
    assert not reading.gaps
    assert not sum(len(batch) for batch in reading.batches)
    assert reading.backend.pairs == status(saved)["totalKey"]


def test_a_raw_database_is_told_from_a_snapshot_and_reads_the_same(program: str, tmp_path: Path) -> None:
    with Etcd(tmp_path / "data", program=program) as etcd:
        work(etcd)
        saved = etcd.save(tmp_path / "saved.db")
    raw = read(tmp_path / "data" / "member" / "snap" / "db")
    reading = read(saved)
    assert reading.kind == EvidenceKind.API_SNAPSHOT
    assert raw.kind in {EvidenceKind.RAW_DATABASE, EvidenceKind.NO_TRAILER}
    assert not raw.trailer
    assert by_place(raw, Place.LATEST) == by_place(reading, Place.LATEST)
    tombstones = sum(int(batch.has(State.TOMBSTONE).sum()) for batch in raw.batches)
    assert tombstones == 4
