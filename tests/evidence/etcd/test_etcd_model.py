"""Random and odd workloads on a real etcd, against a model that keeps every revision, and against etcd's answers.

test_real_etcd.py compares one fixed workload; here keys are deleted and made again at random, and every
record of the store is accounted for: its place, its bytes and its four revision numbers.
"""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from auditor.evidence.etcd import snapshot
from auditor.evidence.file import EvidenceFile
from auditor.evidence.reading import Reading
from auditor.model.vocabulary import EvidenceKind, Place, State
from auditor.protobuf import rpc_pb2 as rpc
from tests.helpers.etcd import Etcd, binary

ODD_KEYS = [
    b"\x00",
    b"\xff\xfe\x00_t",
    b"a" * 127,
    b"a" * 128,
    b"a" * 129,
    b"b" * 300,
    b"c" * 20_000,
    "/schlüssel/\N{KEY}".encode(),
    b"/registry/secrets/a/\n",
]
ODD_VALUES = [b"", b"\x00", b"k8s\x00", b"v" * 127, b"v" * 128, b"w" * 4080, b"x" * 20_000, bytes(range(256)) * 800]
LEASE = (1 << 62) | 1
"""An id of nine bytes as a varint: etcd's own have 48 random bits, and sometimes fewer that are set."""


@dataclass(frozen=True)
class Written:
    """One record as the model knows it."""

    key: bytes
    value: bytes
    main: int
    sub: int
    create: int
    version: int
    tombstone: bool = False


@dataclass
class Model:
    """etcd and, beside it, everything that was ever written to it."""

    etcd: Etcd
    records: list[Written] = field(default_factory=list)
    current: dict[bytes, Written] = field(default_factory=dict)

    def put(self, key: bytes, value: bytes, lease: int = 0) -> None:
        self._wrote(key, value, self.etcd.put(key, value, lease))

    def put_many(self, pairs: list[tuple[bytes, bytes]]) -> None:
        main = self.etcd.put_many(pairs)
        for sub, (key, value) in enumerate(pairs):
            self._wrote(key, value, main, sub)

    def delete(self, key: bytes, range_end: bytes = b"") -> None:
        main = self.etcd.delete(key, range_end)
        gone = [each for each in sorted(self.current) if each == key or (range_end and key <= each < range_end)]
        for sub, each in enumerate(gone):
            self.records.append(Written(each, b"", main, sub, -1, -1, tombstone=True))
            del self.current[each]

    def compact(self, revision: int) -> None:
        """Keep what is newer, and of everything else what still counts at that revision."""
        self.etcd.compact(revision)
        counts: dict[bytes, Written] = {}
        for each in self.records:
            if each.main <= revision:
                counts[each.key] = each
        kept = {each for each in counts.values() if not each.tombstone}
        self.records = [each for each in self.records if each.main > revision or each in kept]

    def places(self) -> dict[Written, Place]:
        newest = {each.key: each for each in self.records}
        return {
            each: Place.DELETED
            if newest[each.key].tombstone
            else Place.LATEST
            if newest[each.key] is each
            else Place.HISTORY
            for each in self.records
        }

    def _wrote(self, key: bytes, value: bytes, main: int, sub: int = 0) -> None:
        old = self.current.get(key)
        create, version = (old.create, old.version + 1) if old else (main, 1)
        self.current[key] = Written(key, value, main, sub, create, version)
        self.records.append(self.current[key])


@pytest.fixture
def model(program: str, tmp_path: Path) -> Iterator[Model]:
    with Etcd(tmp_path / "data", program=program) as etcd:
        yield Model(etcd)


def read(path: Path) -> Reading:
    with EvidenceFile.open(path, hashed=False) as file:
        return snapshot.read_file(file)


def found(reading: Reading) -> dict[Written, Place]:
    records = {}
    for batch in reading.batches:
        for row in range(len(batch)):
            main, sub, create, version = (
                int(each[row])
                for each in (batch.mod_revision, batch.sub_revision, batch.create_revision, batch.version)
            )
            gone = bool(batch.state[row] & State.TOMBSTONE)
            each = Written(batch.key(row), batch.value(row), main, sub, create, version, tombstone=gone)
            assert each not in records
            records[each] = Place(int(batch.place[row]))
    return records


def status(path: Path) -> dict[str, int]:
    line = [binary("etcdutl"), "snapshot", "status", str(path), "-w", "json"]
    told: dict[str, int] = json.loads(subprocess.run(line, check=True, capture_output=True).stdout)
    return told


