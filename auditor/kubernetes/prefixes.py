"""Prefixes of stored values: provider, key name and encoding by the first bytes. Array arithmetic on whole batches.

Prefixes: k8s.io/apiserver pkg/server/options/encryptionconfig/config.go (`k8s:enc:<provider>:v<N>:<name>:`);
payloads: pkg/storage/value/encrypt/. A prefix is a claim: it proves nothing about the payload.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.buffer import Buffer, varints
from auditor.arrays.columns import Columns
from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.factorize import factorize
from auditor.arrays.parallel import parallel_for
from auditor.evidence import beginnings
from auditor.evidence.batch import RecordBatch
from auditor.model.vocabulary import KMS_PROVIDERS, LOCAL_PROVIDERS, Encoding, Provider, State
from auditor.text import printable

ENCRYPTED = b"k8s:enc:"
PROTOBUF = b"k8s\0"
CBOR = b"\xd9\xd9\xf7"
"""Tag 55799, self-described CBOR."""
PREFIXES = {provider: provider.prefix.encode() for provider in (*LOCAL_PROVIDERS, *KMS_PROVIDERS)}
READABLE = (PROTOBUF, b"{", CBOR)
"""Beginnings of the values that need no key."""
JSON_HEADS = (b'{"apiVer', b'{"kind":')
"""How the JSON of a Kubernetes object begins where Go writes it: eight bytes each."""
LONGEST_NAME = 1024
"""Bytes of the longest key name."""
LONGEST_KEK_ID = 1024
"""Bytes of the longest keyID that kube-apiserver stores (pkg/storage/value/encrypt/envelope/kmsv2 keyIDMaxSize)."""
LONG_NAME = 64
"""Bytes of a name from which on it is looked at whether a value begins in it."""
UNLIKELY = b'"{}\x7f'
"""Bytes that no name of a key holds; nor does it hold control characters. JSON and YAML behind a prefix hold them."""
MOST_COLONS = 16
"""Colons after a prefix that may end the key name."""
AMBIGUOUS = -2
"""name_len of a value whose key name and payload cannot be separated."""
_ONES = np.uint64(0x0101010101010101)
_HIGH = np.uint64(0x8080808080808080)
_SPACES = np.uint64(0x20) * _ONES
_PATTERNS = tuple(np.uint64(byte) * _ONES for byte in UNLIKELY)
_SMALLEST = {Provider.AESCBC: 32, Provider.AESGCM: 28, Provider.SECRETBOX: 40, Provider.KMS_V1: 31, Provider.KMS_V2: 8}
"""Bytes of the shortest payload: nonce or IV, tag or padding, and at least one block."""


@dataclass(frozen=True, slots=True)
class Prefixes(Columns):
    """The prefixes of the values of a batch: columns of shape (n,)."""

    provider: NDArray[np.uint8]
    """Provider, codes of Provider."""
    encoding: NDArray[np.uint8]
    """Encoding of a readable value, codes of Encoding."""
    name_at: Ints
    """Start of the key name (or KMS name) in the batch's data."""
    name_len: Ints
    """Length of the key name; -1 for a value without one, AMBIGUOUS where name and payload cannot be separated."""
    malformed: Bools
    """Whether the payload cannot be one of the provider."""


def classify(batch: RecordBatch) -> Prefixes:
    """Provider, encoding and key name by the prefix of every value."""
    count = len(batch)
    provider = np.zeros(count, np.uint8)
    encoding = np.zeros(count, np.uint8)
    prefix = np.zeros(count, np.int64)

    sizes = batch.value_size

    def classify_part(part: slice) -> None:
        at, length = batch.value_at[part], sizes[part]
        # the first eight bytes of each value as a word; rows of the values that begin with ENCRYPTED
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
            matches = batch.data.starts_with(at[encrypted] + after, length[encrypted] - after, text)
            provider[part][encrypted[matches]] = kind_of
            prefix[part][encrypted[matches]] = after + len(text)
            encrypted = encrypted[~matches]

    parallel_for(count, classify_part)
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
    """The records without a value: tombstones, and the empty record that --bump-revision writes.

    etcd writes a tombstone with its key alone; one that holds a value all the same is judged as any other.
    """
    empty: Bools = batch.value_len == 0
    empty &= (batch.key_len == 0) | batch.has(State.TOMBSTONE)
    return empty


