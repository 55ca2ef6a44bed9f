"""The process that imports while the command line is still being read: what becomes of it, and of what it prints."""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from auditor.cli import prefork, worker
from auditor.sandbox import Limits
from tests.helpers.fixtures import REWRITTEN

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
SLOW = "import time\ntime.sleep(30)\nopen(__file__ + '.end', 'w').close()\n"
"""An import that leaves a file when it comes to its end."""


def is_loaded(module: str) -> int:
    return int(module in sys.modules)


def preimport(module: Path, content: str, *others: str) -> None:
    """Prepare a process, which imports these, and wait until it has come to the last, which says so over a pipe."""
    near, far = os.pipe()
    try:
        module.write_text(content)
        last = module.with_name("imported_last.py")
        last.write_text(f"import os\nos.write({far}, b'.')\n")
        prefork.prepare([module.stem, *others, last.stem], worker.start)
        assert os.read(near, 1) == b"."
    finally:
        os.close(near)
        os.close(far)


def says(text: str, code: int) -> int:
    print(text)
    return code


def children() -> set[int]:
    """The processes of this one, by Linux' list for each of its threads: other tests' servers may be among them."""
    lists = Path("/proc/self/task").glob("*/children")
    return {int(pid) for each in lists for pid in each.read_text().split()}


@pytest.fixture(autouse=True)
def _none_is_left() -> Iterator[None]:
    before = children()
    yield
    assert prefork._early is None
    assert children() <= before


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that nothing has imported yet, on the path of what is forked from here."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / "imported_ahead.py"


def test_the_task_runs_where_the_modules_are(module: Path) -> None:
    preimport(module, "")
    assert worker.run(partial(is_loaded, module.stem), Limits()) == 1
    assert not is_loaded(module.stem)
    assert worker.run(partial(is_loaded, module.stem), Limits()) == 0


def test_a_task_does_not_wait_for_all_modules(module: Path) -> None:
    module.write_text("")
    prefork.prepare([module.stem] * 1_000_000, worker.start)
    assert worker.run(partial(says, "", 0), Limits()) == 0


def test_a_module_that_cannot_be_imported_is_left_to_the_command(
    module: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    preimport(module, "raise ImportError('not this one')", "no.such.module")
    assert worker.run(partial(says, "done", 3), Limits()) == 3
    message = capfd.readouterr()
    assert (message.out, message.err) == ("done\n", "")


def test_what_cannot_be_handed_over_is_a_fault() -> None:
    prefork.prepare((), worker.start)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        worker.run(lambda: 0, Limits())
    assert prefork._early is not None
    prefork.dismiss()


def test_one_that_has_died_is_a_message(capfd: pytest.CaptureFixture[str]) -> None:
    prefork.prepare((), worker.start)
    assert prefork._early is not None
    os.kill(prefork._early.child, signal.SIGKILL)
    os.waitid(os.P_PID, prefork._early.child, os.WEXITED | os.WNOWAIT)  # dead, and not yet asked for its status
    assert worker.run(partial(says, "x" * (1 << 20), 0), Limits()) == 2
    assert "SIGKILL" in capfd.readouterr().err


def test_one_that_is_not_needed_is_ended(module: Path) -> None:
    module.write_text(SLOW)
    prefork.prepare([module.stem], worker.start)
    prefork.dismiss()
    assert not Path(f"{module}.end").exists()
    prefork.dismiss()


COMMAND = """
import sys
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests in the background ignores it
sys.path.insert(0, sys.argv.pop(1))
from auditor.cli import prefork, worker
from auditor import __main__
prepare = prefork.prepare
prefork.prepare = lambda modules, start: prepare(["imported_ahead"], start)
__main__.main()
"""


def command(module: Path, *arguments: Path | str) -> list[str]:
    """The command, whose prepared process imports something that takes half a minute."""
    module.write_text(SLOW)
    return [sys.executable, "-c", COMMAND, str(module.parent), *map(str, arguments)]


def test_a_command_line_that_is_wrong_leaves_nothing_behind(module: Path) -> None:
    """Else whoever reads what we print would wait for the process that imports."""
    line = command(module, "scan", REWRITTEN, "--no-such-option")
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 2
    assert "No such option" in done.stderr


def test_an_interrupt_before_there_is_a_task_is_told_once(module: Path) -> None:
    line = [*command(module, "scan", REWRITTEN)]
    line[2] = line[2].replace(
        "__main__.main()", "import auditor.cli.app, time\nauditor.cli.app.app = wait\n__main__.main()"
    )
    line[2] = line[2].replace(
        "import sys\n", "import sys, time\ndef wait(**_):\n    print('up', flush=True)\n    time.sleep(30)\n", 1
    )
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        os.killpg(process.pid, signal.SIGINT)
        _, message = process.communicate(timeout=20)
    assert process.returncode == worker.INTERRUPT_CODE
    assert message == f"etcd-auditor: {worker.INTERRUPTION}\n"


def test_the_other_process_may_be_killed(module: Path) -> None:
    """Nobody is left to hand over a task: the process that waits for it ends without a word."""
    module.write_text("")
    near, far = os.pipe()
    waits = os.fork()
    if not waits:  # pragma: no cover
        os.dup2(far, 1)
        os.dup2(far, 2)
        os.close(near)
        prefork.prepare((), worker.start)
        os.kill(os.getpid(), signal.SIGKILL)
    os.close(far)
    os.waitpid(waits, 0)
    with os.fdopen(near) as pipe:
        assert pipe.read() == ""  # and it has let go of our output


@pytest.mark.parametrize("name", ["scan", "keys", "diff", "show", "verify", "watch"])
def test_the_process_that_waits_has_no_use_for_heavy_libraries(name: str) -> None:
    """It forks, which with the threads of numpy's own library is no good idea, and it answers --help."""
    heavy = ("numpy", "rich.console", "google.protobuf", "cryptography", "pandas", "grpc")
    code = f"import sys, auditor.cli.app, auditor.cli.{name}; print([x for x in {heavy!r} if x in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"


def test_no_process_to_be_had_is_a_message(module: Path) -> None:
    """Exit code 1 would mean a finding."""
    line = command(module, "scan", REWRITTEN)
    line[2] = line[2].replace(
        "__main__.main()",
        "import os\ndef fork(): raise BlockingIOError(11, 'no more')\nos.fork = fork\n__main__.main()",
    )
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == worker.FAILURE
    assert done.stderr == "etcd-auditor: BlockingIOError: no more; nothing was concluded\n"


def test_a_pipe_that_an_interrupt_has_closed_already() -> None:
    prefork.prepare((), worker.start)
    assert prefork._early is not None
    os.close(prefork._early.pipe)
    assert prefork.dismiss() == 0


@pytest.mark.parametrize("stream", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(("options", "code"), [("", 1), ("--resource configmaps --expect plaintext", 0)])
def test_streams_that_are_closed_change_no_exit_code(stream: str, options: str, code: int) -> None:
    line = f'exec "$0" -m auditor scan "$1" {options} {stream}'
    done = subprocess.run(["sh", "-c", line, sys.executable, REWRITTEN], capture_output=True, check=False, timeout=60)
    assert done.returncode == code
