"""Honest evidence of kine, of etcdctl's dumps and of Gardener's backups, for Secrets to be planted in."""

import base64
import hashlib
import json
import random
import shutil
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path

from tests.evidence.etcd.test_dump_responses import as_json, as_protobuf
from tests.evidence.gardener.test_backup import event, increment
from tests.fuzz import sqlite
from tests.helpers import bolt_builder, members_on_disk, sealing
from tests.helpers.members_on_disk import sealed
from tests.helpers.objects import StoredObject
from tests.helpers.planting import FORMS, SECRET, Evidence

TEXTS = {**FORMS, "base64": base64.b64encode(SECRET.protobuf())}
"""What is planted in a medium that is text."""
PAGE = 4096


def _unchanged(raw: bytes) -> bytes:
    return raw


def _large(connection: sqlite3.Connection, name: str, size: int) -> None:
    """An encrypted Secret that needs overflow pages."""
    thing = StoredObject(name=name.encode(), data={b"password": b"x" * size})
    value = sealing.seal("secretbox", "key1", members_on_disk.KEY, thing, random.Random(name))
    members_on_disk.row(connection, thing.key, value)


def filled(path: Path, *before: str) -> sqlite3.Connection:
    """Rows in pages and in chains, and a freelist of zeroed pages."""
    connection = members_on_disk.kine(path, *before)
    connection.execute("PRAGMA secure_delete=ON")
    for number in range(60):
        members_on_disk.row(connection, *sealed(b"a%d" % number))
    for number, size in enumerate((9_000, 5_000, 30_000)):
        _large(connection, f"large{number}", size)
    connection.execute("DELETE FROM kine WHERE name LIKE '%large2' OR id BETWEEN 30 AND 40")
    return connection


def database(folder: Path) -> Evidence:
    """A database of kine's without a log."""
    filled(folder / "state.db").close()
    return Evidence(folder / "state.db", folder / "state.db", members_on_disk.configuration(folder), _unchanged)


def log(folder: Path) -> Evidence:
    """The log of such a database: frames that count, superseded ones, and those of the generation before."""
    connection = filled(folder / "own.db", "PRAGMA journal_mode=WAL", "PRAGMA wal_autocheckpoint=0")
    connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
    for number in range(4):
        members_on_disk.row(connection, *sealed(b"b%d" % number))
    for name in ("", "-wal"):
        shutil.copy(folder / f"own.db{name}", folder / f"state.db{name}")
    connection.close()
    root, config = folder / "state.db", members_on_disk.configuration(folder)
    return Evidence(root, folder / "state.db-wal", config, chained)


def chained(raw: bytes) -> bytes:
    """A log of SQLite's whose checksums go on from one another again: the header's, and of every frame."""
    out = bytearray(raw)
    order = ">" if out[:4] == b"\x37\x7f\x06\x83" else "<"
    sums = sqlite.summed(order, bytes(out[:24]), (0, 0))
    out[24:32] = struct.pack(">II", *sums)
    step = sqlite.FRAME + PAGE
    for at in range(sqlite.HEADER, len(out) - step + 1, step):
        sums = sqlite.summed(order, bytes(out[at : at + 8]) + bytes(out[at + sqlite.FRAME : at + step]), sums)
        out[at + 16 : at + 24] = struct.pack(">II", *sums)
    return bytes(out)


def _rows() -> list[tuple[bytes, bytes]]:
    return [sealed(b"db%d" % number) for number in range(3)]


def json_dump(folder: Path) -> Evidence:
    raw = json.dumps(json.loads(as_json(_rows())), indent=20).encode() + b"\n" * 300
    path = members_on_disk.write(folder / "dump.json", raw)
    return Evidence(path, path, members_on_disk.configuration(folder), _unchanged)


def protobuf_dump(folder: Path) -> Evidence:
    path = members_on_disk.write(folder / "dump.pb", as_protobuf(_rows()) + as_protobuf(_rows()))
    return Evidence(path, path, members_on_disk.configuration(folder), _unchanged)


def backup(folder: Path) -> Evidence:
    """The increment of a backup of Gardener's."""
    root = folder / "backup"
    members_on_disk.write(
        root / "Full-00000000-00000004-1700000000", bolt_builder.backend(members_on_disk.clean()).seal()
    )
    key, value = sealed(b"db0")
    raw = increment(event(key, 5, value, 2, 2), event(key, 6, None, 0, 0), event(key, 7, value, 7, 1))
    path = members_on_disk.write(root / "Incr-00000005-00000007-1700000100", raw)
    return Evidence(root, path, members_on_disk.configuration(folder), hashed)


def hashed(raw: bytes) -> bytes:
    """An increment with its hash behind it."""
    return raw[:-32] + hashlib.sha256(raw[:-32]).digest()


MADE: dict[str, Callable[[Path], Evidence]] = {
    "database": database,
    "log": log,
    "json dump": json_dump,
    "protobuf dump": protobuf_dump,
    "increment": backup,
}
TEXT_MEDIA = ("json dump", "increment")
"""Those that are text."""
