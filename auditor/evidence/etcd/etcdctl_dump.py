"""Dumps, the output of `etcdctl get --prefix / -w json` or `-w protobuf`: the current keys without their history.

Format: etcd etcdctl/ctlv3/command/printer.go (json, pb): a RangeResponse of api/etcdserverpb/rpc.proto.
"""

from auditor.evidence.containers import exports
from auditor.evidence.etcd import json_dump, protobuf_dump
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.reading import Reading
from auditor.model.vocabulary import EvidenceKind


def read(exhibit: Exhibit, *, quick: bool) -> Reading:
    """All keys of the dump, with `quick` too. Raises UnreadableEvidence where there are none."""
    (file,) = exhibit.of(Role.DUMP)
    kind = exports.dump(bytes(file.map[: exports.DUMP_HEAD]))
    if kind is EvidenceKind.JSON_DUMP:
        return json_dump.read(file, exhibit.work_dir, quick=quick)
    return protobuf_dump.read(file, quick=quick)
