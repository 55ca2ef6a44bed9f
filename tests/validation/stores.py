"""The stores of worlds: a real etcd, SQLite as kine writes it, a real dqlite, and dumps of real servers."""

import random
import shutil
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from auditor.protobuf import rpc_pb2 as rpc
from tests.benchmarks.kine import SCHEMA, WRITE
from tests.helpers import dqlite, sql_servers
from tests.helpers.etcd import Etcd
from tests.helpers.sql_servers import Row


class Store(Protocol):
    """What a workload does to a store."""

    def put(self, key: bytes, value: bytes) -> int: ...

    def delete(self, key: bytes) -> int: ...

    def compact(self, revision: int) -> None: ...

    def defragment(self) -> None: ...

    def restart(self, *, kill: bool) -> None: ...

    def revision(self) -> int: ...


class Renumbered(Exception):
    """A store answers with another revision after a restart than it acknowledged before: it is no truth any more."""


class EtcdStore:
    """One member."""

    BATCHES = ((100, 10_000), (1, 10_000), (3_600_000, 10_000), (100, 3))
    """Milliseconds and operations after which etcd commits."""

    def __init__(
        self, folder: Path, program: str, rng: random.Random, batches: Sequence[tuple[int, int]] = BATCHES
    ) -> None:
        interval, limit = rng.choice(batches)
        options = (
            f"--backend-batch-interval={interval}ms",
            f"--backend-batch-limit={limit}",
            f"--snapshot-count={rng.choice((5, 40, 100_000))}",
        )
        self.etcd = Etcd(folder, *options, program=program)

    def put(self, key: bytes, value: bytes) -> int:
        return self.etcd.put(key, value)

    def delete(self, key: bytes) -> int:
        return self.etcd.delete(key)

    def compact(self, revision: int) -> None:
        self.etcd.compact(revision)

    def defragment(self) -> None:
        self.etcd.defragment()

    def restart(self, *, kill: bool) -> None:
        self.stop(kill=kill)
        self.etcd.start()

    def revision(self) -> int:
        answer = self.etcd.call("Range", rpc.RangeRequest(key=b"\0", range_end=b"\0", count_only=True))
        return int(answer.header.revision)

    def stop(self, *, kill: bool) -> None:
        if not kill:
            self.etcd.stop()
            return
        self.etcd.channel.close()
        self.etcd.process.kill()
        self.etcd.process.wait(timeout=60)


COMPACT = (
    "DELETE FROM kine WHERE id IN (SELECT prev_revision FROM kine WHERE name != 'compact_rev_key' AND "
    "prev_revision != 0 AND id <= ?1 UNION SELECT id FROM kine WHERE deleted != 0 AND id <= ?1)"
)
Cell: TypeAlias = str | bytes | int | None


@dataclass(frozen=True, slots=True)
class _Newest:
    row: int
    created: int
    value: bytes | None


class KineStore:
    """kine's table; every statement is kine's (pkg/drivers/sqlite/sqlite.go, pkg/logstructured/sqllog/sql.go)."""

    def __init__(self, path: Path, rng: random.Random) -> None:
        self.path = path
        self.pragmas = (
            f"PRAGMA page_size={rng.choice((1024, 4096, 4096, 4096, 8192))}; PRAGMA journal_mode=WAL; "
            f"PRAGMA synchronous=OFF; PRAGMA secure_delete={rng.choice(('OFF', 'OFF', 'ON'))}; "
            f"PRAGMA wal_autocheckpoint={rng.choice((5, 50, 1000))};"
        )
        self._open()
        self.base.executescript(SCHEMA)
        self._newest: dict[bytes, _Newest] = {}

    def _open(self) -> None:
        self.base = sqlite3.connect(self.path, isolation_level=None)
        self.base.executescript(self.pragmas)

    def put(self, key: bytes, value: bytes) -> int:
        return self._write(key, value)

    def delete(self, key: bytes) -> int:
        return self._write(key, None)

    def _write(self, key: bytes, value: bytes | None) -> int:
        before = self._newest.get(key)
        anew = before is None or before.value is None
        # kine creates a key again behind its tombstone: prev_revision is the tombstone's
        row, created, old = (before.row, before.created, before.value) if before else (0, 0, None)
        cells = (key.decode(), anew, value is None, 0 if anew else created, row, value, old)
        made = self._insert(cells)
        self._newest[key] = _Newest(made, made if anew else created, value)
        return made

    def _insert(self, cells: Sequence[Cell]) -> int:
        """Add a row; its id."""
        return self.base.execute(WRITE, cells).lastrowid or 0

    def compact(self, revision: int) -> None:
        self.base.execute(COMPACT, (revision,))
        self.base.execute("UPDATE kine SET prev_revision = ? WHERE name = 'compact_rev_key'", (revision,))

    def defragment(self) -> None:
        self.base.execute("VACUUM")

    def restart(self, *, kill: bool) -> None:
        if not kill:
            self.base.close()  # SQLite writes its log into the database, and removes it
        else:
            copy = self.copy(self.path.with_name("killed"))
            self.base.close()
            for name in copy.iterdir():
                shutil.move(name, self.path.parent / name.name)
        self._open()

    def revision(self) -> int:
        (newest,) = self.base.execute("SELECT seq FROM sqlite_sequence WHERE name = 'kine'").fetchone()
        return int(newest)

    def copy(self, folder: Path) -> Path:
        """The files as they stand, the log beside the database."""
        folder.mkdir(exist_ok=True)
        for suffix in ("", "-wal"):
            file = Path(f"{self.path}{suffix}")
            if file.exists():
                shutil.copyfile(file, folder / file.name)
        return folder


