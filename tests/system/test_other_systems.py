"""The product without the calls that macOS and Windows lack: what it prints and writes is what it does on Linux."""

import ast
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.fixtures import FIXTURES
from tests.helpers.sweeps import sample
from tests.system.test_layers import MODULES

ROOT = FIXTURES.parent
SIMULATION = ROOT / "tests" / "helpers" / "other_system"
MIGRATION = "migration-aescbc"
CONFIG = ("--encryption-config", f"{MIGRATION}/4-compacted.encryption.json")
RUNS = {
    "freed": ("scan", f"{MIGRATION}/4-compacted.db", *CONFIG, "--hunt"),
    "packed data directory": ("scan", f"{MIGRATION}/data-dir.tar.gz"),
    "kine": ("scan", "kine/kine-bundled/4-compacted.raw.tar.gz"),
    "several": ("scan", f"{MIGRATION}/3-rewritten.db", f"{MIGRATION}/5-defragmented.db"),
    "keys": ("keys", f"{MIGRATION}/4-compacted.db", *CONFIG),
    "show": ("show", f"{MIGRATION}/4-compacted.db", "payments/old0", *CONFIG),
    "diff": ("diff", f"{MIGRATION}/2-enabled.db", f"{MIGRATION}/3-rewritten.db"),
}
"""Commands, relative to fixtures/."""
WRITTEN = {"scan": ("csv", "json", "sarif", "html"), "diff": ("csv", "json"), "keys": ("json",), "show": ("json",)}
REPEATED = (".csv",)
"""Endings of the reports that hold no time of the run."""


def run(system: str, folder: Path, *arguments: str, program: tuple[str, ...] = ("-m", "auditor")) -> str:
    """Exit code, standard output and standard error of a command on a system."""
    done = subprocess.run(
        [sys.executable, *program, *arguments],
        cwd=folder,
        env={**environment(system), "COLUMNS": "140", "NO_COLOR": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return f"{done.returncode}\n{done.stdout}\n{done.stderr}"


def environment(system: str) -> dict[str, str]:
    path = os.pathsep.join(map(str, (SIMULATION, ROOT)))
    return {**os.environ, "PYTHONPATH": path, "AUDITOR_TEST_SYSTEM": system}


def outcome(system: str, folder: Path, arguments: tuple[str, ...]) -> dict[str, str]:
    """What a command prints, and the reports that it writes."""
    folder.mkdir()
    options = [f"--{kind}={folder / f'r.{kind}'}" for kind in WRITTEN[arguments[0]]]
    printed = run(system, FIXTURES, *arguments, *options).replace(str(folder), "FOLDER")
    lines = [line for line in printed.splitlines() if "On this system" not in line and not line.startswith("Wrote ")]
    reports = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir() if path.suffix in REPEATED}
    found = json.loads((folder / "r.json").read_text(encoding="utf-8"))
    return {"printed": "\n".join(lines), **reports, "findings": json.dumps(found.get("findings", found.get("keys")))}


@pytest.mark.slow
@pytest.mark.parametrize("system", ["darwin", "win32"])
@pytest.mark.parametrize("name", sample(list(RUNS), 3))
def test_every_command_says_what_it_says_on_linux(name: str, system: str, tmp_path: Path) -> None:
    expected = outcome("", tmp_path / "linux", RUNS[name])
    assert expected["printed"][0] in "013"
    assert outcome(system, tmp_path / system, RUNS[name]) == expected


@pytest.mark.slow
def test_the_report_says_what_the_system_does_not_give() -> None:
    printed = run("win32", FIXTURES, "scan", f"{MIGRATION}/5-defragmented.db")
    assert "On this system locks are not shown" in " ".join(printed.split())


@pytest.mark.slow
def test_without_fork_a_file_that_shrinks_is_a_message(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys\n"
        "from functools import partial\n"
        "from auditor import sandbox\nfrom auditor.cli import worker\n"
        "from tests.helpers.shrinking import shrinks\n"
        "from pathlib import Path\n"
        "assert not hasattr(os, 'fork')\n"
        "sys.exit(worker.run(partial(shrinks, Path(sys.argv[1])), sandbox.Limits()))\n"
    )
    evidence = tmp_path / "shrinking.db"
    evidence.write_bytes(bytes(1 << 20))
    code, _, message = run("win32", tmp_path, str(evidence), program=(str(program),)).partition("\n")
    assert code == "2"
    assert "the reading process died" in message or "SIGBUS" in message
    assert "nothing was concluded" in message
    assert "Traceback" not in message


@pytest.mark.slow
def test_without_fork_the_reading_process_ends_with_the_first(tmp_path: Path) -> None:
    """The first process is killed while it waits; its child notices by the pipe between them."""
    program, mark = tmp_path / "program.py", tmp_path / "pid"
    program.write_text(
        "import os, sys, time\n"
        "from functools import partial\n"
        "from auditor import sandbox\nfrom auditor.cli import worker\n"
        "sys.exit(worker.run(partial(exec, sys.argv[1]), sandbox.Limits()))\n"
    )
    lines = (
        "import os, pathlib, time",
        f"path = pathlib.Path({str(mark)!r})",
        "path.with_name('t').write_text(str(os.getpid()))",
        "path.with_name('t').rename(path)",
        "time.sleep(300)",
    )
    task = "\n".join(lines)
    first = subprocess.Popen([sys.executable, program, task], env=environment("win32"))
    try:
        while not mark.exists():
            assert first.poll() is None
            time.sleep(0.05)
        child = int(mark.read_text())
    finally:
        first.kill()
        first.wait()
    assert child != first.pid
    for _ in range(1200):
        if not Path(f"/proc/{child}").exists() or " Z " in Path(f"/proc/{child}/stat").read_text():
            return
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the reading process outlives the first")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nul.csv", "CON", "com1.json"])
def test_names_of_devices_are_no_reports(name: str) -> None:
    printed = run("win32", FIXTURES, "scan", f"{MIGRATION}/5-defragmented.db", "--csv", name)
    assert printed.startswith("2\n")
    assert "is a device on this system" in printed
    assert not (FIXTURES / name).exists()


NAMING = {"auditor.platform", "auditor.audit.provenance", "auditor.self_check.result"}
"""Modules that ask for the system's name: the last two only to report it."""


def test_no_other_module_asks_for_the_system() -> None:
    asked = [
        f"{path.name}:{node.lineno}"
        for name, path in MODULES.items()
        if name not in NAMING
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in {("sys", "platform"), ("os", "name"), ("os", "uname"), ("platform", "system")}
    ]
    assert asked == []


def test_the_simulation_takes_calls_away() -> None:
    done = run("win32", ROOT, program=("-c", "import os; print(hasattr(os, 'fork'), os.path.exists('/proc'))"))
    assert done.startswith("0\nFalse")
