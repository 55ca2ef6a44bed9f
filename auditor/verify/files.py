"""Files against the lists of checksums beside them."""

import os
from collections.abc import Iterator
from pathlib import Path

from auditor.errors import UsageError
from auditor.text import printable, shown
from auditor.verify import checksums
from auditor.verify.checks import Check, differs, same

ENDING = checksums.SUFFIX.lstrip(".")
"""The end of a list's name; it may be the whole name."""


def read(path: Path) -> bytes:
    """The bytes of a file. Raises UsageError where it cannot be read."""
    if not path.is_file():
        raise UsageError(f"{shown(path)}: no such regular file")
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{shown(path.name)} cannot be read: {error.strerror}") from None


def is_list(path: Path) -> bool:
    return path.name.endswith(ENDING)


def lists_of(path: Path) -> list[Path]:
    """The lists beside a file that name it."""
    target = os.fsencode(path.name)
    lists = [each for each in sorted(path.parent.iterdir()) if is_list(each) and each.is_file()]
    return [each for each in lists if any(name == target for _, name in checksums.parse(read(each))[0])]


def files_in(path: Path) -> list[Path]:
    """The files that a list names, beside it."""
    names, _ = checksums.parse(read(path))
    return [file for _, name in names if (file := _beside(path, name)) is not None and file.is_file()]


def check(path: Path) -> Iterator[Check]:
    """Every file of a list against its hash. A name that leads out of the folder is not followed."""
    where = shown(path.name)
    names, malformed = checksums.parse(read(path))
    for number in malformed:
        yield differs(where, f"line {number} is no line of SHA-256 sums")
    if not names and not malformed:
        yield differs(where, "it lists no file")
    for expected, name in names:
        text = printable(name)
        file = _beside(path, name)
        if file is None:
            yield differs(where, f"it names {text}, which is no file of this folder: not read")
        elif not file.is_file():
            yield differs(text, f"there is no such file beside {where}")
        elif (actual := checksums.digest(file)) != expected:
            yield differs(text, f"its SHA-256 is {actual}, {where} says {expected}")
        else:
            yield same(text, f"its SHA-256 is the one in {where}")


def _beside(path: Path, name: bytes) -> Path | None:
    if b"/" in name or b"\0" in name or name in {b".", b".."}:
        return None
    return path.with_name(os.fsdecode(name))
