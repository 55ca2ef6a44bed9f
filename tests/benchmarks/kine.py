"""Fill a SQLite database as kine would, with its log left beside it, for the benchmarks.

    python -m tests.benchmarks.kine FOLDER [--rows 300000] [--secrets 20000] [--size 3600]

FOLDER gets state.db and state.db-wal; FOLDER.json is the configuration. Every Secret is written plain, and again with
aescbc (tests/benchmarks/fill.py), so that `old_value` keeps the plaintext of all of them; one in fifty is deleted.
Everything else is ConfigMaps, Events and Pods of --size bytes on the average, some of which go on in overflow pages. A
namespace was deleted before, with Secrets in it; half of all changes are compacted away, which frees pages and leaves
holes in others. The last writes stand only in the log.
"""

import argparse
import base64
import itertools
import json
import random
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.fill import KEY, aescbc, stored

SCHEMA = """
CREATE TABLE kine (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, created INTEGER, deleted INTEGER,
    create_revision INTEGER, prev_revision INTEGER, lease INTEGER, value BLOB, old_value BLOB);
CREATE INDEX kine_name_index ON kine (name);
CREATE INDEX kine_name_id_index ON kine (name,id);
CREATE INDEX kine_id_deleted_index ON kine (id,deleted);
CREATE INDEX kine_prev_revision_index ON kine (prev_revision);
CREATE UNIQUE INDEX kine_name_prev_revision_uindex ON kine (name, prev_revision);
CREATE INDEX kine_id_compact_rev_key_with_prev_revision_index ON kine(id, name, prev_revision)
    WHERE name != 'compact_rev_key' AND prev_revision != 0;
INSERT INTO kine (name, created, deleted, create_revision, prev_revision, lease, value, old_value)
    VALUES ('compact_rev_key', 1, 0, 0, 0, 0, '', NULL);
"""
"""kine pkg/drivers/sqlite/sqlite.go; the row that holds the compaction: pkg/logstructured/sqllog/sql.go."""
WRITE = """
INSERT INTO kine (name, created, deleted, create_revision, prev_revision, lease, value, old_value)
    VALUES (?, ?, ?, ?, ?, 0, ?, ?)
"""
GONE = 6
"""One row in so many is of objects that were deleted, or their deletion: their pages are free in the end."""
LAST = 2_000
"""Writes that stand only in the log."""


class Writer:
    """What kine makes of puts and deletions."""

    def __init__(self, path: Path) -> None:
        self.base = sqlite3.connect(path, isolation_level=None)
        self.base.executescript(
            "PRAGMA page_size=4096; PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA secure_delete=OFF;"
        )
        self.base.executescript(SCHEMA)
        self._newest: dict[str, tuple[int, int, bytes | None]] = {}

    def put(self, name: str, value: bytes | None) -> None:
        """None: delete it."""
        before, created, old = self._newest.get(name, (0, 0, None))
        made = self.base.execute(WRITE, (name, not before, value is None, created, before, value, old)).lastrowid or 0
        self._newest[name] = made, created or made, value

    def compact(self, revision: int) -> None:
        """Drop the rows that later ones up to the revision replaced, and its tombstones."""
        self.base.execute(
            "DELETE FROM kine WHERE id IN (SELECT prev_revision FROM kine WHERE name != 'compact_rev_key' AND "
            "prev_revision != 0 AND id <= ?1 UNION SELECT id FROM kine WHERE deleted != 0 AND id <= ?1)",
            (revision,),
        )
        self.base.execute("UPDATE kine SET prev_revision = ? WHERE name = 'compact_rev_key'", (revision,))


def others(count: int, size: int, rng: random.Random) -> Iterator[tuple[str, bytes]]:
    kinds = [(b"ConfigMap", "configmaps"), (b"Event", "events"), (b"Pod", "pods")]
    for number in range(count):
        kind, resource = kinds[number % 3]
        namespace, name = f"team-{number % 97:02}", f"{resource}-{number:07}"
        length = rng.choice((size // 4, size // 2, size, size * 9 // 4))
        yield f"/registry/{resource}/{namespace}/{name}", stored(kind, namespace, name, length, rng)


def removed_later(count: int, size: int, rng: random.Random, writer: Writer) -> Iterator[str]:
    """The objects of a namespace that will be deleted, one in eight a plain Secret; their names, once written."""
    for number, (name, value) in enumerate(others(count, size, rng)):
        name = name.replace("/team-", "/gone-")
        if number % 8 == 0:
            name = f"/registry/secrets/gone/secret-{number:07}"
            value = stored(b"Secret", "gone", f"secret-{number:07}", 900, rng)
        writer.put(name, value)
        yield name


def fill(writer: Writer, rows: int, secrets: int, size: int, rng: random.Random) -> None:
    gone = rows // GONE
    plain = {}
    for number in range(secrets):
        namespace, name = f"team-{number % 97:02}", f"secret-{number:07}"
        plain[f"/registry/secrets/{namespace}/{name}"] = stored(b"Secret", namespace, name, 900, rng)
    writer.base.execute("BEGIN")
    removed = list(removed_later(gone // 2, size, rng, writer))
    create(writer, plain, others(rows - 2 * secrets - gone, size, rng), (rows - gone) // (2 * secrets))
    for name in removed:
        writer.put(name, None)
    compacted = encrypt(writer, plain, rng)
    writer.base.execute("COMMIT")
    writer.compact(compacted)
    writer.base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for number, (name, value) in enumerate(list(plain.items())[:: max(secrets // LAST, 1)]):
        if number % 8:
            writer.put(name, aescbc(value, rng))


def create(writer: Writer, plain: dict[str, bytes], work: Iterator[tuple[str, bytes]], between: int) -> None:
    """Every Secret, with other objects between them, and what is left of these behind."""
    for name, value in plain.items():
        writer.put(name, value)
        for other in itertools.islice(work, between):
            writer.put(*other)
    for other in work:
        writer.put(*other)


def encrypt(writer: Writer, plain: dict[str, bytes], rng: random.Random) -> int:
    """The revision half way through the rewrite."""
    half = 0
    for number, (name, value) in enumerate(plain.items()):
        writer.put(name, aescbc(value, rng))
        if number % 50 == 0:
            writer.put(name, None)
        if number == len(plain) // 2:
            half = writer.base.execute("SELECT max(id) FROM kine").fetchone()[0]
    return half


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.kine")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--secrets", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=3600)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        writer = Writer(Path(folder) / "state.db")
        fill(writer, options.rows, options.secrets, options.size, random.Random(7))
        for name in ("state.db", "state.db-wal"):  # closing would fold the log in
            shutil.copyfile(Path(folder) / name, options.folder / name)
        writer.base.close()
    provider = {"aescbc": {"keys": [{"name": "key1", "secret": base64.b64encode(KEY).decode()}]}}
    config = {
        "kind": "EncryptionConfiguration",
        "apiVersion": "apiserver.config.k8s.io/v1",
        "resources": [{"resources": ["secrets"], "providers": [provider, {"identity": {}}]}],
    }
    options.folder.with_name(f"{options.folder.name}.json").write_text(json.dumps(config))
    database, log = (options.folder.joinpath(name).stat().st_size for name in ("state.db", "state.db-wal"))
    print(f"{options.folder}: {database:,} and {log:,} bytes, {time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
