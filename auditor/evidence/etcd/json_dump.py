"""A dump in JSON: every response of the file, its records in a buffer of decoded base64.

Format: etcd etcdctl/ctlv3/command/printer.go (json), and of etcd's gateway, whose numbers are strings.
"""

import re
from dataclasses import dataclass, field, replace

from auditor.arrays.buffer import Buffer
from auditor.errors import UnreadableEvidence
from auditor.evidence.batch import UNKNOWN
from auditor.evidence.containers import exports
from auditor.evidence.etcd import dump_responses, json_records, text_accounts
from auditor.evidence.etcd.dump_responses import HEADER_FIELDS, Response
from auditor.evidence.file import EvidenceFile
from auditor.evidence.gaps import LISTED
from auditor.evidence.ledger import Account, Ledger
from auditor.evidence.reading import Reading
from auditor.evidence.unaccounted import unaccounted_gaps
from auditor.model.evidence import Gap
from auditor.model.vocabulary import EvidenceKind

_JSON_HEAD = re.compile(rb'\s*\{\s*"header"\s*:\s*(\{[^{}]{0,400}\})\s*(,\s*"kvs"\s*:\s*\[)?')
_JSON_TAIL = re.compile(rb'\s*(?:,\s*"more"\s*:\s*(true|false)\s*)?(?:,\s*"count"\s*:\s*"?(\d{1,19})"?\s*)?\}\s*')
_JSON_START = re.compile(rb'\{\s*"header"\s*:')
_BLANKS = b" \t\r\n"
STEP = 1 << 20
DIGITS = 20
"""Of the largest number of 64 bits."""
LARGEST = 1 << 64
"""Numbers of a header are smaller."""


@dataclass(slots=True)
class _Dump:
    """What is read of a dump so far."""

    file: EvidenceFile
    ledger: Ledger
    objects: json_records.JsonRecords = field(default_factory=json_records.JsonRecords)
    """The records of all responses."""
    responses: list[Response] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    """The parts that are no response."""

    def gap(self, start: int, end: int, what: str) -> None:
        self.gaps.append(Gap(self.file.name, start, end - start, f"{self.file.name}{what}"))


def read(file: EvidenceFile, work_dir: str, *, quick: bool) -> Reading:
    """Every response of the file: its header and count, and its records in a buffer of decoded base64.

    Args:
        file: The dump.
        work_dir: The folder for decoded values; the system's own where empty.
        quick: Whether nothing is said of what the reader accounts for.

    Raises UnreadableEvidence where there is no response.
    """
    dump = _Dump(file, Ledger(file.name, file.size))
    at = 0
    while (head := _JSON_HEAD.match(file.map, at, at + exports.DUMP_HEAD)) is not None:
        at = _json_response(dump, head)
        if at >= file.size or not _rest(file, at):
            dump.ledger.one(Account.EMPTY, min(at, file.size), file.size)
            at = file.size
            break
        if _JSON_HEAD.match(file.map, at, at + exports.DUMP_HEAD) is None:
            following = _JSON_START.search(file.map, at)
            stop = following.start() if following is not None else file.size
            dump.gap(at, stop, f": bytes at offset {at:,} that are no response")
            at = stop
            if len(dump.gaps) > LISTED:
                break
    if not dump.responses:
        raise UnreadableEvidence(f"{file.name} does not begin as etcdctl's JSON does")
    if at < file.size:
        dump.gap(at, file.size, f": nothing is read from offset {at:,} on")
    records, undecoded = json_records.batch(file, dump.objects, work_dir)
    text_accounts.add(dump.ledger, dump.objects)
    gaps = [*dump.objects.gaps, *dump.gaps, *undecoded]
    gaps += unaccounted_gaps(dump.ledger, Buffer(file.map), gaps)
    reading = dump_responses.reading(EvidenceKind.JSON_DUMP, file, records, dump.responses, gaps)
    balances = () if quick else (dump.ledger.balance(), text_accounts.decoded(file.name, records))
    return replace(reading, balances=balances)


def _number(value: object) -> int | None:
    """A number of a header; None for anything else."""
    if isinstance(value, str) and value.isdecimal() and value.isascii() and len(value) <= DIGITS:
        value = int(value)
    return value if type(value) is int and 0 <= value < LARGEST else None


def _rest(file: EvidenceFile, at: int) -> bool:
    """Whether anything but blanks stands from `at` on."""
    steps = range(at, file.size, STEP)
    return any(file.map[begin : begin + STEP].strip(_BLANKS) for begin in steps)


def _json_response(dump: _Dump, head: "re.Match[bytes]") -> int:
    """Add the response with this head, a match of _JSON_HEAD; the position behind it."""
    file = dump.file
    header = json_records.object_before(head[1])
    numbers = {
        HEADER_FIELDS[name]: number
        for name, value in header.items()
        if name in HEADER_FIELDS and (number := _number(value)) is not None
    }
    if len(numbers) < len(header) or not header:
        dump.gap(*head.span(1), f": the header at offset {head.start(1):,} holds more than etcd writes")
    response = Response(numbers)
    dump.responses.append(response)
    dump.ledger.one(Account.STRUCTURE, *head.span())
    at = head.end()
    if head[2]:
        keys = len(dump.objects)
        at = json_records.scan(file, at, file.size, dump.objects)
        response.keys = len(dump.objects) - keys
        if not response.keys and file.map[head.end() : at].strip(_BLANKS) == b"]":
            dump.ledger.one(Account.STRUCTURE, head.end(), at)  # an empty list, in which no object has bounds
        if dump.objects.gaps and at >= file.size:
            return file.size
    tail = _JSON_TAIL.match(file.map, at, at + exports.DUMP_HEAD)
    if tail is None:
        following = _JSON_START.search(file.map, at)
        stop = following.start() if following is not None else file.size
        dump.gap(at, stop, f" does not end as etcdctl's JSON does, at offset {at:,}")
        return stop
    dump.ledger.one(Account.STRUCTURE, *tail.span())
    response.more = tail[1] == b"true"
    response.count = int(tail[2]) if tail[2] else UNKNOWN
    return tail.end()
