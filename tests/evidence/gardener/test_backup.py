"""Gardener's full snapshots and increments: a real etcd's history, packed as etcd-backup-restore packs it."""

import base64
import gzip
import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

import pytest

import auditor
from auditor import Audit, Options
from tests.helpers.ciphertexts import ciphertext
from tests.helpers.command import run
from tests.helpers.etcd import Etcd
from tests.helpers.objects import StoredObject
from tests.helpers.packing import lzw

CANARY = b"CANARY-increment-77e0"
TIME = "2026-11-24T10:00:00.123456789Z"


def secret(name: str) -> StoredObject:
    return StoredObject(name=name.encode(), data={b"password": CANARY})


def event(key: bytes, revision: int, value: bytes | None, create: int, version: int) -> dict[str, Any]:
    """As Go marshals clientv3.Event: zero fields are left out."""
    kv: dict[str, Any] = {"key": base64.b64encode(key).decode()}
    if value is not None:
        kv |= {"create_revision": create, "mod_revision": revision, "version": version}
        kv["value"] = base64.b64encode(value).decode()
        return {"etcdEvent": {"kv": kv}, "time": TIME}
    return {"etcdEvent": {"type": 1, "kv": {**kv, "mod_revision": revision}}, "time": TIME}


def increment(*events: dict[str, Any]) -> bytes:
    text = json.dumps(list(events), separators=(",", ":")).encode()
    return text + hashlib.sha256(text).digest()