def kek_ids(batch: RecordBatch, values: Prefixes) -> tuple[Ints, Ints]:
    """Position and length of the plain keyID of KMS v2; length -1 for values without one.

    EncryptedObject, field 2, behind field 1 (k8s.io/apiserver .../encrypt/envelope/kmstypes/v2/api.proto).
    """
    at = np.zeros(len(batch), np.int64)
    length = np.full(len(batch), -1, np.int64)
    rows = np.flatnonzero((values.provider == Provider.KMS_V2) & ~values.malformed & (values.name_len >= 0))
    start = values.name_at[rows] + values.name_len[rows] + 1
    end = batch.value_at[rows] + batch.value_len[rows]
    # field 1, tag, length and content, then field 2: tag in the lowest byte of `head`, length above it
    size, width = varints(batch.data.words(start + 1))
    second = start + 1 + width + size
    head = batch.data.words(np.minimum(second, end))
    id_len, id_width = varints(head >> np.uint64(8))
    valid = (second < end) & ((head & np.uint64(0xFF)) == 0x12) & (id_width > 0) & (id_width < 8)
    valid &= (id_len <= LONGEST_KEK_ID) & (second + 1 + id_width + id_len <= end)
    begin = np.where(valid, second + 1 + id_width, 0)
    valid &= _plausible(batch.data, begin, np.where(valid, id_len, 0))
    at[rows[valid]] = begin[valid]
    length[rows[valid]] = id_len[valid]
    return at, length


def candidates(batch: RecordBatch, values: Prefixes, row: int) -> list[str]:
    """The key names that an ambiguous value may have.

    Args:
        batch: the records.
        values: their prefixes.
        row: of the value.
    """
    buffer = batch.data
    at = values.name_at[row : row + 1]
    end = batch.value_at[row : row + 1] + batch.value_len[row : row + 1]
    provider = values.provider[row : row + 1]
    names = []
    for length in _rounds(buffer, at, end - at):
        if length[0] < 0:
            break
        if _shaped(buffer, provider, at + length + 1, end)[0] and _plausible(buffer, at, length)[0]:
            names.append(printable(buffer.slice(int(at[0]), int(length[0]))))
    return names


def _name_keys(batch: RecordBatch, provider: NDArray[np.uint8], encoding: NDArray[np.uint8], prefix: Ints) -> Prefixes:
    """The prefixes with the ends of their key names. Names and payloads may hold colons.

    A candidate is plausible text before a colon, with a payload of the shape behind it. Of several, the longest that at
    least two values with different payloads share is the name; where none is shared, the name is ambiguous.
    """
    name_at = batch.value_at + prefix
    name_len = np.full(len(batch), -1, np.int64)
    malformed = np.zeros(len(batch), np.bool_)
    rows = np.flatnonzero(prefix > 0)
    at, end = name_at[rows], batch.value_at[rows] + batch.value_len[rows]
    kind, buffer = provider[rows], batch.data
    # of each encrypted value: length of the name, length to the first colon, number of candidates, longest shared one
    chosen, first = np.full(rows.size, -1, np.int64), np.full(rows.size, -1, np.int64)
    fitting = np.zeros(rows.size, np.int64)
    shared = np.full(rows.size, -1, np.int64)
    rounds: list[Ints] = []
    cut = (batch.state[rows] & np.uint8(State.TAIL_LOST)) != 0  # their length says nothing of their payload
    for length in _rounds(buffer, at, end - at):
        plausible = (length >= 0) & _plausible(buffer, at, np.maximum(length, 0))
        shaped = plausible & _shaped(buffer, kind, at + length + 1, end)
        if rounds:
            shaped &= kind != Provider.KMS_V2  # kube-apiserver refuses a colon in the name of a KMS v2 plugin
        else:
            first = np.where(plausible, length, -1)
            shaped |= plausible & cut
            cut &= (length < 0) & _plausible(buffer, at, end - at)  # they end in their name
        chosen[shaped] = length[shaped]
        fitting += shaped
        rounds.append(np.where(shaped, length, -1))
    several = fitting > 1
    for length in rounds if several.any() else []:
        ending = np.flatnonzero(length >= 0)
        # from the value's first byte on: keys of one name under two providers are two keys
        start = batch.value_at[rows[ending]]
        before = at[ending] - start
        name, _ = factorize(buffer, start, before + length[ending])
        _, heads = factorize(buffer, start, before + np.minimum(length[ending] + 17, (end - at)[ending]))
        distinct = np.bincount(name[heads], minlength=int(name.max(initial=0)) + 1)
        common = distinct[name] > 1
        shared[ending[common]] = length[ending[common]]
    chosen[several] = np.where(shared[several] >= 0, shared[several], AMBIGUOUS)
    unfit = fitting == 0
    chosen[unfit] = first[unfit]
    name_len[rows] = chosen
    malformed[rows] = unfit & ~cut
    return Prefixes(provider, encoding, name_at, name_len, malformed)


