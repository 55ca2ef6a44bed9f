"""A token behind PKCS#11, through python-pkcs11: a key that does not leave it, of AES or of RSA.

Sources: kubernetes/kms internal/plugins/_mock (nonce, AES-GCM with the KEK's id as associated data); beezy-dev/kleidi
internal/providers (the same); jwe.py has those of JWE. OASIS PKCS#11 3.0, sections 6.1.7 (CK_RSA_PKCS_OAEP_PARAMS) and
6.13 (CK_GCM_PARAMS).
"""

import os
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from auditor.encryption.kms import jwe
from auditor.encryption.kms.address import Address
from auditor.encryption.kms.identify import GCM_SIZE, JWE, identify
from auditor.encryption.kms.interface import Answer, KmsError, KmsMismatch, KmsUntried, WrappedKey
from auditor.encryption.kms.services import need
from auditor.errors import UsageError
from auditor.inputs import name as file_name
from auditor.model.kms import KmsService
from auditor.text import shown

EXTRA = "pkcs11"
NONCE, TAG = 12, 16
LEFT = 8
"""Errors that a module may leave."""
_UNKNOWN = "the token does not know this cipher, or not with this hash"
_REASONS: dict[str, tuple[type[KmsError], str]] = {
    "PinIncorrect": (KmsUntried, "the PIN is not this token's: some tokens lock after a few wrong ones"),
    "PinLocked": (KmsUntried, "the PIN is locked: its security officer can set another"),
    "PinExpired": (KmsUntried, "the PIN has expired"),
    "PinInvalid": (KmsUntried, "the PIN has characters that the token does not take"),
    "PinLenRange": (KmsUntried, "the PIN is too short or too long for this token"),
    "UserNotLoggedIn": (KmsUntried, "the token wants a login: give pin-file"),
    "NoSuchToken": (KmsUntried, "the module has no token of this label"),
    "MultipleTokensReturned": (KmsUntried, "the module has several tokens of this label: give token"),
    "NoSuchKey": (KmsUntried, "the token has no key of this label: check key, or the PIN"),
    "MultipleObjectsReturned": (KmsUntried, "the token has several keys of this label"),
    "TokenNotPresent": (KmsUntried, "the token is not present"),
    "DeviceRemoved": (KmsUntried, "the token was removed"),
    "DeviceError": (KmsUntried, "the device fails"),
    "MechanismInvalid": (KmsUntried, _UNKNOWN),
    "MechanismParamInvalid": (KmsUntried, _UNKNOWN),
    "ArgumentsBad": (KmsUntried, _UNKNOWN),
    "KeyFunctionNotPermitted": (KmsUntried, "denied: the key may not decrypt (CKA_DECRYPT)"),
    "EncryptedDataInvalid": (KmsMismatch, "another key wrapped it, or it is damaged"),
    "EncryptedDataLenRange": (KmsMismatch, "another key wrapped it, or it is damaged"),
    "GeneralError": (KmsMismatch, "another key wrapped it, it is damaged, or the token fails"),
    "FunctionFailed": (KmsMismatch, "another key wrapped it, it is damaged, or the token fails"),
}
"""Names of python-pkcs11's errors, and what they mean. SoftHSM answers a wrong tag with CKR_GENERAL_ERROR."""


