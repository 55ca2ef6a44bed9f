"""SQLite's log without its database: every canary in it lies in a row, and none is called current."""

import gzip
import shutil
import sqlite3
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import auditor
from auditor import Audit, Options
from auditor.errors import UnreadableEvidence
from tests.evidence.kine.test_stages import spans
from tests.helpers import kine_stages
from tests.helpers.command import run
from tests.helpers.kine_stages import STAGES
from tests.helpers.objects import StoredObject

STAGE = kine_stages.KINE / "kine-bundled" / "2-enabled"
HEADER, FRAME, PAGE = 32, 24, 4096


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return (kine_stages.unpack(STAGE, tmp_path_factory.mktemp("kine")) / "state.db-wal").read_bytes()


def audited(folder: Path, content: bytes, **options: object) -> Audit:
    (folder / "state.db-wal").write_bytes(content)
    return auditor.scan(folder / "state.db-wal", Options(**options))  # type: ignore[arg-type]


@pytest.mark.parametrize("stage", STAGES, ids=kine_stages.name_of)
def test_every_canary_lies_in_a_row(stage: Path, tmp_path: Path) -> None:
    content = (kine_stages.unpack(stage, tmp_path) / "state.db-wal").read_bytes()
    audit = audited(tmp_path, content, encryption_configs=(kine_stages.configuration(stage),))
    told = kine_stages.truth(stage)
    rows = spans(audit.inventory, "state.db-wal")
    counts: Counter[str] = Counter()
    for canary in kine_stages.canaries(stage):
        at = content.find(canary)
        while at >= 0:
            (holder,) = [row for row in rows if row[0] <= at and at + len(canary) <= row[1]]
            counts[holder[2]] += 1
            at = content.find(canary, at + 1)
    assert counts.total() == told["totals"]["bytes"][f"{stage.name}.raw/state.db-wal"]
    expected = {name: count for name, count in told["canary_places"].items() if name.startswith("wal")}
    assert counts["unplaced"] == sum(count for name, count in expected.items() if "current" in name)
    assert counts["wal"] == sum(count for name, count in expected.items() if "current" not in name)
    assert set(audit.inventory.place) <= {"wal", "unplaced"}
    assert "no" not in set(audit.inventory.same_as_latest)  # the database alone can tell
    assert any(part.what == "the database itself" for part in audit.unexamined)
    assert not audit.complete


def test_values_open_under_the_names_that_stand_beside_them(tmp_path: Path, log: bytes) -> None:
    audit = audited(tmp_path, log, encryption_configs=(kine_stages.configuration(STAGE),))
    rows = audit.inventory[(audit.inventory.provider == "aescbc") & (audit.inventory.state != "tail-lost")]
    assert len(rows) > 30
    assert set(rows.decrypted) == {"yes"}


def test_quick_reads_what_the_log_counts(tmp_path: Path, log: bytes) -> None:
    audit = audited(tmp_path, log, quick=True)
    assert set(audit.inventory.place) == {"unplaced"}
    assert any("--quick" in part.reason for part in audit.unexamined)


def test_a_folder_and_a_container_of_it(tmp_path: Path, log: bytes) -> None:
    folder = tmp_path / "lone"
    folder.mkdir()
    (folder / "state.db-wal").write_bytes(log)
    done = run("scan", folder)
    assert done.returncode == 1, done.stderr
    assert "its write-ahead log alone" in done.stdout
    (tmp_path / "packed.gz").write_bytes(gzip.compress(log))
    packed, plain = auditor.scan(tmp_path / "packed.gz"), auditor.scan(folder / "state.db-wal")
    assert {**packed.rows.columns, "source": None} == {**plain.rows.columns, "source": None}


def test_beside_its_database_it_is_read_with_that_one(tmp_path: Path) -> None:
    """A folder of two databases is two pieces, and no third of a log."""
    raw = kine_stages.unpack(STAGE, tmp_path)
    shutil.copy(raw / "state.db", raw / "other.db")
    done = run("scan", raw)
    assert "its write-ahead log alone" not in done.stdout
    assert "other.db" in done.stdout
    assert "state.db" in done.stdout


