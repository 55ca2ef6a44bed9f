"""A fleet's scan: rows as of lone scans, resumed and never begun again, and nothing that ends the run."""

import base64
import contextlib
import json
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import auditor
from auditor.errors import UsageError
from auditor.fleet import lock, task
from auditor.fleet.dataset import DataSet
from auditor.fleet.engine import Engine
from auditor.fleet.errors import DataSetError
from auditor.fleet.folder import DataSetFolder
from auditor.fleet.listing import backups as listed
from auditor.fleet.schema import TABLES
from auditor.fleet.selection import FirstLook
from auditor.fleet.settings import Order
from auditor.fleet.tables import Row
from auditor.fleet.task import perform
from auditor.model.table import COLUMNS, NUMBERS
from auditor.model.vocabulary import Severity
from auditor.options import Options
from auditor.scanning.child import Start
from tests.helpers import fleet
from tests.helpers.fixtures import MIGRATION, PLAINTEXT, canaries
from tests.helpers.https_server import serving

COMPARED = [name for name in COLUMNS if name not in NUMBERS | {"evidence"}] + ["offset", "size"]


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    return fleet.migration(tmp_path / "backups" / "prod")


def test_rows_are_those_of_lone_scans(backups: Path, tmp_path: Path) -> None:
    summary, _ = fleet.run(fleet.request(backups, tmp_path / "set"))
    assert summary.states == {"examined": 7}
    rows = fleet.table(tmp_path / "set", "inventory")
    by_id = {row["backup"]: row for row in fleet.table(tmp_path / "set", "backups")}
    assert len(by_id) == 7
    for id_, row in by_id.items():
        audit = auditor.scan(row["url"])
        own = sorted((each for each in rows if each["backup"] == id_), key=lambda each: int(each["offset"]))
        lone = audit.inventory.to_dict("records")
        assert [[each[name] for name in COMPARED] for each in own] == [
            [each[name] for name in COMPARED] for each in lone
        ]
        assert row["readable"] == audit.tally.readable
        assert row["sha256"] == audit.evidence.sha256
        assert row["cluster"] == audit.evidence.cluster.uid
        assert row["verdict"] == audit.verdict().value
    assert {row["taken"] for row in by_id.values()} == {f"2026-11-{day:02d}T00:00:00Z" for day in range(1, 8)}


def test_what_is_in_is_not_read_again(backups: Path, tmp_path: Path) -> None:
    scanned = fleet.request(backups, tmp_path / "set")
    _, first = fleet.run(scanned)
    before = list(fleet.files(tmp_path / "set"))
    summary, again = fleet.run(scanned)
    assert (len(first), again, summary.newly) == (7, [], 0)
    shutil.copy(PLAINTEXT, backups / fleet.name(9))
    _, third = fleet.run(scanned)
    assert [row["url"] for row in third] == [str(backups / fleet.name(9))]
    assert len(fleet.table(tmp_path / "set", "backups")) == 8
    assert fleet.is_tidy(tmp_path / "set")
    assert set(before) - {tmp_path / "set" / "manifest.json"} <= set(fleet.files(tmp_path / "set"))


def test_what_cannot_be_read_is_a_row_with_its_reason(backups: Path, tmp_path: Path) -> None:
    (backups / fleet.name(10)).write_bytes(b"")
    (backups / fleet.name(11)).write_bytes(PLAINTEXT.read_bytes()[:20_000])
    (backups / fleet.name(12)).write_text("nothing of etcd's: notes of a meeting, in German")
    summary, rows = fleet.run(fleet.request(backups, tmp_path / "set"))
    states = {row["url"][-20:-10]: row["state"] for row in rows if row["state"] != "examined"}
    assert states, rows
    failed = [row for row in rows if row["state"] != "examined"]
    assert all(row["reason"] for row in failed)
    assert summary.states["examined"] + len(failed) == 10
    assert summary.exit_code(Severity.CRITICAL) == 1
    # what failed for good is not attempted each night, and is when that is asked for
    assert fleet.run(fleet.request(backups, tmp_path / "set"))[1] == []
    again = fleet.run(fleet.request(backups, tmp_path / "set", retry_failed=True))[1]
    assert sorted(row["url"] for row in again) == sorted(row["url"] for row in failed)
    assert len(fleet.table(tmp_path / "set", "backups")) == 10


