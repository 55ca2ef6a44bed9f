"""The installed files against their record: as they were, one changed, one missing, one more."""

import base64
import csv
import hashlib
import json
import re
import shutil
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from auditor.self_check import installation, words
from auditor.self_check.installation import PACKAGE, State
from auditor.self_check.result import SelfCheck, document
from auditor.version import __version__
from tests.helpers.command import run

LOCKS = Path(__file__).parents[2] / ".ci" / "locks" / "run.txt"
ITS = f"etcd_auditor-{__version__}.dist-info"


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with the package and the record of it that an installer writes."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, tmp_path / "auditor", ignore=ignored)
    info = tmp_path / ITS
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: etcd-auditor\nVersion: {__version__}\n")
    with (info / "RECORD").open("w", newline="") as out:
        record = csv.writer(out)
        for path in sorted(tmp_path.rglob("*")):
            if path.is_file() and path.name != "RECORD":
                digest = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
                record.writerow([path.relative_to(tmp_path).as_posix(), f"sha256={digest}", path.stat().st_size])
        record.writerow([f"{ITS}/RECORD", "", ""])
    return tmp_path


def report(folder: Path, code: int) -> dict[str, object]:
    """The program's part of the JSON of a self-check that ends with this code."""
    out = folder.parent / f"{folder.name}.json"
    end = run("self-check", "--json", out, "--force", cwd=folder, PYTHONPATH=str(folder))
    assert end.returncode == code, end.stdout + end.stderr
    document = json.loads(out.read_text())
    assert document["passes"] is (code == 0)
    assert all(each["matches"] for each in document["known_answers"])
    program: dict[str, object] = document["program"]
    return program


def test_an_installation_that_is_as_it_was_passes(installed: Path) -> None:
    program = report(installed, 0)
    assert program["state"] == "matches"
    assert program["differing"] == []


def add(folder: Path) -> None:
    (folder / "auditor" / "more.py").write_text("")


def change(folder: Path) -> None:
    with (folder / "auditor" / "text.py").open("a") as file:
        file.write("\n")


def remove(folder: Path) -> None:
    (folder / "auditor" / "docs" / "planting.md").unlink()


@pytest.mark.parametrize(
    ("deed", "line"),
    [
        (add, "not recorded: auditor/more.py"),
        (change, "changed: auditor/text.py"),
        (remove, "missing: auditor/docs/planting.md"),
    ],
    ids=["one more", "changed", "missing"],
)
def test_one_that_is_not_fails_and_names_the_file(
    installed: Path, deed: Callable[[Path], None], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deed(installed)
    monkeypatch.syspath_prepend(str(installed))
    monkeypatch.setattr(installation, "PACKAGE", installed / "auditor")
    files = installation.program()
    assert files.state is State.DIFFERS
    assert files.differing == (line,)


def test_a_changed_one_fails_the_command(installed: Path) -> None:
    change(installed)
    assert report(installed, 1)["differing"] == ["changed: auditor/text.py"]


@pytest.mark.parametrize(
    ("first", "state"),
    [(b"#!/venv/bin/python -E\n", State.MATCHES), (b"#!/venv/bin/python -c evil\n", State.DIFFERS)],
    ids=["pipx", "another"],
)
def test_a_start_script_that_pipx_has_touched_is_as_it_was(first: bytes, state: State, tmp_path: Path) -> None:
    """pipx adds -E to its first line, after the installer has written the record."""
    body = b"import sys\nfrom auditor.__main__ import main\nsys.exit(main())\n"
    info = tmp_path / "lib" / ITS
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: etcd-auditor\nVersion: {__version__}\n")
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"#!/venv/bin/python\n" + body).digest()).rstrip(b"=").decode()
    (info / "RECORD").write_text(f"../bin/etcd-auditor,sha256={digest},9\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "etcd-auditor").write_bytes(first + body)
    files = installation._of_record("etcd-auditor", metadata.PathDistribution(info))
    assert (files.state, files.count) == (state, 1)


def test_a_source_tree_has_no_record() -> None:
    end = run("self-check")
    assert end.returncode == 0, end.stderr
    assert "no record" in end.stdout
    assert "SELF-CHECK PASSED" in end.stdout


def test_the_lock_of_the_package_is_the_published_one() -> None:
    names = re.findall(r"^([a-z0-9][^ =]*)==([^ ]+)", LOCKS.read_text(), re.MULTILINE)
    packaged = [(name, version) for name, entries in installation._lock().items() for version, _ in entries]
    assert sorted(packaged) == sorted(names)
    assert len(packaged) > 20


@pytest.mark.parametrize(
    ("line", "state"),
    [
        ("numpy==0.0.1", State.DIFFERS),
        ("no-such-package==1.0", State.DIFFERS),
        ("no-such-package==1.0 ; sys_platform == 'win32'", State.NOT_INSTALLED),
    ],
)
def test_versions_are_held_against_the_lock(
    line: str, state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lock.txt").write_text(f"{line}\n")
    monkeypatch.setattr("auditor.self_check.installation.resources.files", lambda _: tmp_path)
    assert [each.state for each in installation.lock()] == [state]


def test_without_a_lock_there_is_nothing_to_compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.self_check.installation.resources.files", lambda _: tmp_path)
    assert installation.lock() == ()


@pytest.fixture
def one_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file as the program that .ci/single makes; .ci/offline asks the real one."""
    program = tmp_path / "etcd-auditor"
    program.write_bytes(b"all of it")
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "_MEIPASS", "/tmp/_MEIabcdef", raising=False)
    monkeypatch.setattr(sys, "executable", str(program))
    return program


def test_one_file_is_told_by_its_hash_and_has_no_packages(one_program: Path) -> None:
    program = installation.program()
    digest = hashlib.sha256(b"all of it").hexdigest()
    assert (program.state, program.count, program.sha256) == (State.ONE_PROGRAM, 1, digest)
    check = SelfCheck("", (), program, tuple(installation.dependencies()), ())
    assert check.passes
    _, facts, differences = words.lines(check)
    assert facts["Program"] == f"one file, SHA-256 {digest}: hold it against the one that it came with"
    assert facts["Dependencies"] == "parts of the program"
    assert differences == []
    assert document(check)["program"]["sha256"] == digest


def test_a_program_in_a_folder_has_no_hash_of_its_own(one_program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "_MEIPASS", str(one_program.parent / "_internal"))
    program = installation.program()
    assert (program.state, program.sha256) == (State.ONE_PROGRAM, "")
    assert "digest" in words.lines(SelfCheck("", (), program, (), ()))[1]["Program"]


def test_what_one_program_leaves_out_is_no_difference(
    one_program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lock.txt").write_text("no-such-package==1.0\nnumpy==0.0.1\n")
    monkeypatch.setattr("auditor.self_check.installation.resources.files", lambda _: tmp_path)
    assert [each.state for each in installation.lock()] == [State.NOT_INSTALLED, State.DIFFERS]
