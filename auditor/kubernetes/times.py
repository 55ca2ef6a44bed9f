"""The times that a stored object states of itself: claims of whoever wrote them.

Field numbers: k8s.io/apimachinery pkg/apis/meta/v1, k8s.io/api coordination/v1 (generated.proto).
"""

from google.protobuf.message import DecodeError

from auditor.kubernetes import objects
from auditor.kubernetes.trees import parse, seconds
from auditor.model.vocabulary import Encoding
from auditor.protobuf import kubernetes_pb2 as pb

CREATED = "creationTimestamp"
MANAGED = "managedFields"
RENEWED = "renewTime"


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
