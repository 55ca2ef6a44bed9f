"""What an image is searched for: the beginnings of stored values, and bytes that stand in every record or frame.

Formats: etcd server/storage/mvcc/revision.go (the separator of a revision), server/storage/wal/encoder.go and
walpb/record.proto (a frame: eight bytes of length, then type and checksum), bbolt internal/common/meta.go,
sqlite.org fileformat2.html (section 1.3).
All have a fixed length, so that the end which the engine states says where they begin.
"""

from enum import IntEnum

from auditor.arrays.dtypes import Ints
from auditor.evidence.carve import SUBREVISION
from auditor.evidence.signatures import Signature
from auditor.evidence.sweep import Hits


class Beginning(IntEnum):
    """What a signature stands for; the number is its place among SIGNATURES."""

    PROTOBUF = 0
    ENCRYPTED = 1
    JSON = 2
    JSON_BY_VERSION = 3
    REVISION = 4
    FRAME = 5
    META = 6
    SQLITE = 7


VALUES = (Beginning.PROTOBUF, Beginning.ENCRYPTED, Beginning.JSON, Beginning.JSON_BY_VERSION)
"""Beginnings of stored values."""
_ZEROS = SUBREVISION.count(b"\0")


def _fixed(pattern: bytes, literal: bytes, length: int, *, apart: bool = False, behind: bytes = b"") -> Signature:
    return Signature(pattern, literal, length, apart=apart, behind=behind)


SIGNATURES = (
    _fixed(rb"k8s\x00\x0a", b"k8s\0\n", 5),
    _fixed(rb"k8s:enc:", b"k8s:enc:", 8),
    _fixed(rb"\{\"kind\":\"", b'{"kind":"', 9),
    _fixed(rb"\{\"apiVersion\":\"", b'{"apiVersion":"', 15),
    _fixed(rb"_\x00{%d}" % _ZEROS, SUBREVISION, len(SUBREVISION), apart=True),
    # the four high bytes of a length below 16 MB, its padding, then a record of type entry (2) or state (3)
    _fixed(rb"\x00{4}[\x00\x81-\x87]\x08[\x02\x03]\x10", b"\x10", 8),
    _fixed(rb"\xed\xda\x0c\xed", b"\xed\xda\x0c\xed", 8, behind=b"\x02\0\0\0"),
    _fixed(rb"SQLite", b"SQLite format 3\0", 16, behind=b" format 3\0"),
)
"""In the order of Beginning. An engine looks for the last bytes of a literal: zeros, which images are full of, slow
down whatever is searched with them. A revision's have an engine of their own; others are looked at behind a match."""


def begins(hits: Hits, *beginnings: Beginning) -> Ints:
    """Where signatures of these kinds begin, ascending within each kind and all together."""
    import numpy as np

    columns = [hits.end[hits.signature == each] - SIGNATURES[each].longest for each in beginnings]
    return np.sort(np.concatenate(columns)) if len(columns) > 1 else columns[0]
