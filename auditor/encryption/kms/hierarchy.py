"""Data keys under a local KEK, which a remote KMS wrapped: the value carries both.

Source: k8s.io/kms pkg/hierarchy of v0.27.0-alpha.2 and alpha.3: nonce and AES-GCM without associated data; the remote
KMS gets what stands in the annotation, with the other annotations of its own.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from auditor.encryption.kms.interface import WrappedKey

ANNOTATION = "encrypted-kek.reference.encryption.k8s.io"
_OWN = ".reference.encryption.k8s.io"
NONCE, SIZE = 12, 60
"""Bytes of the nonce, and of a wrapped data key: nonce, 32 bytes, tag."""


def local_kek(key: WrappedKey) -> WrappedKey | None:
    """What the remote KMS is asked for; None for a data key that it wrapped itself."""
    wrapped = dict(key.annotations).get(ANNOTATION)
    if wrapped is None or len(key.wrapped) != SIZE:
        return None
    others = frozenset(pair for pair in key.annotations if not pair[0].endswith(_OWN))
    return WrappedKey(wrapped, key.key_id, others)


def open_under(kek: bytes, key: WrappedKey) -> bytes | None:
    """The data key or seed under a local KEK; None where it is another."""
    try:
        return AESGCM(kek).decrypt(key.wrapped[:NONCE], key.wrapped[NONCE:], None)
    except (InvalidTag, ValueError):
        return None
