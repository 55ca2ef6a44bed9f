"""A backup is examined again whichever of its files has changed."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from auditor.fleet.listing import backups as listed
from auditor.model.vocabulary import Severity
from auditor.options import Options
from tests.helpers import fleet
from tests.helpers.fixtures import MIGRATION
from tests.helpers.objects import StoredObject

TIME = 1_795_406_356
"""Of every file, unless a test says otherwise."""
VALUE = StoredObject(b"shop", b"leak", {b"password": b"CANARY-LEAK-123456"}).protobuf()
_KINE = """CREATE TABLE kine (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, created INTEGER, deleted INTEGER,
    create_revision INTEGER, prev_revision INTEGER, lease INTEGER, value BLOB, old_value BLOB)"""


def put(database: sqlite3.Connection, name: str, value: bytes) -> None:
    database.execute("INSERT INTO kine VALUES (NULL, ?, 1, 0, 0, 0, 0, ?, x'')", (name, value))
    database.commit()


def dated(path: Path, seconds: int = TIME) -> None:
    os.utime(path, (seconds, seconds))


def copies(folder: Path) -> tuple[Path, Path, Path]:
    """A database, its write-ahead log, and the same log with a Secret in plain text more."""
    own = folder / "state.db"
    with closing(sqlite3.connect(own)) as database:
        database.execute(_KINE)
        put(database, "/registry/secrets/shop/a", b"k8s:enc:aescbc:v1:key1:" + bytes(range(64)))
        database.execute("PRAGMA journal_mode = wal")
        database.execute("PRAGMA wal_autocheckpoint = 0")
        put(database, "compact_rev_key", b"")
        before = Path(shutil.copy(f"{own}-wal", folder / "before"))
        put(database, "/registry/secrets/shop/leak", VALUE)
        after = Path(shutil.copy(f"{own}-wal", folder / "after"))
        return Path(shutil.copy(own, folder / "copy.db")), before, after


def test_a_log_alone_that_changes_is_seen(tmp_path: Path) -> None:
    """In WAL mode the database itself seldom changes."""
    (tmp_path / "made").mkdir()
    database, before, after = copies(tmp_path / "made")
    folder = tmp_path / "backups"
    folder.mkdir()
    for name in ("node1.db", "node2.db"):
        shutil.copy(database, folder / name)
        shutil.copy(before, folder / f"{name}-wal")
    for path in folder.iterdir():
        dated(path)
    scanned = fleet.request(folder, tmp_path / "set")
    summary, rows = fleet.run(scanned)
    assert (len(rows), summary.exit_code(Severity.MEDIUM)) == (2, 0)
    assert fleet.run(scanned)[1] == []
    shutil.copy(after, folder / "node1.db-wal")
    summary, rows = fleet.run(scanned)
    assert [row["url"] for row in rows] == [str(folder / "node1.db")]
    assert summary.exit_code(Severity.MEDIUM) == 1
    assert fleet.run(scanned)[1] == []


@pytest.mark.parametrize("ending", ["-wal", "-shm", "-journal"])
def test_each_of_sqlite_s_files_counts(tmp_path: Path, ending: str) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as database:
        database.execute(_KINE)
    shutil.copy(MIGRATION / "5-defragmented.db", tmp_path / "b.db")
    for path in tmp_path.iterdir():
        dated(path)
    before = {backup.name: backup.id("") for backup in listed([str(tmp_path)])}
    (tmp_path / f"a.db{ending}").write_bytes(b"")
    dated(tmp_path / f"a.db{ending}")
    after = {backup.name: backup.id("") for backup in listed([str(tmp_path)])}
    assert (after["a.db"] != before["a.db"], after["b.db"]) == (True, before["b.db"])


def _replaced(folder: Path) -> None:
    (folder / "member" / "snap" / "db").write_bytes(b"other")
    dated(folder / "member" / "snap" / "db", TIME + 1)


def _exchanged(folder: Path) -> None:
    one, two = folder / "member" / "wal" / "0.wal", folder / "member" / "wal" / "1.wal"
    one.rename(folder / "x")
    two.rename(one)
    (folder / "x").rename(two)


def _linked(folder: Path) -> None:
    (folder / "member" / "linked" / "2.wal").write_bytes(b"elsewhere")
    dated(folder / "member" / "linked" / "2.wal")


@pytest.mark.parametrize("change", [_replaced, _exchanged, _linked])
def test_every_file_of_a_folder_counts(tmp_path: Path, change: Callable[[Path], None]) -> None:
    """Of the same size as before and older than the newest, under another name, and behind a link."""
    folder, other = tmp_path / "backups" / "node", tmp_path / "disk"
    (folder / "member" / "snap").mkdir(parents=True)
    (folder / "member" / "wal").mkdir()
    other.mkdir()
    (folder / "member" / "linked").symlink_to(other)
    (other / "up").symlink_to(folder)
    for name, raw in (("snap/db", b"other"), ("wal/0.wal", b"0"), ("wal/1.wal", b"11"), ("note.txt", b"ran")):
        (folder / "member" / name).write_bytes(raw)
        dated(folder / "member" / name)
    dated(folder / "member" / "note.txt", TIME + 60)
    (before,) = listed([str(folder)])
    assert listed([str(folder)]) == [before]
    change(folder)
    (after,) = listed([str(folder)])
    assert after.modified == before.modified
    assert after.id("") != before.id("")


def test_a_configuration_that_comes_to_lie_beside_a_backup_is_seen(tmp_path: Path) -> None:
    """Its keys are a finding whether it is used or not."""
    shutil.copy(MIGRATION / "7-rotated.db", tmp_path / fleet.name(7))
    for used in (False, True):
        settings = fleet.request(tmp_path, "set", options=Options(use_found_config=used)).settings
        before = settings.orders(listed([str(tmp_path)]))
        shutil.copy(MIGRATION / "7-rotated.encryption.json", tmp_path / "encryption-config.json")
        after = settings.orders(listed([str(tmp_path)]))
        (tmp_path / "encryption-config.json").unlink()
        assert before.keys() == after.keys()
        assert {order.id for order in before.values()}.isdisjoint(order.id for order in after.values())
