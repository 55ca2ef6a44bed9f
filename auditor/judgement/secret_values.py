"""The data values of the Secrets of a selection, and which are equal. No value and no digest leaves the process.

A value that stands in the evidence is its position: a keyed hash groups equal ones, and their bytes are compared. Of
one that was encrypted, or is written in base64, there is a digest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.factorize import factorize
from auditor.arrays.join import Strings, groups
from auditor.judgement.selection import Selection
from auditor.kubernetes import objects, secret_data
from auditor.kubernetes.data_digest import SIZE, digests, hash_key
from auditor.model.vocabulary import Encoding, Opened, Provider, State

if TYPE_CHECKING:
    from auditor.encryption.keyring import Keyring

RESOURCE = "secrets"


@dataclass(frozen=True, slots=True)
class SecretValues:
    """n data values of m Secrets: first those that have a position, each part in the order of the Secrets."""

    buffer: Buffer
    """The selection's bytes."""
    secret: Ints
    """Number of the Secret that each value is of, shape (n,)."""
    name: Ints
    """Index of each value's name."""
    names: list[bytes]
    """The distinct names."""
    at: Ints
    """Position of each value in the buffer; -1 of one that does not stand there as it is."""
    length: Ints
    """Bytes of each value that has a position."""
    digests: list[bytes]
    """Digest of each value that has none: equal for equal values of this run."""
    whole: Bools
    """Whether every value of a Secret was read, shape (m,)."""

    def __repr__(self) -> str:
        return "SecretValues(...)"


def are_secrets(values: Selection) -> Bools:
    """Which values are stored as Secrets, shape (len(values),)."""
    secret = np.array([resource.name == RESOURCE for resource in values.resources], np.bool_)
    stored: Bools = secret[values.resource]
    return stored


def read(values: Selection, rows: Ints) -> SecretValues:
    """The data values of some readable or opened Secrets; of all others none are whole.

    Args:
        values: The selection.
        rows: Rows of Secrets.
    """
    batch, claims = values.batch, values.prefixes
    uncut = ~batch.has(State.TAIL_LOST | State.HEAD_LOST)[rows] & (claims.encoding[rows] == Encoding.PROTOBUF)
    plain = np.flatnonzero((claims.provider[rows] == Provider.IDENTITY) & uncut)
    table, parsed = secret_data.entries(batch.data, batch.value_at[rows[plain]], batch.value_size[rows[plain]])
    names, codes = secret_data.names(batch.data, table)
    whole = np.zeros(rows.size, np.bool_)
    whole[plain[parsed]] = True
    others = claims.provider == Provider.IDENTITY
    others[list(values.objects)] = True
    others[rows[plain[parsed]]] = False
    apart = np.flatnonzero(others[rows])
    answers = _apart(values, rows[apart])
    whole[apart] = [complete for _, complete in answers]
    counts = np.array([len(some) for some, _ in answers], np.int64)
    pairs = list(chain.from_iterable(some for some, _ in answers))
    own = [name for name, _ in pairs]
    code_of = {name: code for code, name in enumerate(dict.fromkeys(chain(names, own)))}
    more = np.fromiter(map(code_of.__getitem__, own), np.int64, len(own))
    elsewhere = np.full(len(pairs), -1)
    return SecretValues(
        buffer=batch.data,
        secret=np.concatenate([plain[table.secret], np.repeat(apart, counts)]),
        name=np.concatenate([codes, more]),
        names=list(code_of),
        at=np.concatenate([table.value_at, elsewhere]),
        length=np.concatenate([table.value_len, elsewhere]),
        digests=[digest for _, digest in pairs],
        whole=whole,
    )


