"""Classify stored values by their first bytes: provider, key name, encoding. Array arithmetic over whole batches.

Prefixes: k8s.io/apiserver pkg/server/options/encryptionconfig/config.go (`k8s:enc:<provider>:v<N>:<name>:`);
payloads: pkg/storage/value/encrypt/. A prefix is a claim: it proves nothing about what follows.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.buffer import Buffer, varints
from auditor.arrays.columns import Columns
from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.factorize import factorize
from auditor.arrays.parallel import parallel_for
from auditor.evidence.batch import RecordBatch
from auditor.model.vocabulary import Encoding, Provider, State
from auditor.text import printable

ENCRYPTED = b"k8s:enc:"
PROTOBUF = b"k8s\0"
CBOR = b"\xd9\xd9\xf7"
"""Tag 55799, self-described CBOR."""
PREFIXES = {
    Provider.AESCBC: b"aescbc:v1:",
    Provider.AESGCM: b"aesgcm:v1:",
    Provider.SECRETBOX: b"secretbox:v1:",
    Provider.KMS_V1: b"kms:v1:",
    Provider.KMS_V2: b"kms:v2:",
}
READABLE = (PROTOBUF, b"{", CBOR)
"""How the values that need no key begin."""
JSON_HEADS = (b'{"apiVer', b'{"kind":')
"""How the JSON of a Kubernetes object begins where Go writes it: eight bytes each."""
LONGEST_NAME = 1024
MOST_COLONS = 16
AMBIGUOUS = -2
"""name_len of a value whose key name cannot be told from its payload."""
_SMALLEST = {Provider.AESCBC: 32, Provider.AESGCM: 28, Provider.SECRETBOX: 40, Provider.KMS_V1: 31, Provider.KMS_V2: 8}
"""Bytes of payload below which no transformer wrote it: nonce or IV, tag or padding, and at least one block."""


@dataclass(frozen=True, slots=True)
class Prefixes(Columns):
    """Columns of shape (n,) beside a batch."""

    provider: NDArray[np.uint8]
    encoding: NDArray[np.uint8]
    name_at: Ints
    """Where the key name (or KMS name) begins in the batch's data."""
    name_len: Ints
    """Its length, -1 where the value names none and AMBIGUOUS where payload and name cannot be kept apart."""
    malformed: Bools
    """Whether an encrypted prefix stands before no such payload."""


def classify(batch: RecordBatch) -> Prefixes:
    """Provider, encoding and key name by the prefix of every value."""
    count = len(batch)
    provider = np.zeros(count, np.uint8)
    encoding = np.zeros(count, np.uint8)
    prefix = np.zeros(count, np.int64)

    sizes = batch.value_size

    def look(part: slice) -> None:
        at, length = batch.value_at[part], sizes[part]
        first = batch.data.words(at)
        encrypted = np.flatnonzero((first == _word(ENCRYPTED)) & (length >= len(ENCRYPTED)))
        low = first & np.uint64(0xFFFFFFFF)
        readable = (
            (Encoding.PROTOBUF, (low == _word(PROTOBUF)) & (length >= len(PROTOBUF))),
            (Encoding.JSON, ((low & np.uint64(0xFF)) == ord("{")) & (length >= 1)),
            (Encoding.CBOR, ((low & np.uint64(0xFFFFFF)) == _word(CBOR)) & (length >= len(CBOR))),
        )
        for kind, rows in readable:
            encoding[part][rows] = kind
            provider[part][rows] = Provider.IDENTITY
        for kind_of, text in PREFIXES.items():
            if not encrypted.size:
                break
            after = len(ENCRYPTED)
            named = batch.data.starts_with(at[encrypted] + after, length[encrypted] - after, text)
            provider[part][encrypted[named]] = kind_of
            prefix[part][encrypted[named]] = after + len(text)
            encrypted = encrypted[~named]

    parallel_for(count, look)
    return _name_keys(batch, provider, encoding, prefix)


def likely(batch: RecordBatch, claims: Prefixes) -> Bools:
    """The values that look like stored Kubernetes objects: of JSON those that begin as Go writes one.

    metav1.TypeMeta of a typed object is `kind`, then `apiVersion`; unstructured ones have their keys sorted.
    """
    likely: Bools = claims.provider != Provider.UNKNOWN
    rows = np.flatnonzero(claims.encoding == Encoding.JSON)
    if rows.size:
        likely = likely.copy()
        likely[rows] = np.isin(batch.data.words(batch.value_at[rows]), [_word(head) for head in JSON_HEADS])
    return likely


def no_value(batch: RecordBatch) -> Bools:
    """Records that store nothing: tombstones, and the empty record that --bump-revision writes."""
    nothing: Bools = (batch.key_len == 0) & (batch.value_len == 0)
    return nothing | batch.has(State.TOMBSTONE)


def kek_ids(batch: RecordBatch, values: Prefixes) -> tuple[Ints, Ints]:
    """Position and length of KMS v2's keyID, which stands in clear; length -1 where there is none.

    EncryptedObject, field 2, behind field 1 (k8s.io/apiserver .../encrypt/envelope/kmstypes/v2/api.proto).
    """
    at = np.zeros(len(batch), np.int64)
    length = np.full(len(batch), -1, np.int64)
    rows = np.flatnonzero((values.provider == Provider.KMS_V2) & ~values.malformed & (values.name_len >= 0))
    start = values.name_at[rows] + values.name_len[rows] + 1
    end = batch.value_at[rows] + batch.value_len[rows]
    size, used = varints(batch.data.words(start + 1))
    second = start + 1 + used + size
    head = batch.data.words(np.minimum(second, end))
    id_len, id_used = varints(head >> np.uint64(8))
    good = (second < end) & ((head & np.uint64(0xFF)) == 0x12) & (id_used > 0) & (id_used < 8)
    good &= second + 1 + id_used + id_len <= end
    at[rows[good]] = (second + 1 + id_used)[good]
    length[rows[good]] = id_len[good]
    return at, length


