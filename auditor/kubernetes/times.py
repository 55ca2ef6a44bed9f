"""The times that a stored object states of itself: claims of whoever wrote them.

Field numbers: k8s.io/apimachinery pkg/apis/meta/v1, k8s.io/api coordination/v1 (generated.proto).
"""

from google.protobuf.message import DecodeError

from auditor.kubernetes import objects, secret_content
from auditor.kubernetes.trees import parse, seconds
from auditor.model.vocabulary import Encoding
from auditor.protobuf import kubernetes_pb2 as pb

CREATED = "creationTimestamp"
MANAGED = "managedFields"
RENEWED = "renewTime"
NOT_BEFORE = "notBefore"
"""That of a certificate in a Secret: whoever issued it may have dated it back."""
CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
MOST_CERTIFICATES = 16
"""Certificates of one object that are looked at: more than a chain has, less than a bundle."""


def times(value: bytes, encoding: Encoding) -> list[tuple[str, int]]:
    """Field and time, in seconds since 1970 UTC, of all that is stated; none where the value does not decode."""
    try:
        if encoding is Encoding.PROTOBUF:
            return _protobuf(value)
        meta = parse(value, encoding)["metadata"]
        stated = [(CREATED, meta.get("creationTimestamp"))]
        stated += [(MANAGED, entry.get("time")) for entry in meta.get("managedFields") or ()]
        return [(field, second) for field, text in stated if (second := seconds(text))]
    except (DecodeError, UnicodeDecodeError):
        return []
    except (ValueError, RecursionError, TypeError, AttributeError, KeyError, OverflowError, EOFError, MemoryError):
        return []


def issued(value: bytes, encoding: Encoding) -> list[tuple[str, int]]:
    """The field and notBefore of each certificate in a readable Secret; none where it is no Secret."""
    content = secret_content.decode(value, encoding)
    if content is None or not any(CERTIFICATE in data for _, data in content.data):
        return []
    from auditor.kubernetes.certificates import starts  # ciphers take time

    found = (second for _, data in content.data if CERTIFICATE in data for second in starts(data, MOST_CERTIFICATES))
    return [(NOT_BEFORE, second) for second in found if second > 0]


def newest(value: bytes, encoding: Encoding) -> int:
    """The latest time in an object, in seconds since 1970 UTC: creation, managed fields, or a Lease's renewal.

    0 where the value does not decode, or has no time.
    """
    return max((second for _, second in times(value, encoding)), default=0)


def _protobuf(value: bytes) -> list[tuple[str, int]]:
    unknown = pb.Unknown.FromString(value[objects.ENVELOPE :])
    # in other kinds than Lease the same field is something else
    lease = pb.Lease.FromString(unknown.raw if unknown.type_meta.kind == b"Lease" else b"")
    meta = pb.Object.FromString(unknown.raw).metadata
    stated = [(CREATED, meta.creation_timestamp.seconds)]
    stated += [(MANAGED, entry.time.seconds) for entry in meta.managed_fields]
    stated.append((RENEWED, lease.spec.renew_time.seconds))
    return [(field, second) for field, second in stated if second > 0]
