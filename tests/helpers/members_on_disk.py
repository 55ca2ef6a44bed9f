"""Evidence in files, folders and data directories in which every Secret is encrypted, and one that is not."""

import random
import sqlite3
from pathlib import Path

from tests.evidence.etcd.test_wal import Segment, count, put
from tests.helpers import bolt_builder, sealing
from tests.helpers.objects import StoredObject

CANARY = b"CANARY-readable-0123456789abcdef"
LEAK = StoredObject(name=b"leak", data={b"password": CANARY})
KEY = sealing.KEY
"""Of secretbox/key1, under which all else is sealed."""
WAL = "0000000000000000-0000000000000000.wal"


def sealed(name: bytes) -> tuple[bytes, bytes]:
    """The etcd key and the stored value of an encrypted Secret."""
    thing = StoredObject(name=name, data={b"password": b"another-value-" + name * 3})
    return thing.key, sealing.seal("secretbox", "key1", KEY, thing, random.Random(name))


def clean() -> list[bolt_builder.Pair]:
    return [bolt_builder.record(2 + number, *sealed(b"db%d" % number)) for number in range(3)]


def leaking() -> bolt_builder.Pair:
    return bolt_builder.record(9, LEAK.key, LEAK.protobuf())


def snapshot(*records: bolt_builder.Pair) -> bytes:
    return bolt_builder.backend([*clean(), *records]).seal()


def configuration(folder: Path) -> str:
    return sealing.configuration(folder / "of-the-test.json", sealing.provider("secretbox", ("key1", KEY)))


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def log(*requests: bytes) -> bytes:
    """A segment of a WAL whose entries are these requests."""
    segment = Segment().frame(1, count(1, 0x1234) + count(2, 0x5678)).frame(5, count(1, 0) + count(2, 0))
    for index, request in enumerate(requests, 1):
        segment.entry(index, request)
    return segment.commit(len(requests)).data + bytes(512)


def data_directory(top: Path, *requests: bytes, txids: tuple[int, int] = (3, 4)) -> Path:
    """An encrypted member whose WAL holds these requests, and an encrypted put."""
    raw = bolt_builder.backend(clean(), trailer=False, txids=txids).seal()
    write(top / "member" / "snap" / "db", raw)
    write(top / "member" / "wal" / WAL, log(*requests, put(*sealed(b"db0"))))
    return top


def kine(path: Path, *before: str) -> sqlite3.Connection:
    """A database of kine's with three encrypted Secrets; before: statements that come first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in before:
        connection.execute(statement)
    connection.execute(
        "CREATE TABLE kine (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, created INTEGER, deleted INTEGER, "
        "create_revision INTEGER, prev_revision INTEGER, lease INTEGER, value BLOB, old_value BLOB)"
    )
    connection.execute("CREATE INDEX kine_name_index ON kine (name)")
    connection.execute("CREATE UNIQUE INDEX kine_name_prev_revision_uindex ON kine (name, prev_revision)")
    row(connection, b"compact_rev_key", b"")
    for number in range(3):
        row(connection, *sealed(b"db%d" % number))
    return connection


def row(connection: sqlite3.Connection, name: bytes, value: bytes) -> None:
    connection.execute(
        "INSERT INTO kine(name, created, deleted, create_revision, prev_revision, lease, value) VALUES(?,1,0,0,0,0,?)",
        (name.decode(), value),
    )
