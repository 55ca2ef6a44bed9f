"""Signatures of the lists of checksums, made by the system's ssh-keygen (ssh-keygen(1), OpenSSH PROTOCOL.sshsig).

A list names every report that a run wrote, with its hash: whoever signs it signs them all. The key is the examiner's: a
private key's file, or a public key's whose private half an agent or a token holds. Nothing of a key is read here.
"""

import shutil
import subprocess
from pathlib import Path

from auditor.errors import UsageError
from auditor.text import printable, shown
from auditor.verify.signatures import NAMESPACE, PROGRAM


def check(key: Path) -> None:
    """Refuse a signature that cannot be made, before the audit. Raises UsageError."""
    if not key.is_file():
        raise UsageError(f"--sign {shown(key)}: no such file")
    if shutil.which(PROGRAM) is None:
        raise UsageError(f"--sign needs {PROGRAM}, which is not installed: it comes with OpenSSH")


def sign(key: Path, listed: Path) -> bytes:
    """The signature of a list by a key. Raises UsageError where ssh-keygen makes none."""
    command = [PROGRAM, "-q", "-Y", "sign", "-n", NAMESPACE, "-f", str(key)]
    made = subprocess.run(command, input=listed.read_bytes(), capture_output=True, check=False)  # noqa: S603
    if made.returncode or not made.stdout:
        lines = made.stderr.splitlines() or [b"no signature was made"]
        raise UsageError(f"{shown(listed.name)} is not signed: {PROGRAM} says: {printable(lines[-1])}")
    return made.stdout
