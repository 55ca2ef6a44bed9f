"""KMS envelopes: a payload that carries its own data key, wrapped by a plugin's KEK.

Source: k8s.io/apiserver pkg/storage/value/encrypt/envelope/envelope.go (v1) and envelope/kmsv2/ (v2).
"""

from collections.abc import Mapping
from typing import Protocol

from google.protobuf.message import DecodeError

from auditor.encryption.transformers import AesCbc, AesGcm, ExtendedGcm, Transformer
from auditor.protobuf.envelope_pb2 import EncryptedObject

AES_KEYS = frozenset({16, 24, 32})
GCM_KEY, HKDF_SEED = 0, 1


class Unwrapper(Protocol):
    """What a KMS plugin does for us; it raises AuditorError where it cannot."""

    def unwrap(self, wrapped: bytes, key_id: str = "", annotations: Mapping[str, bytes] = ...) -> bytes:
        """The data key or seed."""


class KmsV1:
    """u16 length, wrapped DEK, body: AES-GCM since 1.25, AES-CBC before. Nothing tells them apart but trying.

    One of the two: encryptionconfig/config.go (unionTransformers) tries GCM and then CBC, whose values are stale.
    """

    def __init__(self, plugin: Unwrapper, body: type[AesGcm | AesCbc] = AesGcm) -> None:
        self._plugin = plugin
        self._body = body
        self._deks: dict[bytes, AesGcm | AesCbc | None] = {}

    def open(self, payload: bytes, key: bytes) -> bytes | None:
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

    Of one source type: a value of another is stale too (kmsv2/envelope.go, TransformFromStorage).
    """

    def __init__(self, plugin: Unwrapper, kind: int = HKDF_SEED) -> None:
        self._plugin = plugin
        self._kind = kind
        self._sources: dict[tuple[bytes, bytes, bytes], Transformer | None] = {}

    def open(self, payload: bytes, key: bytes) -> bytes | None:
        try:
            stored = EncryptedObject.FromString(payload)
        except DecodeError:
            return None
        if stored.encrypted_dek_source_type != self._kind:
            return None
        notes = {name: stored.annotations[name] for name in sorted(stored.annotations)}
        source = (stored.encrypted_dek_source, stored.key_id, repr(notes).encode())
        if source not in self._sources:
            key_id = stored.key_id.decode("utf-8", "replace")
            unwrapped = self._plugin.unwrap(stored.encrypted_dek_source, key_id, notes)
            self._sources[source] = _cipher(unwrapped, self._kind)
        cipher = self._sources[source]
        return None if cipher is None else cipher.open(stored.encrypted_data, key)


def _cipher(unwrapped: bytes, kind: int) -> Transformer | None:
    if kind == GCM_KEY and len(unwrapped) in AES_KEYS:
        return AesGcm(unwrapped)
    if kind == HKDF_SEED and len(unwrapped) >= 32:
        return ExtendedGcm(unwrapped)
    return None
