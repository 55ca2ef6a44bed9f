"""Random work on a real etcd, against etcdctl at every revision that is still served and etcdutl's status.

tests/evidence/etcd/test_etcd_model.py compares with a model of our own; here etcd itself says what was true when.
"""

import base64
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TypeAlias

import pytest

from auditor.model.vocabulary import Place
from auditor.protobuf import rpc_pb2 as rpc
from tests.evidence.etcd.test_etcd_model import Written, found, read, status
from tests.helpers.etcd import Etcd
from tests.helpers.sweeps import sample

KEYS = [b"/registry/%s/%d/%d" % (kind, i % 3, i) for kind in (b"secrets", b"configmaps") for i in range(10)]
Row: TypeAlias = tuple[bytes, bytes, int, int, int]
"""key, value, mod revision, create revision, version"""


class Cluster:
    """What may happen to an etcd, at random."""

    def __init__(self, etcd: Etcd, rng: Random) -> None:
        self.etcd = etcd
        self.rng = rng
        self.compacted = 1
        self.leases = [etcd.lease(3600) for _ in range(3)]

    def work(self, steps: int) -> None:
        rare, often = [self.revoke, self.delete_range, self.empty], [self.put, self.leased, self.delete, self.transact]
        for _ in range(steps):
            step: Callable[[], None] = self.rng.choice(often * 3 + rare)
            step()

    def put(self) -> None:
        self.etcd.put(self.key(), self.value())

    def leased(self) -> None:
        self.etcd.put(self.key(), self.value(), self.rng.choice(self.leases))

    def delete(self) -> None:
        self.etcd.delete(self.key())

    def delete_range(self) -> None:
        self.etcd.delete(b"/registry/secrets/1/", b"/registry/secrets/10")

    def transact(self) -> None:
        """Puts and deletes of different keys at one revision, on a condition that may not hold."""
        operations = [
            rpc.RequestOp(request_put=rpc.PutRequest(key=key, value=self.value(), lease=self.lease()))
            if self.rng.random() < 0.7
            else rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(key=key))
            for key in self.rng.sample(KEYS, 5)
        ]
        exists = rpc.Compare(result="GREATER", target="CREATE", key=self.key(), create_revision=0)
        self.etcd.call("Txn", rpc.TxnRequest(compare=[exists], success=operations[:3], failure=operations[3:]))

    def empty(self) -> None:
        """A transaction that changes nothing makes no revision."""
        self.etcd.call("Txn", rpc.TxnRequest())

    def revoke(self) -> None:
        """What expiry does: every key of the lease is deleted at one revision."""
        lease = self.leases.pop(self.rng.randrange(len(self.leases)))
        self.etcd.ctl("lease", "revoke", f"{lease:x}")
        self.leases.append(self.etcd.lease(3600))

    def compact(self) -> None:
        self.compacted = self.rng.randint(self.compacted + 1, self.revision())
        self.etcd.compact(self.compacted)

    def key(self) -> bytes:
        return self.rng.choice(KEYS)

    def value(self) -> bytes:
        return self.rng.randbytes(self.rng.choice([0, 10, 300, 5_000, 70_000]))

    def lease(self) -> int:
        return self.rng.choice([0, *self.leases])

    def revision(self) -> int:
        return int(self.etcd.call("Status", rpc.StatusRequest()).header.revision)


def served(etcd: Etcd, revision: int) -> set[Row]:
    """What etcdctl prints of every key at a revision."""
    answer = json.loads(etcd.ctl("get", "", "--from-key", f"--rev={revision}", "--write-out=json"))
    return {
        (
            base64.b64decode(kv["key"]),
            base64.b64decode(kv.get("value", "")),
            kv["mod_revision"],
            kv["create_revision"],
            kv["version"],
        )
        for kv in answer.get("kvs", [])
    }


def at(records: dict[Written, Place], revision: int) -> set[Row]:
    """What was current at a revision, of the records of a file."""
    newest: dict[bytes, Written] = {}
    for each in sorted(records, key=lambda each: (each.main, each.sub)):
        if each.main <= revision:
            newest[each.key] = each
    return {row(each) for each in newest.values() if not each.tombstone}


def row(each: Written) -> Row:
    return each.key, each.value, each.main, each.create, each.version


def compare(cluster: Cluster, path: Path) -> dict[int, set[Row]]:
    """A snapshot of now against etcdctl at every readable revision, by revision, and against etcdutl's status."""
    last = cluster.revision()
    if cluster.compacted > 1:
        with pytest.raises(subprocess.CalledProcessError) as refused:
            served(cluster.etcd, cluster.compacted - 1)
        assert b"compacted" in refused.value.stderr
    answers = {revision: served(cluster.etcd, revision) for revision in range(cluster.compacted, last + 1)}
    reading = read(cluster.etcd.save(path))
    assert not reading.gaps
    records = found(reading)
    for revision, answer in answers.items():
        assert at(records, revision) == answer, revision
    assert {row(each) for each, place in records.items() if place is Place.LATEST} == answers[last]
    told, facts = status(path), reading.backend
    assert (facts.newest_record, facts.pairs) == (told["revision"], told["totalKey"])
    assert facts.pages * facts.page_size == told["totalSize"]
    return answers


@pytest.mark.parametrize("seed", sample(range(2), 1))
def test_every_readable_revision_is_etcdctls(seed: int, program: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with Etcd(folder, program=program) as etcd:
        cluster = Cluster(etcd, Random(seed))
        cluster.work(30)
        compare(cluster, tmp_path / "1.db")
        cluster.compact()
        compare(cluster, tmp_path / "2.db")
        cluster.work(20)
        etcd.restart()
        compare(cluster, tmp_path / "3.db")
        etcd.defragment()
        cluster.work(20)
        cluster.compact()
        etcd.restart()
        cluster.work(10)
        answers = compare(cluster, tmp_path / "4.db")
    raw = read(folder / "member" / "snap" / "db")
    records = found(raw)
    for revision, answer in answers.items():
        assert at(records, revision) == answer, revision
