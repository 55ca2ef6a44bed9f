"""Stored values as kube-apiserver writes them under every provider, sealed here by the ciphers' own libraries.

Nothing is shared with auditor/encryption/ but the message of KMS v2. What is random comes from a seeded generator: a
test that flips bits meets the same bytes on every run.
"""

import base64
import hashlib
import hmac
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.padding import PKCS7
from nacl.secret import SecretBox

from auditor.protobuf.envelope_pb2 import EncryptedObject
from tests.helpers import bolt_builder
from tests.helpers.ciphertexts import PREFIXES
from tests.helpers.kms_plugin import ANNOTATIONS
from tests.helpers.objects import StoredObject

KEK_ID = "kek-a"
KEY, OTHER = bytes(range(140, 172)), bytes(range(180, 212))
LOCAL = ("aescbc", "aesgcm", "secretbox")
FORMS = (*LOCAL, "kms v1, GCM", "kms v1, CBC", "kms v2, seed", "kms v2, key")
"""Providers, and of a KMS what its values hold."""


def seal(form: str, name: str, key: bytes, thing: StoredObject, rng: random.Random) -> bytes:
    """The stored value of an object; key: the local key, or the KEK of the tests' plugin."""
    provider, _, kind = form.partition(", ")
    plaintext = thing.protobuf()
    if provider == "aescbc":
        payload = cbc(key, plaintext, rng)
    elif provider == "aesgcm":
        payload = gcm(key, plaintext, thing.key, rng)
    elif provider == "secretbox":
        payload = bytes(SecretBox(key).encrypt(plaintext, rng.randbytes(24)))
    else:
        dek, nonce = rng.randbytes(32), rng.randbytes(12)
        wrapped = KEK_ID.encode() + b"|" + nonce + AESGCM(key).encrypt(nonce, dek, None)
        info = rng.randbytes(32) if kind == "seed" else b""
        inner = hmac.digest(dek, info + b"\x01", hashlib.sha256) if info else dek
        body = info + (cbc(dek, plaintext, rng) if kind == "CBC" else gcm(inner, plaintext, thing.key, rng))
        payload = len(wrapped).to_bytes(2, "big") + wrapped + body
        if provider == "kms v2":
            stored = EncryptedObject(encrypted_data=body, key_id=KEK_ID.encode(), encrypted_dek_source=wrapped)
            stored.encrypted_dek_source_type = 1 if info else 0
            for note, text in ANNOTATIONS.items():
                stored.annotations[note] = text
            payload = stored.SerializeToString(deterministic=True)
    return PREFIXES[provider] + name.encode() + b":" + payload


def cbc(key: bytes, plaintext: bytes, rng: random.Random) -> bytes:
    iv, padder = rng.randbytes(16), PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return iv + encryptor.update(padder.update(plaintext) + padder.finalize()) + encryptor.finalize()


def gcm(key: bytes, plaintext: bytes, etcd_key: bytes, rng: random.Random) -> bytes:
    nonce = rng.randbytes(12)
    return nonce + AESGCM(key).encrypt(nonce, plaintext, etcd_key)


def provider(form: str, *keys: tuple[str, bytes]) -> dict[str, Any]:
    """An element of a providers list: local keys, or a KMS by the name of the first."""
    kind = form.partition(", ")[0]
    if kind in LOCAL:
        coded = [{"name": name, "secret": base64.b64encode(secret).decode()} for name, secret in keys]
        return {kind: {"keys": coded}}
    return {"kms": {"apiVersion": kind[-2:], "name": keys[0][0], "endpoint": "unix:///nowhere.sock"}}


def configuration(path: Path, *providers: dict[str, Any], resources: Sequence[str] = ("secrets",)) -> str:
    rule = {"resources": list(resources), "providers": list(providers)}
    path.write_text(
        json.dumps({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration", "resources": [rule]})
    )
    return str(path)


def database(path: Path, pairs: Sequence[tuple[bytes, bytes]]) -> Path:
    """A snapshot of these keys and values, each put by a revision of its own."""
    path.write_bytes(
        bolt_builder.backend(
            [bolt_builder.record(main, key, value) for main, (key, value) in enumerate(pairs, 2)]
        ).seal()
    )
    return path
