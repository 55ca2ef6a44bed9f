"""A real PostgreSQL and a real MariaDB on loopback, in temporary folders and as no privileged user; kine's tables."""

import contextlib
import glob
import os
import pwd
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fuzz.base import CANARY
from tests.helpers.objects import StoredObject
from tests.helpers.sealing import FORMS, KEY, seal

PATIENCE = 300
"""Seconds until a server must answer, on the slowest machine."""
UNPRIVILEGED = "nobody"
BINARIES = {
    "postgres": (*sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True), "/usr/bin"),  # noqa: PTH207
    "mariadb": ("/usr/sbin", "/usr/bin", "/usr/local/bin"),
}


@dataclass(frozen=True)
class Row:
    """A row of kine's table."""

    id: int
    name: bytes
    created: int
    deleted: int
    create_revision: int
    prev_revision: int
    value: bytes | None
    old_value: bytes | None


@dataclass(frozen=True)
class Server:
    """A running server, reached by its socket or its port."""

    folder: Path
    port: int
    kind: str

    def program(self, name: str, *arguments: str, text: bytes = b"") -> bytes:
        """What one of its programs prints."""
        done = subprocess.run(
            [binary(self.kind, name), *arguments], input=text, capture_output=True, check=False, env=self.environment
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    @property
    def environment(self) -> dict[str, str]:
        own = {
            "PGHOST": str(self.folder),
            "PGPORT": str(self.port),
            "PGUSER": "kine",
            "PGPASSWORD": "unused",
            "MYSQL_PWD": "",
        }
        return {**os.environ, "LC_ALL": "C.UTF-8", **own}

    def sql(self, database: str, text: str) -> bytes:
        """What a client prints of statements: a row a line, a tab between columns."""
        if self.kind == "postgres":
            options = ("-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", database)
            return self.program("psql", *options, text=text.encode())
        line = ("mariadb", "--no-defaults", f"--socket={self.folder}/s", "-uroot", "-N", "-B", "--raw", database)
        return self.program(*line, text=text.encode())

    def fill(self, database: str, rows: Sequence[Row], *, wide: bool = True, prepare: str = "") -> None:
        """A database with kine's table and these rows. wide: the columns of the newer of kine's two schemas."""
        if self.kind == "postgres":
            self.sql("postgres", f"CREATE DATABASE {database}")
            number, blob, name = ("BIGINT" if wide else "INTEGER"), "bytea", 'TEXT COLLATE "C"'
            key = "BIGSERIAL" if wide else "SERIAL"
        else:
            self.sql("mysql", f"CREATE DATABASE {database}")
            number, blob, name = (
                ("BIGINT UNSIGNED" if wide else "INTEGER"),
                "MEDIUMBLOB",
                "VARCHAR(630) CHARACTER SET ascii",
            )
            key = f"{number} AUTO_INCREMENT"
        columns = (
            f"id {key} PRIMARY KEY, name {name}, created INTEGER, deleted INTEGER, create_revision {number}, "
            f"prev_revision {number}, lease INTEGER, value {blob}, old_value {blob}"
        )
        statements = [prepare, f"CREATE TABLE kine ({columns});", "CREATE INDEX kine_name_index ON kine (name);"]
        for row in rows:
            cells = (row.id, self._text(row.name), row.created, row.deleted, row.create_revision, row.prev_revision, 0)
            blobs = (self._blob(row.value), self._blob(row.old_value))
            statements.append(f"INSERT INTO kine VALUES ({', '.join(map(str, (*cells, *blobs)))});")
        self.sql(database, "\n".join(statements))

    def _text(self, raw: bytes) -> str:
        return "'" + raw.decode().replace("'", "''") + "'"

    def _blob(self, raw: bytes | None) -> str:
        if raw is None:
            return "NULL"
        return f"'\\x{raw.hex()}'" if self.kind == "postgres" else f"X'{raw.hex()}'"

    def rows(self, database: str) -> list[Row]:
        """What the server answers."""
        form = "encode({},'hex')" if self.kind == "postgres" else "hex({})"
        blobs = [f"coalesce({form.format(name)}, '-')" for name in ("value", "old_value")]
        columns = f"id, name, created, deleted, create_revision, prev_revision, {blobs[0]}, {blobs[1]}"
        answer = self.sql(database, f"SELECT {columns} FROM kine ORDER BY id").decode()
        parts = [line.split("\t") for line in answer.split("\n") if line]
        return [Row(int(p[0]), p[1].encode(), *map(int, p[2:6]), *map(_hex, p[6:8])) for p in parts]  # type: ignore[arg-type]


def _hex(text: str) -> bytes | None:
    return None if text == "-" else bytes.fromhex(text)


def binary(kind: str, name: str) -> str:
    """The path of a program; the test is skipped where it is not installed, and fails where it must be."""
    path = next((str(path) for folder in BINARIES[kind] if (path := Path(folder) / name).exists()), None)
    if path is None and not os.environ.get("AUDITOR_REQUIRE_SQL"):
        pytest.skip(f"{name} is not installed")
    assert path is not None, f"{name} is not installed"
    return path


def _unprivileged() -> list[str]:
    """What a server is started with: servers refuse to be root.

    subprocess would fork to change the user, and gRPC's threads in a forked process end it now and then.
    """
    if os.getuid():
        return []
    entry = pwd.getpwnam(UNPRIVILEGED)
    return ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups", "--"]


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="sql-"))
    try:
        if not os.getuid():
            shutil.chown(folder, UNPRIVILEGED, pwd.getpwnam(UNPRIVILEGED).pw_gid)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _run(line: Sequence[str], folder: Path) -> None:
    done = subprocess.run(
        [*_unprivileged(), *line],
        capture_output=True,
        check=False,
        cwd=folder,
        env={**os.environ, "HOME": str(folder)},
    )
    assert done.returncode == 0, done.stderr.decode()


