"""The command in a process of its own."""

import atexit
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from tests.helpers import fork_server
from tests.helpers.fixtures import FIXTURES
from tests.helpers.sweeps import everything

OURS = str(FIXTURES.parent)


def run(
    *arguments: str | Path, cwd: str | Path = FIXTURES.parent, **environment: str
) -> subprocess.CompletedProcess[str]:
    """The result of the real command, with nothing to read and its output in pipes; environment: added to ours."""
    return result([*map(str, arguments)], {**os.environ, "PYTHONWARNINGS": "error", **environment}, cwd)


def result(
    arguments: Sequence[str], environment: Mapping[str, str], cwd: str | Path, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """As run(), under a whole environment.

    In a fork (fork_server); at night, and where an environment names another installation, in a new interpreter.
    """
    if not everything() and environment.get("PYTHONPATH", OURS) == OURS:
        return fork_server.run(arguments, environment, cwd, FIXTURES.parent, timeout)
    return subprocess.run(
        [sys.executable, "-m", "auditor", *arguments],
        capture_output=True,
        encoding="utf-8",
        env=environment,
        cwd=cwd,
        timeout=timeout,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@cache
def temporary_folder() -> Path:
    """Where the temporary files of run_wide() go: it is to stay empty."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    return Path(folder.name)


def run_wide(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """As run(), on 200 columns, which break no name; what it puts into the folder for temporary files is watched."""
    return run(*arguments, COLUMNS="200", TMPDIR=str(temporary_folder()))
