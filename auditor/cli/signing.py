"""Signatures of the lists of checksums, made by the system's ssh-keygen (ssh-keygen(1), OpenSSH PROTOCOL.sshsig).

A list names every report that a run wrote, with its hash: whoever signs it signs them all. The key is the examiner's: a
private key's file, or a public key's whose private half an agent or a token holds. Nothing of a key is read here.
"""

import shutil
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import IO

from auditor.cli import checksums
from auditor.cli.output import save
from auditor.errors import UsageError
from auditor.text import printable, shown
from auditor.verify.signatures import NAMESPACE, PROGRAM, SUFFIX


def check(key: Path | None, outputs: Sequence[Path | None]) -> None:
    """Refuse a signature that cannot be made, before the audit. Raises UsageError."""
    if key is None:
        return
    if not checksums.targets(outputs):
        raise UsageError("--sign signs the list of checksums of the reports: write one to a file")
    if not key.is_file():
        raise UsageError(f"--sign {shown(key)}: no such file")
    if shutil.which(PROGRAM) is None:
        raise UsageError(f"--sign needs {PROGRAM}, which is not installed: it comes with OpenSSH")


def seals(key: Path | None, outputs: Sequence[Path | None]) -> list[Path]:
    """The files that seal() writes."""
    lists = list(checksums.targets(outputs))
    return [*lists, *(_signature(each) for each in lists if key is not None)]


def _signature(listed: Path) -> Path:
    return listed.with_name(listed.name + SUFFIX)


def seal(key: Path | None, outputs: Sequence[Path | None], *, force: bool) -> None:
    """Write the lists of checksums of some outputs, and sign each with a key if there is one, into a file beside it.

    Args:
        key: The file of the key.
        outputs: The outputs, as checksums.write() gets them.
        force: Whether a signature may be overwritten.

    Raises:
        UsageError: ssh-keygen makes no signature, or the file cannot be written.
    """
    checksums.write(outputs, force=force)
    for listed in checksums.targets(outputs) if key is not None else ():
        command = [PROGRAM, "-q", "-Y", "sign", "-n", NAMESPACE, "-f", str(key)]
        made = subprocess.run(command, input=listed.read_bytes(), capture_output=True, check=False)  # noqa: S603
        if made.returncode or not made.stdout:
            lines = made.stderr.splitlines() or [b"no signature was made"]
            raise UsageError(f"{shown(listed.name)} is not signed: {PROGRAM} says: {printable(lines[-1])}")
        save(_signature(listed), partial(_write, made.stdout), force=force, binary=True)


def _write(signature: bytes, out: IO[bytes]) -> None:
    out.write(signature)
