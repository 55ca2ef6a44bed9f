"""The record that k3s and RKE2 keep of their configuration, retired keys included: `/bootstrap/<id>`.

The server token encrypts it.

Source: k3s pkg/cluster/encrypt.go (PBKDF2-HMAC-SHA1, 4096 rounds, AES-256-GCM) and pkg/cluster/storage.go.
"""

import base64
import binascii
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from auditor import inputs
from auditor.encryption.configuration import Key, ProviderEntry, parse
from auditor.encryption.strict_yaml import ConfigurationError
from auditor.errors import UsageError
from auditor.evidence.batch import RecordBatch
from auditor.hunt.key_material import EvidenceKey
from auditor.model.findings import BootstrapRecord
from auditor.model.vocabulary import Place, Provider
from auditor.text import printable, shown

PREFIX = b"/bootstrap/"
ROUNDS = 4096
NONCE = 12
LARGEST_TOKEN = 4096
_NAMED = re.compile(rb"/bootstrap/[0-9a-f]{12}")
"""A record's etcd key as k3s writes it: other text behind the prefix is not quoted."""


def token(path: Path) -> bytes:
    """The password part of a token file: `K10<hash>::server:<password>`, or the password alone. Raises UsageError."""
    name = inputs.name(path)
    try:
        raw = inputs.read(path, LARGEST_TOKEN)[: LARGEST_TOKEN + 1].strip()
    except OSError as error:
        raise UsageError(f"--k3s-token {name} cannot be read: {error.strerror}") from None
    if not raw or len(raw) > LARGEST_TOKEN:
        raise UsageError(f"--k3s-token {name}: empty, or too long for a token")
    return raw.rpartition(b"::")[2].rpartition(b":")[2]


def keys(batches: Iterable[RecordBatch], password: bytes) -> tuple[list[EvidenceKey], int, int]:
    """The keys of every revision of the record, the number of its values, and how many of them the token opens."""
    distinct: dict[tuple[object, ...], EvidenceKey] = {}
    count = opened = 0
    for key, _, value, revision in _values(batches):
        count += 1
        plain = _decrypt(value, password)
        opened += plain is not None
        for provider, encryption_key in _keys(plain):
            identity = (provider, encryption_key.name, encryption_key.secret)
            fresh = EvidenceKey(ProviderEntry(provider, (encryption_key,)), printable(key))
            known = distinct.setdefault(identity, fresh)
            distinct[identity] = replace(known, newest=max(known.newest, revision))
    return list(distinct.values()), count, opened


def records(batches: Iterable[RecordBatch], password: bytes | None) -> tuple[BootstrapRecord, ...]:
    """The records in the evidence, one for each etcd key, and what the token decrypts of each.

    batches: all records of the evidence. password: of --k3s-token; None where there is none.
    """
    groups: dict[str, list[tuple[Place, bytes]]] = {}
    for key, place, value, _ in _values(batches):
        groups.setdefault(key.decode() if _NAMED.fullmatch(key) else f"{PREFIX.decode()}...", []).append((place, value))
    return tuple(_record(key, values, password) for key, values in sorted(groups.items()))


def _record(key: str, values: Sequence[tuple[Place, bytes]], password: bytes | None) -> BootstrapRecord:
    """The record of one etcd key. values: place and bytes of each."""
    tokenless = key.endswith(record_id(b""))
    passwords = [*([password] if password is not None else []), *([b""] if tokenless else [])]
    plaintexts = [
        next((plain for each in passwords if (plain := _decrypt(value, each)) is not None), None) for _, value in values
    ]
    names = (f"{provider.label}/{shown(each.name)}" for plain in plaintexts for provider, each in _keys(plain))
    return BootstrapRecord(
        key=key,
        values=len(values),
        places=tuple(sorted(Counter(place for place, _ in values).items())),
        opened=sum(plain is not None for plain in plaintexts),
        tokenless=tokenless,
        named=password is not None and key.endswith(record_id(password)),
        tried=password is not None,
        keys=tuple(dict.fromkeys(names)),
    )


def is_recorded(batches: Iterable[RecordBatch], password: bytes) -> bool:
    """Whether one of the records has the name that a token's password gives it."""
    identity = record_id(password).encode()
    return any(key.endswith(identity) for key, *_ in _values(batches))


def record_id(password: bytes) -> str:
    """The last part of a record's key: the beginning of the SHA-256 of the token's password."""
    return hashlib.sha256(password).hexdigest()[:12]


def _values(batches: Iterable[RecordBatch]) -> Iterator[tuple[bytes, Place, bytes, int]]:
    """Etcd key, place, bytes and mod revision of every value of a record."""
    for batch in batches:
        rows = np.flatnonzero((batch.key_len > len(PREFIX)) & (batch.value_len > 0) & (batch.key_at >= 0))
        length = batch.key_size[rows]
        for row in rows[batch.data.starts_with(batch.key_at[rows], length, PREFIX)].tolist():
            yield batch.key(row), Place(int(batch.place[row])), batch.value(row), int(batch.mod_revision[row])


def _decrypt(value: bytes, password: bytes) -> bytes | None:
    """The plaintext of a value; None where the token does not decrypt it."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    salt, _, text = value.partition(b":")
    try:
        payload = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(payload) < NONCE + 16:
        return None
    try:
        return AESGCM(_derived(password, salt)).decrypt(payload[:NONCE], payload[NONCE:], None)
    except InvalidTag:
        return None


@lru_cache(maxsize=1024)
def _derived(password: bytes, salt: bytes) -> bytes:
    """The key of one value: the hunt for keys and the table of records both need it."""
    return hashlib.pbkdf2_hmac("sha1", password, salt, ROUNDS, 32)


def _keys(plain: bytes | None) -> Iterator[tuple[Provider, Key]]:
    """The keys of the configuration in a decrypted value."""
    for entry in _entries(plain or b""):
        for key in entry.keys:
            yield entry.provider, key


def _entries(plain: bytes) -> Iterator[ProviderEntry]:
    """The providers of the configuration in a record: base64, in newer versions beside a time stamp."""
    try:
        field = json.loads(plain)["EncryptionConfig"]
        text = base64.b64decode(field["Content"] if isinstance(field, dict) else field)
        configuration = parse(text, "the /bootstrap record")
    except (ValueError, KeyError, TypeError, RecursionError, ConfigurationError):
        return
    yield from (entry for entry in configuration.providers if entry.keys)
