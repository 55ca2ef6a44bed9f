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
from tests.fleet.test_report import ask
from tests.helpers import command, fleet

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


@pytest.mark.parametrize(
    "changed",
    [
        {"findings": [1]},
        {"findings": [["a", "b"]]},
        {"findings": None},
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
