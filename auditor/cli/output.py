"""Output files: opened late, readable by their owner only, never over another file unless forced."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePath
from typing import IO, Any

from auditor import platform
from auditor.errors import UsageError
from auditor.text import plural, shown

STDOUT = Path("-")
MODE = 0o600
PUBLIC_MODE = 0o644
FOLDER_MODE = 0o700
KILOBYTES = 1_000_000
"""Bytes from which a size is printed in megabytes."""
LOGS = ("-wal", "-shm", "-journal")
"""Endings of the files that SQLite keeps beside a database."""

Writer = Callable[[IO[Any]], None]


def check(targets: Sequence[Path | None], evidence: Sequence[Path], *, force: bool) -> None:
    """Refuse outputs that clash with each other, with the evidence or with other files.

    Args:
        targets: The outputs; None for one that is not asked for.
        evidence: The files and folders that the run reads.
        force: Whether an output may overwrite a file.

    Raises:
        UsageError: An output clashes, or cannot be a file.
    """
    outputs = [target for target in targets if target is not None]
    if len({_absolute(target) for target in outputs}) < len(outputs):
        raise UsageError("two outputs name the same file")
    for target in outputs:
        if target == STDOUT:
            continue
        if platform.is_device_name(target.name):
            raise UsageError(f"{target} is a device on this system: name a file")
        if not target.name:
            raise UsageError(f"{target} is a folder: name a file")
        _refuse_evidence(target, evidence)
        if not target.parent.is_dir():
            raise UsageError(f"{target}: there is no folder {target.parent}")
        if target.is_dir():
            raise UsageError(f"{target} is a folder: name a file")
        if target.exists() and not target.is_file():
            raise UsageError(f"{target} is no regular file: name another")
        if target.exists() and not force:
            raise UsageError(f"{target} exists: choose another file, or overwrite it with --force")


def _refuse_evidence(target: Path, evidence: Sequence[Path]) -> None:
    if any(each.is_dir() and _inside(target, each) for each in evidence):
        raise UsageError(f"{target} lies inside the evidence: choose another folder for the report")
    if any(_same(target, each) for each in evidence):
        raise UsageError(f"{target} is the evidence, or another file that is read: choose another one for the report")
    if any(_beside(target, each) for each in evidence):
        raise UsageError(f"{target} lies beside the evidence and is read with it: choose another file for the report")


def folder(target: Path, evidence: Sequence[Path]) -> None:
    """Refuse a folder that cannot be a data set's. Raises UsageError."""
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target} is no folder: name another for the data set")
    if not target.exists() and not target.parent.is_dir():
        raise UsageError(f"{target}: there is no folder {target.parent}")
    if any(each.is_dir() and _inside(target, each) for each in evidence):
        raise UsageError(f"{target} lies inside the evidence: choose another folder for the data set")


def fill(target: Path, files: Sequence[tuple[PurePath, Writer]], *, force: bool) -> None:
    """Write the files of a data set.

    Args:
        target: The folder of the data set.
        files: Path in the folder, and the function that writes the content.
        force: Whether files may be overwritten; else none is written where one exists.

    Raises:
        UsageError: A file exists, or cannot be written.
    """
    existing = [path for path, _ in files if (target / path).exists()]
    if existing and not force:
        raise UsageError(f"{target / existing[0]} exists: choose another folder, or overwrite it with --force")
    for path, write in files:
        for part in reversed(path.parents):  # mkdir's own `parents` has no regard for the mode
            (target / part).mkdir(mode=FOLDER_MODE, exist_ok=True)
        save(target / path, write, force=force, binary=True)


def save(target: Path, write: Writer, *, force: bool, binary: bool = False, private: bool = True) -> None:
    """Write a file, or to standard output; a failure leaves no part of the file.

    Args:
        target: The file, or STDOUT.
        write: The function that writes the content.
        force: Whether the file may be overwritten.
        binary: Whether the content is bytes.
        private: Whether only its owner may read it.

    Raises:
        UsageError: The file exists, or cannot be written.
    """
    if target == STDOUT:
        stream = sys.stdout.buffer if binary else sys.stdout
        write(stream)
        stream.flush()
        return
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial") if force else target
    try:
        descriptor = os.open(
            partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | platform.BINARY, MODE if private else PUBLIC_MODE
        )
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror}") from None
    try:
        with _open(descriptor, binary=binary) as out:
            write(out)
        if force:
            partial.replace(target)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise


def written(targets: Sequence[Path | None], rows: Mapping[Path, int] | None = None) -> list[str]:
    """A line for each file or folder that was written, with its size.

    Args:
        targets: The outputs; None for one that is not asked for.
        rows: The number of rows of those that have some.
    """
    files = [target for target in dict.fromkeys(targets) if target is not None and target != STDOUT]
    counts = {target: f", {plural(count, 'row')}" for target, count in (rows or {}).items()}
    return [f"Wrote {shown(target)} ({_size(target)}{counts.get(target, '')})" for target in files if target.exists()]


def _size(target: Path) -> str:
    if target.is_dir():
        return "a folder"
    size = target.stat().st_size
    return f"{size:,} bytes" if size < KILOBYTES else f"{size / 1e6:.1f} MB"


def _open(descriptor: int, *, binary: bool) -> IO[Any]:
    return os.fdopen(descriptor, "wb") if binary else os.fdopen(descriptor, "w", encoding="utf-8", newline="")


def _absolute(target: Path) -> str:
    return str(target) if target == STDOUT else os.path.realpath(target)


def _inside(target: Path, folder: Path) -> bool:
    return target.resolve().is_relative_to(folder.resolve())


def _beside(target: Path, evidence: Path) -> bool:
    """Whether a file of this name is, or would be, read along with the evidence: a log, a journal, a configuration.

    By its name beside the database (SQLite's logs, distributions' configurations), or as a part of the data directory
    that a member/snap/db lies in.
    """
    from auditor.evidence.discovery import companions  # the other commands need none of it

    file, other = target.resolve(), evidence.resolve()
    if file.parent == other.parent and (
        file.name in {f"{other.name}{ending}" for ending in LOGS}
        or companions.is_companion(file.name)
        or any(_same(file, candidate) for candidate in companions.candidates(other))
    ):
        return True
    folders = other.parts[-3:-1] == ("member", "snap")
    return folders and file.is_relative_to(other.parent.parent)


def _same(target: Path, evidence: Path) -> bool:
    try:
        return target.samefile(evidence)
    except OSError:
        return False
