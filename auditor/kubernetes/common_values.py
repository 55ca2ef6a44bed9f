"""Values that stand in many places: public ones, short ones and words. That two objects hold one says nothing."""

import math
import re
from functools import cache

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


def reason(name: bytes, text: bytes, least: int) -> str:
    """Why a value says nothing where it stands; empty for one that does.

    Args:
        name: Name of the data.
        text: The value, without white space around it.
        least: Bytes below which a value is too short.
    """
    if len(text) < least:
        return f"shorter than {least} bytes"
    if name in PUBLIC_FIELDS:
        return "in the fields namespace, ca.crt, service-ca.crt"
    if PUBLIC_PEM.match(text) and PRIVATE_PEM not in text:
        return "certificates and public keys"
    if len(text) <= LONGEST_HOST and HOST.fullmatch(text):
        return "host names and addresses"
    if len(text) <= 64 and text.isascii() and _is_habit(text.decode()):
        return "common words and other values of low entropy"
    return ""


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
