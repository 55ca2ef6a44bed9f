"""Damaged, cyclic and foreign SQLite files: gaps and messages, never a traceback, never a false pass."""

import shutil
import sqlite3
import struct
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import auditor
from auditor import Audit
from auditor.errors import UnreadableEvidence
from auditor.evidence.kine.rows import REUSED
from tests.helpers import kine_stages
from tests.helpers.command import run
from tests.helpers.sweeps import everything

STAGE = kine_stages.KINE / "kine-bundled" / "4-compacted"
SCHEMA = """CREATE TABLE kine (id INTEGER PRIMARY KEY AUTOINCREMENT, name INTEGER, created INTEGER, deleted INTEGER,
 create_revision INTEGER, prev_revision INTEGER, lease INTEGER, value BLOB, old_value BLOB)"""
INSERT = "INSERT INTO kine(name, created, deleted, create_revision, prev_revision, lease, value) VALUES(?,1,0,0,0,0,?)"


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    folder = kine_stages.unpack(STAGE, tmp_path_factory.mktemp("kine"))
    return (folder / "state.db").read_bytes(), (folder / "state.db-wal").read_bytes()


def database(path: Path, rows: int = 200, size: int = 9000) -> bytes:
    """A database of kine's older schema without a log, with overflow pages and a freelist."""
    with sqlite3.connect(path) as connection:
        connection.execute(SCHEMA)
        for number in range(rows):
            value = b"k8s:enc:aescbc:v1:key1:" + bytes([number % 251]) * size
            connection.execute(INSERT, (f"/registry/secrets/default/s{number}", value))
        connection.commit()
        connection.execute("DELETE FROM kine WHERE id % 5 = 0")
    connection.close()
    return path.read_bytes()


def audited(folder: Path, main: bytes, log: bytes | None = None) -> Audit:
    (folder / "state.db").write_bytes(main)
    if log is not None:
        (folder / "state.db-wal").write_bytes(log)
    return auditor.scan(folder / "state.db")


def places(audit: Audit) -> Counter[str]:
    return Counter(audit.inventory.place.tolist())


def test_values_in_overflow_pages_are_put_together_and_say_where_they_lie(tmp_path: Path) -> None:
    content = database(tmp_path / "made.db")
    audit = audited(tmp_path, content)
    rows = audit.inventory[audit.inventory.place == "latest"]
    assert len(rows) == 160
    assert not audit.gaps
    for row in rows.to_dict("records"):
        parts = [part.split("+") for part in row["extents"].split(";")]
        value = b"".join(content[int(at) : int(at) + int(length)] for at, length in parts)
        number = int(row["name"][1:])
        assert value == b"k8s:enc:aescbc:v1:key1:" + bytes([number % 251]) * 9000
        assert row["offset"] == int(parts[0][0])
        assert row["size"] == 9023


def test_a_freed_chain_says_that_its_pages_may_be_another_values_by_now(tmp_path: Path) -> None:
    def value(number: int) -> bytes:
        return b"k8s:enc:aescbc:v1:key1:" + bytes([number % 251]) * 9000

    database(tmp_path / "made.db")
    with sqlite3.connect(tmp_path / "made.db", isolation_level=None) as connection:
        connection.execute("PRAGMA secure_delete=OFF")
        connection.execute("DELETE FROM kine WHERE id < 200")
        for number in range(200, 240):
            connection.execute(INSERT, (f"/registry/secrets/default/s{number}", value(number)))
    connection.close()
    content = (tmp_path / "made.db").read_bytes()
    rows = audited(tmp_path, content).inventory
    joined = rows[(rows.place == "freed") & (rows.extents != "")]
    assert joined.detail.str.endswith(REUSED).all()
    assert not rows[rows.place == "latest"].detail.str.contains(REUSED).any()
    written = {value(number) for number in range(240)}
    assembled = [
        b"".join(content[int(at) : int(at) + int(length)] for at, length in (part.split("+") for part in parts))
        for parts in (cell.split(";") for cell in joined.extents)
    ]
    assert any(each in written for each in assembled)


@pytest.mark.parametrize("kept", [0, 99, 512, 4096, 5000, 65536, 400_001, 1_190_000])
def test_a_truncated_database_is_a_gap_or_a_message(raw: tuple[bytes, bytes], tmp_path: Path, kept: int) -> None:
    main, _ = raw
    try:
        audit = audited(tmp_path, main[:kept])
    except UnreadableEvidence:
        return
    assert not audit.complete
    assert audit.gaps


@pytest.mark.parametrize("kept", [0, 10, 32, 33, 4000, 4152, 100_001, 3_000_000])
def test_a_truncated_log_says_so(raw: tuple[bytes, bytes], tmp_path: Path, kept: int) -> None:
    main, log = raw
    audit = audited(tmp_path, main, log[:kept])
    assert places(audit)["latest"] >= 36
    if kept > 32 and (kept - 32) % (24 + 4096):
        assert any("state.db-wal" in gap.source for gap in audit.gaps)


@pytest.mark.parametrize("frames", [0, 1, 300, 724])
def test_a_log_cut_at_the_end_of_a_frame_is_told_by_its_index(tmp_path: Path, frames: int) -> None:
    folder = kine_stages.unpack(STAGE, tmp_path)
    assert not auditor.scan(folder).gaps
    log = folder / "state.db-wal"
    log.write_bytes(log.read_bytes()[: 32 + frames * (24 + 4096)] if frames else b"")
    assert any("state.db-shm says 725" in gap.reason for gap in auditor.scan(folder).gaps)


