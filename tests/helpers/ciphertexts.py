"""The outside of ciphertexts: the prefix of each provider and the frames of both KMS versions, around any bytes.

Prefixes: k8s.io/apiserver pkg/server/options/encryptionconfig/config.go; what really opens is in `sealing`.
"""

from tests.helpers.objects import field

PREFIXES = {
    "aescbc": b"k8s:enc:aescbc:v1:",
    "aesgcm": b"k8s:enc:aesgcm:v1:",
    "secretbox": b"k8s:enc:secretbox:v1:",
    "kms v1": b"k8s:enc:kms:v1:",
    "kms v2": b"k8s:enc:kms:v2:",
}


def ciphertext(provider: str, name: bytes, payload: bytes) -> bytes:
    """A stored value: the provider's prefix, the name of the key or of the KMS, the payload."""
    return PREFIXES[provider] + name + b":" + payload


def kms_v1(body: bytes, wrapped: bytes = b"w" * 33) -> bytes:
    return len(wrapped).to_bytes(2, "big") + wrapped + body


def kms_v2(body: bytes, kek_id: bytes = b"kek-7", wrapped: bytes = b"w" * 33) -> bytes:
    return field(1, body) + field(2, kek_id) + field(3, wrapped)
