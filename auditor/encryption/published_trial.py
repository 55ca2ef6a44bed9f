"""Trial of the published keys on the stored values, without opening them all.

AES is tried on every value: one call of the cipher decrypts all first blocks and shows which begin an object. Secretbox
has no such short cut; a sample of the values of each key name is opened. A hit counts if the whole value opens: by two
bytes alone, one foreign block in 65,536 looks like JSON.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.factorize import factorize
from auditor.arrays.parallel import chunks
from auditor.encryption.configuration import Key, ProviderEntry
from auditor.encryption.published import PUBLISHED
from auditor.evidence.batch import RecordBatch
from auditor.kubernetes import objects, prefixes
from auditor.kubernetes.resources import Resource
from auditor.model.vocabulary import LOCAL_PROVIDERS, Encoding, Provider
from auditor.text import decode, restore

if TYPE_CHECKING:
    from auditor.encryption.transformers import AssociatedData

BLOCK = 16
NONCE = 12
SAMPLE = 16
"""Values of secretbox to open for each key name."""
MOST_SAMPLES = 4096
"""Values of secretbox to open in all."""
MOST_AMBIGUOUS = 64
"""Values with an ambiguous key name that are tried under every candidate name."""


def used(
    batch: RecordBatch, claims: prefixes.Prefixes, resources: Sequence[Resource]
) -> tuple[int, list[ProviderEntry]]:
    """The number of values tried, and the published keys that open one, each under its name in the values.

    Args:
        batch: the records.
        claims: the prefix of each value.
        resources: of the evidence, by which values without their etcd key are tried.
    """
    # a row a value and candidate name: row in the batch, length of the name
    rows, length = _rows_by_name(batch, claims)
    count = 0
    opening: dict[tuple[Provider, bytes, bytes], None] = {}
    for kind in LOCAL_PROVIDERS:
        own = np.flatnonzero(claims.provider[rows] == kind)
        if kind is Provider.SECRETBOX:
            own = own[_sample(batch, claims.name_at[rows[own]], length[own])]
        if not own.size:
            continue
        distinct = np.zeros(len(batch), np.bool_)
        distinct[rows[own]] = True  # an ambiguous value has several entries
        count += int(distinct.sum())
        payload = claims.name_at[rows[own]] + length[own] + 1
        for secret, hits in _hits(kind, batch, payload):
            for row, size in zip(rows[own[hits]].tolist(), length[own[hits]].tolist(), strict=True):
                name = batch.data.slice(int(claims.name_at[row]), size)
                if (kind, name, secret) in opening:
                    continue
                if _opens(kind, secret, batch, row, int(claims.name_at[row]) + size + 1, resources):
                    opening[kind, name, secret] = None
    return count, [ProviderEntry(kind, (Key(decode(name), secret),)) for kind, name, secret in opening]


def _rows_by_name(batch: RecordBatch, claims: prefixes.Prefixes) -> tuple[Ints, Ints]:
    """Rows of the local providers and the lengths of their key names; an ambiguous value has an entry a candidate."""
    local = np.isin(claims.provider, LOCAL_PROVIDERS) & ~claims.malformed
    rows = np.flatnonzero(local & (claims.name_len >= 0))
    candidates = [
        (row, len(restore(name)))
        for row in np.flatnonzero(local & (claims.name_len == prefixes.AMBIGUOUS))[:MOST_AMBIGUOUS].tolist()
        for name in prefixes.candidates(batch, claims, row)
    ]
    more = np.array(candidates, np.int64).reshape(-1, 2)
    return np.concatenate((rows, more[:, 0])), np.concatenate((claims.name_len[rows], more[:, 1]))


def _sample(batch: RecordBatch, at: Ints, length: Ints) -> Ints:
    """Indices of a sample of the values of each name, evenly spread."""
    number, heads = factorize(batch.data, at, length)
    order = np.argsort(number, kind="stable")
    size = np.bincount(number, minlength=heads.size)
    # in the order of the names: the index of each value among those of its name
    rank = np.arange(order.size) - (np.cumsum(size) - size)[number[order]]
    step = -(-size // SAMPLE)
    chosen: Ints = order[rank % step[number[order]] == 0][:MOST_SAMPLES]
    return chosen


def _hits(kind: Provider, batch: RecordBatch, payload: Ints) -> Iterator[tuple[bytes, Ints]]:
    """Every published key, with the payloads that may open with it."""
    if kind is Provider.SECRETBOX:
        for secret in PUBLISHED:
            if len(secret) == 32:
                yield secret, np.arange(payload.size)
        return
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    for part in chunks(payload.size):
        head = batch.data.blocks(payload[part], 4).view(np.uint8)
        # the cipher's input for the first block of each payload, and what the output is combined with by xor
        if kind is Provider.AESCBC:
            block, mask = head[:, BLOCK:], head[:, :4]
        else:
            block, mask = np.zeros((head.shape[0], BLOCK), np.uint8), head[:, NONCE : NONCE + 4]
            block[:, :NONCE], block[:, -1] = head[:, :NONCE], 2  # GCM counts from 1, which its tag takes
        blocks, masks = block.tobytes(), np.ascontiguousarray(mask).view("<u4")[:, 0]
        for secret in PUBLISHED:
            cipher = Cipher(algorithms.AES(secret), modes.ECB())  # noqa: S305 - one block of each value is one of ECB
            context = cipher.decryptor() if kind is Provider.AESCBC else cipher.encryptor()
            first = np.frombuffer(context.update(blocks), "<u4")[:: BLOCK // 4] ^ masks
            yield secret, part.start + np.flatnonzero(_begins(first))


def _begins(first: NDArray[np.uint32]) -> Bools:
    """Whether the first four bytes of each plaintext begin an object."""
    begins: Bools = first == int.from_bytes(prefixes.PROTOBUF, "little")
    begins |= (first & 0xFFFF) == int.from_bytes(b'{"', "little")
    begins |= (first & 0xFFFFFF) == int.from_bytes(prefixes.CBOR, "little")
    return begins


def _opens(kind: Provider, secret: bytes, batch: RecordBatch, row: int, at: int, resources: Sequence[Resource]) -> bool:
    """Whether a key opens a value to an object that decodes. at: where its payload begins, in the buffer."""
    from auditor.encryption import lost_keys  # loads ciphers
    from auditor.encryption.transformers import TRANSFORMERS, encoding

    transformer = TRANSFORMERS[kind](secret)
    associated: AssociatedData = lost_keys.candidates(resources)
    if batch.key_at[row] >= 0:
        (associated,) = batch.associated(np.array([row]))
    for value in (batch.value(row), *batch.with_zeros(row)):
        plaintext = transformer.open(value[at - int(batch.value_at[row]) :], associated)
        if plaintext is not None and (kind_of := encoding(plaintext)) is not Encoding.NONE:
            return not objects.decode(plaintext, kind_of).problem
    return False
