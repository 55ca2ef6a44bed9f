"""The ciphers of kube-apiserver's storage transformers: what one key makes of one payload.

Source: k8s.io/apiserver pkg/storage/value/encrypt/ (aes/aes.go, aes/aes_extended_nonce.go, secretbox/secretbox.go).
Every open() answers None where the key does not open the payload; it never raises for what the payload holds.
"""

import hashlib
import hmac
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from nacl import exceptions, secret

BLOCK = 16
NONCE = 12
INFO = 32


class Transformer(Protocol):
    """One key of one provider."""

    def open(self, payload: bytes, key: bytes) -> bytes | None:
        """What the payload holds, given the etcd key it is stored under."""


class AesCbc:
    """IV of 16 bytes, then AES-CBC with PKCS#7 padding. No integrity: a foreign key opens one payload in 256."""

    def __init__(self, key: bytes) -> None:
        self._cipher = algorithms.AES(key)

    def open(self, payload: bytes, key: bytes = b"") -> bytes | None:  # noqa: ARG002
        if len(payload) < 2 * BLOCK or len(payload) % BLOCK:
            return None
        decryptor = Cipher(self._cipher, modes.CBC(payload[:BLOCK])).decryptor()
        padded = decryptor.update(payload[BLOCK:]) + decryptor.finalize()
        size = padded[-1]
        # the API server does not hold the padding to one block, only to the length
        if not 0 < size <= len(padded) or padded[-size:] != bytes([size]) * size:
            return None
        return padded[:-size]


class AesGcm:
    """Nonce of 12 bytes, then ciphertext and tag; the whole etcd key is associated data."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def open(self, payload: bytes, key: bytes) -> bytes | None:
        if len(payload) < NONCE + BLOCK:
            return None
        try:
            return self._cipher.decrypt(payload[:NONCE], payload[NONCE:], key)
        except InvalidTag:
            return None


class SecretBox:
    """Nonce of 24 bytes, Poly1305 tag, XSalsa20 ciphertext. Not bound to the etcd key."""

    def __init__(self, key: bytes) -> None:
        self._box = secret.SecretBox(key)

    def open(self, payload: bytes, key: bytes = b"") -> bytes | None:  # noqa: ARG002
        try:
            return self._box.decrypt(payload)
        except (exceptions.CryptoError, ValueError):
            return None


class ExtendedGcm:
    """KMS v2 since 1.28: 32 bytes of info derive a key from the seed, then AES-GCM as above.

    HKDF-Expand alone, with one block of output: HMAC-SHA256(seed, info || 1).
    """

    def __init__(self, seed: bytes) -> None:
        self._seed = seed

    def open(self, payload: bytes, key: bytes) -> bytes | None:
        if len(payload) < INFO + NONCE + BLOCK:
            return None
        derived = hmac.digest(self._seed, payload[:INFO] + b"\x01", hashlib.sha256)
        return AesGcm(derived).open(payload[INFO:], key)
