"""Which published keys encrypt stored values, without opening them all.

AES is tried on every value: one call of the cipher for all first blocks says which would begin as an object does.
Secretbox has no such short cut; of it a sample of each key name is opened. A hit counts where the value opens as a
whole: of two bytes alone one foreign block in 65,536 has the look of JSON.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.factorize import factorize
from auditor.arrays.parallel import chunks
from auditor.encryption.configuration import Key, ProviderEntry
from auditor.encryption.published import PUBLISHED
from auditor.evidence.batch import RecordBatch
from auditor.kubernetes import objects, prefixes
from auditor.model.vocabulary import Encoding, Provider
from auditor.text import decode, restore

BLOCK = 16
NONCE = 12
LOCAL = (Provider.AESCBC, Provider.AESGCM, Provider.SECRETBOX)
SAMPLE = 16
MOST_SAMPLES = 4096
"""Values of secretbox that are opened: of each key name, and of all together."""
MOST_AMBIGUOUS = 64
"""Values that are tried under each of the names that may be theirs."""


def used(batch: RecordBatch, claims: prefixes.Prefixes) -> tuple[int, list[ProviderEntry]]:
    """How many values were tried, and the published keys that open one, each under the name it goes by there."""
    rows, length = _named(batch, claims)
    tried = 0
    opening: dict[tuple[Provider, bytes, bytes], None] = {}
    for kind in LOCAL:
        own = np.flatnonzero(claims.provider[rows] == kind)
        if kind is Provider.SECRETBOX:
            own = own[_sample(batch, claims.name_at[rows[own]], length[own])]
        if not own.size:
            continue
        once = np.zeros(len(batch), np.bool_)
        once[rows[own]] = True  # an ambiguous value has several rows here
        tried += int(once.sum())
        payload = claims.name_at[rows[own]] + length[own] + 1
        for secret, hits in _hits(kind, batch, payload):
            for row, size in zip(rows[own[hits]].tolist(), length[own[hits]].tolist(), strict=True):
                name = batch.data.slice(int(claims.name_at[row]), size)
                if (kind, name, secret) not in opening and _opens(kind, secret, batch, row, claims, size):
                    opening[kind, name, secret] = None
    return tried, [ProviderEntry(kind, (Key(decode(name), secret),)) for kind, name, secret in opening]


def _named(batch: RecordBatch, claims: prefixes.Prefixes) -> tuple[Ints, Ints]:
    """Rows of the local providers and the lengths of their key names; an ambiguous one has a row for each."""
    local = np.isin(claims.provider, LOCAL) & ~claims.malformed
    rows = np.flatnonzero(local & (claims.name_len >= 0))
    guesses = [
        (row, len(restore(name)))
        for row in np.flatnonzero(local & (claims.name_len == prefixes.AMBIGUOUS))[:MOST_AMBIGUOUS].tolist()
        for name in prefixes.candidates(batch, claims, row)
    ]
    more = np.array(guesses, np.int64).reshape(-1, 2)
    return np.concatenate((rows, more[:, 0])), np.concatenate((claims.name_len[rows], more[:, 1]))


def _sample(batch: RecordBatch, at: Ints, length: Ints) -> Ints:
    """Some of the values of each name, from the first to the last."""
    number, heads = factorize(batch.data, at, length)
    order = np.argsort(number, kind="stable")
    size = np.bincount(number, minlength=heads.size)
    rank = np.arange(order.size) - (np.cumsum(size) - size)[number[order]]
    step = -(-size // SAMPLE)
    chosen: Ints = order[rank % step[number[order]] == 0][:MOST_SAMPLES]
    return chosen


def _hits(kind: Provider, batch: RecordBatch, payload: Ints) -> Iterator[tuple[bytes, Ints]]:
    """A published key, and which of the payloads are worth opening with it."""
    if kind is Provider.SECRETBOX:
        for secret in PUBLISHED:
            if len(secret) == 32:
                yield secret, np.arange(payload.size)
        return
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    for part in chunks(payload.size):
        head = batch.data.blocks(payload[part], 4).view(np.uint8)
        if kind is Provider.AESCBC:
            block, mask = head[:, BLOCK:], head[:, :4]
        else:
            block, mask = np.zeros((head.shape[0], BLOCK), np.uint8), head[:, NONCE : NONCE + 4]
            block[:, :NONCE], block[:, -1] = head[:, :NONCE], 2  # GCM counts from 1, which its tag takes
        blocks, masked = block.tobytes(), np.ascontiguousarray(mask).view("<u4")[:, 0]
        for secret in PUBLISHED:
            cipher = Cipher(algorithms.AES(secret), modes.ECB())  # noqa: S305 - one block of each value is one of ECB
            context = cipher.decryptor() if kind is Provider.AESCBC else cipher.encryptor()
            first = np.frombuffer(context.update(blocks), "<u4")[:: BLOCK // 4] ^ masked
            yield secret, part.start + np.flatnonzero(_begins(first))


def _begins(first: NDArray[np.uint32]) -> Bools:
    """Which of these first four bytes begin a stored object."""
    looks: Bools = first == int.from_bytes(prefixes.PROTOBUF, "little")
    looks |= (first & 0xFFFF) == int.from_bytes(b'{"', "little")
    looks |= (first & 0xFFFFFF) == int.from_bytes(prefixes.CBOR, "little")
    return looks


def _opens(kind: Provider, secret: bytes, batch: RecordBatch, row: int, claims: prefixes.Prefixes, size: int) -> bool:
    from auditor.encryption.transformers import TRANSFORMERS, encoding

    value = batch.value(row)
    payload = value[int(claims.name_at[row] - batch.value_at[row]) + size + 1 :]
    key = batch.key(row) if batch.key_at[row] >= 0 else b""
    plaintext = TRANSFORMERS[kind](secret).open(payload, key)
    if plaintext is None or (kind_of := encoding(plaintext)) is Encoding.NONE:
        return False
    return not objects.decode(plaintext, kind_of).problem
