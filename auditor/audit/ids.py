"""Ids of findings: none that a spreadsheet would take for a number."""

import hashlib
from collections.abc import Mapping, Sequence

from auditor.model.findings import Cell, Finding
from auditor.model.vocabulary import HUNTED
from auditor.text import encode

_OFFSET = 10
"""Digits of the offset at the end of an id (rows.py)."""
_LETTERS = str.maketrans("0123456789e", "ghijklmnpqr")


def tag(text: str) -> str:
    """Six hexadecimal digits of a text's hash, the first as a letter."""
    return with_letter(hashlib.blake2b(encode(text), digest_size=3).hexdigest())


def with_letter(id_: str) -> str:
    """An id with a letter other than `e` in front: spreadsheets take digits, and digits around an `e`, for a number.

    An id of an earlier report becomes the one that the same value has now; one with a letter stays.
    """
    return id_[:1].translate(_LETTERS) + id_[1:]


def redacted(columns: Mapping[str, Sequence[Cell]], findings: Sequence[tuple[Finding, ...]], own: str) -> list[Cell]:
    """The ids of rows with pseudonyms; of a hit by its redacted text: a hash of a text with names could be guessed.

    Args:
        columns: of the rows, redacted.
        findings: of each row.
        own: name of the evidence's own file.
    """
    ids = list(columns["id"])
    for row, marks in enumerate(findings):
        if marks and marks[0].kind & HUNTED:
            source = columns["source"][row]
            text = f"{'' if source == own else source} {columns['detail'][row]}"
            ids[row] = tag(text) + str(ids[row])[-_OFFSET:]
    return ids