def equal_values(reads: Sequence[SecretValues]) -> tuple[list[Ints], int]:
    """Equal values share a number: the numbers of each of the reads, and how many there may be."""
    placed = [read.at >= 0 for read in reads]
    strings = [(read.buffer, read.at[has], read.length[has]) for read, has in zip(reads, placed, strict=True)]
    codes, count = groups(strings, hash_key())
    if not any(read.digests for read in reads):
        return codes, count
    heads, texts = _digests_of(strings, codes, count)
    texts += [digest for read in reads for digest in read.digests]
    every, distinct = factorize(Buffer(b"".join(texts)), np.arange(len(texts)) * SIZE, np.full(len(texts), SIZE))
    numbers = np.zeros(count, np.int64)
    numbers[heads] = every[:count]
    ends = np.cumsum([count, *(len(read.digests) for read in reads)])
    others = np.split(every, ends)[1:-1]
    return [np.concatenate([numbers[own], rest]) for own, rest in zip(codes, others, strict=True)], distinct.size


def _digests_of(strings: Sequence[Strings], codes: Sequence[Ints], count: int) -> tuple[Ints, list[bytes]]:
    """The codes in some order, and of each the digest of a value that has it."""
    missing = np.ones(count, np.bool_)
    order: list[Ints] = [np.zeros(0, np.int64)]
    texts: list[bytes] = []
    for (buffer, at, length), own in zip(strings, codes, strict=True):
        head = np.full(count, -1)
        head[own] = np.arange(own.size)
        new = np.flatnonzero(missing & (head >= 0))
        missing[new] = False
        order.append(new)
        texts += digests(buffer.views(at[head[new]], length[head[new]]))
    return np.concatenate(order), texts


def equal_names(reads: Sequence[SecretValues]) -> tuple[list[Ints], list[bytes]]:
    """Equal names share a number: the numbers of each of the reads, and the names by number."""
    number_of: dict[bytes, int] = {}
    numbers = (
        np.array([number_of.setdefault(name, len(number_of)) for name in each.names], np.int64) for each in reads
    )
    return [own[read.name] for own, read in zip(numbers, reads, strict=True)], list(number_of)


def _apart(values: Selection, rows: Ints) -> list[tuple[tuple[tuple[bytes, bytes], ...], bool]]:
    """Name and digest of each data value of some readable or opened Secrets, and whether these are all."""
    chosen = rows.tolist()
    return [
        _whole(decoded) if decoded is not None else _one(values, row)
        for row, decoded in zip(chosen, map(values.objects.get, chosen), strict=True)
    ]


def _whole(decoded: objects.Object) -> tuple[tuple[tuple[bytes, bytes], ...], bool]:
    return decoded.values, not decoded.problem and len(decoded.values) >= len(decoded.data_keys)


def _one(values: Selection, row: int) -> tuple[tuple[tuple[bytes, bytes], ...], bool]:
    """Name and digest of each data value of one Secret that nothing has decoded, and whether these are all."""
    if values.batch.state[row] & State.TAIL_LOST:
        pairs = text_pairs(values, row, None)
        return tuple(zip([name for name, _ in pairs], digests(text for _, text in pairs), strict=True)), False
    decoded = values.decode(row)
    return ((), False) if decoded is None or decoded.problem else _whole(decoded)


def text_pairs(values: Selection, row: int, keyring: "Keyring | None") -> list[tuple[bytes, bytes]]:
    """Name and bytes of every data value of one Secret that can be read. They must never be written.

    Args:
        values: The selection.
        row: Row of the Secret.
        keyring: Opens it once more, where nothing kept what it opened to.
    """
    batch, encoding = values.batch, Encoding(int(values.prefixes.encoding[row]))
    if values.opened[row] != Opened.YES:
        cut = batch.state[row] & State.TAIL_LOST and encoding is Encoding.PROTOBUF
        return objects.leading_data(batch.value(row)) if cut else objects.data(batch.value(row), encoding)
    if row in values.plaintexts:
        return objects.data(values.plaintexts[row], encoding)
    if keyring is None:
        return []
    resource = values.resources[values.resource[row]].name
    (attempt,) = keyring.open(resource, batch.associated(np.array([row])), [batch.value(row)])
    return objects.data(attempt.plaintext, attempt.encoding)