@contextlib.contextmanager
def _running(line: Sequence[str], server: Server, probe: str) -> Iterator[Server]:
    """A server until the end of the block. probe: a database that it has."""
    with (server.folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*_unprivileged(), *line],
            stdout=log,
            stderr=log,
            cwd=server.folder,
            env={**os.environ, "HOME": str(server.folder)},
        )
    try:
        end = time.monotonic() + PATIENCE
        while True:
            ended = process.poll() is not None or time.monotonic() > end
            assert not ended, (server.folder / "log").read_text()
            with contextlib.suppress(AssertionError):
                server.sql(probe, "SELECT 1")
                break
            time.sleep(0.1)
        yield server
    finally:
        process.terminate()
        process.wait(PATIENCE)


@contextlib.contextmanager
def postgres() -> Iterator[Server]:
    """A PostgreSQL."""
    programs = binary("postgres", "initdb"), binary("postgres", "postgres")
    with _folder() as folder:
        data = str(folder / "data")
        _run([programs[0], "-D", data, "-U", "kine", "-A", "trust", "-N", "-E", "UTF8", "--locale=C"], folder)
        server = Server(folder, _port(), "postgres")
        line = [programs[1], "-D", data, "-k", str(folder), "-h", "127.0.0.1", "-p", str(server.port), "-F"]
        with _running(line, server, "postgres"):
            yield server


@contextlib.contextmanager
def mariadb() -> Iterator[Server]:
    """A MariaDB."""
    programs = binary("mariadb", "mariadb-install-db"), binary("mariadb", "mariadbd")
    with _folder() as folder:
        data = f"--datadir={folder}/data"
        normal = "--auth-root-authentication-method=normal"
        _run([programs[0], "--no-defaults", data, normal, "--skip-test-db"], folder)
        server = Server(folder, _port(), "mariadb")
        line = [programs[1], "--no-defaults", data, f"--socket={folder}/s", f"--port={server.port}"]
        line += ["--bind-address=127.0.0.1", f"--pid-file={folder}/p", "--innodb-flush-log-at-trx-commit=0"]
        with _running(line, server, "mysql"):
            yield server


def history() -> list[Row]:
    """A history of writes: every provider, every awkward byte, large values, updates, deletions, a compaction."""
    rng = random.Random(7)
    rows: list[Row] = []
    last: dict[bytes, Row] = {}

    def put(name: bytes, value: bytes | None, *, deleted: bool = False) -> None:
        before = last.get(name)
        live = before is not None and not before.deleted
        row = Row(
            id=len(rows) + 1,
            name=name,
            created=int(not live),
            deleted=int(deleted),
            create_revision=0 if not live or before is None else (before.create_revision or before.id),
            prev_revision=before.id if before is not None else 0,
            value=value,
            old_value=before.value if before is not None else None,
        )
        rows.append(row)
        last[name] = row

    put(b"compact_rev_key", b"")
    put(b"/registry/health", b'{"health":"true"}')
    for number, form in enumerate(FORMS):
        thing = StoredObject(namespace=b"prod", name=b"sealed-%d" % number, data={b"p": rng.randbytes(90)})
        put(thing.key, thing.protobuf())
        put(thing.key, seal(form, "key1", KEY, thing, rng))
    for number, raw in enumerate(
        (bytes(range(256)) * 2, b"'\"\\%_\0\n\r\t\x1a" * 9, b"\\x6b38", b"", rng.randbytes(300_000))
    ):
        thing = StoredObject(namespace=b"prod", name=b"odd-%d" % number, data={b"p": CANARY + raw})
        put(thing.key, thing.protobuf())
    gone = StoredObject(namespace=b"prod", name=b"gone", data={b"p": CANARY + b"gone"})
    put(gone.key, gone.protobuf())
    put(gone.key, gone.protobuf(), deleted=True)
    old = StoredObject(namespace=b"prod", name=b"o'clock", data={b"p": CANARY + b"clock"})
    put(old.key, old.json())
    put(b"gap-%d" % (len(rows) + 1), None, deleted=True)
    return rows
