"""The v2 store: its nodes in raft snapshots, and the requests of its API in the log."""

import json
from pathlib import Path
from typing import Any

import crc32c
import pytest

import auditor
from auditor import Options
from auditor.arrays.buffer import Buffer
from auditor.evidence.etcd import v2_store
from tests.helpers import members
from tests.helpers.etcd import Etcd
from tests.helpers.objects import StoredObject

CASE = Path(__file__).parents[3] / "fixtures" / "cases" / "v2-store-leftovers"
LEAK = StoredObject(name=b"leak", data={b"password": b"CANARY-v2-\xc3\xbc"})
OWN = {"name": "t", "clientURLs": ["http://127.0.0.1:2379"]}


def node(path: str, value: str = "", /, **children: Any) -> dict[str, object]:
    times = {"CreatedIndex": 4, "ModifiedIndex": 4, "ExpireTime": "0001-01-01T00:00:00Z"}
    return {"Path": path, **times, "Value": value, "Children": children or None}


def field(number: int, content: bytes) -> bytes:
    size, length = len(content), bytearray()
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([number << 3 | 2, *length, size]) + content


def snap(store: bytes, *, more: bytes = b"") -> bytes:
    data = field(1, store) + field(2, field(1, b"\x08\x07") + b"\x10\x09\x18\x02") + more
    crc, number = bytearray(), crc32c.crc32c(data)
    while number > 0x7F:
        crc.append(number & 0x7F | 0x80)
        number >>= 7
    return b"\x08" + bytes([*crc, number]) + field(2, data)


def store(*values: str) -> bytes:
    own = node("/0", attributes=node("/0/members/1/attributes", json.dumps(OWN, separators=(",", ":"))))
    users = {f"s{number}": node(f"/1/registry/secrets/a/s{number}", value) for number, value in enumerate(values)}
    history = [{"action": "set", "node": {"key": "/1/registry/secrets/a/s0", "value": value}} for value in values[:1]]
    tree = {"Root": node("/", own=own, users=node("/1", "", **users)), "WatcherHub": {"Queue": {"Events": history}}}
    return json.dumps(tree, separators=(",", ":")).encode()


def test_the_migrated_cluster() -> None:
    audit = auditor.scan(CASE / "data", Options(encryption_configs=(str(CASE / "config.json"),)))
    rows = audit.findings[audit.findings.finding == "plaintext"]
    assert set(rows.place) == {"wal", "v2-store"}
    assert set(rows["name"]) == {f"legacy-{number}" for number in range(6)} or len(set(rows["name"])) == 6
    assert audit.complete
    assert sum(own.unaccounted for own in audit.ledger) == 0


def test_nodes_are_rows_where_they_stand() -> None:
    value = LEAK.json().decode()
    raw = snap(store(value, "k8s:enc:aescbc:v1:key1:x"))
    contents = v2_store.read(Buffer(raw), "a.snap")
    assert not contents.gaps
    (batch,) = contents.batches
    assert {batch.key(row) for row in range(len(batch))} == {b"/registry/secrets/a/s0", b"/registry/secrets/a/s1"}
    for row in range(len(batch)):
        stored = raw[int(batch.offset[row]) : int(batch.offset[row] + batch.size[row])]
        assert json.loads(b'"%b"' % stored).encode() == batch.value(row)
    assert not contents.ledger.close(Buffer(raw)).total


def test_etcds_own_nodes_are_no_rows() -> None:
    assert not v2_store.read(Buffer(snap(store())), "a.snap").batches


@pytest.mark.parametrize(
    "raw",
    [
        snap(LEAK.json()),
        snap(b'{"Root":{},"Root":%b}' % LEAK.json()),
        snap(b'{"x":"%b"}' % (b"A" * 2000)),
        snap(store(), more=field(9, LEAK.json())),
        snap(store()) + field(9, LEAK.json()),
        snap(store())[:-9],
        LEAK.json(),
    ],
)
def test_what_is_no_store_is_a_gap_or_carved(raw: bytes) -> None:
    contents = v2_store.read(Buffer(raw), "a.snap")
    assert contents.gaps or contents.ledger.close(Buffer(raw)).total


@pytest.mark.parametrize("program", members.programs())
def test_a_real_member_has_nothing_that_is_unaccounted_for(tmp_path: Path, program: str) -> None:
    with Etcd(tmp_path / "data", "--snapshot-count=5", program=members.program(program)) as etcd:
        for number in range(30):
            etcd.put(b"/registry/secrets/a/s%d" % number, b"k8s:enc:aescbc:v1:key1:" + b"\x91" * 48)
        etcd.delete(b"/registry/secrets/a/s1")
        etcd.put_many([(b"/registry/pods/a/p%d" % number, LEAK.protobuf()) for number in range(3)])
    audit = auditor.scan(tmp_path / "data")
    assert len(audit.ledger) > 2
    assert [own for own in audit.ledger if own.unaccounted] == []
    assert all(own.structure + own.row + own.empty + own.checksum + own.unaccounted == own.size for own in audit.ledger)
