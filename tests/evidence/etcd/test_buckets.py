"""Pairs of the buckets other than `key`: those of a real etcd are known to their last byte, others are not."""

import base64
import struct
from pathlib import Path

import pytest

import auditor
from auditor import Options
from auditor.evidence.etcd import buckets, snapshot
from auditor.evidence.file import EvidenceFile
from auditor.model.evidence import Balance
from auditor.protobuf import rpc_pb2 as rpc
from tests.helpers import bolt_builder as bolt
from tests.helpers import members
from tests.helpers.ciphertexts import ciphertext
from tests.helpers.etcd import Etcd
from tests.helpers.fixtures import SNAPSHOTS, name_of
from tests.helpers.objects import StoredObject
from tests.helpers.planting import FORMS

SEALED = ciphertext("aescbc", b"key1", bytes(range(48)))
RECORDS = [bolt.record(2 + number, b"/registry/secrets/a/s%d" % number, SEALED) for number in range(3)]
READABLE = StoredObject(name=b"leak", data={b"password": b"CANARY-in-a-bucket"}).protobuf()
HASH = b"$2a$10$" + b"ab./" * 13 + b"x"


def field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content)]) + content


def balance(path: Path) -> Balance:
    with EvidenceFile.open(path, hashed=False) as file:
        (own,) = snapshot.read_file(file, quick=False, raw=True).balances
    return own


@pytest.mark.parametrize("path", SNAPSHOTS, ids=name_of)
def test_every_byte_of_a_fixture_is_accounted_for(path: Path) -> None:
    own = balance(path)
    assert own.unaccounted == 0
    assert own.structure + own.row + own.empty + own.checksum == own.size == path.stat().st_size


@pytest.mark.parametrize("program", members.programs())
def test_every_byte_of_a_real_member_is_accounted_for(tmp_path: Path, program: str) -> None:
    """With a lease, users and roles, deletions, a compaction and freed pages.

    The values are small: of one that reaches over pages, and was freed, chance may leave the second page without the
    first, a fragment that nothing can account for.
    """
    with Etcd(tmp_path / "data", program=members.program(program)) as etcd:
        leased = int(etcd.call("LeaseGrant", rpc.LeaseGrantRequest(ttl=600)).id)
        for number in range(80):
            sealed = ciphertext("aescbc", b"key1", bytes(range(48)) * (1 + number % 8))
            last = etcd.put(b"/registry/secrets/a/s%d" % (number % 9), sealed, leased * (number % 2))
        etcd.delete(b"/registry/secrets/a/s1")
        etcd.compact(last - 20)
        members.with_users(etcd)
    assert balance(tmp_path / "data/member/snap/db").unaccounted == 0
    names = dict(auditor.scan(tmp_path / "data/member/snap/db").evidence.backend.buckets)
    assert names["lease"] == 1
    assert names["authUsers"] > 0
    assert names["authRoles"] > 0


KNOWN = [
    (b"alarm", b"\x08\x87\xad\x4b\x10\x01", b""),
    (b"auth", b"authEnabled", b"\1"),
    (b"authUsers", b"root", field(1, b"root") + field(2, HASH) + field(3, b"root") + field(3, b"viewer")),
    (b"authUsers", b"cn", field(1, b"cn") + field(4, b"\x08\x01")),
    (b"authRoles", b"r", field(1, b"r") + field(2, b"\x08\x02" + field(2, b"/a/") + field(3, b"/a0"))),
    (b"cluster", b"downgrade", b'{"target-version":"","enabled":false}'),
    (b"cluster", b"downgrade", b'{"target-version":"3.5.0","enabled":true}'),
    (b"members", b"8e9e05c52164694d", b'{"name":"%s-1a2b3c4d.example.org"}' % (b"a" * 63)),
    (b"lease", struct.pack(">Q", 7), b"\x08\x07\x10\x0f\x18\x02"),
    (b"members", b"8e9e05c52164694d", b'{"id":1,"peerURLs":["https://[::1]:2380"],"name":"a","isLearner":true}'),
    (b"members", b"8e9e05c52164694d", b'{"id":1,"peerURLs":["unix://x:1"],"clientURLs":null}'),
    (b"members_removed", b"8e9e05c52164694d", b"removed"),
    (b"meta", b"confState", b'{"voters":[1,2],"learners_next":null,"auto_leave":false}'),
    (b"meta", b"scheduledCompactRev", struct.pack(">QcQ", 8, b"_", 1)),
    (b"meta", b"storageVersion", b"3.6.0"),
]
FOREIGN = [
    (b"alarm", b"\x08\x01\x10\x01", b"x"),
    (b"authUsers", b"root", field(1, b"root") + field(2, b"in clear")),
    (b"authUsers", b"root", field(1, b"other")),
    (b"authUsers", b"root", field(1, b"root") * 2),
    (b"authRoles", b"r", field(1, b"r") + field(9, b"x")),
    (b"authRoles", b"r", field(1, b"r") + field(2, b"\x08\x02" + field(2, b"/a\0b"))),
    (b"cluster", b"clusterVersion", b"3.5.0\0"),
    (b"lease", struct.pack(">Q", 7), b"\x08\x07\x10\x0f\x22\x01x"),
    (b"members", b"8e9e05c52164694d", b'{"id":1,"id":2}'),
    (b"members", b"8e9e05c52164694d", b'{"name":"a","data":{}}'),
    (b"members", b"8e9e05c52164694d", b'{"clientURLs":["https://a:1/cGFzc3dvcmQ="]}'),
    (b"members", b"8e9e05c52164694d", b'{"name":"%s"}' % base64.b64encode(bytes(range(90)))),
    (b"cluster", b"downgrade", b'{"target-version":"azhzAAoMCgJ2MRIGU2VjcmV0","enabled":false}'),
    (b"members", b"x", b"{}"),
    (b"meta", b"term", b"123456789"),
    (b"meta", b"other", b""),
    (b"test", b"a", b"b"),
    (b"key", b"a", b"b"),
]


@pytest.mark.parametrize(("bucket", "key", "value"), KNOWN)
def test_what_etcd_stores_is_known(bucket: bytes, key: bytes, value: bytes) -> None:
    assert buckets.known(bucket, key, value)
    assert buckets.known_anywhere(key, value)


@pytest.mark.parametrize(("bucket", "key", "value"), FOREIGN)
def test_what_etcd_does_not_store_is_not(bucket: bytes, key: bytes, value: bytes) -> None:
    assert not buckets.known(bucket, key, value)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bucket", [b"test", b"lease", b"meta", b"members", b"authUsers", b"authRoles", b"alarm"])
@pytest.mark.parametrize("freed", [False, True])
def test_a_secret_in_a_bucket_is_carved(tmp_path: Path, bucket: bytes, form: str, freed: bool) -> None:
    store = {**bolt.store(RECORDS)}
    page = bolt.leaf("<", 2, [(0, b"x", FORMS[form])])
    if not freed:
        store[bucket] = [(b"x", FORMS[form])]
    made = bolt.Builder(store, inline=bolt.SMALL, freed=[page] if freed else [])
    (tmp_path / "a.db").write_bytes(made.build().seal())
    own = balance(tmp_path / "a.db")
    assert own.structure + own.row + own.empty + own.checksum + own.unaccounted == own.size
    audit = auditor.scan(tmp_path / "a.db", Options(rows=True))
    assert "plaintext" in set(audit.findings.finding) or not audit.complete
