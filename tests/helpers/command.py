"""The command in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.helpers.fixtures import FIXTURES


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The real command in a process of its own, in a pipe."""
    return subprocess.run(
        [sys.executable, "-m", "auditor", *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONWARNINGS": "error", **environment},
        cwd=FIXTURES.parent,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def command(*arguments: str | Path, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run the real command; its output is captured as text."""
    line = [sys.executable, "-m", "auditor", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=120, **options)
