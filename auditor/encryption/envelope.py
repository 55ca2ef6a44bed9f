"""KMS envelopes: a payload that carries its own data key, wrapped by a plugin's KEK.

Source: k8s.io/apiserver pkg/storage/value/encrypt/envelope/envelope.go (v1) and envelope/kmsv2/ (v2).
"""

from collections.abc import Mapping

from google.protobuf.message import DecodeError

from auditor.encryption.kms.interface import NO_ANNOTATIONS, Unwrapper
from auditor.encryption.transformers import AesCbc, AesGcm, AssociatedData, ExtendedGcm, Transformer, encoding
from auditor.protobuf.envelope_pb2 import EncryptedObject

AES_KEYS = frozenset({16, 24, 32})
GCM_KEY, HKDF_SEED = 0, 1


class KmsV1:
    """u16 length, wrapped DEK, body: AES-GCM since 1.25, AES-CBC before. Only a trial tells the two apart.

    A transformer reads one of them: encryptionconfig/config.go (unionTransformers) tries GCM and then CBC, whose values
    are stale.
    """

    def __init__(self, plugin: Unwrapper, body: type[AesGcm | AesCbc] = AesGcm) -> None:
        self._plugin = plugin
        self._body = body
        self._deks: dict[bytes, AesGcm | AesCbc | None] = {}

    def open(self, payload: bytes, key: AssociatedData) -> bytes | None:
        """The plaintext; None where the unwrapped key does not open the payload."""
        size = int.from_bytes(payload[:2], "big")
        wrapped, body = payload[2 : 2 + size], payload[2 + size :]
        if not size or len(wrapped) < size:
            return None
        if wrapped not in self._deks:
            dek = self._plugin.unwrap(wrapped)
            self._deks[wrapped] = self._body(dek) if len(dek) in AES_KEYS else None
        cipher = self._deks[wrapped]
        return None if cipher is None else cipher.open(body, key)


class KmsV2:
    """EncryptedObject: the body, the KEK's id in clear, and the wrapped data key or seed that many values share.

    A transformer reads one source type: a value of the other is stale (kmsv2/envelope.go, TransformFromStorage).
    """

    def __init__(self, plugin: Unwrapper, kind: int = HKDF_SEED) -> None:
        self._plugin = plugin
        self._kind = kind
        self._sources: dict[tuple[bytes, bytes, bytes], Transformer | None] = {}

    def open(self, payload: bytes, key: AssociatedData) -> bytes | None:
        """The plaintext; None where the unwrapped key does not open the payload."""
        try:
            envelope = EncryptedObject.FromString(payload)
        except DecodeError:
            return None
        if envelope.encrypted_dek_source_type != self._kind:
            return None
        annotations = {name: envelope.annotations[name] for name in sorted(envelope.annotations)}
        source = (envelope.encrypted_dek_source, envelope.key_id, repr(annotations).encode())
        if source not in self._sources:
            key_id = envelope.key_id.decode("utf-8", "replace")
            dek = self._plugin.unwrap(envelope.encrypted_dek_source, key_id, annotations)
            self._sources[source] = _cipher(dek, self._kind)
        cipher = self._sources[source]
        return None if cipher is None else cipher.open(envelope.encrypted_data, key)


class Known:
    """An unwrapper of a data key that is at hand."""

    def __init__(self, dek: bytes) -> None:
        self._dek = dek

    def __repr__(self) -> str:
        return "Known(...)"

    def unwrap(self, wrapped: bytes, key_id: str = "", annotations: Mapping[str, bytes] = NO_ANNOTATIONS) -> bytes:  # noqa: ARG002
        """The data key, whatever is asked."""
        return self._dek


def opens_first(payload: bytes, key: bytes, dek: bytes) -> bool:
    """Whether a data key opens a value of KMS v1 to the beginning of an object.

    Args:
        payload: the value behind its prefix.
        key: its etcd key.
        dek: the data key.
    """
    plaintexts = (KmsV1(Known(dek), body).open(payload, key) for body in (AesGcm, AesCbc))
    return any(plaintext is not None and bool(encoding(plaintext)) for plaintext in plaintexts)


def _cipher(source: bytes, kind: int) -> Transformer | None:
    """The cipher of a data key or seed; None for one of no valid length."""
    if kind == GCM_KEY and len(source) in AES_KEYS:
        return AesGcm(source)
    if kind == HKDF_SEED and len(source) >= 32:
        return ExtendedGcm(source)
    return None
