"""What the process that reads evidence can do, were a parser taken over: its sandbox, and each command's limits."""

import ctypes
import errno
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

import pytest
import typer

from auditor import sandbox
from auditor.cli import confinement, self_check, worker
from auditor.fleet import clusters, task
from auditor.fleet.backup import Backup
from auditor.fleet.listing import backups as listed
from auditor.fleet.settings import Order, Settings
from auditor.options import Options
from auditor.sandbox import Limits
from auditor.scanning import child
from tests.helpers import fleet
from tests.helpers.command import run
from tests.helpers.fixtures import REWRITTEN

# the command forks before it starts a thread; a test's process may have threads of other tests' libraries
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")

ROOT = Path(__file__).parents[1]
VERSION = int(ctypes.CDLL(None).syscall(sandbox.CREATE, None, ctypes.c_size_t(0), sandbox.VERSION))
"""Of the kernel's Landlock; below 1 where it has none: then nothing is denied, and state() must say so."""
DENIED, DONE, FAILED = 1, 0, 2


def end(act: Callable[[], object], limits: Limits) -> int:
    """What becomes of a system call in a process of these limits."""

    def task() -> int:
        try:
            act()
        except PermissionError:
            return DENIED
        except OSError as error:
            return DONE if error.errno == errno.ECONNREFUSED else FAILED
        return DONE

    return worker.run(task, limits)


def denied() -> int:
    return DENIED if VERSION > 0 else DONE


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three folders: one that is allowed, one for temporary files, and one that is neither."""
    for name in ("allowed", "temporary", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "other" / "file").write_text("as it was")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path


WRITES: dict[str, Callable[[Path], object]] = {
    "create": lambda folder: (folder / "new").write_text(""),
    "make a folder": lambda folder: (folder / "new").mkdir(),
    "link": lambda folder: (folder / "new").symlink_to("file"),
    "overwrite": lambda folder: (folder / "file").write_text("another"),
    "append": lambda folder: (folder / "file").open("ab"),
    "truncate": lambda folder: os.truncate(folder / "file", 1),
    "remove": lambda folder: (folder / "file").unlink(),
    "rename": lambda folder: (folder / "file").rename(folder / "new"),
}


@pytest.mark.parametrize("name", WRITES)
def test_files_are_written_in_the_folders_of_the_limits_alone(name: str, folders: Path) -> None:
    act = WRITES[name]
    limits = Limits((folders / "allowed", folders / "there is none"))
    for inside in ("allowed", "temporary"):
        (folders / inside / "file").write_text("as it was")
        assert end(partial(act, folders / inside), limits) == DONE
    assert end(partial(act, folders / "other"), limits) == denied()
    if VERSION > 0:
        assert [(each.name, each.read_text()) for each in (folders / "other").iterdir()] == [("file", "as it was")]


def test_programs_start_where_the_limits_have_them(folders: Path) -> None:
    def start() -> object:
        return subprocess.run(["true"], check=True, stdout=subprocess.DEVNULL)

    assert end(start, Limits()) == denied()
    assert end(start, Limits(programs=True)) == DONE


def test_connections_are_made_where_the_limits_have_them(folders: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        assert end(lambda: socket.create_connection(address), Limits(connects=True)) == DONE
        if VERSION >= sandbox.TCP_IN:
            assert end(lambda: socket.create_connection(address), Limits()) == DENIED
            assert end(lambda: socket.create_server(("127.0.0.1", 0)), Limits()) == DENIED


def test_what_it_starts_is_confined_as_well(folders: Path) -> None:
    """Of several exhibits each is read by a process of its own."""

    def fork() -> None:
        child = os.fork()
        if not child:
            os._exit(end(lambda: WRITES["create"](folders / "other"), Limits(exemption="it asks for everything")))
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == DENIED:
            raise PermissionError

    assert end(fork, Limits()) == denied()


def test_the_reading_process_has_one_thread_when_it_enters() -> None:
    """A thread that runs before is not confined: numpy's library for algebra would start one for each processor."""
    if VERSION < 1:
        return
    code = (
        "import os, sys\n"
        "from auditor import sandbox\n"
        "enter = sandbox.enter\n"
        "def counted(limits):\n"
        "    print('threads:', len(os.listdir('/proc/self/task')), 'numpy' in sys.modules)\n"
        "    enter(limits)\n"
        "sandbox.enter = counted\n"
        "from auditor import __main__\n"
        "__main__.main()\n"
    )
    line = [sys.executable, "-c", code, "scan", str(REWRITTEN)]
    assert "threads: 1 " in subprocess.run(line, capture_output=True, text=True, check=False).stdout


