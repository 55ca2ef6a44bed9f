"""Values that stand in many places: public ones, short ones and words. That two objects hold one says nothing."""

import math
import re
from functools import cache

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.parallel import chunks
from auditor.kubernetes.credential_classes import is_beside

PUBLIC_FIELDS = frozenset({b"namespace", b"ca.crt", b"service-ca.crt"})
"""Fields that every token Secret repeats, and public ones."""
PUBLIC_PEM = re.compile(rb"\s*-----BEGIN (TRUSTED |X509 )?(CERTIFICATE|PUBLIC KEY|CERTIFICATE REQUEST)-----")
PRIVATE_PEM = b"PRIVATE KEY-----"
HOST = re.compile(rb"([a-z][a-z0-9+]*://)?[a-z0-9_-]+(\.[a-z0-9_-]+)+(:\d+)?(/[a-z0-9._/-]*)?")
LONGEST_HOST = 253
WORD = re.compile(r"[A-Za-z]+|[0-9]+|[^A-Za-z0-9]+")
LEAST_BITS = 36.0
"""Entropy below which a value could stand elsewhere by chance or habit."""
WORD_BITS, MARK_BITS = 12.0, 2.0
_LETTER, _DIGIT = math.log2(26), math.log2(10)
LONGEST_HABIT = 64
"""Bytes of the longest value that may be a habit."""
_PORTION = 1 << 12
"""Values that are looked at together."""


_BITS = np.zeros(256, np.uint64)
"""A bit for each digit and letter; none for other bytes."""
_BITS[np.frombuffer(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", np.uint8)] = np.uint64(
    1
) << np.arange(62, dtype=np.uint64)
_LETTERS = np.uint64(((1 << 62) - 1) ^ ((1 << 10) - 1))


def reason(name: bytes, text: bytes, least: int, *, unchanged: bool = False) -> str:
    """Why a value says nothing where it stands; empty for one that does.

    Args:
        name: Name of the data.
        text: The value, without white space around it.
        least: Bytes below which a value is too short.
        unchanged: Whether it is the same field of the same object that holds it in both places: of a password that is
            a word this is no coincidence, and only a name that stands beside a credential lets it count as one.
    """
    if len(text) < least:
        return f"shorter than {least} bytes"
    if name in PUBLIC_FIELDS:
        return "in the fields namespace, ca.crt, service-ca.crt"
    if PUBLIC_PEM.match(text) and PRIVATE_PEM not in text:
        return "certificates and public keys"
    if len(text) <= LONGEST_HOST and HOST.fullmatch(text):
        return "host names and addresses"
    if unchanged and not is_beside(name):
        return ""
    if len(text) <= LONGEST_HABIT and text.isascii() and _is_habit(text.decode()):
        return "common words and other values of low entropy"
    return ""


def random_ones(buffer: Buffer, at: Ints, length: Ints, least: int) -> Bools:
    """Values for which reason() is surely empty, whatever their names but PUBLIC_FIELDS; of others nothing is said.

    They are of letters and digits alone, so that none is a host's name or PEM, and the entropy that reason() counts is
    enough: each distinct digit stands in one of the parts of digits, and each distinct letter that stands alone between
    digits is a part of its own.

    Args:
        buffer: The bytes.
        at: Positions of the values.
        length: Their bytes, int64.
        least: Bytes below which a value is too short.
    """
    random = np.zeros(at.size, np.bool_)
    rows = np.flatnonzero((length >= max(least, 1)) & (length <= LONGEST_HABIT))
    for part in chunks(rows.size, _PORTION):
        chosen = rows[part]
        text = buffer.blocks(at[chosen], LONGEST_HABIT // 8).view(np.uint8)
        inside = np.arange(LONGEST_HABIT) < length[chosen][:, None]
        bits = np.where(inside, _BITS[text], np.uint64(0))
        letters = (bits & _LETTERS) > 0
        alone = letters.copy()
        alone[:, 1:] &= ~letters[:, :-1]
        alone[:, :-1] &= ~letters[:, 1:]
        digits = np.bitwise_count(np.bitwise_or.reduce(bits & ~_LETTERS, axis=1))
        single = np.bitwise_count(np.bitwise_or.reduce(np.where(alone, bits, np.uint64(0)), axis=1))
        plain = ((bits > 0) == inside).all(axis=1)
        random[chosen] = plain & (digits * _DIGIT + single * _LETTER >= LEAST_BITS)
    return random


def _is_habit(text: str) -> bool:
    """Whether a value has less entropy than LEAST_BITS: a common word counts little, and a repetition counts once."""
    words = _words()
    total = 0.0
    known: set[str] = set()
    for match in WORD.finditer(text):
        part = match[0]
        if part in known:
            continue
        known.add(part)
        if part.isalpha():
            common = part.lower() in words
            total += WORD_BITS if common else _LETTER * len(set(part)) + (len(part) if _mixed(part) else 0)
        elif part.isdigit():
            total += _DIGIT * len(set(part))
        else:
            total += MARK_BITS
        if total >= LEAST_BITS:
            return False
    return True


def _mixed(part: str) -> bool:
    return part not in {part.lower(), part.upper(), part.capitalize()}


@cache
def _words() -> frozenset[str]:
    """Common words, names and passwords from the lists of zxcvbn."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(word for words in FREQUENCY_LISTS.values() for word in words)
