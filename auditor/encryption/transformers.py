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

from auditor.model import Encoding, Provider
from auditor.storage.values import CBOR, PROTOBUF

BLOCK = 16
NONCE = 12
INFO = 32


class Transformer(Protocol):
    """One key of one provider."""

    def open(self, payload: bytes, key: bytes) -> bytes | None:
        """What the payload holds, given the etcd key it is stored under."""


class AesCbc:
    """IV of 16 bytes, then AES-CBC with PKCS#7 padding. No integrity: a foreign key opens one payload in 256.

    CBC is ECB and an xor with the block before: so one cipher serves all payloads, where CBC takes a new one for each.
    """

    def __init__(self, key: bytes) -> None:
        self._blocks = Cipher(algorithms.AES(key), modes.ECB()).decryptor()  # noqa: S305 - see above

    def open(self, payload: bytes, key: bytes = b"") -> bytes | None:  # noqa: ARG002
        size = len(payload) - BLOCK
        if size < BLOCK or size % BLOCK:
            return None
        blocks, before = self._blocks.update(payload[BLOCK:]), payload[:size]
        padded = (int.from_bytes(blocks, "little") ^ int.from_bytes(before, "little")).to_bytes(size, "little")
        padding = padded[-1]
        # the API server does not hold the padding to one block, only to the length
        if not 0 < padding <= size or padded[-padding:] != bytes([padding]) * padding:
            return None
        return padded[:-padding]


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


TRANSFORMERS: dict[Provider, type[AesCbc | AesGcm | SecretBox]] = {
    Provider.AESCBC: AesCbc,
    Provider.AESGCM: AesGcm,
    Provider.SECRETBOX: SecretBox,
}
"""Of the providers whose keys stand in the configuration."""


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


def encoding(plaintext: bytes) -> Encoding:
    """How an opened value is encoded; NONE where it begins as no object does: a padding that fits proves nothing."""
    if plaintext.startswith(PROTOBUF):
        return Encoding.PROTOBUF
    if plaintext.startswith(b"{"):
        return Encoding.JSON
    return Encoding.CBOR if plaintext.startswith(CBOR) else Encoding.NONE
