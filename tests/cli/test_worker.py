"""The process that reads the evidence: whatever happens to it becomes a message without its text, and a code."""

import errno
import faulthandler
import json
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.cli import worker
from auditor.errors import UnreadableEvidence, UsageError
from auditor.sandbox import Limits
from tests.helpers.shrinking import shrinks

# the command forks before it starts a thread; a test's process may have threads of other tests' libraries
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")

MARK = "MARK-71c0de"


def raising(error: BaseException) -> Callable[[], int]:
    def task() -> int:
        raise error

    return task


def in_sandbox(task: Callable[[], int]) -> int:
    return worker.run(task, Limits())


FAULTS = {
    "runtime": RuntimeError(MARK),
    "key": KeyError(MARK),
    "unicode": UnicodeDecodeError("utf-8", MARK.encode(), 0, 1, MARK),
    "os": OSError(MARK),
    "os with a name": OSError(errno.ENOENT, os.strerror(errno.ENOENT), MARK),
    "memory": MemoryError(MARK),
    "recursion": RecursionError(MARK),
    "assertion": AssertionError(MARK),
    "exit": SystemExit(MARK),
    "exit with one": SystemExit(1),
    "stop": StopIteration(MARK),
    "group": ExceptionGroup(MARK, [ValueError(MARK)]),
    "generator": GeneratorExit(MARK),
    "json": json.JSONDecodeError(MARK, MARK, 0),
}


@pytest.mark.parametrize("guard", [in_sandbox, worker.guard], ids=["forked", "guarded"])
@pytest.mark.parametrize("fault", FAULTS)
def test_no_exception_tells_its_text_or_looks_like_a_finding(
    fault: str, guard: Callable[[Callable[[], int]], int], capfd: pytest.CaptureFixture[str]
) -> None:
    assert guard(raising(FAULTS[fault])) == 2
    output = capfd.readouterr()
    assert MARK not in output.out + output.err
    assert "Traceback" not in output.err
    assert output.err.startswith("etcd-auditor: ")
    assert output.err.count("\n") == 1


def test_causes_stay_untold(capfd: pytest.CaptureFixture[str]) -> None:
    def task() -> int:
        try:
            raise ValueError(MARK)
        except ValueError as error:
            raise RuntimeError(MARK) from error

    assert worker.run(task, Limits()) == 2
    assert MARK not in capfd.readouterr().err


@pytest.mark.parametrize("error", [UsageError("name another file"), UnreadableEvidence("x.db is empty")])
def test_our_own_errors_are_told(error: Exception, capfd: pytest.CaptureFixture[str]) -> None:
    assert worker.run(raising(error), Limits()) == 2
    assert capfd.readouterr().err == f"etcd-auditor: {error}\n"


@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_codes_come_through(code: int) -> None:
    assert worker.run(lambda: code, Limits()) == code


def test_an_interrupt_concludes_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    assert worker.run(raising(KeyboardInterrupt()), Limits()) not in {0, 1, 3}
    assert "nothing was concluded" in capfd.readouterr().err


def test_evidence_that_shrinks_while_it_is_read(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "shrinking.db"
    path.write_bytes(bytes(1 << 20))
    assert worker.run(lambda: shrinks(path), Limits()) == 2
    assert "SIGBUS" in capfd.readouterr().err


@pytest.mark.parametrize("number", ["SIGKILL", "SIGSEGV", "SIGTERM", "SIGABRT"])
def test_death_by_a_signal_is_a_message(number: str, capfd: pytest.CaptureFixture[str]) -> None:

    def task() -> int:
        faulthandler.disable()
        os.kill(os.getpid(), signal.Signals[number])
        return 0

    assert worker.run(task, Limits()) == 2
    assert number in capfd.readouterr().err


def test_what_was_printed_before_comes_first(capfd: pytest.CaptureFixture[str]) -> None:
    print("before")
    assert worker.run(lambda: print("inside") or 0, Limits()) == 0
    assert capfd.readouterr().out == "before\ninside\n"


def test_no_core_of_a_process_that_holds_secrets() -> None:
    def task() -> int:
        return int(resource.getrlimit(resource.RLIMIT_CORE)[0] <= 1)

    assert worker.run(task, Limits()) == 1
