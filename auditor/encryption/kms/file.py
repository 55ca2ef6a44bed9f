"""A KEK in a file: an exported transit key, Barbican's payload, the local KEK of a hierarchy. Nothing is called.

Sources: openbao/openbao builtin/logical/transit/path_export.go and sdk/helper/keysutil/policy.go; cloud-provider-
openstack pkg/kms/encryption; k8s.io/kms pkg/hierarchy; kubernetes/kms internal/plugins/_mock (KEK id as associated
data); jwe.py has those of JWE.
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from nacl import bindings
from nacl.exceptions import CryptoError

from auditor.encryption.kms import jwe
from auditor.encryption.kms.address import Address
from auditor.encryption.kms.identify import JWE, OPENBAO_ID, TRANSIT, identify
from auditor.encryption.kms.interface import Answer, KmsError, KmsMismatch, KmsUntried, WrappedKey
from auditor.encryption.kms.vault import associated_data
from auditor.encryption.transformers import AesCbc
from auditor.errors import UsageError
from auditor.inputs import name as file_name
from auditor.model.kms import KmsService

SIZES = frozenset({16, 24, 32})
NONCE, LONG_NONCE = 12, 24
_FORMS = "32 bytes, as they are, in base64 or hex, or what transit exports"


class KekFile:
    """One KEK, or the versions of one that transit exports."""

    label = "a file"
    remote = False
    batch = 1
    several = False

    def __init__(self, address: Address) -> None:
        address.only("cluster-id", "instance-id")
        if not address.place:
            raise UsageError(f"{address.option} needs the path of a file: {_FORMS}")
        self._address = address
        self._name = file_name(address.place)
        self._versions = _versions(address.read(address.place))
        if not self._versions:
            raise UsageError(f"{address.option} {self._name} holds no key: {_FORMS}")

    def key(self, wrapped: WrappedKey) -> str:  # noqa: ARG002 - of the contract
        return self._name

    def principal(self) -> str:
        return ""

    def decrypt(self, keys: Sequence[WrappedKey]) -> Sequence[Answer | KmsError]:
        return [self._decrypt(wrapped) for wrapped in keys]

    def close(self) -> None:
        self._versions = {}

    def _decrypt(self, wrapped: WrappedKey) -> Answer | KmsError:
        kek = identify(wrapped)
        if kek is not None and kek.service is KmsService.TRANSIT:
            version = int(kek.version)
            secret = self._versions.get(version) or self._versions.get(0)
            if secret is None:
                return KmsUntried(f"{self._name} has no version {version} of the key")
            match = TRANSIT.fullmatch(wrapped.wrapped)
            sealed = base64.b64decode(wrapped.wrapped[match.end(2) + 1 :]) if match else b""
            plaintext = _transit(secret, sealed, self._associated(wrapped))
            current = version == max(self._versions) if 0 not in self._versions else None
        else:
            attempts = (_other(secret, wrapped) for secret in self._versions.values())
            plaintext, current = next((text for text in attempts if text is not None), None), None
        if plaintext is None:
            return KmsMismatch(f"the key in {self._name} does not unwrap its data key")
        return Answer(plaintext, self._name, current)

    def _associated(self, wrapped: WrappedKey) -> bytes:
        if not OPENBAO_ID.fullmatch(wrapped.key_id):
            return b""
        ids = self._address.one("cluster-id"), self._address.one("instance-id")
        return associated_data(wrapped, self._address.name, *ids)


def connect(address: Address) -> KekFile:
    return KekFile(address)


def _versions(raw: bytes) -> dict[int, bytes | rsa.RSAPrivateKey]:
    """The key in a file by its version; 0 for one without."""
    if len(raw) in SIZES:
        return {0: raw}
    text = raw.strip()
    if text.startswith(b"{"):
        return dict(_exported(text))
    key = _key(text)
    return {} if key is None else {0: key}


def _exported(text: bytes) -> Iterator[tuple[int, bytes | rsa.RSAPrivateKey]]:
    """The versions in what `read transit/export/encryption-key/NAME` prints as JSON."""
    try:
        document: Any = json.loads(text)
    except ValueError:
        return
    inner = document.get("data", document)
    keys = inner.get("keys") if isinstance(inner, dict) else None
    for version, secret in keys.items() if isinstance(keys, dict) else ():
        key = _key(secret.encode("utf-8", "replace")) if isinstance(secret, str) else None
        if version.isdecimal() and key is not None:
            yield int(version), key


def _key(text: bytes) -> bytes | rsa.RSAPrivateKey | None:
    """A key as text: RSA in PEM, another in hex or base64."""
    if text.startswith(b"-----BEGIN"):
        try:
            loaded = serialization.load_pem_private_key(text, None)
        except (ValueError, TypeError):
            return None
        return loaded if isinstance(loaded, rsa.RSAPrivateKey) else None
    readers: tuple[Callable[[bytes], bytes], ...] = (lambda raw: bytes.fromhex(raw.decode("ascii")), _base64)
    for read in readers:
        try:
            key = read(text)
        except (ValueError, binascii.Error):
            continue
        if len(key) in SIZES:
            return key
    return None


def _base64(text: bytes) -> bytes:
    return base64.b64decode(text, validate=True)


def _transit(secret: bytes | rsa.RSAPrivateKey, sealed: bytes, associated: bytes) -> bytes | None:
    """The plaintext of a transit ciphertext; None where the key is another."""
    if isinstance(secret, rsa.RSAPrivateKey):
        try:
            return secret.decrypt(sealed, padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None))
        except ValueError:
            return None
    if len(sealed) < NONCE + 16:
        return None
    for cipher in (AESGCM, ChaCha20Poly1305):
        if cipher is ChaCha20Poly1305 and len(secret) != 32:
            continue
        try:
            return cipher(secret).decrypt(sealed[:NONCE], sealed[NONCE:], associated)
        except InvalidTag:
            continue
    try:
        nonce, rest = sealed[:LONG_NONCE], sealed[LONG_NONCE:]
        return bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(rest, associated, nonce, secret)
    except (CryptoError, TypeError, ValueError):
        return None


def _other(secret: bytes | rsa.RSAPrivateKey, wrapped: WrappedKey) -> bytes | None:
    """The plaintext of what is no transit ciphertext: JWE, AES-GCM, bound to nothing or to the KEK's id, or CBC."""
    raw = wrapped.wrapped
    if JWE.fullmatch(raw):
        return _jwe(secret, raw)
    if isinstance(secret, rsa.RSAPrivateKey) or len(raw) < NONCE + 16:
        return None
    for associated in (b"", wrapped.key_id.encode("utf-8", "replace")):
        try:
            return AESGCM(secret).decrypt(raw[:NONCE], raw[NONCE:], associated)
        except InvalidTag:
            continue
    return AesCbc(secret).open(raw) if not wrapped.key_id else None


def _jwe(secret: bytes | rsa.RSAPrivateKey, raw: bytes) -> bytes | None:
    """The content of a JWE whose content key is this one, or is wrapped by it."""
    parts = jwe.parse(raw)
    if parts is None:
        return None
    if isinstance(secret, rsa.RSAPrivateKey):
        return jwe.unwrapped(parts, secret)
    return jwe.content(parts, secret) if parts.algorithm == jwe.DIRECT else None
