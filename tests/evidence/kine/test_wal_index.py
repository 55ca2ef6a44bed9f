"""The index of SQLite's log: an honest one is accounted for to its last byte, and nothing hides in it."""

import base64
from pathlib import Path

import pytest

import auditor
from auditor import Options, Severity
from auditor.model.audit import Audit
from tests.helpers import members_on_disk
from tests.helpers.members_on_disk import LEAK, row, sealed

YAML = b"apiVersion: v1\nkind: Secret\ndata:\n  password: Q0FOQVJZ\n"


def database(folder: Path, *, restarted: bool = False) -> Path:
    """A database as it lies while kine runs, with its log and its index."""
    connection = members_on_disk.kine(
        folder / "own" / "state.db", "PRAGMA journal_mode=WAL", "PRAGMA wal_autocheckpoint=0"
    )
    for number in range(20):
        row(connection, *sealed(b"a%d" % number))
    if restarted:
        connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
        row(connection, *sealed(b"b"))
    for end in ("", "-wal", "-shm"):
        (folder / f"state.db{end}").write_bytes((folder / "own" / f"state.db{end}").read_bytes())
    connection.close()
    return folder / "state.db"


def scan(path: Path, folder: Path) -> Audit:
    return auditor.scan(path, Options(encryption_configs=(members_on_disk.configuration(folder),)))


@pytest.mark.parametrize("restarted", [False, True])
def test_an_honest_one(restarted: bool, tmp_path: Path) -> None:
    audit = scan(database(tmp_path, restarted=restarted), tmp_path)
    (own,) = (each for each in audit.ledger if each.medium.endswith("-shm"))
    assert own.unaccounted == 0
    assert own.checksum == 16
    assert own.structure > 80
    assert audit.exit_code(Severity.MEDIUM) == 0


@pytest.mark.parametrize("value", [base64.b64encode(LEAK.protobuf()), LEAK.protobuf().hex().encode(), YAML])
@pytest.mark.parametrize("at", [8, 50, 100, 120, 700, 9_000, 20_000, 32_768])
def test_nothing_hides_in_it(at: int, value: bytes, tmp_path: Path) -> None:
    path = database(tmp_path)
    index = path.with_name("state.db-shm")
    raw = index.read_bytes()
    index.write_bytes(raw[:at] + value + raw[at + len(value) :])
    audit = scan(path, tmp_path)
    assert any(gap.source.endswith("-shm") for gap in audit.gaps)
    assert audit.exit_code(Severity.MEDIUM)