def test_a_first_look_is_no_pass(tmp_path: Path) -> None:
    backups = tmp_path / "backups"
    backups.mkdir()
    for day in range(1, 5):
        shutil.copy(MIGRATION / "5-defragmented.db", backups / fleet.name(day))
    for look, days in (
        (FirstLook(since="2026-11-03"), {3, 4}),
        (FirstLook(newest=1), {4}),
        (FirstLook(sample=2), None),
    ):
        summary, _ = fleet.run(fleet.request(backups, tmp_path / f"set{look.since}{look.newest}", look=look))
        assert summary.exit_code(Severity.MEDIUM) == 3
        assert summary.chosen == (len(days) if days else 2)
        if days:
            urls = {row["url"] for row in fleet.table(tmp_path / f"set{look.since}{look.newest}", "backups")}
            assert urls == {str(backups / fleet.name(day)) for day in days}
    assert fleet.run(fleet.request(backups, tmp_path / "whole"))[0].exit_code(Severity.MEDIUM) == 0


def test_a_run_that_was_killed_goes_on(backups: Path, tmp_path: Path) -> None:
    """Killed after some backups: rows that workers left are taken in, and no backup is examined twice."""
    dataset = tmp_path / "set"
    scanned = fleet.request(backups, dataset)
    folder = DataSetFolder(str(dataset))
    DataSet(folder).create(compare="", redaction="")
    orders = list(scanned.settings.orders(listed([str(backups)])).values())
    for order in orders[:3]:
        perform(order)
    # what a kill leaves behind: a part of a file, and a file that no manifest names
    (dataset / "pending" / ".part.zip.1.partial").write_bytes(b"part")
    (dataset / "findings" / "cluster=x" / "month=2026-01").mkdir(parents=True)
    (dataset / "findings" / "cluster=x" / "month=2026-01" / "lost.parquet").write_bytes(b"lost")
    _, rows = fleet.run(scanned)
    assert sorted(row["backup"] for row in rows) == sorted(order.id for order in orders[3:])
    assert sorted(row["backup"] for row in fleet.table(dataset, "backups")) == sorted(order.id for order in orders)
    assert fleet.is_tidy(dataset)


def test_one_run_writes_a_data_set_at_a_time(backups: Path, tmp_path: Path) -> None:
    folder = DataSetFolder(str(tmp_path / "set"))
    with lock.held(folder), pytest.raises(UsageError, match="another run"):
        fleet.run(fleet.request(backups, tmp_path / "set"))


