"""Fleets for tests: folders of backups under names that say when they were taken, scanned into a data set."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import duckdb

from auditor.fleet import clusters, compare
from auditor.fleet.dataset import DataSet
from auditor.fleet.engine import Engine
from auditor.fleet.folder import DataSetFolder
from auditor.fleet.scan import FleetScan, Summary, scan
from auditor.fleet.selection import FirstLook
from auditor.fleet.settings import Settings
from auditor.fleet.tables import Row
from auditor.options import Options
from tests.helpers.fixtures import MIGRATION

STAGES = sorted(MIGRATION.glob("?-*.db"))
"""The stages of one migration, in their order."""
ONE = Engine(jobs=1)


def name(day: int, hour: int = 0) -> str:
    """The name of a backup that was taken on a day of November 2026."""
    return f"snapshot_2026-11-{day:02d}_{hour:02d}0000.db"


def migration(folder: Path, first: int = 1) -> Path:
    """A folder with a backup of each stage of the migration, one a day."""
    folder.mkdir(parents=True, exist_ok=True)
    for day, stage in enumerate(STAGES, first):
        shutil.copy(stage, folder / name(day))
    return folder


def migrated(top: Path, config: Path) -> Path:
    """The data set of one migration, examined under one configuration."""
    options = Options(encryption_configs=(str(config),))
    run(request(migration(top / "backups"), top / "set", key(top), options=options))
    return top / "set"


def request(source: Path | str, dataset: Path | str, key: str = "", **more: Any) -> FleetScan:
    """A scan of one source, in this process, with or without a key of value ids."""
    settings = Settings(
        dataset=str(dataset),
        options=more.pop("options", Options()),
        clusters=more.pop("clusters", clusters.NONE),
        compare_key=key,
        compare_check=compare.check_value(compare.read_key(key)) if key else "",
        retries=more.pop("retries", 0),
    )
    look = more.pop("look", FirstLook())
    return FleetScan(sources=(str(source),), settings=settings, engine=more.pop("engine", ONE), look=look, **more)


def run(scanned: FleetScan) -> tuple[Summary, list[Row]]:
    """What the scan ends with, and the rows of what it examined."""
    rows: list[Row] = []
    return scan(scanned, lambda _: None, rows.append), rows


def command_line(*arguments: str | Path) -> list[str]:
    """What starts the real command."""
    return [sys.executable, "-m", "auditor", *map(str, arguments)]


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The result of the real command; whatever a busy machine takes for it."""
    return subprocess.run(
        command_line(*arguments),
        capture_output=True,
        encoding="utf-8",
        timeout=3600,
        check=False,
        stdin=subprocess.DEVNULL,
    )


class Running(NamedTuple):
    """The real command while it runs."""

    process: subprocess.Popen[str]
    out: IO[str]
    errors: IO[str]


@contextmanager
def running(arguments: Sequence[str | Path]) -> Iterator[Running]:
    """The command, started; at the end it has ended."""
    with subprocess.Popen(
        command_line(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        yield Running(process, process.stdout, process.stderr)


def key(folder: Path) -> str:
    """A new key's path."""
    path = folder / "compare.key"
    path.write_text(compare.new_key())
    return str(path)


def table(dataset: Path, name: str) -> list[dict[str, Any]]:
    """The rows of one table, read as any user of DuckDB reads it."""
    pattern = f"{dataset}/{name}/*/*/*.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"SELECT * FROM read_parquet('{pattern}', hive_partitioning = true, union_by_name = true)")
        columns = [each[0] for each in connection.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in connection.fetchall()]


def files(dataset: Path) -> Iterator[Path]:
    """Every file of a data set but its lock."""
    yield from (path for path in sorted(dataset.rglob("*")) if path.is_file() and path.name != ".lock")


def is_tidy(dataset: Path) -> bool:
    """Whether the tables hold the files of the manifest and no others, and nothing is pending."""
    data = DataSet(DataSetFolder(str(dataset)))
    named = {*data.files, "dataset.json", "manifest.json", "listing.parquet"}
    return {path.relative_to(dataset).as_posix() for path in files(dataset)} - {"key-objects.parquet"} == named


def lines(text: str) -> list[dict[str, Any]]:
    """The events of --json."""
    return [json.loads(line) for line in text.splitlines()]