AT_ONCE = "--backend-batch-interval=1h"
"""One commit, for the snapshot: else a slow machine commits between two puts, and leaves the first in a freed page."""


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A snapshot at revision 4: three Secrets, a and b readable, c encrypted."""
    folder = tmp_path_factory.mktemp("full")
    with Etcd(folder / "data", AT_ONCE) as etcd:
        etcd.put(secret("a").key, secret("a").protobuf())
        etcd.put(secret("b").key, secret("b").protobuf())
        etcd.put(secret("c").key, ENCRYPTED)
        return etcd.save(folder / "s.db").read_bytes()


ENCRYPTED = ciphertext("aescbc", b"key1", bytes(range(48)))
LATER = ciphertext("aescbc", b"key1", bytes(range(100, 148)))
FIRST = (
    event(secret("a").key, 5, ENCRYPTED, 2, 2),
    event(secret("d").key, 6, secret("d").protobuf(), 6, 1),
    event(secret("b").key, 7, None, 0, 0),
)
SECOND = (event(secret("d").key, 8, LATER, 6, 2), event(secret("a").key, 9, LATER, 2, 3))


def written(folder: Path, full: bytes, *, pack: bool = True) -> Path:
    backup = folder / "backup"
    backup.mkdir()
    name = "Full-00000000-00000004-1700000000"
    (backup / (f"{name}.gz" if pack else name)).write_bytes(gzip.compress(full) if pack else full)
    first, second = increment(*FIRST), increment(*SECOND)
    names = ["Incr-00000005-00000007-1700000100", "Incr-00000008-00000009-1700000200"]
    if pack:
        (backup / f"{names[0]}.gz").write_bytes(gzip.compress(first))
        (backup / f"{names[1]}.zlib").write_bytes(zlib.compress(second))
    else:
        (backup / names[0]).write_bytes(first)
        (backup / names[1]).write_bytes(second)
    return backup


def told(audit: Audit) -> set[tuple[str, str, int, str, str]]:
    rows = audit.inventory.to_dict("records")
    return {
        (str(row["name"]), str(row["place"]), int(row["mod_revision"]), str(row["provider"]), str(row["state"]))
        for row in rows
    }


WHOLE = {
    ("a", "history", 2, "identity", ""),
    ("b", "deleted", 3, "identity", ""),
    ("c", "latest", 4, "aescbc", ""),
    ("a", "history", 5, "aescbc", "encoded"),
    ("d", "history", 6, "identity", "encoded"),
    ("d", "latest", 8, "aescbc", "encoded"),
    ("a", "latest", 9, "aescbc", "encoded"),
}


@pytest.mark.parametrize("pack", [True, False])
def test_full_and_increments_are_one_history(tmp_path: Path, full: bytes, pack: bool) -> None:
    audit = auditor.scan(written(tmp_path, full, pack=pack))
    assert told(audit) == WHOLE
    assert not audit.gaps
    assert audit.evidence.backend.revision == 9
    assert set(audit.findings[audit.findings.finding == "plaintext"].name) == {"a", "b", "d"}


def test_offsets_refer_to_the_unpacked_increment(tmp_path: Path, full: bytes) -> None:
    audit = auditor.scan(written(tmp_path, full))
    raw = increment(*FIRST)
    (row,) = audit.inventory[audit.inventory.mod_revision == 6].to_dict("records")
    assert row["source"] == "Incr-00000005-00000007-1700000100.gz!Incr-00000005-00000007-1700000100"
    assert base64.b64decode(raw[row["offset"] : row["offset"] + row["size"]]) == secret("d").protobuf()
    assert row["evidence"] == hashlib.sha256(raw).hexdigest()


def test_a_single_increment_is_read_and_says_that_the_rest_is_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "Incr-00000005-00000007-1700000100").write_bytes(increment(*FIRST))
    audit = auditor.scan(tmp_path / "Incr-00000005-00000007-1700000100")
    assert told(audit) == {("a", "latest", 5, "aescbc", "encoded"), ("d", "latest", 6, "identity", "encoded")}
    assert any("full snapshot" in part.what for part in audit.unexamined)
    assert not audit.complete


def test_a_missing_increment_is_a_gap(tmp_path: Path, full: bytes) -> None:
    backup = written(tmp_path, full)
    next(backup.glob("Incr-00000005*")).unlink()
    audit = auditor.scan(backup)
    assert any("revisions 5 to 7" in gap.reason for gap in audit.gaps)


def test_a_key_that_a_newer_full_snapshot_lacks_was_deleted(tmp_path: Path, full: bytes) -> None:
    with Etcd(tmp_path / "data", AT_ONCE) as etcd:
        for number in range(6):
            etcd.put(b"/registry/configmaps/n/c%d" % number, b"k8s\0")
        etcd.put(secret("a").key, ENCRYPTED)
        newer = etcd.save(tmp_path / "newer.db").read_bytes()
    backup = written(tmp_path, full)
    for path in backup.glob("Incr-*"):
        path.unlink()
    (backup / "Full-00000000-00000008-1700000900.gz").write_bytes(gzip.compress(newer))
    audit = auditor.scan(backup, Options())
    places = {(name, at): place for name, place, at, _, _ in told(audit)}
    assert places == {("a", 8): "latest", ("a", 2): "history", ("b", 3): "deleted", ("c", 4): "deleted"}


@pytest.mark.parametrize("kept", [10, 60, 200, 500])
def test_a_cut_increment_is_a_gap(tmp_path: Path, full: bytes, kept: int) -> None:
    backup = written(tmp_path, full, pack=False)
    path = backup / "Incr-00000005-00000007-1700000100"
    path.write_bytes(path.read_bytes()[:kept])
    audit = auditor.scan(backup)
    assert any(gap.source == path.name for gap in audit.gaps)


def test_a_changed_increment_is_a_gap(tmp_path: Path, full: bytes) -> None:
    backup = written(tmp_path, full, pack=False)
    path = backup / "Incr-00000005-00000007-1700000100"
    path.write_bytes(path.read_bytes().replace(b'"version":2', b'"version":3'))
    audit = auditor.scan(backup)
    assert any("SHA-256" in gap.reason for gap in audit.gaps)


def test_what_does_not_unpack_is_a_gap(tmp_path: Path, full: bytes) -> None:
    backup = written(tmp_path, full)
    path = backup / "Incr-00000005-00000007-1700000100.gz"
    path.write_bytes(path.read_bytes()[:-20])
    audit = auditor.scan(backup)
    assert any("ends early" in gap.reason for gap in audit.gaps)
    alone = auditor.scan(path)  # a container: what unpacks before the damage is read
    assert alone.gaps
    assert not alone.complete
    (backup / "Incr-00000010-00000011-1700000300.Z").write_bytes(b"\0\x01\x02\x03")
    assert any("the LZW data" in gap.reason for gap in auditor.scan(backup).gaps)
    (backup / "Incr-00000012-00000013-1700000400.gz").write_bytes(b"nothing that gzip wrote")
    assert any("the gzip data does not hold together" in gap.reason for gap in auditor.scan(backup).gaps)


def test_bytes_behind_what_is_packed_are_a_gap(tmp_path: Path, full: bytes) -> None:
    backup = written(tmp_path, full)
    path = backup / "Incr-00000005-00000007-1700000100.gz"
    path.write_bytes(path.read_bytes() + b"something else")
    audit = auditor.scan(backup)
    assert any("14 bytes behind the gzip data" in gap.reason for gap in audit.gaps)
    assert told(audit) == WHOLE


def test_lzw_is_read(tmp_path: Path, full: bytes) -> None:
    backup = written(tmp_path, full)
    for path in sorted(backup.iterdir()):
        raw = zlib.decompress(path.read_bytes(), 47)
        path.unlink()
        path.with_suffix(".Z").write_bytes(lzw(raw, clear="Full" in path.name))
    audit = auditor.scan(backup)
    assert told(audit) == WHOLE
    assert not audit.gaps
    alone = auditor.scan(backup / "Full-00000000-00000004-1700000000.Z")
    assert alone.evidence.sha256 == hashlib.sha256(full).hexdigest()


@pytest.mark.parametrize("ending", [".gz", ""])
def test_an_object_in_parts_is_put_together(tmp_path: Path, full: bytes, ending: str) -> None:
    """Swift's: the object is a folder of its name."""
    backup = written(tmp_path, full)
    whole = backup / "Full-00000000-00000004-1700000000.gz"
    raw = whole.read_bytes() if ending else full
    whole.unlink()
    parts = backup / f"Full-00000000-00000004-1700000000{ending}"
    parts.mkdir()
    for number in range(3):
        (parts / f"{number + 1:010}").write_bytes(raw[number * len(raw) // 3 : (number + 1) * len(raw) // 3])
    audit = auditor.scan(backup)
    assert told(audit) == WHOLE
    assert not audit.gaps
    assert any("in 3 parts, SHA-256 " + hashlib.sha256(raw).hexdigest() in note for note in audit.notes)
    (parts / "0000000002").unlink()
    audit = auditor.scan(backup)
    assert any("1 of its 3 parts, the first of them number 2, are not there" in gap.reason for gap in audit.gaps)
    assert not audit.complete


def test_the_older_layout_is_a_history_a_folder(tmp_path: Path, full: bytes) -> None:
    """v1/Backup-TIME/OBJECT: each full snapshot with its increments."""
    layout = tmp_path / "v1"
    layout.mkdir()
    written(layout, full).rename(layout / "Backup-1700000000")
    (layout / "Backup-1700000900").mkdir()
    (layout / "Backup-1700000900" / "Full-00000000-00000004-1700000900.gz").write_bytes(gzip.compress(full))
    done = run("scan", layout, "--json", tmp_path / "a.json")
    assert done.returncode == 1, done.stderr
    parts = json.loads((tmp_path / "a.json").read_text())
    assert "Backup-1700000000" in json.dumps(parts)
    assert "Backup-1700000900" in json.dumps(parts)
    assert told(auditor.scan(layout / "Backup-1700000000")) == WHOLE


def test_no_canary_leaves(tmp_path: Path, full: bytes) -> None:
    done = run("scan", written(tmp_path, full), "--hunt", "--csv", tmp_path / "a.csv", "--json", tmp_path / "a.json")
    assert done.returncode == 1, done.stderr
    text = done.stdout + done.stderr + (tmp_path / "a.csv").read_text() + (tmp_path / "a.json").read_text()
    assert CANARY.decode() not in text
    assert base64.b64encode(CANARY).decode()[:24] not in text
