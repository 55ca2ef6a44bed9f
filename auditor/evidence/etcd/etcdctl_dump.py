"""Dumps, the output of `etcdctl get --prefix / -w json` or `-w protobuf`: the current keys without their history.

Format: etcd etcdctl/ctlv3/command/printer.go (json, pb): a RangeResponse of api/etcdserverpb/rpc.proto.
"""

import re
from array import array
from dataclasses import dataclass, field, replace

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Ints
from auditor.errors import UnreadableEvidence
from auditor.evidence import protobuf_wire
from auditor.evidence.batch import UNKNOWN, RecordBatch
from auditor.evidence.containers import exports
from auditor.evidence.etcd import json_records, wire
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.file import EvidenceFile
from auditor.evidence.gaps import listed
from auditor.evidence.reading import Reading
from auditor.model.evidence import Backend, Gap, Unexamined
from auditor.model.vocabulary import EvidenceKind, Place

STANDING = Unexamined(
    "history, deleted objects, freed pages, the WAL, other backups, old disk blocks",
    "a dump holds the current keys alone",
    decisive=False,
)
"""The parts of a store that no dump shows."""
_COUNT = re.compile(rb'"count"\s*:\s*(\d+)')
_MORE = re.compile(rb'"more"\s*:\s*true')
KEY_VALUE = (b"\x0a", b"\x10", b"\x18", b"\x20", b"\x2a", b"\x30")
"""Tags of the fields of mvccpb.KeyValue."""


def read(exhibit: Exhibit, *, quick: bool) -> Reading:
    """All keys of the dump, with `quick` too. Raises UnreadableEvidence where there are none."""
    del quick
    (file,) = exhibit.of(Role.DUMP)
    kind = exports.dump(bytes(file.map[: exports.DUMP_HEAD]))
    return _json(file, exhibit.work_dir) if kind is EvidenceKind.JSON_DUMP else _protobuf(file)


def _of_records(
    kind: EvidenceKind,
    file: EvidenceFile,
    records: RecordBatch,
    facts: Backend,
    gaps: list[Gap],
    unexamined: list[Unexamined],
) -> Reading:
    """The reading of a dump with these records."""
    return Reading(
        kind=kind,
        description=kind.label,
        batches=records.split(),
        database=file,
        backend=facts,
        gaps=tuple(gaps),
        unexamined=tuple(unexamined),
        kinds={file.name: kind.label},
        standing=STANDING,
    )


def _json(file: EvidenceFile, work_dir: str) -> Reading:
    """The response's header and count, and its records in a buffer of decoded base64."""
    head = exports.JSON_DUMP.match(file.map, 0, exports.DUMP_HEAD)
    if head is None:
        raise UnreadableEvidence(f"{file.name} does not begin as etcdctl's JSON does")
    header = json_records.object_before(head[1])
    objects = json_records.JsonRecords()
    if b"[" in head[2]:
        objects = json_records.scan(file, head.end(), file.size)
    records, gaps = json_records.batch(file, objects, work_dir)
    rest = bytes(file.map[objects.end or head.start(2) :][: exports.DUMP_HEAD])
    count, more = _COUNT.search(rest), bool(_MORE.search(rest))
    if b"}" not in rest and not objects.gaps:
        gaps.append(
            Gap(file.name, objects.end, file.size - objects.end, f"{file.name} does not end as etcdctl's JSON does")
        )
    numbers = {name: value for name, value in header.items() if isinstance(value, int)}
    facts = _facts(numbers.get("cluster_id"), numbers.get("revision", 0), numbers.get("raft_term"), records)
    unexamined = _omissions(len(records), int(count[1]) if count else 0, more=more)
    return _of_records(EvidenceKind.JSON_DUMP, file, records, facts, [*objects.gaps, *gaps], unexamined)


def _protobuf(file: EvidenceFile) -> Reading:
    """The fields of the response one by one, the records as columns."""
    buffer = Buffer(file.map)
    gaps: list[Gap] = []
    response = _response(file, buffer, gaps)
    start, end = np.array(response.spans, np.int64).reshape(-1, 2).T
    records = _records(file.name, buffer, start, end, gaps)
    header = response.header
    facts = _facts(header.get(1), header.get(3, 0), header.get(4), records)
    unexamined = _omissions(start.size, response.count, more=response.more)
    return _of_records(EvidenceKind.PROTOBUF_DUMP, file, records, facts, gaps, unexamined)


