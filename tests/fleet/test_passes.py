"""What is no pass: a first look, sources without a backup, and proofs that are one proof under several names."""

import os
import shutil
from pathlib import Path

import pytest

from auditor.fleet import clusters
from auditor.fleet.folder import DataSetFolder
from auditor.fleet.report import build
from auditor.fleet.report.context import Context, Questions
from auditor.fleet.report.model import FleetReport
from auditor.fleet.scan import FleetScan, scan
from auditor.fleet.selection import FirstLook
from auditor.model.vocabulary import Severity
from auditor.options import Options
from tests.helpers import fleet
from tests.helpers.fixtures import MIGRATION

ROTATED = MIGRATION / "7-rotated.encryption.json"


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    """Three backups without a finding."""
    folder = tmp_path / "backups"
    folder.mkdir()
    for day in (1, 2, 3):
        shutil.copy(MIGRATION / "5-defragmented.db", folder / fleet.name(day, 6))
    return folder


@pytest.mark.parametrize("look", [FirstLook(since="2026-01-01"), FirstLook(newest=9), FirstLook(sample=9)])
def test_a_first_look_that_leaves_nothing_out_is_none_either(backups: Path, tmp_path: Path, look: FirstLook) -> None:
    summary, _ = fleet.run(fleet.request(backups, tmp_path / "set", look=look))
    assert (summary.found, summary.chosen) == (3, 3)
    assert summary.exit_code(Severity.MEDIUM) == 3
    assert fleet.run(fleet.request(backups, tmp_path / "set"))[0].exit_code(Severity.MEDIUM) == 0


def test_sources_without_a_backup_are_none(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("how backups are made")
    result = fleet.command(
        *("fleet", "scan", f"{tmp_path}/notes/*.txt", "--dataset", tmp_path / "set", "--no-compare", "--jobs", "1")
    )
    assert result.returncode == 3, result.stderr
    assert result.stdout.startswith("INCONCLUSIVE: 0 of 0 backups examined")
    assert "No source holds a backup" in result.stdout


@pytest.mark.parametrize(
    ("since", "days"),
    [
        ("2026-11-02", {2, 3}),
        ("20261102", {2, 3}),
        ("2026-11-02T06:00:00", {2, 3}),
        ("2026-11-02T06:00:00Z", {2, 3}),
        ("2026-11-02 08:00:00+02:00", {2, 3}),
        ("2026-11-02T06:00:01Z", {3}),
        ("2026-11-02T06:00:00-01:00", {3}),
    ],
)
def test_since_is_a_time(backups: Path, tmp_path: Path, since: str, days: set[int]) -> None:
    fleet.run(fleet.request(backups, tmp_path / "set", look=FirstLook(since=since)))
    urls = {row["url"] for row in fleet.table(tmp_path / "set", "backups")}
    assert urls == {str(backups / fleet.name(day, 6)) for day in days}


@pytest.mark.parametrize("since", ["yesterday", "zzz", "2026-13-01", "0", " "])
def test_what_is_no_time_is_refused(backups: Path, tmp_path: Path, since: str) -> None:
    arguments = ("--dataset", tmp_path / "set", "--no-compare", "--jobs", "1", "--since", since)
    result = fleet.command("fleet", "scan", backups, *arguments)
    assert (result.returncode, "--since takes a day or a time" in result.stderr) == (2, True)
    assert not (tmp_path / "set").exists()


def test_one_configuration_under_several_names_is_one(backups: Path, tmp_path: Path) -> None:
    """Each configuration proves one API server's; the same content in a file of its own is another's."""
    own, other, link = tmp_path / "k.json", tmp_path / "other.json", tmp_path / "link.json"
    shutil.copy(ROTATED, own)
    shutil.copy(ROTATED, other)
    link.symlink_to(own)
    for names, count in (((own, own, f"{tmp_path}/./k.json", link), 1), ((own, other, own), 2)):
        listed = ", ".join(f'"{name}"' for name in names)
        (tmp_path / "c.toml").write_text(
            f'[cluster.prod]\npaths = ["backups/"]\napi-servers = 3\nencryption-config = [{listed}]\n'
        )
        known = clusters.read(str(tmp_path / "c.toml"))
        for case, more in (
            ("file", {"clusters": known}),
            ("options", {"options": Options(encryption_configs=tuple(map(str, names)))}),
        ):
            fleet.run(fleet.request(backups, tmp_path / f"{case}{count}", **more))
            rows = fleet.table(tmp_path / f"{case}{count}", "backups")
            assert {row["configurations"] for row in rows} == {count}


class _StoppedError(Exception):
    pass


def _stopped(scanned: FleetScan) -> None:
    """A run that is stopped when it has said what the sources hold, and before it examines anything."""

    def stop(_: object) -> None:
        raise _StoppedError

    with pytest.raises(_StoppedError):
        scan(scanned, stop, lambda _: None)


@pytest.mark.parametrize("case", ["keys", "compromised", "owner"])
def test_what_is_to_be_examined_again_is_not_examined(tmp_path: Path, case: str) -> None:
    """Keys that come to lie beside a backup, and a cluster's options and owner that are others now."""
    folder, file, key = tmp_path / "backups", tmp_path / "c.toml", fleet.key(tmp_path)
    folder.mkdir()
    shutil.copy(MIGRATION / "7-rotated.db", folder / fleet.name(7))
    text = f'[cluster.prod]\nuid = "71314e90-44b9-4311-833c-506d91031055"\nencryption-config = ["{ROTATED}"]\n'
    more = {"keys": "", "compromised": 'compromised-key = ["aescbc:key2"]\n', "owner": 'owner = "b"\n'}[case]

    def request(text: str) -> FleetScan:
        file.write_text(text)
        return fleet.request(folder, tmp_path / "set", key, clusters=clusters.read(str(file)))

    questions = Questions(as_of=f"{fleet.name(7)[9:19]}T02:00:00Z")

    def report() -> FleetReport:
        return build.build(Context(DataSetFolder(str(tmp_path / "set")), questions))

    fleet.run(request(text))
    assert report().exit_code == 0
    if case == "keys":
        shutil.copy(ROTATED, folder / "notes.json")
    _stopped(request(text + more))
    stopped = report()
    assert (stopped.exit_code, "1 backup not attempted" in stopped.open_questions) == (3, True)
    assert not stopped.findings
    assert len(fleet.run(request(text + more))[1]) == 1
    assert report().exit_code == (0 if case == "owner" else 1)
    assert fleet.run(request(text + more))[1] == []
    assert report().exit_code == (0 if case == "owner" else 1)


@pytest.mark.parametrize(
    ("seconds", "taken"),
    [(-1, "1969-12-31T23:59:59Z"), (-(10**9), "1938-04-24T22:13:20Z"), (0, "1970-01-01T00:00:00Z")],
)
def test_a_file_from_before_1970_has_a_time(tmp_path: Path, seconds: int, taken: str) -> None:
    (tmp_path / "in").mkdir()
    path = Path(shutil.copy(MIGRATION / "5-defragmented.db", tmp_path / "in" / "nightly.db"))
    os.utime(path, ns=(0, seconds * 10**9))
    fleet.run(fleet.request(tmp_path / "in", tmp_path / "set"))
    (row,) = fleet.table(tmp_path / "set", "backups")
    assert (row["taken"], f"{row['modified'][:19]}Z") == (taken, taken)
