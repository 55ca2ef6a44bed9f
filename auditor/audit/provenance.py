"""Where and with what a run was made: the system, the clock, the configurations, and what the command line adds."""

import hashlib
import platform
import time
from collections.abc import Iterator
from pathlib import Path

from auditor import inputs, sandbox
from auditor.errors import AuditorError
from auditor.options import Options

Facts = tuple[tuple[str, str], ...]
"""Name and text of each fact."""


def gather(options: Options) -> Facts:
    """The facts of a run. No host name is among them unless the command line adds it."""
    return (*options.origin, *_system(), *_configurations(options))


def _system() -> Iterator[tuple[str, str]]:
    yield "operating system", _operating_system()
    yield "architecture", platform.machine() or "unknown"
    yield "python", f"{platform.python_implementation()} {platform.python_version()}"
    source = time.get_clock_info("time").implementation
    yield "clock", f"this system's own ({source}), in UTC; whether it is set right was not asked"
    yield "sandbox", sandbox.state()


def _operating_system() -> str:
    kernel = f"{platform.system()} {platform.release()}".strip()
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:  # no such file: another system, or a bare container
        name = ""
    return f"{name} ({kernel})" if name else kernel


def _configurations(options: Options) -> Iterator[tuple[str, str]]:
    """SHA-256 of every EncryptionConfiguration: which of several versions the values were held to."""
    for path in (*options.encryption_configs, *options.current_configs):
        try:
            digest = hashlib.sha256(inputs.read(Path(path), inputs.LARGEST)).hexdigest()
        except (AuditorError, OSError):
            digest = "could not be read again"
        yield f"configuration {inputs.name(path)}, SHA-256", digest