class Token:
    """Keys of a token: one, or those that a rotation left."""

    label = "PKCS#11"
    remote = True
    batch = 1
    several = False

    def __init__(self, address: Address) -> None:
        address.only("token", "key", "pin-file")
        if not address.place:
            raise UsageError(f"{address.option} needs the path of the module: pkcs11:/usr/lib/.../libsofthsm2.so")
        self._labels = list(filter(None, address.each("key")))
        if not self._labels:
            raise UsageError(f"{address.option} needs key=LABEL")
        if not os.path.isfile(address.place):  # noqa: PTH113 - as it is given
            raise UsageError(f"{address.option} {file_name(address.place)}: no such file")
        self._token_label, self._pin = address.one("token"), address.content("pin-file")
        self._module = address.place
        self._who = f"{self.label} token {shown(self._token_label) or 'of the module'}"
        self._name = self._named(", ".join(self._labels))
        self._pkcs11, self._exceptions = need(address, EXTRA, "pkcs11", "pkcs11.exceptions")
        need(address, EXTRA, "pkcs11.mechanisms")
        # sessions of one application share a login, and many modules are not safe for threads
        self._lock = threading.Lock()
        self._session: Any = None
        self._keys: list[tuple[str, Any]] = []  # label and object of each
        self._failure: KmsError | None = None

    def key(self, wrapped: WrappedKey) -> str:
        kek = identify(wrapped)
        if kek is None or kek.service not in {KmsService.AES_GCM, KmsService.JWE}:
            raise KmsMismatch("it is no ciphertext of a PKCS#11 plugin")
        return self._name

    def principal(self) -> str:
        return ""  # the one user that a token has

    def decrypt(self, keys: Sequence[WrappedKey]) -> Sequence[Answer | KmsError]:
        with self._lock:
            return [self._decrypt(wrapped) for wrapped in keys]

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session, self._keys = None, []

    def _decrypt(self, wrapped: WrappedKey) -> Answer | KmsError:
        failure: KmsError | None = None
        if not self._keys and self._failure is None:
            try:
                self._open()
            except self._exceptions.PKCS11Error as error:
                self._failure = self._failed(error)
        if self._failure is not None:  # a wrong PIN is tried once: a few more lock the token
            return self._failure
        for label, secret in self._keys:
            for attempt in self._attempts(secret, wrapped):
                if isinstance(attempt, KmsError):
                    # what could not be tried may be what would unwrap it
                    failure = attempt if failure is None or isinstance(attempt, KmsUntried) else failure
                else:
                    return Answer(attempt, self._named(label))
        return failure or KmsMismatch(f"{self._who}: the key is of another kind than what wrapped it")

    def _open(self) -> None:
        """Log in, and look for the secret and private keys of the label. Raises PKCS11Error."""
        library = self._pkcs11.lib(self._module)
        clear_openssl()
        token = library.get_token(token_label=self._token_label or None)
        try:
            self._session = token.open(user_pin=self._pin or None)
        except self._exceptions.UserAlreadyLoggedIn:  # by another --kms of this token: a login is of the process
            self._session = token.open()
        attribute, kinds = self._pkcs11.Attribute, self._pkcs11.ObjectClass
        keys = [
            (label, key)
            for label in self._labels
            for kind in (kinds.SECRET_KEY, kinds.PRIVATE_KEY)
            for key in self._session.get_objects({attribute.LABEL: label, attribute.CLASS: kind})
        ]
        if {label for label, _ in keys} != set(self._labels):
            raise self._exceptions.NoSuchKey
        self._keys = keys

    def _named(self, label: str) -> str:
        """Token and key, printable."""
        return shown("/".join(filter(None, (self._token_label, label))))

    def _attempts(self, secret: Any, wrapped: WrappedKey) -> Iterator[bytes | KmsError]:
        """What a key makes of a wrapped key, by each form that its bytes may have."""
        raw, symmetric = wrapped.wrapped, secret.object_class == self._pkcs11.ObjectClass.SECRET_KEY
        if JWE.fullmatch(raw):
            yield from self._jwe(secret, raw, symmetric=symmetric)
        elif len(raw) == GCM_SIZE and symmetric:
            # the mock and kleidi bind the data key to the KEK's id; others to nothing
            for associated in dict.fromkeys((wrapped.key_id.encode("utf-8", "replace"), b"")):
                yield self._gcm(secret, raw[:NONCE], raw[NONCE:], associated)

    def _gcm(self, secret: Any, nonce: bytes, sealed: bytes, associated: bytes) -> bytes | KmsError:
        parameters = self._pkcs11.GCMParams(nonce, associated or None, TAG * 8)
        return self._call(secret, sealed, mechanism=self._pkcs11.Mechanism.AES_GCM, mechanism_param=parameters)

    def _jwe(self, secret: Any, raw: bytes, *, symmetric: bool) -> Iterator[bytes | KmsError]:
        """The content of a JWE whose content key is the token's, or is wrapped by one of it."""
        parts, mechanism = jwe.parse(raw), self._pkcs11.Mechanism
        if parts is None:
            yield KmsMismatch("its JWE header does not decode")
        elif parts.algorithm == jwe.DIRECT and parts.encryption in jwe.GCM:
            if symmetric:
                yield self._gcm(secret, parts.nonce, parts.sealed + parts.tag, parts.associated)
        elif parts.algorithm == jwe.DIRECT and parts.encryption == jwe.CBC:
            if symmetric and len(self._labels) > 1:
                yield KmsUntried(f"{self._who}: A256CBC answers to every key: give one key alone")
            elif symmetric:
                sealed = parts.sealed[: jwe.DATA_KEY]
                yield self._call(secret, sealed, mechanism=mechanism.AES_CBC, mechanism_param=parts.nonce)
        elif parts.algorithm in jwe.OAEP and parts.encryption in jwe.GCM:
            yield from self._rsa(secret, parts) if not symmetric else ()
        else:
            yield KmsUntried(f"{self._who}: its JWE has algorithms that no plugin writes, which are not tried")

    def _rsa(self, secret: Any, parts: jwe.Jwe) -> Iterator[bytes | KmsError]:
        """The content of a JWE by RSA, for each hash that its algorithm may mean."""
        mechanism, mgf = self._pkcs11.Mechanism, self._pkcs11.MGF
        hashes = {"SHA256": (mechanism.SHA256, mgf.SHA256, None), "SHA1": (mechanism.SHA_1, mgf.SHA1, None)}
        for name in jwe.OAEP[parts.algorithm]:
            key = self._call(secret, parts.key, mechanism=mechanism.RSA_PKCS_OAEP, mechanism_param=hashes[name])
            if isinstance(key, KmsError):
                yield key
            else:
                text = jwe.content(parts, key)
                yield text if text is not None else KmsMismatch(f"{self._who}: another key wrapped it")

    def _call(self, secret: Any, sealed: bytes, **parameters: Any) -> bytes | KmsError:
        try:
            return bytes(secret.decrypt(sealed, **parameters))
        except self._exceptions.PKCS11Error as error:
            return self._failed(error)

    def _failed(self, error: Exception) -> KmsError:
        """The error for one of the library, whose text is not quoted."""
        name = type(error).__name__
        kind, reason = _REASONS.get(name, (KmsUntried, f"the token fails ({name})"))
        return kind(f"{self._who}: {reason}")


def connect(address: Address) -> Token:
    return Token(address)


def clear_openssl() -> None:
    """Take away errors that a module's loading left in OpenSSL (SoftHSM does): TLS of this thread would report them."""
    for _ in range(LEFT):
        with suppress(ssl.SSLError):
            ssl.create_default_context()
            return
