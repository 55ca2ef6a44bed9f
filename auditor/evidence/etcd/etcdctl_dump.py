"""Dumps, the output of `etcdctl get --prefix / -w json` or `-w protobuf`: the current keys without their history.

Format: etcd etcdctl/ctlv3/command/printer.go (json, pb): a RangeResponse of api/etcdserverpb/rpc.proto.
"""

import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Ints
from auditor.errors import UnreadableEvidence
from auditor.evidence import protobuf_wire
from auditor.evidence.batch import UNKNOWN, RecordBatch
from auditor.evidence.containers import exports
from auditor.evidence.etcd import json_records, mvcc, wire
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.file import EvidenceFile
from auditor.evidence.gaps import LISTED, listed
from auditor.evidence.reading import Reading
from auditor.model.evidence import Backend, Gap, Unexamined
from auditor.model.vocabulary import EvidenceKind, Place

STANDING = Unexamined(
    "history, deleted objects, freed pages, the WAL, other backups, old disk blocks",
    "a dump holds the current keys alone",
    decisive=False,
)
"""The parts of a store that no dump shows."""
_JSON_HEAD = re.compile(rb'\s*\{\s*"header"\s*:\s*(\{[^{}]{0,400}\})\s*(,\s*"kvs"\s*:\s*\[)?')
_JSON_TAIL = re.compile(rb'\s*(?:,\s*"more"\s*:\s*(true|false)\s*)?(?:,\s*"count"\s*:\s*(\d{1,19})\s*)?\}\s*')
_JSON_START = re.compile(rb'\{\s*"header"\s*:')
_BLANKS = b" \t\r\n"
_NAMES = {"cluster_id": 1, "member_id": 2, "revision": 3, "raft_term": 4}
"""The fields of a ResponseHeader in JSON, and their numbers in protobuf."""
STEP = 1 << 20
KEY_VALUE = (b"\x0a", b"\x10", b"\x18", b"\x20", b"\x2a", b"\x30")
"""Tags of the fields of mvccpb.KeyValue."""


def read(exhibit: Exhibit, *, quick: bool) -> Reading:
    """All keys of the dump, with `quick` too. Raises UnreadableEvidence where there are none."""
    del quick
    (file,) = exhibit.of(Role.DUMP)
    kind = exports.dump(bytes(file.map[: exports.DUMP_HEAD]))
    return _json(file, exhibit.work_dir) if kind is EvidenceKind.JSON_DUMP else _protobuf(file)


@dataclass(slots=True)
class _Response:
    """A RangeResponse. A file may hold several: `etcdctl get` in a loop, one file for the output of all."""

    header: dict[int, int] = field(default_factory=dict)
    """The numbers of its ResponseHeader by field."""
    keys: int = 0
    """Records of it that the file holds."""
    more: bool = False
    """Whether the range has more keys than the response."""
    count: int = UNKNOWN
    """Keys in the range; unknown where the response does not say."""


def _of_responses(
    kind: EvidenceKind, file: EvidenceFile, records: RecordBatch, responses: Sequence[_Response], gaps: list[Gap]
) -> Reading:
    """The reading of a dump with these responses, and the records of all of them."""
    clusters = {response.header.get(1) for response in responses}
    notes: list[str] = []
    if len(responses) > 1:
        notes.append(f"{file.name} holds {len(responses):,} responses of etcd, one behind the other: all were read")
    if len(responses) > 1 and len(clusters) == 1:
        # a key may stand in several: the one written last is in force
        records = records.take(np.argsort(records.mod_revision, kind="stable"))
        records.place[:] = mvcc.places(records)
    elif len(clusters) > 1:
        notes.append(
            f"{file.name}: these responses are of {len(clusters):,} clusters: keys of one name are not compared"
        )
    return Reading(
        kind=kind,
        description=kind.label,
        batches=records.split(),
        database=file,
        backend=_facts(responses, clusters, records),
        gaps=tuple(gaps),
        unexamined=tuple(_omissions(responses)),
        notes=tuple(notes),
        kinds={file.name: kind.label},
        standing=STANDING,
    )


def _json(file: EvidenceFile, work_dir: str) -> Reading:
    """Every response of the file: its header and count, and its records in a buffer of decoded base64."""
    objects = json_records.JsonRecords()
    gaps: list[Gap] = []
    responses: list[_Response] = []
    at = 0
    while (head := _JSON_HEAD.match(file.map, at, at + exports.DUMP_HEAD)) is not None:
        at = _json_response(file, head, objects, responses, gaps)
        if at >= file.size or not _rest(file, at):
            at = file.size
            break
        if _JSON_HEAD.match(file.map, at, at + exports.DUMP_HEAD) is None:
            following = _JSON_START.search(file.map, at)
            stop = following.start() if following is not None else file.size
            gaps.append(Gap(file.name, at, stop - at, f"{file.name}: bytes at offset {at:,} that are no response"))
            at = stop
            if len(gaps) > LISTED:
                break
    if not responses:
        raise UnreadableEvidence(f"{file.name} does not begin as etcdctl's JSON does")
    if at < file.size:
        reason = f"{file.name}: nothing is read from offset {at:,} on"
        gaps.append(Gap(file.name, at, file.size - at, reason))
    records, undecoded = json_records.batch(file, objects, work_dir)
    gaps = [*objects.gaps, *gaps, *undecoded]
    return _of_responses(EvidenceKind.JSON_DUMP, file, records, responses, gaps)


def _rest(file: EvidenceFile, at: int) -> bool:
    """Whether anything but blanks stands from `at` on."""
    steps = range(at, file.size, STEP)
    return any(file.map[begin : begin + STEP].strip(_BLANKS) for begin in steps)


