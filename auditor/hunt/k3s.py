"""The record that k3s and RKE2 keep of their configuration, retired keys included: `/bootstrap/<id>`.

The server token encrypts it.

Source: k3s pkg/cluster/encrypt.go (PBKDF2-HMAC-SHA1, 4096 rounds, AES-256-GCM) and pkg/cluster/storage.go.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from auditor import inputs
from auditor.encryption.configuration import ProviderEntry, parse
from auditor.encryption.strict_yaml import ConfigurationError
from auditor.errors import UsageError
from auditor.evidence.batch import RecordBatch
from auditor.hunt.key_material import EvidenceKey
from auditor.text import printable

PREFIX = b"/bootstrap/"
ROUNDS = 4096
NONCE = 12
LARGEST_TOKEN = 4096


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
    for batch in batches:
        rows = np.flatnonzero((batch.key_len > len(PREFIX)) & (batch.value_len > 0) & (batch.key_at >= 0))
        length = batch.key_size[rows]
        for row in rows[batch.data.starts_with(batch.key_at[rows], length, PREFIX)].tolist():
            count += 1
            plain = _open(batch.value(row), password)
            opened += plain is not None
            for entry in _entries(plain or b""):
                for key in entry.keys:
                    holder = printable(batch.key(row))
                    evidence_key = EvidenceKey(ProviderEntry(entry.provider, (key,)), holder)
                    distinct.setdefault((entry.provider, key.name, key.secret), evidence_key)
    return list(distinct.values()), count, opened


def _open(value: bytes, password: bytes) -> bytes | None:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    salt, _, text = value.partition(b":")
    try:
        payload = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(payload) < NONCE + 16:
        return None
    key = hashlib.pbkdf2_hmac("sha1", password, salt, ROUNDS, 32)
    try:
        return AESGCM(key).decrypt(payload[:NONCE], payload[NONCE:], None)
    except InvalidTag:
        return None


def _entries(plain: bytes) -> Iterator[ProviderEntry]:
    """The providers of the configuration in a record: base64, in newer versions beside a time stamp."""
    try:
        field = json.loads(plain)["EncryptionConfig"]
        text = base64.b64decode(field["Content"] if isinstance(field, dict) else field)
        configuration = parse(text, "the /bootstrap record")
    except (ValueError, KeyError, TypeError, RecursionError, ConfigurationError):
        return
    yield from (entry for entry in configuration.providers if entry.keys)
