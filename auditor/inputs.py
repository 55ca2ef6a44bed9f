"""Small files that options name: configurations, keys, tokens, passwords. Evidence is none of them.

A pipe, such as bash makes of `<(sops -d enc.yaml)`, can be read once, and the process that reads the evidence may not
be the one that can read it: the first process reads it, and hands its bytes on. They are never written anywhere.
"""

import errno
import os
import select
import stat
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from auditor import platform
from auditor.errors import UsageError
from auditor.text import shown

STDIN = "-"
LARGEST = 1 << 20
"""Bytes that come through a pipe, at most."""
PATIENCE = 10.0
"""Seconds within which a pipe must have been read to its end."""
_STEP = 1 << 16
_contents: dict[str, bytes] = {}
"""The bytes of every pipe that was read, by its path: nothing of them can be read again."""


def is_pipe(path: str | os.PathLike[str]) -> bool:
    """Whether a path is standard input, a pipe, a socket or a character device: none of them has a size."""
    text = os.fspath(path)
    if text == STDIN:
        return True
    try:
        mode = os.stat(text).st_mode  # noqa: PTH116 - a text of the command line
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)


def name(path: str | os.PathLike[str]) -> str:
    """The name of a file in messages: its last part; of a pipe the whole path."""
    text = os.fspath(path)
    if text == STDIN:
        return "standard input"
    return shown(text if is_pipe(text) or text in _contents else Path(text).name)


def receive(paths: Iterable[str]) -> None:
    """Read every pipe among some paths, so that contents() holds them. Raises UsageError."""
    for path in paths:
        if path not in _contents and is_pipe(path):
            _contents[path] = _drained(path)


def contents() -> Mapping[str, bytes]:
    """The bytes of the pipes that were read, by path, for another process."""
    return dict(_contents)


def hand_over(pipes: Mapping[str, bytes]) -> None:
    """Take the bytes of pipes that another process has read."""
    _contents.update(pipes)


def read(path: Path, most: int) -> bytes:
    """The bytes of a file, or of a pipe, which is read once; of a file one more than `most` where it is longer.

    Raises OSError, and UsageError for a pipe that cannot be read to its end.
    """
    text = str(path)
    receive([text])
    if text in _contents:
        return _contents[text]
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except ValueError:  # a zero byte in its name
        regular = False
    if not regular:
        raise OSError(errno.EINVAL, "it is no regular file")
    with path.open("rb") as file:
        return file.read(most + 1)


def _drained(path: str) -> bytes:
    what = name(path)
    if path == STDIN and sys.stdin is not None and sys.stdin.isatty():
        raise UsageError("standard input is a terminal: give a file, or write into a pipe")
    try:
        descriptor = os.dup(0) if path == STDIN else os.open(path, os.O_RDONLY | platform.NONBLOCK | platform.BINARY)
    except OSError as error:
        raise UsageError(f"{what} cannot be opened: {error.strerror}") from None
    try:
        return _drain(descriptor, what)
    except OSError as error:
        raise UsageError(f"{what} cannot be read: {error.strerror}") from None
    finally:
        os.close(descriptor)


def _drain(descriptor: int, what: str) -> bytes:
    end = time.monotonic() + PATIENCE
    blocks: list[bytes] = []
    size = 0
    while (left := end - time.monotonic()) > 0:
        # of a pipe that nobody has opened for writing a read would say that it has ended
        if not select.select([descriptor], [], [], left)[0]:
            break
        try:
            block = os.read(descriptor, _STEP)
        except BlockingIOError:
            continue
        if not block:
            return b"".join(blocks)
        blocks.append(block)
        size += len(block)
        if size > LARGEST:
            raise UsageError(f"{what}: more than {LARGEST:,} bytes: no configuration, key or token is so long")
    raise UsageError(f"{what}: it has not come to its end within {PATIENCE:.0f} s; nothing was read")
