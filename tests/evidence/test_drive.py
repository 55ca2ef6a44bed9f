"""Evidence on a drive that stalls, fails or dies while it is read: said, never concluded on, and Ctrl-C still ends."""

import faulthandler
import gzip
import json
import mmap
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from auditor.cli import wait, worker
from tests.helpers.command import run
from tests.helpers.drive import Drive, require
from tests.helpers.fixtures import REWRITTEN

# the command forks before it starts a thread; a test's process may have threads of other tests' libraries
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")

AHEAD = 4 << 20
"""bbolt grows a file ahead of what it has allocated; long enough for reads that are not all ahead of each other."""
FAR = 2 << 20
DATABASE = REWRITTEN.read_bytes()[:-32] + bytes(AHEAD)
LISTENING = (
    "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "runpy.run_module('auditor', run_name='__main__')"
)
"""The command as a terminal starts it: a shell that starts the suite in the background has it ignore Ctrl-C."""


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[Drive]:
    require()
    with Drive(tmp_path / "drive", DATABASE) as made:
        yield made


def started(*arguments: str | Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", LISTENING, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_drive_that_answers_late_is_read_to_its_end(drive: Drive, tmp_path: Path) -> None:
    drive.stall(FAR)
    with started("scan", drive.path, "--json", tmp_path / "report.json") as process:
        drive.wait()
        assert process.poll() is None
        drive.answer()
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1, said
    report = json.loads((tmp_path / "report.json").read_text())
    assert not report["evidence"]["changed"]
    assert len(report["evidence"]["sha256"]) == 64


@pytest.mark.parametrize("after", [0, FAR])
def test_a_drive_that_fails_is_a_message(drive: Drive, after: int) -> None:
    drive.fail(after)
    done = run("scan", drive.path)
    assert done.returncode == 2
    assert done.stderr.startswith("etcd-auditor: the evidence shrank or became unreadable while it was read (")
    assert "Traceback" not in done.stderr
    assert not done.stdout


def test_a_drive_that_fails_under_a_container_is_a_message(tmp_path: Path) -> None:
    require()
    packed = gzip.compress(DATABASE + Random(1).randbytes(AHEAD))
    with Drive(tmp_path / "drive", packed) as drive:
        drive.fail(FAR)
        done = run("scan", drive.path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert not done.stdout


def test_a_drive_that_dies_is_a_message(drive: Drive) -> None:
    drive.stall(FAR)
    with started("scan", drive.path) as process:
        drive.wait()
        drive.die()
        _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    # the thread that hashes, the one that scans, and a look for files beside it: whichever notices first tells
    assert said.startswith("etcd-auditor: ")
    assert said.endswith("; nothing was concluded\n")
    assert "Traceback" not in said


@pytest.mark.parametrize("others", [0, 1], ids=["alone", "with another"])
def test_an_interrupt_ends_the_wait_for_a_drive(drive: Drive, others: int) -> None:
    drive.stall(FAR)
    with started("scan", drive.path, *[REWRITTEN] * others) as process:
        drive.wait()
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == worker.INTERRUPT_CODE
    assert "interrupted; nothing was concluded" in said


def test_sigterm_ends_the_wait_for_a_drive(drive: Drive) -> None:
    drive.stall(FAR)
    with started("scan", drive.path) as process:
        drive.wait()
        process.terminate()
        _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "nothing was concluded" in said


def test_a_drive_that_does_not_answer_is_said_once(drive: Drive) -> None:
    drive.stall(FAR)
    child = os.fork()
    if not child:
        faulthandler.disable()
        with drive.path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            os._exit(mapped[len(mapped) - 1])
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        drive.answer()

    ended = wait.wait(child, say, step=0.05)
    assert (ended.status, ended.interrupt) == (0, 0)
    (line,) = said
    assert "has not answered" in line


def test_a_process_that_works_is_left_alone() -> None:
    """It waits for nothing, or for what is no drive: nothing is said of it, however long it takes."""
    near, far = os.pipe()
    child = os.fork()
    if not child:
        os.close(far)
        os.read(near, 1)
        os._exit(7)
    os.close(near)
    said: list[str] = []
    looks = 0

    def look(process: int) -> tuple[tuple[str, ...], ...]:
        nonlocal looks
        assert process == child
        looks += 1
        if looks == 8:
            os.close(far)
        return asked(process)

    asked = wait._asleep
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wait, "_asleep", look)
        ended = wait.wait(child, said.append, step=0.02)
    assert ended.status is not None
    assert os.waitstatus_to_exitcode(ended.status) == 7
    assert not said
