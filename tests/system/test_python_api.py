"""The Python API: what its page promises of names, types and DataFrames, and the notebook beside the page."""

import dataclasses
import inspect
import os
import re
import shutil
import subprocess
import sys
from enum import Enum
from pathlib import Path
from typing import assert_type

import nbformat
import pandas as pd
import pytest

import auditor
from auditor.model.table import COLUMNS, NUMBERS
from tests.helpers.fixtures import FIXTURES, MIGRATION

ROOT = FIXTURES.parent
DOCS = ROOT / "auditor" / "docs"
PAGE = (DOCS / "python.md").read_text(encoding="utf-8")
CLASSES = [getattr(auditor, name) for name in auditor.__all__ if inspect.isclass(getattr(auditor, name))]
(PAGE_NUMBERS,) = (line for line in PAGE.splitlines() if line.startswith("| `create_revision`"))
NOTHING = auditor.Options(resources=("nothing.of.this.name",))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a checkout, as a reader has it."""
    for name in ("fixtures", "LICENSE"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def python(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_program_of_the_page_runs(folder: Path) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    printed = python(folder, "-c", program)
    assert printed.startswith("findings True 1\n")
    assert "aescbc    key1" in printed


def test_the_page_names_what_is_public_and_nothing_else() -> None:
    rows = re.findall(r"^\| (`.*?) \|", PAGE.partition("| name |")[2].partition("\n\n")[0], re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)(?:\(.*?\))?`", " ".join(rows))) == sorted(auditor.__all__)


def test_what_the_page_says_of_an_audit_is_there() -> None:
    (line,) = (line for line in PAGE.splitlines() if line.startswith("| `Audit`"))
    names = re.findall(r"`(\w+)(?:\(\))?`", line.rpartition(" | ")[2] or line.split("|")[2])
    assert len(names) == 10
    audit = auditor.scan(MIGRATION / "5-defragmented.db")
    assert [name for name in names if not hasattr(audit, name)] == []


def test_every_public_name_is_typed() -> None:
    """What users' type checkers see (PEP 561): parameters and results of functions, methods and properties, fields."""
    assert (ROOT / "auditor" / "py.typed").is_file()
    functions = {"scan": auditor.scan}
    for owner in CLASSES:
        for name, member in vars(owner).items():
            if not name.startswith("_"):
                plain = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
                if inspect.isfunction(plain):
                    functions[f"{owner.__name__}.{name}"] = plain
    assert {"Audit.findings", "Audit.verdict", "Observer.step"} <= set(functions)
    for name, function in functions.items():
        signature = inspect.signature(function)
        bare = [
            p.name for p in signature.parameters.values() if p.annotation is p.empty and p.name not in {"self", "cls"}
        ]
        assert (bare, signature.return_annotation is signature.empty) == ([], False), name


def test_every_public_field_is_documented() -> None:
    for owner in CLASSES:
        if dataclasses.is_dataclass(owner):
            source = inspect.getsource(sys.modules[owner.__module__])
            for field in dataclasses.fields(owner):
                assert re.search(rf'^    {field.name}: [^\n]+(?:\n[^"\n]+)?\n    """', source, re.MULTILINE), field.name
        elif issubclass(owner, Enum):
            assert list(owner)


def test_the_types_are_those_that_a_checker_is_told() -> None:
    """mypy --strict reads this function too (.ci/lint)."""
    audit = auditor.scan(MIGRATION / "3-rewritten.db", auditor.Options(quick=True), observer=auditor.Observer())
    assert_type(audit, auditor.Audit)
    assert_type(audit.findings, pd.DataFrame)
    assert_type(audit.inventory, pd.DataFrame)
    assert_type(audit.verdict(), auditor.Verdict)
    assert_type(audit.exit_code(auditor.Severity.MEDIUM), int)
    assert_type(audit.complete, bool)
    assert_type(audit.notes, tuple[str, ...])
    assert isinstance(audit, auditor.Audit)
    assert isinstance(audit.findings, pd.DataFrame)
    assert isinstance(audit.verdict(), auditor.Verdict)
    assert (type(audit.exit_code(auditor.Severity.MEDIUM)), type(audit.complete)) == (int, bool)


@pytest.mark.parametrize("options", [None, NOTHING], ids=["rows", "none"])
@pytest.mark.parametrize("name", ["findings", "inventory"])
def test_frames_have_the_columns_and_types_of_the_page(name: str, options: auditor.Options | None) -> None:
    frame: pd.DataFrame = getattr(auditor.scan(MIGRATION / "3-rewritten.db", options), name)
    assert bool(len(frame)) == (options is None)
    assert list(frame.columns) == list(COLUMNS)
    numbers = {column for column, kind in frame.dtypes.items() if kind == pd.Int64Dtype()}
    assert numbers == NUMBERS == set(re.findall(r"`(\w+)`", PAGE_NUMBERS.partition(" | ")[0]))
    text = pd.Series(["a"]).dtype  # pandas' own
    assert {str(kind) for column, kind in frame.dtypes.items() if column not in NUMBERS} == {str(text)}
    assert not frame.drop(columns=list(NUMBERS)).isna().any(axis=None)


def test_what_does_not_apply_is_empty_or_na() -> None:
    rows = auditor.scan(MIGRATION / "3-rewritten.db").findings
    grouped = rows[rows["finding"] == "weak-provider"]
    assert list(grouped["offset"].isna()) == [True]
    assert list(grouped["namespace"]) == [""]


def test_errors_have_one_root(tmp_path: Path) -> None:
    assert issubclass(auditor.UnreadableEvidence, auditor.AuditorError)
    assert issubclass(auditor.UsageError, auditor.AuditorError)
    with pytest.raises(auditor.UnreadableEvidence):
        auditor.scan(ROOT / "LICENSE")
    with pytest.raises(auditor.UsageError):
        auditor.scan(MIGRATION / "1-plaintext.db", auditor.Options(expect="nothing:that:is"))


def test_the_notebook_prints_what_stands_in_it(folder: Path) -> None:
    """`python -m tests.helpers.notebook auditor/docs/python.ipynb` writes it anew."""
    original = nbformat.read(DOCS / "python.ipynb", as_version=4)
    copy = folder / "python.ipynb"
    shutil.copy(DOCS / "python.ipynb", copy)
    python(folder, "-m", "tests.helpers.notebook", str(copy))
    run = nbformat.read(copy, as_version=4)
    assert [cell.get("outputs") for cell in run.cells] == [cell.get("outputs") for cell in original.cells]
    assert sum(bool(cell.get("outputs")) for cell in run.cells) > 8
    assert copy.read_bytes() == (DOCS / "python.ipynb").read_bytes()


def test_the_notebook_names_only_what_is_public() -> None:
    cells = nbformat.read(DOCS / "python.ipynb", as_version=4).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    assert set(re.findall(r"\bauditor\.(\w+)", code)) <= set(auditor.__all__)