@dataclass(slots=True)
class _Response:
    """A RangeResponse."""

    header: dict[int, int] = field(default_factory=dict)
    """The numbers of its ResponseHeader by field."""
    spans: "array[int]" = field(default_factory=lambda: array("q"))
    """Start and end of each record, one after the other."""
    more: bool = False
    """Whether the range has more keys than the response."""
    count: int = 0
    """Keys in the range."""


def _response(file: EvidenceFile, buffer: Buffer, gaps: list[Gap]) -> _Response:
    """The fields one by one, since each gives the position of the next; a gap where they end before the file."""
    response, at, has_count = _Response(), 0, False
    while at < file.size:
        try:
            head = buffer.slice(at, 24)
            tag, after = protobuf_wire.varint(head, 0, len(head))
            number, after = protobuf_wire.varint(head, after, len(head))
        except protobuf_wire.WireError:
            tag, after, number = 0, 0, 0
        begin = at + after
        if tag in (0x0A, 0x12) and begin + number <= file.size:
            if tag == 0x0A:
                response.header = protobuf_wire.numbers(buffer.slice(begin, min(number, exports.DUMP_HEAD))) or {}
            else:
                response.spans.extend((begin, begin + number))
            at = begin + number
        elif tag == 0x18:
            response.more, at = bool(number), begin
        elif tag == 0x20:
            response.count, has_count, at = number, True, begin
        else:
            reason = f"{file.name}: no field of a RangeResponse at offset {at:,}: damaged, or cut"
            gaps.append(Gap(file.name, at, file.size - at, reason))
            break
    if response.spans and not has_count and not gaps:
        # etcd writes the count behind the last key
        gaps.append(Gap(file.name, at, 0, f"{file.name} does not end in the number of its keys: cut"))
    return response


def _records(name: str, buffer: Buffer, start: Ints, end: Ints, gaps: list[Gap]) -> RecordBatch:
    """The KeyValues between these positions; gaps for other messages."""
    regular, (key, create, mod, version, value, _) = wire.messages(buffer, start, end, KEY_VALUE)

    def one(row: int) -> Gap:
        reason = f"{name}: the record at offset {start[row]:,} is no KeyValue of etcd's"
        return Gap(name, int(start[row]), int(end[row] - start[row]), reason)

    def rest(more: Ints) -> Gap:
        return Gap(name, 0, 0, f"{name}: {more.size:,} more records, not listed, are no KeyValue")

    gaps += listed(np.flatnonzero(~regular), one, rest)
    rows = np.flatnonzero(regular)
    return RecordBatch.of(
        name,
        buffer,
        mapped=True,
        place=Place.LATEST,
        key_at=key.value[rows],
        key_len=(key.stop - key.value)[rows],
        value_at=value.value[rows],
        value_len=(value.stop - value.value)[rows],
        mod_revision=np.maximum(mod.value[rows], UNKNOWN),
        create_revision=np.maximum(create.value[rows], UNKNOWN),
        version=np.maximum(version.value[rows], UNKNOWN),
    )


def _facts(cluster: int | None, revision: int, term: int | None, records: RecordBatch) -> Backend:
    """The header's facts."""
    return replace(
        Backend.UNKNOWN,
        revision=revision,
        newest_record=int(records.mod_revision.max(initial=0)),
        cluster_id=cluster,
        term=term,
        buckets=(("key", len(records)),),
    )


def _omissions(count: int, stated: int, *, more: bool) -> list[Unexamined]:
    """Keys that etcd counted and the dump lacks: made with --limit, or cut.

    Args:
        count: Records of the dump.
        stated: Keys of the range by the response's count.
        more: Whether the response says that there are more.
    """
    if stated <= count and not more:
        return []
    missing = f"{stated - count:,} keys" if stated > count else "more keys"
    reason = f"the dump says that there are {stated:,} keys, and holds {count:,}: made with --limit, or cut"
    return [Unexamined(missing, reason, decisive=True)]