def test_a_frame_whose_checksum_fails_ends_the_log(raw: tuple[bytes, bytes], tmp_path: Path) -> None:
    main, log = raw
    broken = bytearray(log)
    broken[32 + 24 + 4096 + 500] ^= 1  # the second frame
    audit = audited(tmp_path, main, bytes(broken))
    assert any("do not hold" in gap.reason for gap in audit.gaps)
    assert "state.db-wal" not in set(audit.inventory[audit.inventory.place == "latest"].source)


def test_a_tree_that_leads_back_to_its_root_ends(tmp_path: Path) -> None:
    content = bytearray(database(tmp_path / "made.db", rows=2000, size=400))
    root = content[4096 : 4096 * 2]
    assert root[0] == 5
    cell = int.from_bytes(root[12:14], "big")
    content[4096 + cell : 4096 + cell + 4] = struct.pack(">I", 2)
    audit = audited(tmp_path, bytes(content))
    assert any("b-tree" in gap.reason for gap in audit.gaps)
    assert "unplaced" in set(audit.inventory.place)


def test_an_overflow_chain_that_leads_back_ends(tmp_path: Path) -> None:
    content = database(tmp_path / "made.db")
    audit = audited(tmp_path, content)
    row = audit.inventory[audit.inventory.place == "latest"].iloc[0]
    first = int(row.extents.split(";")[1].split("+")[0]) - 4
    broken = bytearray(content)
    broken[first : first + 4] = struct.pack(">I", first // 4096 + 1)
    again = audited(tmp_path, bytes(broken))
    assert any("overflow" in gap.reason for gap in again.gaps)
    cut = again.inventory[again.inventory.key == row.key]
    assert "tail-lost" in set(cut.state)


def test_a_freelist_that_leads_back_ends(tmp_path: Path) -> None:
    content = bytearray(database(tmp_path / "made.db"))
    trunk = int.from_bytes(content[32:36], "big")
    assert trunk
    content[(trunk - 1) * 4096 : (trunk - 1) * 4096 + 4] = struct.pack(">I", trunk)
    audit = audited(tmp_path, bytes(content))
    assert any("freelist" in gap.reason for gap in audit.gaps)


def test_a_sqlite_file_of_something_else_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE people (name TEXT)")
    connection.close()
    done = run("scan", tmp_path / "other.db")
    assert done.returncode == 2
    assert "other.db is a SQLite database without kine's table `kine` (tables: people)" in done.stderr
    assert not done.stdout


def test_the_evidence_is_left_as_it_was(raw: tuple[bytes, bytes], tmp_path: Path) -> None:
    main, log = raw
    audited(tmp_path, main, log)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state.db", "state.db-wal"]
    assert (tmp_path / "state.db").read_bytes() == main
    assert (tmp_path / "state.db-wal").read_bytes() == log


def test_no_canary_leaves_in_a_report(tmp_path: Path) -> None:
    folder = kine_stages.unpack(STAGE, tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    done = run(
        *("scan", folder, "--hunt", "--verbose", "--encryption-config", kine_stages.configuration(STAGE)),
        *("--csv", out / "a.csv", "--json", out / "a.json", "--html", out / "a.html", "--inventory", out / "i.csv"),
    )
    assert done.returncode == 1, done.stderr
    shown = (done.stdout + done.stderr).encode() + b"".join(path.read_bytes() for path in out.iterdir())
    assert not [canary for canary in kine_stages.canaries(STAGE) if canary in shown]


Flip = tuple[bool, int, int, int]
"""Of the log or the database, page, offset in it, and the byte."""
# structure stands at the beginning of a page
FLIPS = st.lists(
    st.tuples(st.booleans(), st.integers(0, 9999), st.integers(0, 60) | st.integers(0, 4095), st.integers(0, 255)),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60 if everything() else 16, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flips=FLIPS)
def test_any_flipped_bytes_are_read_without_a_fault(
    raw: tuple[bytes, bytes], tmp_path: Path, flips: list[Flip]
) -> None:
    main, log = (bytearray(part) for part in raw)
    del log[600_000:]
    for of_log, page, inside, byte in flips:
        part = log if of_log else main
        part[page % (len(part) // 4096) * 4096 + inside] = byte
    folder = tmp_path / "flipped"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        audit = audited(folder, bytes(main), bytes(log))
    except UnreadableEvidence:
        return
    rows = audit.inventory
    assert ((rows.offset >= 0) & (rows["size"] > 0)).all()
    # what stands in a value beside its envelope is a fragment too
    taken: dict[tuple[str, bool], list[tuple[int, int]]] = {}
    for row in rows.to_dict("records"):
        for span in row["extents"].split(";") if row["extents"] else [f"{row['offset']}+{row['size']}"]:
            where, colon, numbers = span.rpartition(":")
            at, _, length = numbers.partition("+")
            kind = where if colon else row["source"], "head-lost" in row["state"]
            taken.setdefault(kind, []).append((int(at), int(at) + int(length)))
    for kind, spans in taken.items():
        spans.sort()
        assert all(start >= end for (_, end), (start, _) in pairwise(spans)), kind
