"""What `etcdctl get --prefix / -w json` and `-w protobuf` write: the current keys, and nothing of their history.

Format: etcd etcdctl/ctlv3/command/printer.go (json, pb): the RangeResponse of api/etcdserverpb/rpc.proto as it is.
"""

import re
from array import array
from dataclasses import dataclass, replace

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.errors import UnreadableEvidence
from auditor.evidence.batch import UNKNOWN, RecordBatch
from auditor.evidence.etcd import backend, json_records, wire
from auditor.evidence.file import EvidenceFile
from auditor.model.evidence import Backend, Gap, Unexamined
from auditor.model.vocabulary import Place

JSON, PROTOBUF = "etcdctl dump, JSON", "etcdctl dump, protobuf"
STANDING = Unexamined(
    "history, deleted objects, freed pages, the WAL, other backups, old disk blocks",
    "a dump holds the current keys alone",
    decisive=False,
)
LOOKED_AT = 512
_JSON = re.compile(rb'\s*\{\s*"header"\s*:\s*(\{[^{}]{0,400}\})\s*(,\s*"kvs"\s*:\s*\[|,\s*"count"|\})')
_FIELDS = re.compile(rb'"ClusterID" : \d+\n"MemberID" : \d+\n')
_COUNT = re.compile(rb'"count"\s*:\s*(\d+)')
_MORE = re.compile(rb'"more"\s*:\s*true')
HEADER = (b"\x08", b"\x10", b"\x18", b"\x20")
KEY_VALUE = (b"\x0a", b"\x10", b"\x18", b"\x20", b"\x2a", b"\x30")
BATCH = 1_000_000


@dataclass(frozen=True, slots=True)
class Reading:
    """What a dump holds."""

    kind: str
    batches: tuple[RecordBatch, ...]
    facts: Backend
    gaps: tuple[Gap, ...]
    unexamined: tuple[Unexamined, ...]
    notes: tuple[str, ...]


def sniff(head: bytes) -> str:
    """What a file that begins so (512 bytes) is: JSON, PROTOBUF, or empty.

    Raises UnreadableEvidence, with the way out, for what etcdctl prints by other options: it loses bytes.
    """
    if _JSON.match(head):
        return JSON
    if _FIELDS.match(head):
        raise UnreadableEvidence("this is etcdctl's output for -w fields: make the dump again with -w json")
    if head.startswith(b"/registry/") and b"\n" in head:
        raise UnreadableEvidence("this is etcdctl's output for -w simple: make the dump again with -w json")
    if len(head) > 2 and head[0] == 0x0A and head[1] < 0x60 and 2 + head[1] < len(head):
        said = wire.numbers(head[2 : 2 + head[1]])
        following = head[2 + head[1] : 3 + head[1]]
        if said and set(said) <= {1, 2, 3, 4} and 3 in said and following in (b"\x12", b"\x18", b"\x20"):
            return PROTOBUF
    return ""


def read(file: EvidenceFile, work_dir: str = "") -> Reading:
    """All keys of the dump. Raises UnreadableEvidence where there is none."""
    kind = sniff(bytes(file.map[:LOOKED_AT]))
    return _json(file, work_dir) if kind == JSON else _protobuf(file)


def _json(file: EvidenceFile, work_dir: str) -> Reading:
    head = _JSON.match(file.map, 0, LOOKED_AT)
    if head is None:
        raise UnreadableEvidence(f"{file.name} does not begin as etcdctl's JSON does")
    said = json_records.object_before(head[1])
    found = json_records.JsonRecords()
    if b"[" in head[2]:
        found = json_records.scan(file, head.end(), file.size)
    made, gaps = json_records.batch(file, found, work_dir)
    rest = bytes(file.map[found.end or head.start(2) :][:LOOKED_AT])
    count, more = _COUNT.search(rest), bool(_MORE.search(rest))
    if b"}" not in rest and not found.gaps:
        gaps.append(
            Gap(file.name, found.end, file.size - found.end, f"{file.name} does not end as etcdctl's JSON does")
        )
    numbers = {name: value for name, value in said.items() if isinstance(value, int)}
    facts = _facts(numbers.get("cluster_id"), numbers.get("revision", 0), numbers.get("raft_term"), made)
    listed = int(count[1]) if count else 0
    return Reading(JSON, _split(made), facts, (*found.gaps, *gaps), _cut(len(made), listed, more=more), ())


