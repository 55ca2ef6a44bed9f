"""A real dqlite node on loopback, as k8s-dqlite runs one: in a process of its own, asked over its wire protocol.

The library is Debian's libdqlite0, or what AUDITOR_DQLITE names; its C interface is dqlite.h. Wire protocol:
canonical/dqlite src/protocol.h, src/message.h, src/tuple.h. kine's table: canonical/k8s-dqlite
pkg/backend/sqlite/schema.go.
"""

import ctypes
import ctypes.util
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.fuzz.base import CANARY
from tests.helpers.etcd import free_ports
from tests.helpers.objects import StoredObject
from tests.helpers.sealing import KEY, seal
from tests.helpers.sql_servers import Row

PATIENCE = 120
"""Seconds until a node must answer, on the slowest machine."""
DATABASE = "k8s"
TABLE = """CREATE TABLE kine (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, created INTEGER,
 deleted INTEGER, create_revision INTEGER NOT NULL, prev_revision INTEGER, lease INTEGER, value BLOB, old_value BLOB)"""
INDEXES = (
    "CREATE INDEX kine_name_index ON kine (name, id)",
    "CREATE UNIQUE INDEX kine_name_prev_revision_uindex ON kine (prev_revision, name)",
)
_OPEN, _EXEC_SQL, _QUERY_SQL = 3, 8, 9
_FAILURE, _ROWS = 0, 7
_INTEGER, _TEXT, _BLOB, _NULL = 1, 3, 4, 5
_DONE, _PART = (1 << 64) - 1, 0xEEEEEEEEEEEEEEEE
Value = int | str | bytes | None


def library() -> str:
    """The path or name of the library; the test is skipped where it is not installed, and fails where it must be."""
    name = os.environ.get("AUDITOR_DQLITE") or ctypes.util.find_library("dqlite")
    if name is None and not os.environ.get("AUDITOR_REQUIRE_DQLITE"):
        pytest.skip("libdqlite0 is not installed")
    assert name is not None, "libdqlite0 is not installed"
    return name


