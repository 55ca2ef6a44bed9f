"""Needles: the data values of every Secret that is readable or opened, without those that stand anywhere."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np

from auditor.judgement.selection import Selection
from auditor.kubernetes import common_values, objects
from auditor.model.vocabulary import Encoding, FindingKind, Provider, State
from auditor.text import printable


@dataclass(frozen=True, slots=True)
class Needle:
    """One distinct value to look for: `whole` from `begin` to `end`."""

    whole: bytes = field(repr=False)
    """Bytes that hold the value."""
    number: int
    """Number of the value within the run."""
    finding: FindingKind
    """Kind of finding that a copy is."""
    owners: tuple[tuple[bytes, bytes], ...]
    """Etcd key and field of each owner, as stored; of an encryption key PROVIDER/NAME and nothing."""
    keys: Collection[bytes]
    """Etcd keys of the owners."""
    begin: int = 0
    """Start of the value in `whole`."""
    end: int | None = None
    """End of the value in `whole`; None for the end of it."""

    @property
    def text(self) -> bytes:
        """The value's bytes."""
        return self.whole[self.begin : self.end]

    @property
    def text_slice(self) -> tuple[bytes, int, int]:
        """The value without a copy of its bytes: whole, begin, end."""
        return self.whole, self.begin, len(self.whole) if self.end is None else self.end

    @property
    def size(self) -> int:
        """The value's length."""
        _, begin, end = self.text_slice
        return end - begin


def collect(selections: Sequence[Selection], least: int, fields: frozenset[str]) -> tuple[list[Needle], Counter[str]]:
    """The needles, numbered in the order of the rows, and the number of values left out for each reason.

    Args:
        selections: the values, of Secrets and others.
        least: bytes below which a value is left out.
        fields: names of data whose values are never left out.
    """
    owners: dict[bytes, dict[tuple[bytes, bytes], None] | tuple[tuple[bytes, bytes]]] = {}  # most have one
    texts: dict[bytes, tuple[bytes, int, int]] = {}
    names: dict[bytes, bytes] = {}
    omissions: Counter[str] = Counter()
    refusals: dict[tuple[bytes, bytes], str] = {}
    for values in selections:
        for row, plaintext, encoding in secrets(values):
            key = values.key(row)
            for name, value in objects.data(plaintext, encoding):
                text = value.strip() or value
                digest = blake2b(text, digest_size=32).digest()  # with the texts as keys there would be two of each
                if (reason := refusals.get((name, digest))) is None:
                    reason = "" if printable(name) in fields else common_values.reason(name, text, least)
                    refusals[name, digest] = reason
                    omissions[reason] += 1
                if not reason:
                    owner = key, names.setdefault(name, name)
                    before = owners.setdefault(digest, (owner,))
                    if isinstance(before, tuple) and before != (owner,):
                        before = owners[digest] = dict.fromkeys(before)
                    if isinstance(before, dict):
                        before[owner] = None
                    if digest not in texts:
                        texts[digest] = _slice(text, values.plaintexts.get(row, b""))
    del omissions[""]
    needles = []
    for number, (digest, own) in enumerate(owners.items(), 1):
        whole, begin, end = texts[digest]
        keys = _distinct(key for key, _ in own)
        needles.append(
            Needle(
                whole=whole,
                number=number,
                finding=FindingKind.COPIED_VALUE,
                owners=tuple(own),
                keys=keys,
                begin=begin,
                end=end,
            )
        )
    return needles, omissions


def _slice(text: bytes, plaintext: bytes) -> tuple[bytes, int, int]:
    """The text as a slice of the opened plaintext, which is in memory anyway; where it is none, the text itself."""
    begin = plaintext.find(text[:16])
    if begin >= 0 and plaintext.startswith(text, begin):
        return plaintext, begin, begin + len(text)
    return text, 0, len(text)


def _distinct(keys: Iterable[bytes]) -> Collection[bytes]:
    """The keys, each once. One key, as most values have, takes a quarter of the memory in a tuple."""
    distinct = frozenset(keys)
    return distinct if len(distinct) > 1 else tuple(distinct)


def secrets(values: Selection) -> Iterator[tuple[int, bytes, Encoding]]:
    """Row, bytes and encoding of every readable or opened Secret."""
    is_secret = np.array([resource.name == "secrets" for resource in values.resources], np.bool_)[values.resource]
    plain = (values.prefixes.provider == Provider.IDENTITY) & ~values.batch.has(State.TAIL_LOST)
    for row in np.flatnonzero(is_secret & plain).tolist():
        yield row, values.batch.value(row), Encoding(int(values.prefixes.encoding[row]))
    for row, plaintext in values.plaintexts.items():
        if is_secret[row]:
            yield row, plaintext, Encoding(int(values.prefixes.encoding[row]))
