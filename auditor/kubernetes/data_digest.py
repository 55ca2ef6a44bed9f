"""Digests of data values, by which equal ones are known in memory. Their key is new in each run: none can be kept."""

import secrets
from functools import cache
from hashlib import blake2b

SIZE = 16
"""Bytes of a digest: so many that two values with one digest are the same bytes."""


@cache
def _key() -> bytes:
    return secrets.token_bytes(32)


@cache
def hash_key() -> int:
    """The key of hashes of values that are compared by their bytes too, 64 bits."""
    return secrets.randbits(64)


def digests(values: list[bytes]) -> list[bytes]:
    """The digest of each value, equal for equal values of this run and for no others; they must never be written."""
    key = _key()
    return [blake2b(value, digest_size=SIZE, key=key).digest() for value in values]
