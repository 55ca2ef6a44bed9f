"""Files that travel with a backup and hold encryption keys: identified by their content."""

from collections.abc import Callable

LARGEST = 4 << 20
"""Bytes of a file that is looked at."""
MARKS = (b"EncryptionConfiguration", b"EncryptionConfig")
"""The kinds of configurations, also inside RKE1's state, a manifest or a Secret's text."""


def is_settings(peek: Callable[[int], bytes]) -> bool:
    """Whether a file may hold a configuration."""
    raw = peek(LARGEST + 1)
    return len(raw) <= LARGEST and any(mark in raw for mark in MARKS)
