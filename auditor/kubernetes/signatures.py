"""What the sweep searches for: the beginnings of what Kubernetes stores, as data for evidence/sweep.py.

k8s.io/apimachinery pkg/runtime/serializer/protobuf (magic `k8s\\0`, then field 1 of runtime.Unknown), cbor (tag 55799);
k8s.io/apiserver pkg/server/options/encryptionconfig/config.go (`k8s:enc:`). JSON has no magic: it is met at the `kind`
that names an object which must be encrypted, wherever that stands in the object.
"""

from enum import IntEnum

from auditor.evidence.sweep import Signature

BLANKS = rb"[ \t\r\n]{0,16}"
QUOTE = rb"\\{0,3}\""
"""A quotation mark, also as it stands in JSON inside JSON."""
KEYS = (b"kind", b"apiVersion")
"""One of them stands within NEAR bytes of the tag in an object's CBOR; three bytes alone stand there by chance."""
NEAR = 64


class Form(IntEnum):
    """Which of SIGNATURES it is."""

    PROTOBUF = 0
    ENCRYPTED = 1
    JSON = 2
    CBOR = 3


SIGNATURES = (
    Signature(rb"k8s\x00\x0a", b"k8s\0", 5),
    Signature(rb"k8s:enc:", b"k8s:enc:", 8),
    Signature(rb"\"kind" + QUOTE + BLANKS + rb":" + BLANKS + QUOTE + rb"Secret[\"\\]", b"kind", 53),
    Signature(rb"\xd9\xd9\xf7", b"\xd9\xd9\xf7", 3),
)
"""In the order of Form. Expressions that begin with fixed bytes cost half of others."""