def test_a_folder_of_others_is_no_data_set(backups: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("a")
    with pytest.raises(DataSetError, match="holds files and no data set"):
        fleet.run(fleet.request(backups, tmp_path / "notes"))
    for dataset in (backups, backups / "set", backups.parent):
        with pytest.raises(UsageError, match="inside each other"):
            fleet.run(fleet.request(backups, dataset))
    assert len(list(backups.parent.rglob("*"))) == 8


def test_many_small_files_of_a_partition_become_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.fleet.dataset.MOST_SMALL", 2)
    backups = tmp_path / "backups"
    backups.mkdir()
    for day in range(1, 5):
        shutil.copy(MIGRATION / "5-defragmented.db", backups / fleet.name(day))
        fleet.run(fleet.request(backups, tmp_path / "set"))
    assert fleet.is_tidy(tmp_path / "set")
    assert len(fleet.table(tmp_path / "set", "backups")) == 4
    assert len(list((tmp_path / "set" / "backups").rglob("*.parquet"))) < 4


def test_a_backup_that_kills_its_process_is_a_row(
    backups: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After as many attempts as are allowed, and the run goes on."""

    def die(order: Order, begin: float) -> Row:
        if order.backup.url.endswith(fleet.name(3)):
            os.kill(os.getpid(), signal.SIGKILL)
        return audit(order, begin)

    audit = task._audit
    monkeypatch.setattr("auditor.fleet.task._audit", die)
    monkeypatch.setattr("auditor.fleet.task.START", Start.FORK)  # a copy of this process, with its patches
    summary, rows = fleet.run(fleet.request(backups, tmp_path / "set", retries=2))
    assert summary.states == {"examined": 6, "killed": 1}
    (killed,) = (row for row in rows if row["state"] == "killed")
    assert (killed["attempts"], "SIGKILL" in killed["reason"]) == (3, True)
    assert summary.exit_code(Severity.CRITICAL) == 1
    assert fleet.run(fleet.request(backups, tmp_path / "set", retries=2))[1] == []


def test_the_command_with_workers(backups: Path, tmp_path: Path) -> None:
    """Two workers of Dask; the client is killed when it has told of two backups, and the next run ends the work."""
    arguments = ["fleet", "scan", str(backups), "--dataset", str(tmp_path / "set"), "--no-compare", "--jobs", "2"]
    with subprocess.Popen(
        [sys.executable, "-m", "auditor", *arguments, "--json", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as first:
        assert first.stdout is not None
        told = [first.stdout.readline() for _ in range(3)]
        first.send_signal(signal.SIGKILL)
    assert b'"begin"' in told[0]
    second = fleet.command(*arguments, "--json", "-")
    assert second.returncode == 1, second.stderr
    events = fleet.lines(second.stdout)
    assert (events[0]["event"], events[-1]["event"], events[-1]["exit"]) == ("begin", "end", 1)
    assert events[0]["examined_before"] >= 2
    assert events[-1]["states"] == {"examined": 7}
    assert len({row["backup"] for row in fleet.table(tmp_path / "set", "backups")}) == 7
    assert fleet.is_tidy(tmp_path / "set")


def test_no_value_is_in_the_data_set(backups: Path, tmp_path: Path) -> None:
    fleet.run(fleet.request(backups, tmp_path / "set", fleet.key(tmp_path)))
    text = "".join(repr(fleet.table(tmp_path / "set", name)) for name in TABLES if name != "gaps").encode()
    text += b"".join(path.read_bytes() for path in fleet.files(tmp_path / "set") if path.suffix == ".json")
    assert len(text) > 100_000
    assert [canary for stage in fleet.STAGES for canary in canaries(stage) if canary in text] == []


def test_a_question_about_the_key_comes_first(backups: Path, tmp_path: Path) -> None:
    result = fleet.command("fleet", "scan", backups, "--dataset", tmp_path / "set")
    assert result.returncode == 2
    assert "--compare-key FILE" in result.stderr
    assert not (tmp_path / "set").exists()
    key = tmp_path / "k"
    assert fleet.command("fleet", "new-key", key).returncode == 0
    assert key.stat().st_mode & 0o777 == 0o600
    assert fleet.command("fleet", "new-key", key).returncode == 2
    inside = shutil.copy(key, backups / "k")
    result = fleet.command("fleet", "scan", backups, "--dataset", tmp_path / "set", "--compare-key", inside)
    assert (result.returncode, "lies inside" in result.stderr) == (2, True)


def test_an_engine_elsewhere_is_reached_over_tls_alone() -> None:
    for engine in (Engine(scheduler="tcp://127.0.0.1:1"), Engine(scheduler="tls://127.0.0.1:1")):
        with pytest.raises(UsageError, match="tls"):
            engine.check()


def test_what_goes_to_the_scheduler_holds_no_key(backups: Path, tmp_path: Path) -> None:
    """Orders, as they are pickled for Dask: paths of keys, and nothing of what lies there."""
    key = fleet.key(tmp_path)
    configuration = MIGRATION / "6-rotating.encryption.json"
    options = Options(encryption_configs=(str(configuration),))
    orders = fleet.request(backups, tmp_path / "set", key, options=options).settings.orders(listed([str(backups)]))
    raw = pickle.dumps(list(orders.values()))
    secrets = [provider["keys"] for entry in _resources(configuration) for provider in entry if "keys" in provider]
    texts = [Path(key).read_text().strip(), *(own["secret"] for keys in secrets for own in keys)]
    assert len(texts) > 2
    for text in texts:
        decoded = bytes.fromhex(text) if text == texts[0] else base64.b64decode(text)
        assert text.encode() not in raw
        assert decoded not in raw
    assert str(configuration).encode() in raw
    assert not [order.id for order in orders.values() if Path(key).read_text()[:8] in order.id]


def _resources(configuration: Path) -> list[list[dict[str, Any]]]:
    """The inner objects of the providers of a configuration."""
    document = json.loads(configuration.read_text())
    return [[inner for own in each["providers"] for inner in own.values()] for each in document["resources"]]


def test_no_port_is_asked_for_without_a_dashboard(backups: Path, tmp_path: Path) -> None:
    """Dask's own port may be another's: nothing is said of it."""
    with socket.socket() as other:
        with contextlib.suppress(OSError):  # somebody else has it already
            other.bind(("127.0.0.1", 8787))
            other.listen()
        result = fleet.command(
            *("fleet", "scan", backups, "--dataset", tmp_path / "set", "--no-compare", "--jobs", "2")
        )
    assert (result.returncode, result.stderr) == (1, "")


def test_a_name_that_is_no_utf_8_is_one_like_any_other(tmp_path: Path) -> None:
    """Examined beside the others, printable in the data set, and in a report on it."""
    folder = tmp_path / os.fsdecode(b"in\xfe")
    folder.mkdir()
    for name in (b"bad\xff.db", b"good.db"):
        shutil.copy(MIGRATION / "5-defragmented.db", folder / os.fsdecode(name))
    shutil.copy(MIGRATION / "6-rotating.encryption.json", folder / os.fsdecode(b"keys\xff"))
    (folder / os.fsdecode(b"cut\xff.db")).write_bytes(b"\x1f\x8b" + bytes(4000))
    scanned = fleet.request(folder, tmp_path / "set", fleet.key(tmp_path))
    summary, rows = fleet.run(scanned)
    assert summary.states == {"examined": 2, "unreadable": 1}
    names = {f"{tmp_path}/in\\xfe/{name}" for name in ("bad\\xff.db", "good.db", "cut\\xff.db")}
    assert {row["url"] for row in rows} == {row["url"] for row in fleet.table(tmp_path / "set", "backups")} == names
    assert fleet.run(scanned)[1] == []
    arguments = ("--json", tmp_path / "report.json", "--html", tmp_path / "report.html")
    result = fleet.command("fleet", "report", tmp_path / "set", *arguments)
    assert result.returncode == 1, result.stderr
    assert "bad\\\\xff.db" in (tmp_path / "report.json").read_text()


def test_what_opens_a_url_is_not_in_the_data_set(tmp_path: Path) -> None:
    """User, password and signature; and the time of the signature is not that of the backup."""
    raw = (MIGRATION / "5-defragmented.db").read_bytes()
    secrets = ("geheim", "20261128T060000Z", "abcdef0123")
    with serving(lambda _: (200, {"ETag": '"one"'}, raw)) as address:
        url = f"{address.replace('://', '://user:geheim@')}/nightly.db?X-Date=20261128T060000Z&X-Sign=abcdef0123"
        summary, rows = fleet.run(fleet.request(url, tmp_path / "set"))
    assert summary.states == {"examined": 1}
    assert [(row["url"], row["taken"]) for row in rows] == [(f"{address}/nightly.db", "1970-01-01T00:00:00Z")]
    files = [pq.read_table(path, partitioning=None) for path in (tmp_path / "set").rglob("*.parquet")]
    text = "".join(repr((table.to_pylist(), table.schema.metadata)) for table in files)
    assert address in text
    assert not [secret for secret in secrets if secret in text or secret in repr(rows)]
