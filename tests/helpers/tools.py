"""Programs of Debian's beside the product: promtool and systemd's analyser read what pages have to copy; mydumper."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REQUIRED = "AUDITOR_REQUIRE_TOOLS"
"""Where this is set a missing program is a failure."""
PACKAGES = {"mydumper": "mydumper", "promtool": "prometheus", "systemd-analyze": "systemd"}
"""Debian's packages of them."""


def tool(name: str, *arguments: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
    """The finished run of a program, with a text on its standard input."""
    program = shutil.which(name)
    if program is None:
        missing = f"what it is for is not tried: there is no {name} on the PATH (apt-get install {PACKAGES[name]})"
        if os.environ.get(REQUIRED):
            pytest.fail(missing)
        pytest.skip(missing)
    return subprocess.run(
        [program, *map(str, arguments)], input=text, capture_output=True, encoding="utf-8", timeout=120, check=False
    )
