"""Reports on a data set of which a file is damaged: the file is named, and a fault of ours it is not."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from auditor.errors import UsageError
from auditor.fleet.errors import DataSetError
from auditor.fleet.report import since, write
from auditor.fleet.report.migration import Target
from auditor.options import Options
from tests.fleet.test_report import ask
from tests.helpers import command, fleet
from tests.helpers.fixtures import MIGRATION

Damage = Callable[[Path], object]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("damage")
    (top / "backups").mkdir()
    shutil.copy(fleet.STAGES[0], top / "backups" / fleet.name(7))
    fleet.run(fleet.request(top / "backups", top / "set", fleet.key(top)))
    return top / "set"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def overwrite(path: Path) -> None:
    """The pages, and not the end that says where they are."""
    raw = path.read_bytes()
    path.write_bytes(raw[:4] + bytes(200) + raw[204:])


def other_columns(path: Path) -> None:
    pq.write_table(pa.table({"other": ["x"]}), path)


def other_types(path: Path) -> None:
    table = pq.read_table(path)
    pq.write_table(table.set_column(0, "backup", pa.array([True] * table.num_rows)), path)


def without_its_run(path: Path) -> None:
    pq.write_table(pq.read_table(path).replace_schema_metadata(None), path)


@pytest.mark.parametrize("damage", [cut, empty, other_columns, other_types, without_its_run])
def test_a_damaged_listing(whole: Path, tmp_path: Path, damage: Damage) -> None:
    shutil.copytree(whole, tmp_path / "set")
    damage(tmp_path / "set" / "listing.parquet")
    with pytest.raises(DataSetError, match=r"listing.parquet is damaged: restore it, or remove it and scan"):
        ask(tmp_path / "set")


DAMAGES: list[tuple[str, Damage, str]] = [
    *(
        (table, damage, "is damaged")
        for table in ("backups", "inventory", "values")
        for damage in (cut, empty, overwrite)
    ),
    *((table, Path.unlink, "is not there") for table in ("backups", "inventory", "values")),
    ("inventory", other_columns, "is no file of the table"),
    ("values", other_types, "is no file of the table"),
]


@pytest.mark.parametrize(("table", "damage", "what"), DAMAGES)
def test_a_damaged_file_of_a_table(whole: Path, tmp_path: Path, table: str, damage: Damage, what: str) -> None:
    shutil.copytree(whole, tmp_path / "set")
    (path,) = (tmp_path / "set" / table).rglob("*.parquet")
    damage(path)
    with pytest.raises(DataSetError, match=rf"{table}/.*/{path.name} {what}.*scan into another --dataset"):
        ask(tmp_path / "set")


def test_the_command_ends_with_2(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "set")
    (path,) = (tmp_path / "set" / "findings").rglob("*.parquet")
    cut(path)
    done = command.run("fleet", "report", tmp_path / "set")
    assert done.returncode == 2
    assert path.name in "".join(done.stderr.split())
    assert "fault" not in done.stderr


TARGET = Target.of("aescbc:key2", "2026-11-01")


@pytest.fixture(scope="module")
def relapse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three months of a cluster; the backup of December is written with the older key again."""
    top = tmp_path_factory.mktemp("relapse")
    (top / "backups").mkdir()
    for day, stage in (("2026-11-29", 6), ("2026-12-01", 4), ("2027-01-02", 6)):
        shutil.copy(fleet.STAGES[stage], top / "backups" / f"snapshot_{day}_040000.db")
    options = Options(encryption_configs=(str(MIGRATION / "7-rotated.encryption.json"),))
    fleet.run(fleet.request(top / "backups", top / "set", fleet.key(top), options=options))
    return top / "set"


def month(dataset: Path, table: str, name: str) -> Path:
    (path,) = (dataset / table).glob(f"*/month={name}/*.parquet")
    return path


def unname(dataset: Path, table: str) -> None:
    """The manifest, without the file of December."""
    manifest = dataset / "manifest.json"
    document = json.loads(manifest.read_text())
    document["files"] = [each for each in document["files"] if (each["table"], each["month"]) != (table, "2026-12")]
    manifest.write_text(json.dumps(document))


def rewrite(dataset: Path, table: str, rows: pa.Table) -> None:
    """Other rows in the file of December, and in the manifest."""
    path = month(dataset, table, "2026-12")
    pq.write_table(rows, path)
    manifest = dataset / "manifest.json"
    document = json.loads(manifest.read_text())
    for each in document["files"]:
        if each["path"] == path.relative_to(dataset).as_posix():
            each |= {"rows": rows.num_rows, "size": path.stat().st_size}
    manifest.write_text(json.dumps(document))