def test_every_report_says_what_confined_the_run(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    assert run("scan", REWRITTEN, "--json", target).returncode == 1
    said = json.loads(target.read_text())["run"]["provenance"]["sandbox"]
    assert said.startswith("Landlock, version " if VERSION > 0 else "none: this system has no Landlock")
    if VERSION >= sandbox.TCP_IN:
        assert said.endswith("no program is started and no TCP connection is made")


FILE = Options(work_dir="scratch")
LIMITS: dict[str, tuple[list[str], Options, Limits]] = {
    "a file": (["a.db"], FILE, Limits((Path("scratch"),))),
    "a live etcd": (["https://127.0.0.1:2379"], Options(), Limits(connects=True)),
    "a live database": (["postgresql://kine@127.0.0.1/kine"], Options(), Limits(connects=True)),
    "a plugin": (["a.db"], Options(kms_plugins=("p=unix:///run/kms",)), Limits(connects=True)),
    "keys in a file": (["a.db"], Options(kms=("*=file:keys",)), Limits()),
}


@pytest.mark.parametrize("name", LIMITS)
def test_the_limits_are_what_the_command_line_needs(name: str) -> None:
    evidence, options, limits = LIMITS[name]
    assert confinement.limits(evidence, [options]) == limits


@pytest.mark.parametrize(
    ("evidence", "options"),
    [
        ("s3://bucket/a.db", Options()),
        ("a.db", Options(kms=("*=pkcs11:lib.so?slot=1",))),
        ("a.db", Options(current="gs://b/c")),
    ],
)
def test_clients_of_clouds_and_tokens_are_told_to_be_unconfined(evidence: str, options: Options) -> None:
    limits = confinement.limits([evidence], [options])
    assert limits.exemption
    assert end(lambda: subprocess.run(["true"], check=True), limits) == DONE


def audited(order: Order, temporary: Path, target: Path) -> str:
    """The state of one backup of a fleet, and what becomes of a file that its process would write after that."""
    tempfile.tempdir = str(temporary)  # not by TMPDIR: the server it is forked from may be older than this test
    state = task._confined(order, 0.0)["state"]
    try:
        target.write_text("")
    except PermissionError:
        return f"{state}, denied"
    return f"{state}, written"


def test_each_audit_of_a_fleet_is_confined_to_its_data_set(tmp_path: Path) -> None:
    backups = fleet.migration(tmp_path / "backups")
    dataset, other, temporary = tmp_path / "set", tmp_path / "other", tmp_path / "temporary"
    for folder in (dataset, other, temporary):
        folder.mkdir()
    order = next(iter(fleet.request(backups, dataset).settings.orders(listed([str(backups)])).values()))
    for folder, outcome in ((dataset, "written"), (other, "denied" if VERSION > 0 else "written")):
        audit = partial(audited, order, temporary, folder / "new")
        answer = child.result(child.start(audit, task.START, task.PRELOADED))
        assert answer == f"examined, {outcome}"


@pytest.mark.parametrize(
    ("changes", "limits"),
    [
        ({}, Limits((Path("set"),))),
        ({"options": Options(work_dir="scratch")}, Limits((Path("set"), Path("scratch")))),
        ({"options": Options(kms_plugins=("p=unix:///run/kms",))}, Limits((Path("set"),), connects=True)),
        ({"options": Options(kms=("*=pkcs11:lib.so?slot=1",))}, Limits(exemption=sandbox.CLIENTS)),
        ({"dataset": "s3://sets/a"}, Limits(exemption=sandbox.CLIENTS)),
        ({"neighbours": ("s3://backups/encryption-config.yaml",)}, Limits(exemption=sandbox.CLIENTS)),
    ],
)
def test_the_limits_of_a_fleet_are_what_its_settings_need(changes: dict[str, Any], limits: Limits) -> None:
    settings = Settings(**{"dataset": "set", "options": Options(), "clusters": clusters.NONE, **changes})
    backup = Backup(url="/backups/a.db", source="/backups", size=1, modified="2026-11-01T00:00:00Z")
    assert task.limits(Order(backup, "id", settings)) == limits
    elsewhere = task.limits(Order(replace(backup, url="s3://backups/a.db"), "id", settings))
    assert elsewhere == Limits(exemption=sandbox.CLIENTS)


def test_outputs_and_what_seals_them_are_within_the_limits() -> None:
    limits = confinement.limits(
        ["a.db"], [Options()], [Path("out/a.csv"), None], programs=True, elsewhere="https://tsa"
    )
    assert {Path("out"), Path("out/a.csv")} == set(limits.folders)
    assert (limits.programs, limits.connects, limits.exemption) == (True, True, "")


def test_a_self_check_writes_its_report_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    entered: list[Limits] = []

    def keep(task: Callable[[], int], limits: Limits) -> int:
        entered.append(limits)
        return 0

    monkeypatch.setattr(worker, "run", keep)
    with pytest.raises(typer.Exit):
        self_check.self_check(json=Path("out/a.json"), work_dir=Path("scratch"))
    (limits,) = entered
    assert set(limits.folders) == {Path("out"), Path("out/a.json"), Path("scratch")}
    assert (limits.connects, limits.programs, limits.exemption) == (False, False, "")


def test_bytecode_is_written_before_it_cannot_be_any_more(tmp_path: Path) -> None:
    """An installer that compiles nothing would make every later run compile again what is imported after that."""
    shutil.copytree(ROOT / "auditor", tmp_path / "auditor", ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    line = [sys.executable, "-m", "auditor", "scan", str(REWRITTEN)]
    assert subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, check=False).returncode == 1
    sources = {path.relative_to(tmp_path) for path in tmp_path.glob("auditor/**/*.py")}
    if VERSION > 0:
        assert {path for path in sources if not Path(cache_from_source(str(tmp_path / path))).exists()} == set()