def candidates(batch: RecordBatch, values: Prefixes, row: int) -> list[str]:
    """The key names that an ambiguous value may have."""
    buffer = batch.data
    at = values.name_at[row : row + 1]
    end = batch.value_at[row : row + 1] + batch.value_len[row : row + 1]
    provider = values.provider[row : row + 1]
    names = []
    for length in _rounds(buffer, at, end - at):
        if length[0] < 0:
            break
        if _shaped(buffer, provider, at + length + 1, end)[0]:
            names.append(printable(buffer.slice(int(at[0]), int(length[0]))))
    return names


def _name_keys(batch: RecordBatch, provider: NDArray[np.uint8], encoding: NDArray[np.uint8], prefix: Ints) -> Prefixes:
    """Find where key names end. They may hold colons, and so may payloads.

    A candidate ends at a colon and leaves a payload of the provider's shape. Where several do, the longest that at
    least two values with different payloads share is the name; where none is shared, the name is ambiguous.
    """
    name_at = batch.value_at + prefix
    name_len = np.full(len(batch), -1, np.int64)
    malformed = np.zeros(len(batch), np.bool_)
    rows = np.flatnonzero(prefix > 0)
    at, end = name_at[rows], batch.value_at[rows] + batch.value_len[rows]
    kind, buffer = provider[rows], batch.data
    chosen, first = np.full(rows.size, -1, np.int64), np.full(rows.size, -1, np.int64)
    fitting = np.zeros(rows.size, np.int64)
    shared = np.full(rows.size, -1, np.int64)
    rounds: list[Ints] = []
    for length in _rounds(buffer, at, end - at):
        shaped = (length >= 0) & _shaped(buffer, kind, at + length + 1, end)
        if rounds:
            shaped &= kind != Provider.KMS_V2  # kube-apiserver refuses a colon in the name of a KMS v2 plugin
        else:
            first = length
        chosen[shaped] = length[shaped]
        fitting += shaped
        rounds.append(np.where(shaped, length, -1))
    several = fitting > 1
    for length in rounds if several.any() else []:
        ending = np.flatnonzero(length >= 0)
        # from the value's first byte on: another provider's key of that name is another key
        start = batch.value_at[rows[ending]]
        before = at[ending] - start
        name, _ = factorize(buffer, start, before + length[ending])
        _, heads = factorize(buffer, start, before + np.minimum(length[ending] + 17, (end - at)[ending]))
        distinct = np.bincount(name[heads], minlength=int(name.max(initial=0)) + 1)
        often = distinct[name] > 1
        shared[ending[often]] = length[ending[often]]
    chosen[several] = np.where(shared[several] >= 0, shared[several], AMBIGUOUS)
    bad = fitting == 0
    chosen[bad] = first[bad]
    name_len[rows] = chosen
    malformed[rows] = bad
    return Prefixes(provider, encoding, name_at, name_len, malformed)


def _rounds(buffer: Buffer, at: Ints, length: Ints) -> list[Ints]:
    """Distance to the first, second, ... colon of each string, -1 where there is none; only text lies between."""
    colon = buffer.find(at, np.minimum(length, LONGEST_NAME), ord(":"))
    rounds = [colon]
    for _ in range(MOST_COLONS - 1):
        rows = np.flatnonzero(colon >= 0)
        if not rows.size:
            break
        begin = colon[rows] + 1
        step = buffer.find(at[rows] + begin, np.minimum(length[rows], LONGEST_NAME) - begin, ord(":"), text=True)
        colon = np.full(at.size, -1, np.int64)
        colon[rows[step >= 0]] = (begin + step)[step >= 0]
        rounds.append(colon)
    return rounds


def _shaped(buffer: Buffer, provider: NDArray[np.uint8], at: Ints, end: Ints) -> Bools:
    """Whether what stands between `at` and `end` can be a payload of the provider, by its length and frame."""
    size = end - at
    smallest = np.array([_SMALLEST.get(Provider(code), 0) for code in range(len(Provider))])
    good = size >= smallest[provider]
    cbc = provider == Provider.AESCBC
    good[cbc] &= size[cbc] % 16 == 0
    for kind in (Provider.KMS_V1, Provider.KMS_V2):
        rows = np.flatnonzero((provider == kind) & good)
        words = buffer.words(at[rows])
        if kind is Provider.KMS_V1:
            wrapped = ((words & np.uint64(0xFF)) << np.uint64(8) | (words >> np.uint64(8) & np.uint64(0xFF))).astype(
                np.int64
            )
            good[rows] = (wrapped >= 1) & (2 + wrapped + 28 <= size[rows])
        else:
            length, used = varints(words >> np.uint64(8))
            good[rows] = ((words & np.uint64(0xFF)) == 0x0A) & (used > 0) & (1 + used + length < size[rows])
    return good


def _word(text: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(text, "little"))
