"""Ids of findings: none that a spreadsheet would take for a number."""

import hashlib

from auditor.text import encode

_LETTERS = str.maketrans("0123456789e", "ghijklmnpqr")


def tag(text: str) -> str:
    """Six hexadecimal digits of a text's hash, the first as a letter."""
    return with_letter(hashlib.blake2b(encode(text), digest_size=3).hexdigest())


def with_letter(id_: str) -> str:
    """An id with a letter other than `e` in front: spreadsheets take digits, and digits around an `e`, for a number.

    An id of an earlier report becomes the one that the same value has now; one with a letter stays.
    """
    return id_[:1].translate(_LETTERS) + id_[1:]
