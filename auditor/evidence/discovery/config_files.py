"""Files that travel with a backup and hold encryption keys: identified by their content."""

import re
from collections.abc import Callable
from pathlib import Path

LARGEST = 4 << 20
"""Bytes of a file that is looked at."""
MARKS = (b"EncryptionConfiguration", b"EncryptionConfig")
"""The kinds of configurations, also inside RKE1's state, a manifest or a Secret's text."""
_STATEMENT = re.compile(rb"kind[\"'\\]{0,8}\s{0,64}:\s{0,64}[\"'\\]{0,8}EncryptionConfig(?:uration)?(?![A-Za-z0-9])")
"""Where one states what it is: a text may speak of its kind, and be none."""


def is_configuration(content: bytes) -> bool:
    """Whether a whole file is or holds a configuration, by its content alone."""
    return len(content) <= LARGEST and _STATEMENT.search(content) is not None


def is_configuration_file(path: Path) -> bool:
    """The same of a file; one that is binary, or cannot be read, is none."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError:
        return False
    return is_configuration(content) and b"\0" not in content


def may_be_configuration(peek: Callable[[int], bytes]) -> bool:
    """Whether a file may hold a configuration."""
    raw = peek(LARGEST + 1)
    return len(raw) <= LARGEST and any(mark in raw for mark in MARKS)
