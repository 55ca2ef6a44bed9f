"""JWE compact, as PKCS#11 plugins wrap data keys: its parts, and its content under a key that is known.

Sources: RFC 7516, section 7.1; RFC 7518, sections 4.3 (RSA-OAEP), 4.5 (dir) and 5.3 (GCM); ThalesGroup/k8s-kms-plugin
and eclipse-keysealer/k8s-kms-plugin pkg/providers/p11.go with their library gose: RSA-OAEP is with SHA-256 there, even
where the header means SHA-1; A256CBC leaves a block behind the data key's two, and has its tag of another key.
"""

import base64
import binascii
import json
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

DIRECT = "dir"
"""Algorithm whose content key is the KEK itself."""
GCM = frozenset({"A128GCM", "A192GCM", "A256GCM"})
CBC = "A256CBC"
DATA_KEY = 32
"""Bytes of a data key: what CBC has behind them is padding."""
_BLOCK = 16
OAEP: dict[str, tuple[str, ...]] = {"RSA-OAEP": ("SHA256", "SHA1"), "RSA-OAEP-256": ("SHA256",)}
"""Algorithms whose content key RSA wraps, and the hashes that each may mean, in the order of trial."""
_HASHES: dict[str, type[hashes.HashAlgorithm]] = {"SHA256": hashes.SHA256, "SHA1": hashes.SHA1}


class Jwe(NamedTuple):
    """The parts of a JWE."""

    algorithm: str
    """`alg` of its header: how the content key is wrapped."""
    encryption: str
    """`enc` of its header: the cipher of the content."""
    associated: bytes
    """The header as it stands, in base64url: the associated data."""
    key: bytes
    """The wrapped content key; empty for DIRECT."""
    nonce: bytes
    sealed: bytes
    tag: bytes

    def __repr__(self) -> str:
        return "Jwe(...)"


def parse(raw: bytes) -> Jwe | None:
    """The parts of a JWE in compact form; None where it is none, or its header does not decode."""
    try:
        header, key, nonce, sealed, tag = (_base64url(part) for part in raw.split(b"."))
        claims = json.loads(header)
        algorithm, encryption = claims["alg"], claims["enc"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not (isinstance(algorithm, str) and isinstance(encryption, str)):
        return None
    return Jwe(algorithm, encryption, raw.partition(b".")[0], key, nonce, sealed, tag)


def content(jwe: Jwe, key: bytes) -> bytes | None:
    """The content under a content key; None where the key or the cipher is another.

    A256CBC answers to a wrong key too: its tag is of a key that is not at hand.
    """
    if jwe.encryption in GCM:
        try:
            return AESGCM(key).decrypt(jwe.nonce, jwe.sealed + jwe.tag, jwe.associated)
        except (InvalidTag, ValueError):
            return None
    if jwe.encryption != CBC or len(jwe.nonce) != _BLOCK or len(jwe.sealed) < DATA_KEY:
        return None
    try:
        decryptor = Cipher(algorithms.AES(key), modes.CBC(jwe.nonce)).decryptor()
    except ValueError:
        return None
    return decryptor.update(jwe.sealed[:DATA_KEY]) + decryptor.finalize()


def unwrapped(jwe: Jwe, key: rsa.RSAPrivateKey) -> bytes | None:
    """The content of a JWE by RSA; None where the key or the algorithm is another."""
    for name in OAEP.get(jwe.algorithm, ()):
        hashing = _HASHES[name]
        try:
            own = key.decrypt(jwe.key, padding.OAEP(padding.MGF1(hashing()), hashing(), None))
        except ValueError:
            continue
        if (plaintext := content(jwe, own)) is not None:
            return plaintext
    return None


def _base64url(part: bytes) -> bytes:
    try:
        return base64.b64decode(part + b"=" * (-len(part) % 4), b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError from error
