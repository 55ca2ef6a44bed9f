"""The Parquet data set as its users ask it: DuckDB, pandas and the CSV say the same."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from tests.helpers.command import run
from tests.helpers.fixtures import DEFRAGMENTED, FIXTURES, PLAINTEXT, REWRITTEN

STORES = FIXTURES.parent / "auditor" / "docs" / "stores.md"
KINE = FIXTURES / "kine" / "k3s-like" / "3-rewritten.raw.tar.gz"


def ask(folder: Path, text: str) -> list[tuple[Any, ...]]:
    """What DuckDB answers: {findings}, {inventory} and {sources} stand for the tables."""
    tables = {name: f"'{folder}/{name}/**/*.parquet'" for name in ("findings", "inventory", "sources")}
    with duckdb.connect() as database:
        return database.execute(text.format(**tables)).fetchall()


def csv(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, keep_default_na=False)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two snapshots, a copy of one, a packed kine with its log, and what is nothing of etcd's; a folder with all."""
    folder = tmp_path_factory.mktemp("asked")
    evidence = [PLAINTEXT, REWRITTEN, KINE, folder / "copy.db", folder / "notes.txt"]
    shutil.copy(PLAINTEXT, folder / "copy.db")
    (folder / "notes.txt").write_text("nothing of etcd's")
    targets = ("--dataset", folder / "set", "--csv", folder / "a.csv", "--inventory", folder / "i.csv")
    done = run("scan", *evidence, *targets, "--json", folder / "a.json")
    assert done.returncode == 1, done.stderr
    return folder


def test_findings_of_each_source_are_the_same_everywhere(asked: Path) -> None:
    rows = ask(asked / "set", "SELECT source, finding, count(*) FROM {findings} GROUP BY ALL")
    counts = {(source, finding): count for source, finding, count in rows}
    by = ["source", "finding"]
    assert counts == pd.read_parquet(asked / "set" / "findings").groupby(by).size().to_dict()
    assert counts == csv(asked / "a.csv").groupby(by).size().to_dict()
    assert counts["1-plaintext.db", "plaintext"] == counts["copy.db", "plaintext"] == 36
    assert counts["3-rewritten.db", "plaintext"] == 29


@pytest.mark.parametrize(("name", "file"), [("findings", "a.csv"), ("inventory", "i.csv")])
def test_every_cell_is_the_csv_s(asked: Path, name: str, file: str) -> None:
    columns = list(csv(asked / file))
    text = ", ".join(f"coalesce(CAST(\"{column}\" AS VARCHAR), '')" for column in columns)
    rows = ask(asked / "set", f"SELECT {text} FROM {{{name}}}")
    plain = pd.read_csv(asked / file, keep_default_na=False, dtype=str)
    # where a number is unknown the CSV says so, and Parquet has none
    said = [tuple(cell if cell != "unknown" else "" for cell in row) for row in plain.itertuples(index=False)]
    assert len(rows) == len(said) > 0
    assert sorted(tuple(cell if cell != "unknown" else "" for cell in row) for row in rows) == sorted(said)


def test_each_finding_is_joined_to_its_own_cluster_once(asked: Path) -> None:
    """By the hash alone a file that was given twice counts four times; a log belonged to the first piece of all."""
    joined = "{findings} LEFT JOIN {sources} USING (evidence, source)"
    rows = ask(asked / "set", f"SELECT source, part, cluster, count(*) FROM {joined} GROUP BY ALL")
    assert sum(count for *_, count in rows) == len(csv(asked / "a.csv"))
    parts = {part["name"]: part for part in json.loads((asked / "a.json").read_text())["parts"]}
    inside = f"{KINE.name}!3-rewritten.raw/state.db"
    assert {source: part for source, part, _, _ in rows} == {
        "1-plaintext.db": "1-plaintext.db",
        "3-rewritten.db": "3-rewritten.db",
        "copy.db": "copy.db",
        inside: inside,
        f"{inside}-wal": inside,
    }
    assert all(cluster == parts[part]["cluster"] for _, part, cluster, _ in rows)
    ((missing, problem),) = ask(asked / "set", "SELECT part, problem FROM {sources} WHERE problem != ''")
    assert missing == "notes.txt"
    assert problem == parts["notes.txt"]["problem"]


def test_no_findings_can_be_asked_too(tmp_path: Path) -> None:
    """There was no file of findings then, which is an error to whoever asks for them."""
    for number, evidence in enumerate(((PLAINTEXT,), (DEFRAGMENTED, "--resource", "none.example.com"))):
        done = run("scan", *evidence, "--dataset", tmp_path / "set")
        assert done.returncode == (3 if number else 1), done.stderr
        shutil.copytree(tmp_path / "set", tmp_path / f"after-{number}")
    alone = run("scan", *evidence, "--dataset", tmp_path / "empty")
    assert alone.returncode == 3, alone.stderr
    for table in ("findings", "inventory"):
        assert ask(tmp_path / "empty", f"SELECT count(*) FROM {{{table}}}") == [(0,)]
        empty, both, first = (pd.read_parquet(tmp_path / name / table) for name in ("empty", "after-1", "after-0"))
        assert len(empty) == 0
        assert list(map(str, first.dtypes)) == list(map(str, both.dtypes))
        assert len(both) == len(first) > 0
        assert list(empty) == list(both)


def test_what_has_no_hash_can_be_added_by_run_after_run(tmp_path: Path) -> None:
    """A second run with --quick was refused, and with --force took the place of the first."""
    for each in (PLAINTEXT, REWRITTEN):
        targets = ("--dataset", tmp_path / "set", "--csv", tmp_path / f"{each.stem}.csv")
        assert run("scan", each, "--quick", *targets).returncode == 1
    again = run("scan", PLAINTEXT, "--quick", "--dataset", tmp_path / "set")
    assert again.returncode == 2
    assert "exists" in again.stderr
    for each in (PLAINTEXT, REWRITTEN):  # nor are two in which there is nothing in each other's way
        done = run("scan", each, "--quick", "--resource", "none.example.com", "--dataset", tmp_path / "set")
        assert done.returncode == 3, done.stderr
    rows = ask(tmp_path / "set", "SELECT source, count(*) FROM {findings} GROUP BY ALL ORDER BY ALL")
    assert rows == [(f"{each.stem}.db", len(csv(tmp_path / f"{each.stem}.csv"))) for each in (PLAINTEXT, REWRITTEN)]
    joined = "{findings} LEFT JOIN (SELECT DISTINCT evidence, source FROM {sources}) USING (evidence, source)"
    assert ask(tmp_path / "set", f"SELECT count(*) FROM {joined}") == [(sum(count for _, count in rows),)]


def test_the_readme_s_queries_run(asked: Path) -> None:
    (text,) = re.findall(r"<!-- dataset -->\n```python\n(.*?)```", STORES.read_text(), re.DOTALL)
    text = text.replace("FOLDER", str(asked / "set"))
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert len(re.findall(r"copy\.db\W+plaintext\W+36\b", done.stdout)) == 2