def test_without_a_finding_the_conclusion_stays_open(tmp_path: Path) -> None:
    """The log of a stopped server after two rotations holds nothing readable."""
    stage = kine_stages.KINE / "kine-bundled" / "9-restarted"
    log = kine_stages.unpack(stage, tmp_path) / "state.db-wal"
    done = run("scan", log, "--encryption-config", kine_stages.configuration(stage), "--fail-on", "critical")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "state.db is not read with its log: give both" in done.stdout


def test_the_log_of_something_else_is_refused(tmp_path: Path) -> None:
    base = sqlite3.connect(tmp_path / "other.db")
    base.executescript("PRAGMA journal_mode=WAL; CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('x');")
    shutil.copy(tmp_path / "other.db-wal", tmp_path / "copy-wal")
    base.close()
    done = run("scan", tmp_path / "copy-wal")
    assert done.returncode == 2
    assert "in which no row of kine's is found" in done.stderr


def test_an_object_without_its_key_is_no_reason_to_refuse_the_log(tmp_path: Path) -> None:
    """Where no row was whole the log was called something else's, with a readable Secret in it."""
    base = sqlite3.connect(tmp_path / "other.db")
    base.executescript("PRAGMA journal_mode=WAL; CREATE TABLE t (a BLOB)")
    thing = StoredObject(name=b"lost", data={b"password": b"x" * 50})
    base.execute("INSERT INTO t VALUES (?)", (thing.protobuf(),))
    base.commit()
    content = (tmp_path / "other.db-wal").read_bytes()
    base.close()
    (row,) = audited(tmp_path, content).findings.to_dict("records")
    assert (row["finding"], row["place"], row["name"]) == ("plaintext", "unplaced", "lost")
    assert content[row["offset"] :].startswith(thing.protobuf())


@pytest.mark.parametrize("kept", [4, HEADER - 1, HEADER, HEADER + FRAME, HEADER + FRAME + PAGE - 1])
def test_one_without_a_whole_frame_is_refused(tmp_path: Path, log: bytes, kept: int) -> None:
    (tmp_path / "state.db-wal").write_bytes(log[:kept])
    done = run("scan", tmp_path / "state.db-wal")
    assert done.returncode == 2
    assert "state.db-wal: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_cut_frame_is_a_gap(tmp_path: Path, log: bytes) -> None:
    audit = audited(tmp_path, log[:-100])
    assert any("bytes behind the last whole frame" in gap.reason for gap in audit.gaps)


def test_no_canary_leaves(tmp_path: Path, log: bytes) -> None:
    (tmp_path / "state.db-wal").write_bytes(log)
    out = tmp_path / "out"
    out.mkdir()
    done = run("scan", tmp_path / "state.db-wal", "--hunt", "--csv", out / "a.csv", "--html", out / "a.html")
    shown = (done.stdout + done.stderr).encode() + b"".join(path.read_bytes() for path in out.iterdir())
    assert done.returncode == 1, done.stderr
    assert not [canary for canary in kine_stages.canaries(STAGE) if canary in shown]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_flipped_bytes_are_read_without_a_fault(tmp_path: Path, log: bytes, data: st.DataObject) -> None:
    part = bytearray(log[: HEADER + 60 * (FRAME + PAGE)])
    for _ in range(data.draw(st.integers(1, 8))):
        frame = HEADER + data.draw(st.integers(-1, 59)) * (FRAME + PAGE)
        part[max(frame, 0) + data.draw(st.integers(0, 80) | st.integers(0, PAGE))] = data.draw(st.integers(0, 255))
    try:
        rows = audited(tmp_path, bytes(part)).inventory
    except UnreadableEvidence:
        return
    taken = spans(rows, "state.db-wal")
    assert all(first[1] <= second[0] for first, second in pairwise(taken))
