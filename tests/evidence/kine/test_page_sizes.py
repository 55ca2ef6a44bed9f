"""Databases of every page size that SQLite allows, as it makes them itself: what is in order ends with 0."""

import shutil
import sqlite3
from pathlib import Path

import pytest

import auditor
from auditor.evidence.kine.stale import Structure
from auditor.model.vocabulary import Severity
from auditor.options import Options
from tests.helpers import members_on_disk
from tests.helpers.members_on_disk import CANARY, LEAK, row, sealed

SIZES = (512, 1024, 2048, 4096, 8192, 16384, 32768, 65536)
SCHEMA = (
    "CREATE TABLE IF NOT EXISTS kine (id INTEGER PRIMARY KEY AUTOINCREMENT, name INTEGER, created INTEGER, deleted "
    "INTEGER, create_revision INTEGER, prev_revision INTEGER, lease INTEGER, value BLOB, old_value BLOB)",
    "CREATE INDEX IF NOT EXISTS kine_name_index ON kine (name)",
    "CREATE INDEX IF NOT EXISTS kine_name_id_index ON kine (name,id)",
    "CREATE INDEX IF NOT EXISTS kine_id_deleted_index ON kine (id,deleted)",
    "CREATE INDEX IF NOT EXISTS kine_prev_revision_index ON kine (prev_revision)",
    "CREATE UNIQUE INDEX IF NOT EXISTS kine_name_prev_revision_uindex ON kine (name, prev_revision)",
    "CREATE INDEX IF NOT EXISTS kine_list_query_index on kine(name, id DESC, deleted)",
)
"""kine's own, pkg/drivers/sqlite/sqlite.go."""
WAYS = {
    "as it is": [],
    "auto_vacuum": ["PRAGMA auto_vacuum=FULL"],
    "incremental": ["PRAGMA auto_vacuum=INCREMENTAL"],
    "statistics": ["ANALYZE"],
    "rebuilt": ["ANALYZE", "VACUUM"],
}