class Node:
    """A node of one voter. folder: its data directory. snapshots: after how many entries, and how many are kept."""

    def __init__(self, folder: Path, snapshots: tuple[int, int] = (32, 64), *, compressed: bool = False) -> None:
        self.folder, self._snapshots, self._compressed = folder, snapshots, compressed
        folder.mkdir(parents=True, exist_ok=True)
        (self.port,) = free_ports(1)

    def __enter__(self) -> Self:
        numbers = (self.port, *self._snapshots, int(self._compressed))
        line = [sys.executable, "-m", "tests.helpers.dqlite", library(), str(self.folder), *map(str, numbers)]
        self._process = subprocess.Popen(line, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self._killed = False
        self._connect()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop it cleanly: segments that are open become closed ones."""
        self._socket.close()
        self._process.communicate()
        assert self._killed or self._process.returncode == 0

    def kill(self) -> None:
        """End it as a power cut does."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._killed = True

    def copy(self, target: Path) -> Path:
        """A copy of its folder, made while it runs."""
        return shutil.copytree(self.folder, target)

    def _connect(self) -> None:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                self._socket = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
                self._socket.sendall(struct.pack("<Q", 1))
                self.database(DATABASE)
            except (OSError, NotLeaderError):
                assert time.monotonic() < until, "the node does not answer"
                assert self._process.poll() is None, "the node has ended"
                time.sleep(0.05)
            else:
                return

    def database(self, name: str) -> None:
        """Ask of this database from now on."""
        body = _text(name) + struct.pack("<Q", 6) + _text("volatile")
        self._number = struct.unpack_from("<I", self._ask(_OPEN, body))[0]

    def run(self, statement: str, *values: Value) -> None:
        """A statement that answers nothing."""
        self._ask(_EXEC_SQL, self._statement(statement, values))

    def rows(self, query: str, *values: Value) -> list[tuple[Value, ...]]:
        """The answer to a query."""
        rows: list[tuple[Value, ...]] = []
        body = self._ask(_QUERY_SQL, self._statement(query, values))
        while True:
            part, end = _rows(body)
            rows += part
            if end == _DONE:
                return rows
            body = self._answer()

    def create(self) -> None:
        """kine's table with its indexes."""
        for statement in (TABLE, *INDEXES):
            self.run(statement)

    def insert(self, row: Sequence[Value]) -> None:
        """A row of kine's, as k8s-dqlite writes one: id, name, created, deleted, create, previous, value, old value."""
        names = "id, name, created, deleted, create_revision, prev_revision, lease, value, old_value"
        self.run(f"INSERT INTO kine ({names}) VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?)", *row)

    def _statement(self, text: str, values: Sequence[Value]) -> bytes:
        kinds = bytes([len(values), *map(_kind, values)]) if values else b""
        parts = b"".join(map(_encoded, values))
        return struct.pack("<Q", self._number) + _text(text) + kinds + bytes(-len(kinds) % 8) + parts

    def _ask(self, kind: int, body: bytes) -> bytes:
        self._socket.sendall(struct.pack("<IBBH", len(body) // 8, kind, 0, 0) + body)
        return self._answer()

    def _answer(self) -> bytes:
        words, kind, _, _ = struct.unpack("<IBBH", self._receive(8))
        body = self._receive(8 * words)
        if kind == _FAILURE:
            code = struct.unpack_from("<Q", body)[0]
            text = body[8:].split(b"\0", 1)[0].decode()
            raise NotLeaderError(text) if "leader" in text else AssertionError(f"dqlite: {code}: {text}")
        return body

    def _receive(self, size: int) -> bytes:
        parts = b""
        while len(parts) < size:
            more = self._socket.recv(size - len(parts))
            if not more:
                raise ConnectionResetError
            parts += more
        return parts


def fill(node: Node, writes: int = 90) -> None:
    """kine's table with a history: sealed, readable and long Secrets, changes, deletions, a compaction."""
    rng = random.Random(7)
    node.create()
    node.insert((1, "compact_rev_key", 1, 0, 0, 0, b"", b""))
    newest: dict[str, Row] = {}
    for number in range(2, writes):
        thing = StoredObject(namespace=b"prod", name=b"s%d" % (number % 11), data={b"p": b"%s-%d" % (CANARY, number)})
        if number % 13 == 0:
            thing = replace(thing, data={b"p": b"%s-%d-" % (CANARY, number) + rng.randbytes(5000).hex().encode()})
        value = seal("aescbc", "key1", KEY, thing, rng) if number % 3 == 0 else thing.protobuf()
        last = newest.get(thing.key.decode())
        live = last is not None and not last.deleted
        row = Row(
            id=number,
            name=thing.key,
            created=int(not live),
            deleted=int(live and number % 17 == 0),
            create_revision=0 if last is None or not live else last.create_revision or last.id,
            prev_revision=last.id if last is not None else 0,
            value=value,
            old_value=last.value if last is not None else None,
        )
        newest[thing.key.decode()] = row
        numbers = (row.created, row.deleted, row.create_revision, row.prev_revision)
        node.insert((row.id, thing.key.decode(), *numbers, row.value, row.old_value))
        if number == writes // 2:
            node.run("UPDATE kine SET prev_revision = ? WHERE name = ?", number - 20, "compact_rev_key")
            node.run(
                "DELETE FROM kine WHERE id < ? AND id NOT IN (SELECT max(id) FROM kine GROUP BY name)", number - 20
            )


def rows(node: Node) -> list[Row]:
    """kine's rows as the node answers."""
    columns = "id, name, created, deleted, create_revision, prev_revision, value, old_value"
    return [Row(row[0], str(row[1]).encode(), *row[2:]) for row in node.rows(f"SELECT {columns} FROM kine ORDER BY id")]  # type: ignore[arg-type]


class NotLeaderError(Exception):
    """The node leads no cluster yet."""


def _text(text: str) -> bytes:
    raw = text.encode() + b"\0"
    return raw + bytes(-len(raw) % 8)


def _kind(value: Value) -> int:
    if value is None:
        return _NULL
    return _INTEGER if isinstance(value, int) else _TEXT if isinstance(value, str) else _BLOB


def _encoded(value: Value) -> bytes:
    if value is None:
        return bytes(8)
    if isinstance(value, int):
        return struct.pack("<q", value)
    if isinstance(value, str):
        return _text(value)
    return struct.pack("<Q", len(value)) + value + bytes(-len(value) % 8)


def _rows(body: bytes) -> tuple[list[tuple[Value, ...]], int]:
    """The rows of an answer, and the word behind them."""
    columns = struct.unpack_from("<Q", body)[0]
    at = 8
    for _ in range(columns):
        at += len(_text(body[at : body.index(b"\0", at)].decode()))
    rows: list[tuple[Value, ...]] = []
    while (word := struct.unpack_from("<Q", body, at)[0]) not in {_DONE, _PART}:
        kinds = [body[at + column // 2] >> (4 * (column % 2)) & 15 for column in range(columns)]
        at += (columns + 15) // 16 * 8
        cells: list[Value] = []
        for kind in kinds:
            cell, at = _decoded(body, at, kind)
            cells.append(cell)
        rows.append(tuple(cells))
    return rows, word


def _decoded(body: bytes, at: int, kind: int) -> tuple[Value, int]:
    number = struct.unpack_from("<q", body, at)[0]
    if kind == _NULL:
        return None, at + 8
    if kind == _INTEGER:
        return number, at + 8
    if kind == _TEXT:
        raw = body[at : body.index(b"\0", at)]
        return raw.decode(), at + len(_text(raw.decode()))
    assert kind == _BLOB, kind
    return body[at + 8 : at + 8 + number], at + 8 + number + -number % 8


@contextmanager
def _started(path: str, folder: str, numbers: Sequence[int]) -> Iterator[None]:
    """A node of this process."""
    own = ctypes.CDLL(path)
    node = ctypes.c_void_p()
    own.dqlite_node_create.argtypes = [
        ctypes.c_ulonglong,
        ctypes.c_char_p,
        ctypes.c_char_p,
        ctypes.POINTER(ctypes.c_void_p),
    ]
    own.dqlite_node_set_snapshot_params.argtypes = [ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    for name in ("dqlite_node_start", "dqlite_node_stop", "dqlite_node_destroy"):
        getattr(own, name).argtypes = [ctypes.c_void_p]
    own.dqlite_node_set_bind_address.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    port, threshold, trailing, compressed = numbers
    address = f"127.0.0.1:{port}".encode()
    assert own.dqlite_node_create(1, address, folder.encode(), ctypes.byref(node)) == 0
    assert own.dqlite_node_set_bind_address(node, address) == 0
    assert own.dqlite_node_set_snapshot_params(node, threshold, trailing) == 0
    if hasattr(own, "dqlite_node_set_snapshot_compression"):
        own.dqlite_node_set_snapshot_compression.argtypes = [ctypes.c_void_p, ctypes.c_bool]
        assert own.dqlite_node_set_snapshot_compression(node, bool(compressed)) == 0
    assert own.dqlite_node_start(node) == 0
    try:
        yield
    finally:
        assert own.dqlite_node_stop(node) == 0
        own.dqlite_node_destroy(node)


if __name__ == "__main__":
    with _started(sys.argv[1], sys.argv[2], list(map(int, sys.argv[3:]))):
        sys.stdin.buffer.read()