def _rounds(buffer: Buffer, at: Ints, length: Ints) -> list[Ints]:
    """Distance to the first, second, ... colon of each string, with only text in between; -1 where there is none."""
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


def _plausible(buffer: Buffer, at: Ints, length: Ints) -> Bools:
    """Whether the strings can be names that somebody gave: UTF-8 without control characters or UNLIKELY.

    What else stands between a prefix and a colon is part of a value: it must not be quoted as a name.
    """
    plausible = np.ones(at.shape, np.bool_)
    foreign = np.zeros(at.shape, np.bool_)
    every = np.arange(at.size)
    for index, words, mask in buffer.strings(at, np.where(length <= LONGEST_NAME, length, 0)):
        rows = every[index]
        # bytes below 0x20, then those of UNLIKELY: of the flags of a word the lowest is right, and one is enough
        flags = (words - _SPACES) & ~words
        for pattern in _PATTERNS:
            difference = words ^ pattern
            flags |= (difference - _ONES) & ~difference
        plausible[rows] &= ~((flags & _HIGH & mask).any(axis=1))
        foreign[rows] |= (words & _HIGH & mask).any(axis=1)
    plausible &= length <= LONGEST_NAME
    rows = np.flatnonzero(plausible & (foreign | (length > LONG_NAME)))
    if rows.size:
        numbers, heads = factorize(buffer, at[rows], length[rows])
        names = buffer.slices(at[rows[heads]], length[rows[heads]])
        plausible[rows] = np.array([_is_name(name) for name in names])[numbers]
    return plausible


def _is_name(raw: bytes) -> bool:
    """Whether a text is UTF-8 in which no value begins, in whatever writing."""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return len(raw) <= LONG_NAME or not beginnings.in_text(raw)


def _shaped(buffer: Buffer, provider: NDArray[np.uint8], at: Ints, end: Ints) -> Bools:
    """Whether the bytes from `at` to `end` can be a payload of the provider, by their length and frame."""
    size = end - at
    smallest = np.array([_SMALLEST.get(Provider(code), 0) for code in range(len(Provider))])
    valid = size >= smallest[provider]
    cbc = provider == Provider.AESCBC
    valid[cbc] &= size[cbc] % 16 == 0
    for kind in KMS_PROVIDERS:
        rows = np.flatnonzero((provider == kind) & valid)
        words = buffer.words(at[rows])
        if kind is Provider.KMS_V1:
            key_size = ((words & np.uint64(0xFF)) << np.uint64(8) | (words >> np.uint64(8) & np.uint64(0xFF))).astype(
                np.int64
            )
            valid[rows] = (key_size >= 1) & (2 + key_size + 28 <= size[rows])
        else:
            length, width = varints(words >> np.uint64(8))
            valid[rows] = ((words & np.uint64(0xFF)) == 0x0A) & (width > 0) & (1 + width + length < size[rows])
    return valid


def _word(text: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(text, "little"))