def compare(model: Model, path: Path) -> Reading:
    """The snapshot against the model, the model against etcd, and the counts against etcdutl."""
    kvs = model.etcd.get_all().values()
    served = {kv.key: (kv.value, kv.mod_revision, kv.create_revision, kv.version) for kv in kvs}
    assert served == {key: (each.value, each.main, each.create, each.version) for key, each in model.current.items()}
    reading = read(model.etcd.save(path))
    assert not reading.gaps
    assert found(reading) == model.places()
    told, facts = status(path), reading.backend
    assert (facts.newest_record, facts.pairs) == (told["revision"], told["totalKey"])
    assert facts.pages * facts.page_size == told["totalSize"]
    return reading


def work(model: Model, rng: Random, steps: int) -> None:
    keys = [b"/registry/secrets/%d/%d" % (i % 3, i) for i in range(12)]
    for step in range(steps):
        choice = rng.randrange(10)
        if choice < 5:
            model.put(rng.choice(keys), b"%d-" % step + b"p" * rng.choice([0, 10, 3000]))
        elif choice < 8:
            model.delete(rng.choice(keys))
        elif choice < 9:
            model.put_many([(key, b"%d" % step) for key in rng.sample(keys, 4)])
        else:
            model.delete(b"/registry/secrets/1/", b"/registry/secrets/10")


@pytest.mark.parametrize("seed", range(3))
def test_every_record_of_a_random_history(seed: int, model: Model, tmp_path: Path) -> None:
    rng = Random(seed)
    work(model, rng, 120)
    places = set(found(compare(model, tmp_path / "1.db")).values())
    assert places == {Place.LATEST, Place.HISTORY, Place.DELETED}
    model.put(b"/last", b"")
    # not at a tombstone: etcd's releases differ in whether they keep one of exactly that revision
    model.compact(model.records[-1].main)
    compare(model, tmp_path / "2.db")
    work(model, rng, 60)
    compare(model, tmp_path / "3.db")
    model.etcd.defragment()
    compare(model, tmp_path / "4.db")


def test_odd_keys_and_values(model: Model, tmp_path: Path) -> None:
    lease = model.etcd.lease(3600, LEASE)
    assert lease == LEASE
    for i, key in enumerate(ODD_KEYS):
        for value in ODD_VALUES:
            model.put(key, value, lease=lease if i % 2 else 0)
    model.put_many(list(zip(ODD_KEYS, ODD_VALUES, strict=False)))
    for key in ODD_KEYS[::2]:
        model.delete(key)
    reading = compare(model, tmp_path / "saved.db")
    assert dict(reading.backend.buckets)["lease"] == 1


def test_a_large_value_lies_in_one_piece_in_the_file(model: Model, tmp_path: Path) -> None:
    value = Random(1).randbytes(200_000)
    model.put(b"/registry/secrets/a/large", value)
    reading = compare(model, tmp_path / "saved.db")
    (batch,) = reading.batches
    assert (tmp_path / "saved.db").read_bytes().index(value) == batch.value_at[0]


def test_the_empty_store_of_a_new_member(model: Model, tmp_path: Path) -> None:
    reading = compare(model, tmp_path / "saved.db")
    assert not model.records
    assert (reading.backend.revision, reading.backend.newest_record) == (1, 0)


def test_the_raw_file_of_a_stopped_member(model: Model, tmp_path: Path) -> None:
    work(model, Random(9), 80)
    saved = compare(model, tmp_path / "saved.db")
    model.etcd.stop()
    raw = read(tmp_path / "data" / "member" / "snap" / "db")
    assert (saved.kind, saved.trailer) == (EvidenceKind.API_SNAPSHOT, 32)
    # an empty last commit of an even number leaves what a snapshot without its trailer looks like: said, and a gap
    assert raw.kind in {EvidenceKind.RAW_DATABASE, EvidenceKind.NO_TRAILER}
    assert raw.trailer == 0
    assert bool(raw.gaps) == (raw.kind == EvidenceKind.NO_TRAILER)
    assert found(raw) == model.places()
    assert (raw.backend.newest_record, raw.backend.members) == (saved.backend.newest_record, saved.backend.members)


def test_whose_database_it_is(model: Model, tmp_path: Path) -> None:
    header = model.etcd.call("Status", rpc.StatusRequest()).header
    facts = read(model.etcd.save(tmp_path / "saved.db")).backend
    assert facts.members == ((f"{header.member_id:x}", "t"),)
    assert facts.cluster_id == header.cluster_id
