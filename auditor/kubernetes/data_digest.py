"""Digests of data values, by which equal ones are known in memory. Their key is new in each run: none can be kept."""

import hashlib
import secrets
from collections.abc import Iterable
from functools import cache

SIZE = 32
"""Bytes of a digest: so many that two values with one digest are the same bytes."""


@cache
def _begin() -> "hashlib._Hash":
    """The hash of the key alone. Of SHA-256, for which processors have instructions: nothing else is as fast here."""
    return hashlib.sha256(secrets.token_bytes(64))  # a whole block: copies begin with its state


@cache
def hash_key() -> int:
    """The key of hashes of values that are compared by their bytes too, 64 bits."""
    return secrets.randbits(64)


def digests(values: Iterable[bytes | memoryview]) -> list[bytes]:
    """The digest of each value, equal for equal values of this run and for no others; they must never be written."""
    begin = _begin().copy
    answers: list[bytes] = []
    for value in values:
        state = begin()
        state.update(value)
        answers.append(state.digest())
    return answers
