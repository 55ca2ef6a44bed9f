"""A data set that is damaged, or of another time: named by file, with the way out, or read as it is."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from auditor.errors import UsageError
from auditor.fleet.errors import DataSetError
from auditor.fleet.folder import DataSetFolder
from tests.helpers import fleet
from tests.helpers.fixtures import MIGRATION


@pytest.fixture
def scanned(tmp_path: Path) -> Path:
    """A data set of one backup."""
    (tmp_path / "in").mkdir()
    shutil.copy(MIGRATION / "5-defragmented.db", tmp_path / "in" / fleet.name(1))
    fleet.run(fleet.request(tmp_path / "in", tmp_path / "set"))
    return tmp_path / "set"


ENTRY = {"path": "backups/a", "table": "backups", "cluster": "a", "month": "2026-11", "rows": 1, "size": 1}


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("listing.parquet", b""),
        ("listing.parquet", b"PAR1" + bytes(40) + b"PAR1"),
        ("manifest.json", b""),
        ("manifest.json", b"[]"),
        ("manifest.json", b'{"files": null}'),
        ("manifest.json", b'{"version": 1}'),
        ("manifest.json", b'{"files": [1]}'),
        ("manifest.json", b'{"files": [{"path": "backups/a"}]}'),
        ("manifest.json", json.dumps({"files": [{**ENTRY, "rows": "1"}]}).encode()),
        ("manifest.json", json.dumps({"files": [{**ENTRY, "path": "backups/../../a"}]}).encode()),
        ("manifest.json", json.dumps({"files": [{**ENTRY, "table": "others"}]}).encode()),
        ("dataset.json", b"{"),
        ("dataset.json", b'{"format": "etcd-auditor fleet", "version": "x"}'),
        ("dataset.json", b'{"format": "etcd-auditor fleet", "version": null}'),
        ("dataset.json", b'{"format": "another", "version": 1}'),
    ],
)
def test_a_damaged_file_is_named_with_the_way_out(scanned: Path, name: str, raw: bytes) -> None:
    (scanned / name).write_bytes(raw)
    before = {path: path.read_bytes() for path in fleet.files(scanned)}
    with pytest.raises(DataSetError, match=rf"{name} is damaged: .*(restore it|remove it, and scan again)"):
        fleet.run(fleet.request(scanned.parent / "in", scanned))
    if name != "listing.parquet":
        assert {path: path.read_bytes() for path in fleet.files(scanned)} == before


def test_a_cut_listing_is_named(scanned: Path) -> None:
    """As a kill of the machine leaves it; what it says to do is what helps."""
    listing = scanned / "listing.parquet"
    listing.write_bytes(listing.read_bytes()[:-100])
    with pytest.raises(DataSetError, match=r"listing\.parquet is damaged: remove it, and scan again"):
        fleet.run(fleet.request(scanned.parent / "in", scanned))
    listing.unlink()
    assert fleet.run(fleet.request(scanned.parent / "in", scanned))[0].states == {"examined": 1}


def test_a_damaged_table_is_named_with_the_way_out(scanned: Path) -> None:
    (path,) = (scanned / "backups").rglob("*.parquet")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataSetError, match=rf"{path.name} is damaged: restore it"):
        fleet.run(fleet.request(scanned.parent / "in", scanned))


def test_a_later_format_is_refused(scanned: Path) -> None:
    about = json.loads((scanned / "dataset.json").read_text())
    (scanned / "dataset.json").write_text(json.dumps({**about, "version": about["version"] + 1}))
    with pytest.raises(DataSetError, match="a format that this version does not know"):
        fleet.run(fleet.request(scanned.parent / "in", scanned))


def test_tables_that_lack_a_column_are_read(scanned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an earlier version: what cannot be told of a backup is found out again, and its row is replaced."""
    monkeypatch.setattr("auditor.fleet.dataset.MOST_SMALL", 1)
    (path,) = (scanned / "backups").rglob("*.parquet")
    pq.write_table(pq.ParquetFile(path).read().drop_columns(["applied"]), path)
    shutil.copy(MIGRATION / "6-rotating.db", scanned.parent / "in" / fleet.name(2))
    _, rows = fleet.run(fleet.request(scanned.parent / "in", scanned))
    assert len(rows) == 2
    assert [bool(row["applied"]) for row in fleet.table(scanned, "backups")] == [True, True]
    assert fleet.is_tidy(scanned)


@pytest.mark.parametrize("url", ["file:///tmp/set", "http://host/set", "memory://set"])
def test_a_data_set_lies_in_a_folder_or_a_bucket(url: str) -> None:
    with pytest.raises(UsageError, match=r"name a folder, s3://, gs:// or az://"):
        DataSetFolder(url)