def _json_response(
    file: EvidenceFile,
    head: "re.Match[bytes]",
    objects: json_records.JsonRecords,
    responses: list[_Response],
    gaps: list[Gap],
) -> int:
    """Add the response with this head; the position behind it.

    Args:
        file: The dump.
        head: The match of _JSON_HEAD.
        objects: The records of all responses.
        responses: All responses.
        gaps: The parts that are no response.
    """
    header = json_records.object_before(head[1])
    numbers = {_NAMES[name]: value for name, value in header.items() if name in _NAMES and isinstance(value, int)}
    if len(numbers) < len(header) or not header:
        reason = f"{file.name}: the header at offset {head.start(1):,} holds more than etcd writes"
        gaps.append(Gap(file.name, head.start(1), len(head[1]), reason))
    response = _Response(numbers)
    responses.append(response)
    at = head.end()
    if head[2]:
        part = json_records.scan(file, at, file.size)
        objects.spans.extend(part.spans)
        objects.gaps.extend(part.gaps)
        response.keys, at = len(part), part.end
        if part.gaps and at >= file.size:
            return file.size
    tail = _JSON_TAIL.match(file.map, at, at + exports.DUMP_HEAD)
    if tail is None:
        following = _JSON_START.search(file.map, at)
        stop = following.start() if following is not None else file.size
        gaps.append(Gap(file.name, at, stop - at, f"{file.name} does not end as etcdctl's JSON does, at offset {at:,}"))
        return stop
    response.more = tail[1] == b"true"
    response.count = int(tail[2]) if tail[2] else UNKNOWN
    return tail.end()


def _protobuf(file: EvidenceFile) -> Reading:
    """The fields of the responses one by one, the records as columns."""
    buffer = Buffer(file.map)
    gaps: list[Gap] = []
    spans = array("q")
    responses = _responses(file, buffer, spans, gaps)
    start, end = np.array(spans, np.int64).reshape(-1, 2).T
    records = _records(file.name, buffer, start, end, gaps)
    return _of_responses(EvidenceKind.PROTOBUF_DUMP, file, records, responses, gaps)


def _responses(file: EvidenceFile, buffer: Buffer, spans: "array[int]", gaps: list[Gap]) -> list[_Response]:
    """The fields one by one, since each gives the position of the next; a gap where they end before the file.

    Args:
        file: The dump.
        buffer: Its bytes.
        spans: Start and end of each record, one after the other.
        gaps: The parts that are no field.
    """
    responses, at = [_Response()], 0
    while at < file.size:
        response = responses[-1]
        try:
            head = buffer.slice(at, 24)
            tag, after = protobuf_wire.varint(head, 0, len(head))
            number, after = protobuf_wire.varint(head, after, len(head))
        except protobuf_wire.WireError:
            tag, after, number = 0, 0, 0
        begin = at + after
        if tag in (0x0A, 0x12) and begin + number <= file.size:
            if tag == 0x0A:
                if at:  # the header is a response's first field
                    responses.append(response := _Response())
                response.header = _header(buffer, begin, number, file.name, gaps)
            else:
                spans.extend((begin, begin + number))
                response.keys += 1
            at = begin + number
        elif tag == 0x18:
            response.more, at = bool(number), begin
        elif tag == 0x20:
            response.count, at = number, begin
        else:
            reason = f"{file.name}: no field of a RangeResponse at offset {at:,}: damaged, or cut"
            gaps.append(Gap(file.name, at, file.size - at, reason))
            break
    if not gaps and any(response.keys and response.count == UNKNOWN for response in responses):
        # etcd writes the count behind the last key
        gaps.append(Gap(file.name, at, 0, f"{file.name} does not end in the number of its keys: cut"))
    return responses


def _header(buffer: Buffer, at: int, size: int, name: str, gaps: list[Gap]) -> dict[int, int]:
    """The numbers of a ResponseHeader; a gap where it holds anything else."""
    raw = buffer.slice(at, size)
    try:
        fields = list(protobuf_wire.fields(raw, 0, len(raw)))
    except protobuf_wire.WireError:
        fields = []
    if not fields or any(number > len(_NAMES) or kind != protobuf_wire.VARINT for number, kind, *_ in fields):
        gaps.append(Gap(name, at, size, f"{name}: the header at offset {at:,} holds more than etcd writes"))
    return {number: value for number, kind, value, _ in fields if kind == protobuf_wire.VARINT}


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


def _facts(responses: Sequence[_Response], clusters: set[int | None], records: RecordBatch) -> Backend:
    """The headers' facts."""
    return replace(
        Backend.UNKNOWN,
        revision=max(response.header.get(3, 0) for response in responses),
        newest_record=int(records.mod_revision.max(initial=0)),
        cluster_id=responses[0].header.get(1) if len(clusters) == 1 else None,
        term=responses[-1].header.get(4),
        buckets=(("key", len(records)),),
    )


def _omissions(responses: Sequence[_Response]) -> list[Unexamined]:
    """Keys that etcd counted and the dump lacks: made with --limit, or cut."""
    partial = [response for response in responses if response.count > response.keys or response.more]
    if not partial:
        return []
    count, stated = (
        sum(numbers) for numbers in zip(*((each.keys, max(each.count, 0)) for each in partial), strict=True)
    )
    missing = f"{stated - count:,} keys" if stated > count else "more keys"
    reason = f"the dump says that there are {stated:,} keys, and holds {count:,}: made with --limit, or cut"
    return [Unexamined(missing, reason, decisive=True)]
