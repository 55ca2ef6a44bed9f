"""Commands of one evidence item that are given a folder: the one item in it, or a message that names them all."""

from pathlib import Path

import pytest

from tests.helpers import members_on_disk
from tests.helpers.command import run
from tests.helpers.members_on_disk import snapshot, write


@pytest.mark.parametrize("command", ["keys", "show", "show, names", "show, at", "diff"])
def test_a_folder_stands_for_the_one_item_in_it(command: str, tmp_path: Path) -> None:
    folder, config = tmp_path / "nightly", members_on_disk.configuration(tmp_path)
    path = write(folder / "a.db", snapshot())
    write(folder / "a.db.sha256", b"0" * 64 + b"  a.db\n")
    at = str(path.read_bytes().index(b"k8s:enc:"))
    arguments: dict[str, list[str | Path]] = {"show": ["default/db0"], "show, at": ["--at", at], "diff": [path]}
    more, name = arguments.get(command, []), command.partition(",")[0]
    option = ("--encryption-config", config) if command != "diff" else ()
    lone, whole = (run(name, evidence, *more, *option) for evidence in (path, folder))
    assert (whole.returncode, whole.stdout) == (lone.returncode, lone.stdout)
    assert lone.returncode == 0, lone.stdout + lone.stderr
    write(folder / "b.db", snapshot(members_on_disk.leaking()))
    several = run(name, folder, *more, *option)
    assert several.returncode == 2
    assert "holds 2 evidence items: give one of them (a.db, b.db)" in several.stderr
