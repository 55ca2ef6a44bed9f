"""Files that travel with a backup and hold encryption keys: identified by their content."""

from collections.abc import Callable
from pathlib import Path

from auditor.evidence import configuration_texts

LARGEST = 4 << 20
"""Bytes of a file that is looked at."""


def is_configuration(content: bytes) -> bool:
    """Whether a whole file is or holds a configuration, by its content alone."""
    return len(content) <= LARGEST and any(True for _ in configuration_texts.views(content))


def is_configuration_file(path: Path) -> bool:
    """The same of a file; one that is binary, or cannot be read, is none."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError:
        return False
    return is_configuration(content) and b"\0" not in configuration_texts.as_utf8(content)


def may_be_configuration(peek: Callable[[int], bytes]) -> bool:
    """Whether a file may hold a configuration."""
    raw = peek(LARGEST + 1)
    return len(raw) <= LARGEST and configuration_texts.may_hold_configuration(raw)
