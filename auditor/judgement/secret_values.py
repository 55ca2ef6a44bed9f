"""The data values of the Secrets of a selection, by digest. No value and no digest leaves the process."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.parallel import chunks
from auditor.judgement.selection import Selection
from auditor.kubernetes import objects, secret_data
from auditor.kubernetes.data_digest import digests
from auditor.model.vocabulary import Encoding, Opened, Provider, State

if TYPE_CHECKING:
    from auditor.encryption.keyring import Keyring

PORTION = 1 << 12
"""Values that are copied for their digests at once."""
RESOURCE = "secrets"


@dataclass(frozen=True, slots=True)
class SecretValues:
    """n data values of m Secrets, in the order of the Secrets."""

    secret: Ints
    """Number of the Secret that each value is of, shape (n,)."""
    names: list[bytes]
    """Name of each value."""
    digests: list[bytes]
    """Digest of each value: equal for equal values of this run."""
    at: Ints
    """Position of each value in the selection's bytes; -1 of one that does not stand there as it is."""
    length: Ints
    """Bytes of each value that has a position."""
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
    distinct, codes = secret_data.names(batch.data, table)
    names = [distinct[code] for code in codes.tolist()]
    values_of: list[bytes] = []
    for part in chunks(len(table), PORTION):
        values_of += digests(batch.data.slices(table.value_at[part], table.value_len[part]))
    whole = np.zeros(rows.size, np.bool_)
    whole[plain[parsed]] = True
    others = np.ones(rows.size, np.bool_)
    others[plain[parsed]] = False
    apart = np.flatnonzero(others)
    answers = [_one(values, row) for row in rows[apart].tolist()]
    whole[apart] = [complete for _, complete in answers]
    pairs = [pair for some, _ in answers for pair in some]
    names += [name for name, _ in pairs]
    values_of += [digest for _, digest in pairs]
    counts = np.array([len(some) for some, _ in answers], np.int64)
    elsewhere = np.full(len(pairs), -1)
    return SecretValues(
        secret=np.concatenate([plain[table.secret], np.repeat(apart, counts)]),
        names=names,
        digests=values_of,
        at=np.concatenate([table.value_at, elsewhere]),
        length=np.concatenate([table.value_len, elsewhere]),
        whole=whole,
    )


def _one(values: Selection, row: int) -> tuple[tuple[tuple[bytes, bytes], ...], bool]:
    """Name and digest of each data value of one Secret, and whether these are all."""
    decoded = values.objects.get(row)
    if decoded is not None:
        return decoded.values, not decoded.problem and len(decoded.values) >= len(decoded.data_keys)
    if values.prefixes.provider[row] != Provider.IDENTITY:
        return (), False
    if values.batch.state[row] & State.TAIL_LOST:
        pairs = text_pairs(values, row, None)
        return tuple(zip([name for name, _ in pairs], digests([text for _, text in pairs]), strict=True)), False
    decoded = values.decode(row)
    if decoded is None or decoded.problem:
        return (), False
    return decoded.values, len(decoded.values) >= len(decoded.data_keys)


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