class DqliteStore(KineStore):
    """The same statements, of a node of dqlite: each is an entry of raft's log."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        # dqlite keeps at least as many entries as a snapshot stands for
        self.node = dqlite.Node(folder, rng.choice(((8, 8), (32, 32), (32, 64), (1024, 8192))))
        self._newest: dict[bytes, _Newest] = {}
        self._last = 1
        self.node.__enter__()
        self.node.create()
        self.node.insert((1, "compact_rev_key", 1, 0, 0, 0, b"", b""))

    def _insert(self, cells: Sequence[Cell]) -> int:
        self._last += 1
        name, created, deleted, *rest = cells
        self.node.insert((self._last, name, int(created or 0), int(deleted or 0), *rest))
        return self._last

    def compact(self, revision: int) -> None:
        self.node.run(COMPACT.replace("?1", str(revision)))
        self.node.run(f"UPDATE kine SET prev_revision = {revision} WHERE name = 'compact_rev_key'")

    def defragment(self) -> None:
        """Nobody can tell dqlite to."""

    def restart(self, *, kill: bool) -> None:
        self.stop(kill=kill)
        self.node.__enter__()

    def stop(self, *, kill: bool) -> None:
        if kill:
            self.node.kill()
        self.node.stop()

    def revision(self) -> int:
        ((newest,),) = self.node.rows("SELECT seq FROM sqlite_sequence WHERE name = 'kine'")
        return int(newest or 0)

    def rows(self) -> list[tuple[int, str, int, bytes | None]]:
        """Id, name, whether it is a deletion, and value of the Secrets' rows, as the node answers."""
        answer = self.node.rows("SELECT id, name, deleted, value FROM kine WHERE name LIKE '/registry/secrets/%'")
        return [(int(row[0] or 0), str(row[1]), int(row[2] or 0), row[3]) for row in answer]  # type: ignore[misc]


POSTGRES = ((), ("--inserts",), ("--inserts", "--rows-per-insert=7"), ("--column-inserts", "-t", "kine"))
MARIADB = ((), ("--skip-extended-insert",), ("--complete-insert",), ("--compatible=ansi", "--skip-quote-names"))


def dump(base: sqlite3.Connection, kind: str, rng: random.Random) -> bytes:
    """A dump by a real server that holds the rows of kine's table in SQLite, values in hex.

    kind: postgres or mariadb.
    """
    cells = base.execute(
        "SELECT id, name, created, deleted, create_revision, prev_revision, CAST(value AS BLOB), old_value FROM kine "
        "ORDER BY id"
    ).fetchall()
    rows = [
        Row(number, name.encode(), int(created), int(deleted), int(create or 0), int(previous or 0), value, old)
        for number, name, created, deleted, create, previous, value, old in cells
    ]
    with sql_servers.postgres() if kind == "postgres" else sql_servers.mariadb() as server:
        server.fill("kubernetes", rows, wide=rng.random() < 0.7)
        if kind == "postgres":
            return server.program("pg_dump", *rng.choice(POSTGRES), "kubernetes")
        connection = ("--no-defaults", f"--socket={server.folder}/s", "-uroot", "--hex-blob")
        return server.program("mariadb-dump", *connection, *rng.choice(MARIADB), "kubernetes")
