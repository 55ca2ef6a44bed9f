"""A dump in protobuf: the fields of the responses one by one, the records as columns.

Format: etcd etcdctl/ctlv3/command/printer.go (pb).
"""

from array import array
from dataclasses import dataclass, field, replace

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Ints
from auditor.evidence import protobuf_wire
from auditor.evidence.batch import UNKNOWN, RecordBatch
from auditor.evidence.etcd import dump_responses, wire
from auditor.evidence.etcd.dump_responses import HEADER_FIELDS, Response
from auditor.evidence.file import EvidenceFile
from auditor.evidence.gaps import listed
from auditor.evidence.ledger import Account, Ledger
from auditor.evidence.reading import Reading
from auditor.evidence.unaccounted import unaccounted_gaps
from auditor.model.evidence import Gap
from auditor.model.vocabulary import EvidenceKind, Place

HEADER, RECORD, MORE, COUNT = 0x0A, 0x12, 0x18, 0x20
"""Tags of the fields of a RangeResponse (etcd api/etcdserverpb/rpc.proto)."""
LARGEST = (1 << 63) - 1
KEY_VALUE = (b"\x0a", b"\x10", b"\x18", b"\x20", b"\x2a", b"\x30")
"""Tags of the fields of mvccpb.KeyValue."""


@dataclass(slots=True)
class _Dump:
    """What is read of a dump so far."""

    file: EvidenceFile
    buffer: Buffer
    ledger: Ledger
    spans: "array[int]" = field(default_factory=lambda: array("q"))
    """Where the field of each record begins, its content, and where it ends, one after the other."""
    responses: list[Response] = field(default_factory=lambda: [Response()])
    gaps: list[Gap] = field(default_factory=list)
    """The parts that are no field."""


def read(file: EvidenceFile, *, quick: bool) -> Reading:
    """The fields of the responses one by one, the records as columns.

    Args:
        file: The dump.
        quick: Whether nothing is said of what the reader accounts for.
    """
    dump = _Dump(file, Buffer(file.map), Ledger(file.name, file.size))
    _read_fields(dump)
    field_at, start, end = np.array(dump.spans, np.int64).reshape(-1, 3).T
    dump.ledger.add(Account.STRUCTURE, field_at, start)
    records = _records(dump, start, end)
    dump.gaps += unaccounted_gaps(dump.ledger, dump.buffer, dump.gaps)
    reading = dump_responses.reading(EvidenceKind.PROTOBUF_DUMP, file, records, dump.responses, dump.gaps)
    return replace(reading, balances=() if quick else (dump.ledger.balance(),))


def _read_fields(dump: _Dump) -> None:
    """The fields one by one, since each gives the position of the next; a gap where they end before the file."""
    file, at = dump.file, 0
    while at < file.size:
        stop = _field(dump, at)
        if stop < 0:
            reason = f"{file.name}: no field of a RangeResponse at offset {at:,}: damaged, or cut"
            dump.gaps.append(Gap(file.name, at, file.size - at, reason))
            break
        at = stop
    if not dump.gaps and any(response.keys and response.count == UNKNOWN for response in dump.responses):
        # etcd writes the count behind the last key
        dump.gaps.append(Gap(file.name, at, 0, f"{file.name} does not end in the number of its keys: cut"))


def _field(dump: _Dump, at: int) -> int:
    """Add one field of a response; the position behind it, UNKNOWN where there is none that etcd writes there."""
    response = dump.responses[-1]
    try:
        head = dump.buffer.slice(at, 24)
        tag, after = protobuf_wire.varint(head, 0, len(head))
        number, after = protobuf_wire.varint(head, after, len(head))
    except protobuf_wire.WireError:
        return UNKNOWN
    begin = at + after
    if tag in (HEADER, RECORD) and begin + number <= dump.file.size:
        if tag == HEADER:
            if at:  # the header is a response's first field
                dump.responses.append(response := Response())
            response.header = _header(dump, begin, number)
            dump.ledger.one(Account.STRUCTURE, at, begin)
        else:
            dump.spans.extend((at, begin, begin + number))
            response.keys += 1
        return begin + number
    if tag == MORE and number <= 1 and not response.more:
        response.more = bool(number)
    elif tag == COUNT and number <= LARGEST and response.count == UNKNOWN:
        response.count = number
    else:
        return UNKNOWN
    dump.ledger.one(Account.STRUCTURE, at, begin)
    return begin


def _header(dump: _Dump, at: int, size: int) -> dict[int, int]:
    """The numbers of a ResponseHeader; a gap where it holds anything else, or one of them twice."""
    raw, name = dump.buffer.slice(at, size), dump.file.name
    try:
        fields = list(protobuf_wire.fields(raw, 0, len(raw)))
    except protobuf_wire.WireError:
        fields = []
    numbers = {number: value for number, kind, value, _ in fields if kind == protobuf_wire.VARINT}
    if not fields or len(numbers) < len(fields) or max(numbers) > len(HEADER_FIELDS):
        dump.gaps.append(Gap(name, at, size, f"{name}: the header at offset {at:,} holds more than etcd writes"))
    else:
        dump.ledger.one(Account.STRUCTURE, at, at + size)
    return numbers


def _records(dump: _Dump, start: Ints, end: Ints) -> RecordBatch:
    """The KeyValues between these positions; gaps for other messages."""
    name, buffer = dump.file.name, dump.buffer
    regular, (key, create, mod, version, value, _) = wire.messages(buffer, start, end, KEY_VALUE)

    def one(row: int) -> Gap:
        reason = f"{name}: the record at offset {start[row]:,} is no KeyValue of etcd's"
        return Gap(name, int(start[row]), int(end[row] - start[row]), reason)

    def rest(more: Ints) -> Gap:
        return Gap(name, 0, 0, f"{name}: {more.size:,} more records, not listed, are no KeyValue")

    dump.gaps += listed(np.flatnonzero(~regular), one, rest)
    rows = np.flatnonzero(regular)
    dump.ledger.chain(
        start[rows],
        (Account.STRUCTURE, key.value[rows]),
        (Account.ROW, key.stop[rows]),
        (Account.STRUCTURE, value.value[rows]),
        (Account.ROW, value.stop[rows]),
        (Account.STRUCTURE, end[rows]),
    )
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
