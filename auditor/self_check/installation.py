"""The installed files against the record that was written at their installation, and the versions of the dependencies
against the published lock.

Installers write of every file its SHA-256 into RECORD (packaging.python.org, "Recording installed projects"). Whoever
changes a file can change its line there as well: what a record cannot rule out is an author, and the lock is for what
was meant to be installed.

The program that .ci/single makes holds Python and every package: nothing is installed, and no record says what its
parts were. Its one file has a hash, to be held against the one that it came with.
"""

import csv
import hashlib
import re
import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from importlib import metadata, resources
from pathlib import Path, PurePosixPath

from auditor.version import __version__

DISTRIBUTION = "etcd-auditor"
PACKAGE = Path(__file__).parents[1]
LOCK = "lock.txt"
ISOLATED = b" -E\n"
"""What pipx adds to the first line of a start script: Python ignores its variables (its --help, -E)."""
_LINE = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;]+)(?P<marker> ;.*)?")


class State(Enum):
    """What a comparison says."""

    MATCHES = "matches"
    DIFFERS = "differs"
    NO_RECORD = "no record"
    ONE_PROGRAM = "one program"
    NO_LOCK = "no lock"
    NOT_INSTALLED = "not installed"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a record."""

    path: PurePosixPath
    """Below the folder of the distribution, or beside it: ../../../bin/NAME."""
    algorithm: str
    """Of its hash, as hashlib names it; empty where the record has none."""
    digest: str
    """Its hash, in base64 for URLs without padding."""


@dataclass(frozen=True, slots=True)
class Files:
    """The files of one distribution against its record."""

    name: str
    """Of the distribution."""
    version: str
    """Of the distribution; empty where it is not installed."""
    state: State
    """MATCHES, DIFFERS or NO_RECORD; ONE_PROGRAM where Python and every package are parts of the program."""
    count: int
    """Files that were hashed."""
    differing: tuple[str, ...] = ()
    """Files that are missing, changed, or not in the record, each with the word for it."""
    sha256: str = ""
    """SHA-256 of the program, in hex, where it is one file; empty where it is several."""


@dataclass(frozen=True, slots=True)
class Locked:
    """One distribution of the published lock."""

    name: str
    """Of the distribution."""
    locked: str
    """Version in the lock; several where it depends on the Python."""
    installed: str
    """Version that is installed; empty where it is not."""
    state: State
    """MATCHES, DIFFERS, or NOT_INSTALLED for what the lock has for other systems, or one program leaves out."""


def program() -> Files:
    """The running program's files. NO_RECORD where it runs from a source tree."""
    if _is_one_program():
        return _program_file()
    try:
        distribution = metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return Files(DISTRIBUTION, "", State.NO_RECORD, 0)
    own = [entry.path for entry in _record(distribution) if entry.path.parts[0] == PACKAGE.name]
    if not own or _place(distribution, own[0]).resolve().parents[len(own[0].parts) - 2] != PACKAGE:
        return Files(DISTRIBUTION, distribution.version, State.NO_RECORD, 0)
    result = _of_record(DISTRIBUTION, distribution)
    recorded = {_place(distribution, path).resolve() for path in own}
    extra = [file for file in sorted(PACKAGE.rglob("*")) if file.is_file() and "__pycache__" not in file.parts]
    odd = [f"not recorded: {file.relative_to(PACKAGE.parent)}" for file in extra if file.resolve() not in recorded]
    state = State.DIFFERS if odd else result.state
    return Files(DISTRIBUTION, result.version, state, result.count, (*result.differing, *odd))


def dependencies() -> Iterator[Files]:
    """The files of every dependency of the lock that is installed, one after another; of one program none."""
    if _is_one_program():
        return
    for name in _lock():
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        yield _of_record(name, distribution)


def lock() -> tuple[Locked, ...]:
    """The dependencies against the published lock; empty where the package has none."""
    return tuple(_locked(name, entries) for name, entries in _lock().items())


def _is_one_program() -> bool:
    """As PyInstaller says it (its manual, "Run-time Information")."""
    return bool(getattr(sys, "frozen", False))


def _program_file() -> Files:
    """The running program by its hash. Where its parts are in a folder for good, it is one of several files."""
    if not Path(getattr(sys, "_MEIPASS", "")).name.startswith("_MEI"):
        return Files(DISTRIBUTION, __version__, State.ONE_PROGRAM, 0)
    with Path(sys.executable).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Files(DISTRIBUTION, __version__, State.ONE_PROGRAM, 1, sha256=digest)


def _locked(name: str, entries: list[tuple[str, str]]) -> Locked:
    versions = [version for version, _ in entries]
    try:
        installed = metadata.version(name)
    except metadata.PackageNotFoundError:
        elsewhere = _is_one_program() or all(marker for _, marker in entries)
        return Locked(name, " or ".join(versions), "", State.NOT_INSTALLED if elsewhere else State.DIFFERS)
    return Locked(name, " or ".join(versions), installed, State.MATCHES if installed in versions else State.DIFFERS)


def _lock() -> dict[str, list[tuple[str, str]]]:
    """Versions and markers of each distribution of the lock: several where they depend on the Python."""
    file = resources.files(__package__) / LOCK
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    entries: dict[str, list[tuple[str, str]]] = {}
    for match in filter(None, map(_LINE.fullmatch, lines)):
        entries.setdefault(match["name"], []).append((match["version"], match["marker"] or ""))
    return entries


def _of_record(name: str, distribution: metadata.Distribution) -> Files:
    count, differing = 0, []
    for entry in _record(distribution):
        if entry.algorithm not in hashlib.algorithms_guaranteed:
            continue
        path = _place(distribution, entry.path)
        count += 1
        if not path.is_file():
            differing.append(f"missing: {entry.path}")
        elif entry.digest not in _digests(path, entry.algorithm):
            differing.append(f"changed: {entry.path}")
    state = State.DIFFERS if differing else State.MATCHES if count else State.NO_RECORD
    return Files(name, distribution.version, state, count, tuple(differing))


def _record(distribution: metadata.Distribution) -> Iterator[Entry]:
    """The files of a record. Distribution.files leaves out those that are missing, from Python 3.12 on."""
    for path, digest, *_ in csv.reader((distribution.read_text("RECORD") or "").splitlines()):
        algorithm, _, value = digest.partition("=")
        yield Entry(PurePosixPath(path), algorithm, value)


def _place(distribution: metadata.Distribution, path: PurePosixPath) -> Path:
    return Path(str(distribution.locate_file(str(path))))


def _digests(path: Path, algorithm: str) -> Iterator[str]:
    """As a record has it: base64 for URLs, without padding. Of a script that pipx has touched also as it was before."""
    with path.open("rb") as file:
        yield _text(hashlib.file_digest(file, algorithm).digest())
        file.seek(0)
        first = file.readline()
        if first.startswith(b"#!") and first.endswith(ISOLATED):
            yield _text(hashlib.new(algorithm, first.removesuffix(ISOLATED) + b"\n" + file.read()).digest())


def _text(digest: bytes) -> str:
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
