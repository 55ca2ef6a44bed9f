"""Exports of a store's keys, identified by their first bytes: etcdctl's dumps and increments of Gardener's backups.

Formats: etcd etcdctl/ctlv3/command/printer.go (json, pb, fields, simple), etcd-backup-restore
pkg/snapshot/snapshotter/snapshotter.go.
"""

import re

from auditor.errors import UnreadableEvidence
from auditor.evidence import protobuf_wire
from auditor.model.vocabulary import EvidenceKind

DUMP_HEAD = 512
"""Leading bytes that identify a dump."""
INCREMENT_HEAD = 64
"""Leading bytes that identify an increment."""
JSON_DUMP = re.compile(rb'\s*\{\s*"header"\s*:\s*(\{[^{}]{0,400}\})\s*(,\s*"kvs"\s*:\s*\[|,\s*"count"|\})')
"""The beginning of a dump in JSON: its header, and the field behind it."""
_FIELDS = re.compile(rb'"ClusterID" : \d+\n"MemberID" : \d+\n')
_EVENTS = re.compile(rb'\s*\[\s*(\{\s*"etcdEvent"|\])')


def dump(head: bytes) -> EvidenceKind | None:
    """The kind of dump by a file's first DUMP_HEAD bytes; None where it is none.

    Raises UnreadableEvidence, with the remedy, for output of etcdctl in a form that loses bytes.
    """
    if JSON_DUMP.match(head):
        return EvidenceKind.JSON_DUMP
    if _FIELDS.match(head):
        raise UnreadableEvidence("this is etcdctl's output for -w fields: make the dump again with -w json")
    if head.startswith(b"/registry/") and b"\n" in head:
        raise UnreadableEvidence("this is etcdctl's output for -w simple: make the dump again with -w json")
    if len(head) > 2 and head[0] == 0x0A and head[1] < 0x60 and 2 + head[1] < len(head):
        header = protobuf_wire.numbers(head[2 : 2 + head[1]])
        following = head[2 + head[1] : 3 + head[1]]
        if header and set(header) <= {1, 2, 3, 4} and 3 in header and following in (b"\x12", b"\x18", b"\x20"):
            return EvidenceKind.PROTOBUF_DUMP
    return None


def is_increment(head: bytes) -> bool:
    """Whether a file is an unpacked increment by its first INCREMENT_HEAD bytes, or more."""
    return bool(_EVENTS.match(head)) and b"etcdEvent" in head[:INCREMENT_HEAD]
