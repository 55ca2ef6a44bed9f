"""The command in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

from tests.helpers.fixtures import FIXTURES


def run(
    *arguments: str | Path, cwd: str | Path = FIXTURES.parent, **environment: str
) -> subprocess.CompletedProcess[str]:
    """The result of the real command, with nothing to read and its output in pipes; environment: added to ours."""
    return subprocess.run(
        [sys.executable, "-m", "auditor", *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONWARNINGS": "error", **environment},
        cwd=cwd,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
    )
