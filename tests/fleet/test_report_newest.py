"""Reports on a fleet: what the newest backup of a cluster says of today, and what it does not."""

import hashlib
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from auditor.fleet import clusters as clusters_file
from auditor.fleet.report import write
from auditor.fleet.report.context import uid_mark
from auditor.fleet.report.model import Answer, FleetReport
from tests.fleet.test_report import ask, grid, section
from tests.helpers import fleet
from tests.helpers.fixtures import MIGRATION

CONFIG = MIGRATION / "5-defragmented.encryption.json"
NIGHT = "2026-11-08T06:00:00Z"
PAGE = 4096


def of_prod(top: Path) -> FleetReport:
    """The report on the backups of one cluster."""
    text = f'[cluster.prod]\npaths = ["backups/"]\nencryption-config = ["{CONFIG}"]\n'
    (top / "clusters.toml").write_text(text)
    known = clusters_file.read(str(top / "clusters.toml"))
    fleet.run(fleet.request(top / "backups", top / "set", fleet.key(top), clusters=known))
    return ask(top / "set", as_of=NIGHT)


def without(raw: bytes, word: bytes) -> bytearray:
    """A database whose pages with a word are overwritten."""
    damaged = bytearray(raw)
    for page in {match.start() // PAGE for match in re.finditer(word, raw)}:
        damaged[page * PAGE : (page + 1) * PAGE] = b"\xa5" * PAGE
    return damaged


def renamed(raw: bytes) -> bytes:
    """A whole database of the same revision whose Secrets are other objects."""
    body = raw[:-32].replace(b"/registry/secrets/", b"/registry/secretz/")
    return body + hashlib.sha256(body).digest()


def overwrite(path: Path) -> None:
    path.write_bytes(b"\xa5" * 9000)


def flip_trailer(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)


NEWEST: dict[str, tuple[Callable[[Path], object], str]] = {
    "read in part": (lambda path: path.write_bytes(without(path.read_bytes(), b"/registry/secrets/")), "read whole"),
    "another checksum": (flip_trailer, "its checksum"),
    "no Secret": (lambda path: path.write_bytes(renamed(path.read_bytes())), "no current Secret"),
    "unreadable": (overwrite, "a newer backup than the newest examined one"),
}


@pytest.mark.parametrize("case", NEWEST)
def test_a_newest_backup_that_shows_not_all_says_nothing_is_not_current(tmp_path: Path, case: str) -> None:
    (tmp_path / "backups").mkdir()
    shutil.copy(fleet.STAGES[0], tmp_path / "backups" / fleet.name(6))
    if case == "unreadable":  # the newest examined one is whole, and says nothing of the next
        shutil.copy(fleet.STAGES[4], tmp_path / "backups" / fleet.name(7))
    newest = Path(shutil.copy(fleet.STAGES[4], tmp_path / "backups" / fleet.name(8)))
    change, words = NEWEST[case]
    change(newest)
    report = of_prod(tmp_path)
    leftovers = grid(report, "leftovers")
    assert leftovers
    assert "no" not in {row["current today"] for row in leftovers}
    assert 0 not in {row["credentials current today"] for row in grid(report, "restrict")}
    assert 0 not in {row["credentials current today"] for row in grid(report, "curves") if row["readable values"]}
    assert {row["by the newest backup's current values"] for row in grid(report, "keys")} <= {"yes", "unknown"}
    for name in ("leak", "rotate"):
        assert section(report, name).answer is not Answer.NONE
        assert any("Unknown: " in each and words in each for each in section(report, name).sentences)
    assert section(report, "drift").answer is not Answer.NONE
    assert any(words in each for each in report.open_questions)
    with io.StringIO() as out:
        write.junit(report, out)
        assert re.search(r'name="Rotate"><(error|failure)', out.getvalue())


def test_a_newest_backup_that_shows_all_does(tmp_path: Path) -> None:
    (tmp_path / "backups").mkdir()
    shutil.copy(fleet.STAGES[0], tmp_path / "backups" / fleet.name(6))
    shutil.copy(fleet.STAGES[4], tmp_path / "backups" / fleet.name(8))
    report = of_prod(tmp_path)
    assert "unknown" not in {row["current today"] for row in grid(report, "leftovers")}
    assert section(report, "leak").answer is Answer.NONE
    assert report.open_questions == ()


def uid_of(dataset: Path, uid: str) -> None:
    """The uid of the newer backup, as whoever writes it chooses it."""
    manifest = dataset / "manifest.json"
    document = json.loads(manifest.read_text())
    for each in document["files"]:
        path = dataset / each["path"]
        rows = pq.read_table(path, partitioning=None)
        if each["table"] == "backups":
            cells = [
                {**row, "cluster": uid, "label": "", "owner": ""} if fleet.name(8) in row["url"] else row
                for row in rows.to_pylist()
            ]
            pq.write_table(pa.Table.from_pylist(cells, rows.schema), path)
            each["size"] = path.stat().st_size
    manifest.write_text(json.dumps(document))


@pytest.mark.parametrize(("uid", "shown"), [("prod", "uid prod"), ("uid prod", "uid uid prod"), ("other", "other")])
def test_a_uid_that_is_a_name_is_another_cluster(tmp_path: Path, uid: str, shown: str) -> None:
    (tmp_path / "backups").mkdir()
    shutil.copy(fleet.STAGES[0], tmp_path / "backups" / fleet.name(6))
    shutil.copy(fleet.STAGES[4], tmp_path / "backups" / fleet.name(8))
    of_prod(tmp_path)
    uid_of(tmp_path / "set", uid)
    report = ask(tmp_path / "set", as_of=NIGHT)
    assert {row["cluster"] for row in grid(report, "clusters")} == {"prod", shown}
    assert [row["cluster"] for row in grid(report, "leaking")] == ["prod"]
    assert section(report, "rotate").answer is Answer.FINDINGS


@pytest.mark.parametrize(("names", "mark"), [([], "uid "), (["prod", "uid"], "uid "), (["uid prod"], "uid uid ")])
def test_no_name_begins_as_a_uid_does(names: list[str], mark: str) -> None:
    assert uid_mark(names) == mark


def test_backups_of_no_known_cluster_have_none_to_compare_with(tmp_path: Path) -> None:
    (tmp_path / "backups").mkdir()
    (tmp_path / "backups" / fleet.name(8)).write_bytes(b"\xa5" * 9000)
    fleet.run(fleet.request(tmp_path / "backups", tmp_path / "set", fleet.key(tmp_path)))
    report = ask(tmp_path / "set", as_of=NIGHT)
    assert not [each for each in report.open_questions if "newer than the newest" in each]
    words = "0 clusters, and 1 backup of no known one: unknown, since none was examined."
    assert words in section(report, "leak").sentences
    assert report.exit_code == 3