def database(path: Path, *before: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    # whether it is on where it is not set depends on how SQLite was built
    for statement in ("PRAGMA secure_delete=OFF", *before, *SCHEMA):
        connection.execute(statement).fetchall()
    row(connection, b"compact_rev_key", b"")
    for number in range(10):
        row(connection, *sealed(b"db%d" % number))
    return connection


def code(path: Path) -> int:
    options = Options(encryption_configs=(members_on_disk.configuration(path.parent),))
    return auditor.scan(path, options).exit_code(Severity.MEDIUM)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", SIZES)
def test_a_database_of_this_page_size_is_in_order(size: int, way: str, tmp_path: Path) -> None:
    first = [statement for statement in WAYS[way] if statement.startswith("PRAGMA")]
    connection = database(tmp_path / "state.db", f"PRAGMA page_size={size}", *first)
    for statement in WAYS[way][len(first) :]:
        connection.execute(statement)
    connection.close()
    assert code(tmp_path / "state.db") == 0


@pytest.mark.parametrize("size", [512, 1024, 2048, 4096])
def test_an_index_that_was_dropped_leaves_no_fragment(size: int, tmp_path: Path) -> None:
    connection = database(tmp_path / "state.db", f"PRAGMA page_size={size}")
    connection.execute("DROP INDEX kine_list_query_index")
    connection.close()
    assert code(tmp_path / "state.db") == 0


@pytest.mark.parametrize("size", SIZES)
def test_superseded_frames_of_a_log_are_in_order(size: int, tmp_path: Path) -> None:
    (tmp_path / "of-the-server").mkdir()
    path = tmp_path / "of-the-server" / "state.db"
    connection = database(path, f"PRAGMA page_size={size}", "PRAGMA journal_mode=WAL")
    for ending in ("", "-wal", "-shm"):
        shutil.copy(f"{path}{ending}", tmp_path / f"state.db{ending}")
    connection.close()
    assert code(tmp_path / "state.db") == 0


@pytest.mark.parametrize("size", SIZES)
def test_a_readable_value_is_a_finding_at_every_size(size: int, tmp_path: Path) -> None:
    connection = database(tmp_path / "state.db", f"PRAGMA page_size={size}")
    row(connection, LEAK.key, LEAK.protobuf())
    connection.execute("DELETE FROM kine WHERE id > 10")
    connection.close()
    assert CANARY in (tmp_path / "state.db").read_bytes()
    assert code(tmp_path / "state.db") == 1


ENTRY = b"\x4a\x03\x06\x17\x2b\x15\x01\x63indexkine_name_indexkine\x04CREATE INDEX kine_name_index ON kine (name)"
NAMES = b"/registry/secrets/team-26/s19de4a\0/registry/secrets/a/00629-token\0/registry/events/kube-system/pod-3f0"
KNOWN = Structure([ENTRY], ["kine", "kine_name_index", "sqlite_sequence"], lambda: NAMES)


@pytest.mark.parametrize(
    "raw",
    [
        ENTRY,
        ENTRY[5:40],
        ENTRY[:15] + ENTRY,
        bytes(40) + ENTRY[:30] + bytes(9) + b"\x4c",
        b"\x03\x15\x01kine\x0a",
        b"\x05\x03\x08\x02\x01\x26\x05\x03\x08\x02\x01\x25\x05\x03",
        b"\x27\x04\x27\x04\x4b\x02\x02/regist\0\0\0\0P",
        b"\x6b\0\x25" + bytes(200) + b"\x47",
        b"\x03\x04\x15kinekine_name_index200 10",
        b"\x2e\x05\x02\x53\x02\x02\x04\x79/re",
        b"\x19\x01\x0a\x00\x2b\x09\x08\x08\x08\x08\x0c\x00compa",
        b"\x19\x01\x0a\x00\x2b\x09\x08\x08\x08\x08\x0c",
        bytes.fromhex("01ca002d0200ef00ef080402080200ee00ee01ca001b0200ec00ec080402080200eb00eb01d300090200e700e7"),
        # what a real SQLite left of cells of indexes, over which the list of cells had grown, or other cells
        b"registry/secrets/team\0\0\x01\xba",
        b"2\x03g\x02/reg\x04\x9c\x03\xa4",
        b"@\x04\x02\xce\x02\xce\x02\xce\x02\xce\x0cr\x0c1\x0bn\t\xa7",
        b"<\x03{\x02/regi7\x03q\x02\x0f\x0fI\x03\xa2",
        b"t/s19de4a-",
        b"y/secret" + bytes(18) + b"istry/secret",
        b"ts/team-26/s19de4a\x08\x84\x08\x84ecrets/team-26/s19de4a",
        b"tem/pod-3f\0<\x04s\x03\x02/r",
        b"-token" + bytes(14) + b"\r29-token",
        b"\x01)\0A<\x04s\x03\x02/registry/eve\x07\xe7\0=",
        b"\x81,\x86f\x0b\0q\t\x08\x08",
        b"29-token\x02\xbe1" + bytes(9) + b"1\x04c",
        b"6-s19de\x03\x94)\x03U\x02/re",
        b"eg\x001\x04ceg",
        b"c\x020\x03\x08'\x01\xb9" + bytes(196),
        b"ts/tea\x01\x14\0*" + bytes(15) + b"ts/tea\x01\x14\0*",
        b"registry/secrets/team\x04\x8901312\x05\0\xed",
        b"j7\x15\x01indexkine_list_query_indexkine\tCREATE INDEX kine_list_query_index on kine(name, id DESC, deleted)",
    ],
)
def test_old_copies_of_the_structure_are_explained(raw: bytes) -> None:
    assert KNOWN.explains(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x91\x03\x77\xfe\x52\x88\xa1\x09\xc3",
        ENTRY + b"hunter2-hunter2",
        b"hunter2-hunter2" + ENTRY,
        b"\x03\x15\x01kine\x0a" + b"a-password-of-somebody",
        b"hunter2-hunter2",
        b"hunter2-hunter2/re",
        b"\x02hunter2-\x01\x03U",
        bytes(9) + b"hunter2-" + bytes(9),
        b"\x01\x14\0*" + b"s3cr3t:of:mine" + b"\x01\x14",
        b"teamkubeteamsyst",
        "hunter2-hunter2".encode("utf-16-be"),
        b"a/path/to/hunter2-hunter2-hunter2",
        b"/registry/secrets/a/00629-token\0" + b"aHVudGVyMi1odW50ZXIyLWh1bnRlcjI=",
        bytes(64) + b"hunter2-hunter2" + bytes(64),
        b"\x05\x03\x08\x02\x01\x26" + b"hunter2-hunter2",
    ],
)
def test_what_stands_beside_them_is_not(raw: bytes) -> None:
    assert not KNOWN.explains(raw)
