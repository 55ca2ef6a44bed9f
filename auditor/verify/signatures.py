"""Signatures beside lists of checksums, as the system's ssh-keygen checks them (ssh-keygen(1), `-Y verify`)."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from auditor.errors import UsageError
from auditor.text import printable, shown
from auditor.verify.checks import Check, differs, note, same, unchecked

PROGRAM = "ssh-keygen"
NAMESPACE = "etcd-auditor"
"""What a signature is for: one that was made for something else does not verify."""
SUFFIX = ".sig"
_GOOD = re.compile(rb'Good "[^"]*" signature with (.+)')


def check(listed: Path, signers: Path | None) -> Iterator[Check]:
    """The signature beside a list of checksums.

    Args:
        listed: The list.
        signers: The allowed signers, in the form of ssh-keygen(1); None where whoever signed is only named.

    Raises:
        UsageError: The file of signers cannot be read.
    """
    signature = listed.with_name(listed.name + SUFFIX)
    what = shown(signature.name)
    if signers is not None and not signers.is_file():
        raise UsageError(f"--signers {shown(signers)}: no such file")
    if not signature.is_file():
        if signers is not None:
            yield differs(what, f"there is no such file: {shown(listed.name)} is not signed")
        return
    if shutil.which(PROGRAM) is None:
        yield unchecked(what, f"{PROGRAM}, which is not installed, checks it")
        return
    content = listed.read_bytes()
    told = _run(["check-novalidate"], signature, content)
    good = _GOOD.search(told.stdout)
    if told.returncode or good is None:
        yield differs(what, f"it is no signature of {shown(listed.name)} as it stands, for {NAMESPACE}")
        return
    key = printable(good[1])
    if signers is None:
        yield note(what, f"{shown(listed.name)} is signed with {key}; whose that is, --signers FILE says")
        return
    yield _by_signer(what, (signature, content), signers, key)


def _by_signer(what: str, signed: tuple[Path, bytes], signers: Path, key: str) -> Check:
    """Whether one of the allowed signers made a good signature. signed: the signature, and what it is of."""
    signature, content = signed
    found = _run(["find-principals", "-f", str(signers)], signature, b"")
    for name in found.stdout.splitlines() if found.returncode == 0 else ():
        told = _run(["verify", "-f", str(signers), "-I", name.decode("utf-8", "surrogateescape")], signature, content)
        if told.returncode == 0:
            return same(what, f"signed by {printable(name)} with {key}")
    return differs(what, f"it is signed with {key}, which is no signer's of {shown(signers.name)} for {NAMESPACE}")


def _run(options: list[str], signature: Path, content: bytes) -> "subprocess.CompletedProcess[bytes]":
    command = [PROGRAM, "-Y", options[0], "-n", NAMESPACE, "-s", str(signature), *options[1:]]
    return subprocess.run(command, input=content, capture_output=True, check=False)  # noqa: S603
