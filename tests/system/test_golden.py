"""Every command over every fixture prints and writes what it did: see golden.py."""

from pathlib import Path

import pytest

from tests.helpers.sweeps import sample
from tests.system import golden


@pytest.fixture(scope="session")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("golden") / "evidence"
    folder.mkdir()
    golden.stage(folder)
    return folder


def names() -> list[str]:
    return sorted(path.name for path in golden.GOLDEN.glob("*.txt"))


def test_every_run_has_a_golden_file(evidence: Path) -> None:
    assert names() == sorted(golden.file_of(name) for name, _ in golden.runs(evidence))


@pytest.mark.parametrize("name", sample(names(), 70))
def test_a_command_prints_and_writes_what_it_did(name: str, evidence: Path) -> None:
    every = {golden.file_of(run): arguments for run, arguments in golden.runs(evidence)}
    written = (golden.GOLDEN / name).read_text(encoding="utf-8")
    assert golden.outputs(evidence, every[name]) == written, "compare with python -m tests.system.golden --whole"
