"""The write-ahead log: frames built byte by byte, logs written by a real etcd, and every damage to them."""

import random
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from auditor.columns import Buffer
from auditor.evidence import wal
from auditor.evidence.wal import Log
from auditor.model import Place, State
from auditor.protobuf import rpc_pb2 as rpc
from tests import plain
from tests.etcd import Etcd
from tests.support import Thing

NAME = "0000000000000000-0000000000000000.wal"
SECRET = Thing(data={b"password": b"CANARY-in-the-log"}).protobuf()
WORKED = bytes.fromhex(
    "0400000000000084 0804 1000 00000000"
    "2000000000000000 0801 10bb81c7fc05 1a16 08cdd2918bd2b881cf8e01 10b298eaf1948386fccd01"
    "1900000000000087 0803 10bafadfba0f 1a0f 0802 10cdd2918bd2b881cf8e01 1805 00000000000000"
)
"""Three records as the reference gives them: their checksums are etcd's."""


def crc32c(data: bytes, crc: int = 0) -> int:
    """Castagnoli, one bit at a time: nothing shared with the library that the auditor uses."""
    crc ^= 0xFFFFFFFF
    for octet in data:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def part(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def count(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


class Segment:
    """A segment under construction; `crc` goes on from one to the next."""

    def __init__(self, crc: int = 0) -> None:
        self.crc = crc
        self.data = b""
        self.frame(4, None)

    def frame(self, kind: int, data: bytes | None) -> "Segment":
        self.crc = crc32c(data, self.crc) if data is not None else self.crc
        record = count(1, kind) + count(2, self.crc) + (part(3, data) if data is not None else b"")
        padding = -len(record) % 8
        field = len(record) | ((0x80 | padding) << 56 if padding else 0)
        self.data += struct.pack("<Q", field) + record + bytes(padding)
        return self

    def entry(self, index: int, request: bytes, term: int = 2) -> "Segment":
        return self.frame(2, count(1, 0) + count(2, term) + count(3, index) + part(4, request))

    def commit(self, index: int) -> "Segment":
        return self.frame(3, count(1, 2) + count(2, 1) + count(3, index))


def put(key: bytes, value: bytes) -> bytes:
    return count(1, 7) + part(4, part(1, key) + part(2, value))


def key(number: int) -> bytes:
    return b"/registry/secrets/default/s%d" % number


def read(*segments: bytes, applied: int | None = None) -> Log:
    files = [(f"{number:016x}-{0:016x}.wal", Buffer(data)) for number, data in enumerate(segments)]
    return wal.read(files, applied)


def rows(log: Log) -> list[tuple[bytes, bytes, int, State]]:
    return [
        (batch.key(row), batch.value(row), int(batch.order[row]), State(int(batch.state[row])))
        for batch in log.batches
        for row in range(len(batch))
    ]


def test_the_worked_bytes() -> None:
    log = read(WORKED)
    assert not log.gaps
    assert not log.tails
    assert log.commit == 5
    assert log.members == (("8e9e05c52164694d", "cdf818194e3a8c32"),)


def test_entries_replaced_uncommitted_and_not_yet_applied() -> None:
    segment = Segment()
    for index in range(1, 6):
        segment.entry(index, put(key(index), SECRET))
    segment.entry(4, put(key(40), SECRET), term=3).entry(5, put(key(50), SECRET), term=3).commit(4)
    log = read(segment.data + bytes(4096), applied=3)
    assert not log.gaps
    assert not log.tails
    assert [(name, order, state) for name, _, order, state in rows(log)] == [
        (key(1), 1, State(0)),
        (key(2), 2, State(0)),
        (key(3), 3, State(0)),
        (key(4), 4, State.SUPERSEDED),
        (key(5), 5, State.SUPERSEDED),
        (key(40), 4, State.NOT_YET_APPLIED),
        (key(50), 5, State.UNCOMMITTED),
    ]
    assert all(value == SECRET for _, value, _, _ in rows(log))


def test_puts_of_nested_transactions_in_both_branches() -> None:
    compare = part(1, part(3, key(9)) + part(7, b"a value that is only compared"))

    def operation(number: int) -> bytes:
        return part(2, part(1, key(number)) + part(2, SECRET))

    inner = part(2, operation(3)) + part(3, operation(4))
    outer = compare + part(2, operation(1)) + part(3, operation(2)) + part(2, part(4, inner))
    log = read(Segment().entry(1, count(1, 7) + part(6, outer)).commit(1).data)
    assert [name for name, _, _, _ in rows(log)] == [key(1), key(2), key(3), key(4)]
    deep = part(2, operation(5))
    for _ in range(40):
        deep = part(2, part(4, deep))
    log = read(Segment().entry(1, count(1, 7) + part(6, deep)).commit(1).data)
    assert not rows(log)
    assert log.gaps
    assert log.tails


def test_segments_are_one_chain_and_a_missing_one_is_a_gap() -> None:
    segments, crc = [], 0
    for number in range(3):
        segment = Segment(crc)
        segment.entry(number + 1, put(key(number), SECRET)).commit(number + 1)
        segments.append(segment.data)
        crc = segment.crc
    log = read(*segments)
    assert not log.gaps
    assert len(rows(log)) == 3
    assert not read(*segments[1:]).gaps, "a reader may begin at any segment"
    files = [(f"{number:016x}-{0:016x}.wal", Buffer(segments[number])) for number in (0, 2)]
    log = wal.read(files, None)
    assert len(rows(log)) == 2
    assert any("missing" in gap.reason for gap in log.gaps)
    assert any("checksum" in gap.reason for gap in log.gaps)


def test_requests_of_the_v2_store_are_no_puts() -> None:
    request = count(1, 7) + part(2, b"PUT") + part(3, b"/0/version") + part(4, b"\x0a\x03abc")
    log = read(Segment().entry(1, request).commit(1).data)
    assert not rows(log)
    assert not log.gaps


def test_passwords_are_counted_and_not_shown() -> None:
    request = count(1, 7) + part(1100, part(1, b"root") + part(2, b"CANARY-password"))
    log = read(Segment().entry(1, request).commit(1).data)
    assert any("1 requests" in note for note in log.notes)
    assert "CANARY" not in repr(log.notes)


def small() -> bytes:
    segment = Segment()
    for index in range(1, 4):
        segment.entry(index, put(key(index), SECRET))
    return segment.commit(3).data + bytes(64)


def test_no_flipped_bit_changes_a_row_unnoticed() -> None:
    """A checksum covers a record's data and nothing else: a state may turn into a leader's empty entry."""
    whole = small()
    before = [row[:3] for row in rows(read(whole))]
    for at in range(len(whole)):
        for bit in (0, 5, 7):
            data = bytearray(whole)
            data[at] ^= 1 << bit
            log = read(bytes(data))
            told = bool(log.gaps or log.tails) or any(state & State.BAD_CHECKSUM for _, _, _, state in rows(log))
            assert told or [row[:3] for row in rows(log)] == before, at


def test_no_truncation_raises_or_loses_a_whole_entry() -> None:
    whole = small()
    ends = [0]
    while ends[-1] + 8 <= len(whole) and (field := struct.unpack_from("<Q", whole, ends[-1])[0]):
        ends.append(ends[-1] + 8 + (field & (1 << 56) - 1) + (field >> 56 & 7 if field >> 63 else 0))
    for size in range(8, len(whole)):
        log = read(whole[:size])
        complete = sum(end <= size for end in ends[2:5])
        assert len(rows(log)) == complete
        assert bool(log.gaps or log.tails) == (size not in ends and size < ends[-1])


def test_what_stands_behind_the_end_mark_is_a_tail() -> None:
    behind = Segment().entry(9, put(key(9), SECRET)).data
    whole = small()
    log = read(whole + behind)
    ((number, start, end),) = log.tails
    assert number == 0
    assert start <= len(whole)
    assert end == len(whole + behind)
    assert len(rows(log)) == 3


def test_random_bytes_never_raise() -> None:
    rng = random.Random(3)
    for _ in range(300):
        data = bytearray(small())
        for _ in range(rng.randrange(1, 8)):
            start = rng.randrange(len(data))
            data[start : start + rng.randrange(12)] = rng.randbytes(rng.randrange(12))
        read(bytes(data) or b"\1")


@pytest.fixture(scope="module")
def member(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[bytes, list[bytes]]]:
    """The data directory of a stopped etcd, and every value that was put under each key."""
    folder = tmp_path_factory.mktemp("member") / "data"
    written: dict[bytes, list[bytes]] = {}

    def remember(pairs: Sequence[tuple[bytes, bytes]]) -> Sequence[tuple[bytes, bytes]]:
        for name, value in pairs:
            written.setdefault(name, []).append(value)
        return pairs

    with Etcd(folder) as etcd:
        rng = random.Random(5)
        for number in range(200):
            value = Thing(name=b"s%d" % number, data={b"x": rng.randbytes(rng.randrange(1, 6000))}).protobuf()
            ((name, stored),) = remember([(key(number), value)])
            etcd.put(name, stored, etcd.lease(600) if number % 7 == 0 else 0)
        etcd.put_many(remember([(key(1000 + number), SECRET) for number in range(50)]))
        failing = rpc.Compare(result="EQUAL", target="MOD", key=key(0), mod_revision=1)
        operations = [rpc.RequestOp(request_put=rpc.PutRequest(key=key(2000), value=SECRET))]
        inner = rpc.TxnRequest(compare=[failing], success=operations)
        remember([(key(2000), SECRET)])
        etcd.call("Txn", rpc.TxnRequest(success=[rpc.RequestOp(request_txn=inner)]))
        etcd.delete(key(1))
        etcd.compact(etcd.put(*remember([(key(2), SECRET)])[0]))
        assert key(2000) not in etcd.get_all(), "the comparison fails: this value never was a revision"
    return folder, written


def test_every_put_of_a_real_etcd_is_a_row(member: tuple[Path, dict[bytes, list[bytes]]]) -> None:
    folder, written = member
    (path,) = (folder / "member" / "wal").glob("*.wal")
    data = path.read_bytes()
    log = wal.read([(path.name, Buffer(data))], None)
    assert not log.gaps
    assert not log.tails
    found: dict[bytes, list[bytes]] = {}
    for name, value, _, state in rows(log):
        assert state == State(0)
        found.setdefault(name, []).append(value)
    assert found == written
    for batch in log.batches:
        assert set(batch.place.tolist()) == {Place.WAL}
    mine = sorted((each.key, each.offset, each.size) for each in plain.puts(path.name, data))
    theirs = sorted(
        (batch.key(row), int(batch.value_at[row]), int(batch.value_len[row]))
        for batch in log.batches
        for row in range(len(batch))
    )
    assert theirs == mine