def _protobuf(file: EvidenceFile) -> Reading:
    """The fields of the response one by one, since each says where the next begins; the records as columns."""
    buffer, gaps = Buffer(file.map), []
    at, spans = 0, array("q")
    said: dict[int, int] = {}
    header: dict[int, int] = {}
    while at < file.size:
        try:
            head = buffer.slice(at, 24)
            tag, after = wire.varint(head, 0, len(head))
            number, after = wire.varint(head, after, len(head))
        except wire.WireError:
            tag, after, number = 0, 0, 0
        begin = at + after
        if tag in (0x0A, 0x12) and begin + number <= file.size:
            if tag == 0x0A:
                header = wire.numbers(buffer.slice(begin, min(number, LOOKED_AT))) or {}
            else:
                spans.extend((begin, begin + number))
            at = begin + number
        elif tag in (0x18, 0x20):
            said[tag], at = number, begin
        else:
            reason = f"{file.name}: no field of a RangeResponse at offset {at:,}: damaged, or cut"
            gaps.append(Gap(file.name, at, file.size - at, reason))
            break
    if spans and 0x20 not in said and not gaps:
        # etcd counts the keys behind the last of them
        gaps.append(Gap(file.name, at, 0, f"{file.name} does not end in the number of its keys: cut"))
    start, end = np.array(spans, np.int64).reshape(-1, 2).T
    good, (key, create, mod, version, value, _) = wire.messages(buffer, start, end, KEY_VALUE)
    for row in np.flatnonzero(~good)[:LISTED].tolist():
        reason = f"{file.name}: the record at offset {start[row]:,} is no KeyValue of etcd's"
        gaps.append(Gap(file.name, int(start[row]), int(end[row] - start[row]), reason))
    if (bad := int((~good).sum())) > LISTED:
        gaps.append(Gap(file.name, 0, 0, f"{file.name}: {bad - LISTED:,} more records, not listed, are no KeyValue"))
    rows = np.flatnonzero(good)
    unknown = np.full(rows.size, UNKNOWN, np.int64)
    made = RecordBatch(
        source=file.name,
        data=buffer,
        mapped=True,
        key_at=key.value[rows],
        key_len=(key.stop - key.value)[rows].astype(np.uint32),
        value_at=value.value[rows],
        value_len=(value.stop - value.value)[rows].astype(np.uint32),
        mod_revision=np.maximum(mod.value[rows], UNKNOWN),
        sub_revision=unknown,
        create_revision=np.maximum(create.value[rows], UNKNOWN),
        version=np.maximum(version.value[rows], UNKNOWN),
        ordinal=unknown,
        page=unknown,
        place=np.full(rows.size, Place.LATEST, np.uint8),
        state=np.zeros(rows.size, np.uint8),
        extents={},
    )
    facts = _facts(header.get(1), header.get(3, 0), header.get(4), made)
    cut = _cut(start.size, said.get(0x20, 0), more=bool(said.get(0x18)))
    return Reading(PROTOBUF, _split(made), facts, tuple(gaps), cut, ())


LISTED = json_records.LISTED


def _facts(cluster: int | None, revision: int, term: int | None, made: RecordBatch) -> Backend:
    """What the header says."""
    return replace(
        backend.UNKNOWN,
        revision=revision,
        newest_record=int(made.mod_revision.max(initial=0)),
        cluster_id=cluster,
        term=term,
        buckets=(("key", len(made)),),
    )


def _cut(read: int, listed: int, *, more: bool) -> tuple[Unexamined, ...]:
    """Keys that etcd counted and did not hand out: --limit, or a dump that was cut."""
    if listed <= read and not more:
        return ()
    lost = f"{listed - read:,} keys" if listed > read else "more keys"
    reason = f"the dump says that there are {listed:,} keys, and holds {read:,}: made with --limit, or cut"
    return (Unexamined(lost, reason, decisive=True),)


def _split(made: RecordBatch) -> tuple[RecordBatch, ...]:
    return tuple(made.take(slice(at, at + BATCH)) for at in range(0, len(made), BATCH))