def rows_of(dataset: Path, table: str, name: str) -> pa.Table:
    return pq.read_table(month(dataset, table, name), partitioning=None)


def no_rows(dataset: Path, table: str) -> None:
    rewrite(dataset, table, rows_of(dataset, table, "2026-12").slice(0, 0))


def one_row_less(dataset: Path, table: str) -> None:
    rewrite(dataset, table, rows_of(dataset, table, "2026-12").slice(1))


def rows_of_november(dataset: Path, table: str) -> None:
    rewrite(dataset, table, rows_of(dataset, table, "2026-11"))


@pytest.mark.parametrize("table", ["inventory", "findings", "keys", "values", "backups"])
@pytest.mark.parametrize("lose", [unname, no_rows, one_row_less, rows_of_november])
def test_a_table_that_lacks_rows(relapse: Path, tmp_path: Path, table: str, lose: Callable[[Path, str], None]) -> None:
    """The manifest says nothing of them: the backup's own row does."""
    shutil.copytree(relapse, tmp_path / "set")
    assert ask(tmp_path / "set", None, TARGET, as_of="2027-01-02T06:00:00Z").exit_code == 1
    lose(tmp_path / "set", table)
    with pytest.raises(DataSetError, match=rf"the table {table} is damaged: it has .* row.* of .*, which has"):
        ask(tmp_path / "set", None, TARGET, as_of="2027-01-02T06:00:00Z", fail_on="critical")


@pytest.mark.parametrize("table", ["inventory", "coverage"])
def test_a_file_that_is_another_one_than_the_manifest_names(relapse: Path, tmp_path: Path, table: str) -> None:
    shutil.copytree(relapse, tmp_path / "set")
    path = month(tmp_path / "set", table, "2026-12")
    shutil.copy(month(tmp_path / "set", table, "2026-11"), path)
    with pytest.raises(DataSetError, match=rf"{path.name} has .* bytes, and by manifest.json"):
        ask(tmp_path / "set")


@pytest.mark.parametrize("table", ["inventory", "findings"])
def test_a_data_set_of_an_earlier_version_that_lacks_rows(relapse: Path, tmp_path: Path, table: str) -> None:
    """It has no numbers of rows, and says yet that there were some."""
    shutil.copytree(relapse, tmp_path / "set")
    for name in ("2026-11", "2026-12", "2027-01"):
        path = month(tmp_path / "set", "backups", name)
        older = pq.read_table(path, partitioning=None).drop_columns(["finding_rows", "inventory_rows", "key_rows"])
        pq.write_table(older, path)
        manifest = tmp_path / "set" / "manifest.json"
        size = path.stat().st_size
        document = json.loads(manifest.read_text())
        document["files"] = [
            each | ({"size": size} if each["path"].endswith(path.name) else {}) for each in document["files"]
        ]
        manifest.write_text(json.dumps(document))
    assert ask(tmp_path / "set", None, TARGET, as_of="2027-01-02T06:00:00Z").exit_code == 1
    unname(tmp_path / "set", table)
    with pytest.raises(DataSetError, match=rf"the table {table} is damaged: it has 0 rows"):
        ask(tmp_path / "set", None, TARGET, as_of="2027-01-02T06:00:00Z")


@pytest.mark.parametrize(
    "changed",
    [
        {"findings": [1]},
        {"findings": [["a", "b"]]},
        {"findings": None},
        {"writes": [["a", "b"]]},
        {"writes": None},
        {"nameless": [[1] * 9]},
        {"clusters": []},
        {"clusters": {"a": 1}},
        {"clusters": {"a": ["x", 0, 0]}},
    ],
)
def test_a_baseline_of_another_form(whole: Path, tmp_path: Path, changed: dict[str, Any]) -> None:
    with (tmp_path / "report.json").open("w") as out:
        write.json(ask(whole), out)
    document = json.loads((tmp_path / "report.json").read_text())
    assert since.load(str(tmp_path / "report.json")) == document["state"]
    document["state"] |= changed
    (tmp_path / "report.json").write_text(json.dumps(document))
    with pytest.raises(UsageError, match=r"report.json is no JSON report"):
        since.load(str(tmp_path / "report.json"))
