"""Readable Secrets planted into honest evidence: where, in which forms, and with every checksum made right again."""

import random
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import cbor2
import crc32c

import auditor
from auditor import Options, Severity
from auditor.errors import UnreadableEvidence
from auditor.evidence.ledger import Account, Ledger
from auditor.evidence.protobuf_wire import varint_at
from auditor.model.evidence import Balance
from tests.helpers import bolt_builder as bolt
from tests.helpers import members_on_disk
from tests.helpers.fixtures import repair
from tests.helpers.objects import StoredObject
from tests.helpers.sweeps import strata

SECRET = StoredObject(name=b"planted", data={b"password": b"planted-value-0123456789"})
FORMS = {
    "protobuf": SECRET.protobuf(),
    "json": SECRET.json(),
    "json, sorted and spaced": b'{ "apiVersion" : "v1",\n "data": {"password": "cGxhbnRlZA=="},\n "kind" : "Secret" }',
    "cbor": b"\xd9\xd9\xf7" + cbor2.dumps(dict(sorted(SECRET.tree().items()))),
}
LEAST = 16
"""Bytes of the shortest interval in which a part of a Secret is planted: of less, nothing can be read."""
CLASSES = (Account.STRUCTURE, Account.EMPTY, Account.CHECKSUM)


@dataclass(frozen=True)
class Evidence:
    """Honest evidence that ends with 0."""

    root: Path
    """What is scanned."""
    file: Path
    """The file in which Secrets are planted."""
    config: str
    repair: Callable[[bytes], bytes]
    """Makes every checksum of the file right again."""


def snapshot(folder: Path) -> Evidence:
    """A snapshot of three encrypted Secrets and two readable Pods, with a freelist, freed pages and a long run."""
    pods = [StoredObject(name=b"p%d" % size, kind=b"Pod", data={b"a": b"x" * size}) for size in (10, 9_000)]
    records = [
        bolt.record(20 + number, b"/registry/pods/a/p%d" % number, pod.protobuf()) for number, pod in enumerate(pods)
    ]
    old = bolt.leaf("<", 2, [(0, *members_on_disk.clean()[0])])
    root = bolt.leaf("<", 3, [(0, b"term", bytes(8))])
    raw = bolt.backend([*members_on_disk.clean(), *records], freed=[old, root], freelist=True, fanout=2).seal()
    path = members_on_disk.write(folder / "snapshot.db", raw)
    return Evidence(path, path, members_on_disk.configuration(folder), repair)


def log(folder: Path) -> Evidence:
    """The log of an encrypted member."""
    root = members_on_disk.data_directory(folder / "data")
    return Evidence(root, root / "member/wal" / members_on_disk.WAL, members_on_disk.configuration(folder), chained)


def chained(raw: bytes) -> bytes:
    """A segment whose checksums continue one another again, as far as its frames hold."""
    body, at, crc = bytearray(raw), 0, 0
    while at + 8 <= len(body):
        (length,) = struct.unpack_from("<Q", body, at)
        end = at + 8 + (length & (1 << 56) - 1)
        if not length or end > len(body):
            break
        with suppress(IndexError, TypeError):
            crc = _record(body, at + 8, end, crc)
        at = end + (length >> 56 & 7 if length >> 63 else 0)
    return bytes(body)


def _record(body: bytearray, at: int, end: int, crc: int) -> int:
    """Set the checksum of one record: 08 type 10 crc 1a length data. Returns it."""
    kind = body[at + 1]
    place = at + 3
    _, behind = varint_at(bytes(body), place, end) or (0, place)
    if kind != 4:
        _, data = varint_at(bytes(body), behind + 1, end) or (0, end)
        crc = crc32c.crc32c(bytes(body[data:end]), crc)
    number = crc
    for octet in range(place, behind):  # as many bytes as before
        body[octet] = number & 0x7F | (0x80 if octet + 1 < behind else 0)
        number >>= 7
    return crc


def intervals(evidence: Evidence) -> dict[Account, list[tuple[int, int]]]:
    """The intervals of the file's ledger by account; of structure, adjacent ones are one."""
    ledgers: list[Ledger] = []
    balance = Ledger.balance

    def kept(self: Ledger) -> Balance:
        ledgers.append(self)
        return balance(self)

    with mock.patch.object(Ledger, "balance", kept):
        auditor.scan(evidence.root, Options(encryption_configs=(evidence.config,), rows=False))
    raw = evidence.file.read_bytes()
    (own,) = {
        id(each): each for each in ledgers if each.size == len(raw) and each.name.endswith(evidence.file.name)
    }.values()
    found: dict[Account, list[tuple[int, int]]] = {account: [] for account in CLASSES}
    every = sorted(
        (start, end, account)
        for account, columns in own.intervals()
        for start, end in zip(columns.start.tolist(), columns.end.tolist(), strict=True)
    )
    for start, end, account in every:
        parts = found.get(account)
        if parts is None:
            continue
        if parts and parts[-1][1] == start:
            parts[-1] = parts[-1][0], end
        else:
            parts.append((start, end))
    holes = own.settle()  # zeros, and in SQLite's pages old copies of structure
    found[Account.EMPTY] += zip(holes.start.tolist(), holes.end.tolist(), strict=True)
    return {account: [part for part in parts if part[1] - part[0] >= LEAST] for account, parts in found.items()}


def planted(evidence: Evidence, form: bytes, seed: int, count: int) -> Iterator[tuple[Account, int, bytes]]:
    """The file with a Secret at the first, the last and a random place of every interval: account, offset, content.

    Where the interval is shorter, the Secret is cut to it. What the repair undoes is left out.

    Args:
        evidence: Honest evidence.
        form: The bytes of the Secret.
        seed: Of the random places.
        count: Places at most, spread over all of them; only these are repaired, which takes longer than a scan.
    """
    raw, rng = evidence.file.read_bytes(), random.Random(seed)
    places = [
        (account, at, form[: end - at])
        for account, parts in intervals(evidence).items()
        for start, end in parts
        for last in [max(start, end - len(form))]
        for at in sorted({start, rng.randint(start, last), last})
    ]
    for stratum in strata(places, count):
        for account, at, content in stratum:
            changed = evidence.repair(raw[:at] + content + raw[at + len(content) :])
            if changed != raw:  # a checksum is made right again, whatever was written there
                yield account, at, changed
                break


def ends_with_0(evidence: Evidence) -> bool:
    try:
        audit = auditor.scan(evidence.root, Options(encryption_configs=(evidence.config,), rows=False))
    except UnreadableEvidence:
        return False
    return audit.exit_code(Severity.MEDIUM) == 0
