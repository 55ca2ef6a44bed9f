"""The ciphers of kube-apiserver's storage transformers: the plaintext of a payload under a key.

Source: k8s.io/apiserver pkg/storage/value/encrypt/ (aes/aes.go, aes/aes_extended_nonce.go, secretbox/secretbox.go).
Every open() returns None where the key does not open the payload, and raises for no content of a payload.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Protocol, TypeAlias

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from nacl import exceptions, secret

from auditor.kubernetes.prefixes import CBOR, PROTOBUF
from auditor.model.vocabulary import Encoding, Provider

BLOCK = 16
NONCE = 12
INFO = 32
AssociatedData: TypeAlias = bytes | Callable[[bytes], Iterable[bytes]]
"""The etcd key of a value; where it is lost, the keys that the object in a plaintext may have."""
_PADDINGS = tuple(bytes([length]) * length for length in range(256))


class Transformer(Protocol):
    """One key of one provider."""

    def open(self, payload: bytes, key: AssociatedData) -> bytes | None:
        """The plaintext of a payload under an etcd key; None where the key of the provider does not open it."""


class AesCbc:
    """IV of 16 bytes, then AES-CBC with PKCS#7 padding. No integrity: a foreign key opens one payload in 256.

    CBC is ECB and an xor with the block before: one cipher of ECB serves all payloads, CBC needs a new one for each.
    """

    def __init__(self, key: bytes) -> None:
        self._blocks = Cipher(algorithms.AES(key), modes.ECB()).decryptor()  # noqa: S305 - see above

    def open(self, payload: bytes, key: AssociatedData = b"") -> bytes | None:  # noqa: ARG002
        size = len(payload) - BLOCK
        if size < BLOCK or size % BLOCK:
            return None
        blocks, before = self._blocks.update(payload[BLOCK:]), payload[:size]
        return _unpadded((int.from_bytes(blocks, "little") ^ int.from_bytes(before, "little")).to_bytes(size, "little"))

    def open_all(self, payloads: Sequence[bytes]) -> list[bytes | None]:
        """open() of every payload, decrypted in one call."""
        whole = np.frombuffer(b"".join(payloads), np.uint8)
        if any(len(payload) % BLOCK for payload in payloads) or not whole.size:
            return [self.open(payload) for payload in payloads]
        blocks = np.frombuffer(self._blocks.update(whole[BLOCK:].data), np.uint8)
        padded = (blocks ^ whole[:-BLOCK]).tobytes()
        # the block where two payloads meet is a decrypted initialisation vector, and belongs to neither
        ends = accumulate(map(len, payloads))
        return [
            _unpadded(padded[end - len(payload) : end - BLOCK]) if len(payload) > BLOCK else None
            for payload, end in zip(payloads, ends, strict=True)
        ]


def _unpadded(text: bytes) -> bytes | None:
    """The text without its padding, which may exceed one block in the API server, but not the text."""
    padding = text[-1]
    if not 0 < padding <= len(text) or not text.endswith(_PADDINGS[padding]):
        return None
    return text[:-padding]


class AesGcm:
    """Nonce of 12 bytes, then ciphertext and tag; the whole etcd key is associated data."""

    def __init__(self, key: bytes) -> None:
        self._cipher, self._key = AESGCM(key), key

    def open(self, payload: bytes, key: AssociatedData) -> bytes | None:
        if len(payload) < NONCE + BLOCK:
            return None
        for associated in (key,) if isinstance(key, bytes) else self._candidates(payload, key):
            try:
                return self._cipher.decrypt(payload[:NONCE], payload[NONCE:], associated)
            except InvalidTag:
                continue
        return None

    def _candidates(self, payload: bytes, keys: Callable[[bytes], Iterable[bytes]]) -> Iterable[bytes]:
        """The etcd keys by what the payload decrypts to unauthenticated: counter mode from 2 on, as 1 is the tag's."""
        counter = modes.CTR(payload[:NONCE] + (2).to_bytes(BLOCK - NONCE, "big"))
        plaintext = Cipher(algorithms.AES(self._key), counter).decryptor().update(payload[NONCE:-BLOCK])
        return keys(plaintext) if encoding(plaintext) else ()


class SecretBox:
    """Nonce of 24 bytes, Poly1305 tag, XSalsa20 ciphertext. Not bound to the etcd key."""

    def __init__(self, key: bytes) -> None:
        self._box = secret.SecretBox(key)

    def open(self, payload: bytes, key: AssociatedData = b"") -> bytes | None:  # noqa: ARG002
        try:
            return self._box.decrypt(payload)
        except (exceptions.CryptoError, ValueError):
            return None


TRANSFORMERS: dict[Provider, type[AesCbc | AesGcm | SecretBox]] = {
    Provider.AESCBC: AesCbc,
    Provider.AESGCM: AesGcm,
    Provider.SECRETBOX: SecretBox,
}
"""Transformers of the providers whose keys stand in a configuration."""


class ExtendedGcm:
    """KMS v2 since 1.28: 32 bytes of info derive a key from the seed, then AES-GCM as above.

    HKDF-Expand alone, with one block of output: HMAC-SHA256(seed, info || 1).
    """

    def __init__(self, seed: bytes) -> None:
        self._seed = seed

    def open(self, payload: bytes, key: AssociatedData) -> bytes | None:
        if len(payload) < INFO + NONCE + BLOCK:
            return None
        derived = hmac.digest(self._seed, payload[:INFO] + b"\x01", hashlib.sha256)
        return AesGcm(derived).open(payload[INFO:], key)


def encoding(plaintext: bytes) -> Encoding:
    """The encoding of an opened value; NONE where it begins no object. A valid padding alone proves nothing."""
    if plaintext.startswith(PROTOBUF):
        return Encoding.PROTOBUF
    if plaintext.startswith(b"{"):
        return Encoding.JSON
    return Encoding.CBOR if plaintext.startswith(CBOR) else Encoding.NONE
