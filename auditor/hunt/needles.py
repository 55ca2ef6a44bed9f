"""What is looked for: the data values of every Secret that is readable or opens, and what of them is not worth it."""

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b

import numpy as np

from auditor.judgement.selection import Selection
from auditor.kubernetes import objects
from auditor.model.vocabulary import Encoding, FindingKind, Provider, State
from auditor.text import printable

PUBLIC_FIELDS = frozenset({b"namespace", b"ca.crt", b"service-ca.crt"})
"""What every token Secret repeats, and what is public anyway."""
PUBLIC_PEM = re.compile(rb"\s*-----BEGIN (TRUSTED |X509 )?(CERTIFICATE|PUBLIC KEY|CERTIFICATE REQUEST)-----")
PRIVATE_PEM = b"PRIVATE KEY-----"
HOST = re.compile(rb"([a-z][a-z0-9+]*://)?[a-z0-9_-]+(\.[a-z0-9_-]+)+(:\d+)?(/[a-z0-9._/-]*)?")
LONGEST_HOST = 253
WORD = re.compile(r"[A-Za-z]+|[0-9]+|[^A-Za-z0-9]+")
LEAST_BITS = 36.0
"""Below this a value could stand elsewhere by chance or habit."""
WORD_BITS, MARK_BITS = 12.0, 2.0
_LETTER, _DIGIT = math.log2(26), math.log2(10)


@dataclass(frozen=True, slots=True)
class Needle:
    """One distinct value: `whole` from `begin` to `end`. owners: etcd key and field of each that holds it, as stored;
    keys: the etcd keys.

    The owner of a key is its provider and name.
    """

    whole: bytes = field(repr=False)
    number: int
    finding: FindingKind
    owners: tuple[tuple[bytes, bytes], ...]
    keys: Collection[bytes]
    begin: int = 0
    end: int | None = None

    @property
    def text(self) -> bytes:
        return self.whole[self.begin : self.end]

    @property
    def part(self) -> tuple[bytes, int, int]:
        """The text without a copy of it: whole, begin, end."""
        return self.whole, self.begin, len(self.whole) if self.end is None else self.end

    @property
    def size(self) -> int:
        _, begin, end = self.part
        return end - begin


def collect(selections: Sequence[Selection], least: int, wanted: frozenset[str]) -> tuple[list[Needle], Counter[str]]:
    """The values to look for, numbered in the order of the rows, and how many are left out for each reason.

    least: bytes below which a value is left out; wanted: fields that are looked for whatever they hold.
    """
    owners: dict[bytes, dict[tuple[bytes, bytes], None] | tuple[tuple[bytes, bytes]]] = {}  # most have one
    texts: dict[bytes, tuple[bytes, int, int]] = {}
    names: dict[bytes, bytes] = {}
    left: Counter[str] = Counter()
    refused: dict[tuple[bytes, bytes], str] = {}
    for each in selections:
        for row, plaintext, encoding in secrets(each):
            key = each.key(row)
            for name, value in objects.data(plaintext, encoding):
                text = value.strip() or value
                digest = blake2b(text, digest_size=32).digest()  # with the texts as keys there would be two of each
                if (why := refused.get((name, digest))) is None:
                    why = refused[name, digest] = "" if printable(name) in wanted else _refusal(name, text, least)
                    left[why] += 1
                if not why:
                    owner = key, names.setdefault(name, name)
                    before = owners.setdefault(digest, (owner,))
                    if isinstance(before, tuple) and before != (owner,):
                        before = owners[digest] = dict.fromkeys(before)
                    if isinstance(before, dict):
                        before[owner] = None
                    if digest not in texts:
                        texts[digest] = _part(text, each.plaintexts.get(row, b""))
    del left[""]
    needles = []
    for number, (digest, held) in enumerate(owners.items(), 1):
        whole, begin, end = texts[digest]
        keys = _once(key for key, _ in held)
        needles.append(Needle(whole, number, FindingKind.COPIED_VALUE, tuple(held), keys, begin, end))
    return needles, left


def _part(text: bytes, plaintext: bytes) -> tuple[bytes, int, int]:
    """The text as a part of what was opened, which is kept anyway, where it is one; else as it is."""
    begin = plaintext.find(text[:16])
    if begin >= 0 and plaintext.startswith(text, begin):
        return plaintext, begin, begin + len(text)
    return text, 0, len(text)


def _once(keys: Iterable[bytes]) -> Collection[bytes]:
    """One key, as most values have, takes a quarter of the memory in a tuple."""
    distinct = frozenset(keys)
    return distinct if len(distinct) > 1 else tuple(distinct)


def secrets(each: Selection) -> Iterator[tuple[int, bytes, Encoding]]:
    """Row, bytes and encoding of every Secret of which the bytes are readable, or were opened."""
    ours = np.array([resource.name == "secrets" for resource in each.resources], np.bool_)[each.resource]
    plain = (each.prefixes.provider == Provider.IDENTITY) & ~each.batch.has(State.TAIL_LOST)
    for row in np.flatnonzero(ours & plain).tolist():
        yield row, each.batch.value(row), Encoding(int(each.prefixes.encoding[row]))
    for row, plaintext in each.plaintexts.items():
        if ours[row]:
            yield row, plaintext, Encoding(int(each.prefixes.encoding[row]))


def _refusal(name: bytes, text: bytes, least: int) -> str:
    """Why a value is not looked for; empty where it is."""
    if len(text) < least:
        return f"shorter than {least} bytes"
    if name in PUBLIC_FIELDS:
        return "in the fields namespace, ca.crt, service-ca.crt"
    if PUBLIC_PEM.match(text) and PRIVATE_PEM not in text:
        return "certificates and public keys"
    if len(text) <= LONGEST_HOST and HOST.fullmatch(text):
        return "host names and addresses"
    if len(text) <= 64 and text.isascii() and _bits(text.decode()) < LEAST_BITS:
        return "common words and other values of low entropy"
    return ""


def _bits(text: str) -> float:
    """How much guessing a value takes, about: a word counts little, and what is repeated counts once."""
    words = _words()
    total = 0.0
    for part in set(WORD.findall(text)):
        if part.isalpha():
            known = part.lower() in words
            total += WORD_BITS if known else _LETTER * len(set(part)) + (len(part) if _mixed(part) else 0)
        elif part.isdigit():
            total += _DIGIT * len(set(part))
        else:
            total += MARK_BITS
    return total


def _mixed(part: str) -> bool:
    return part not in {part.lower(), part.upper(), part.capitalize()}


@cache
def _words() -> frozenset[str]:
    """Common words, names and passwords: the lists of zxcvbn."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(word for words in FREQUENCY_LISTS.values() for word in words)
