"""The write-ahead log: frames built byte by byte, logs written by a real etcd, and every damage to them."""

import base64
import random
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.arrays.buffer import Buffer
from auditor.evidence.etcd import raft, wal, wire
from auditor.evidence.etcd.wal import WalContents
from auditor.evidence.gaps import LISTED
from auditor.model.vocabulary import Place, State
from auditor.protobuf import rpc_pb2 as rpc
from tests.helpers import oracle
from tests.helpers.etcd import Etcd
from tests.helpers.objects import StoredObject
from tests.helpers.sweeps import sample

NAME = "0000000000000000-0000000000000000.wal"
SECRET = StoredObject(data={b"password": b"CANARY-in-the-log"}).protobuf()
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


def named(number: int, index: int) -> str:
    return f"{number:016x}-{index:016x}.wal"


def read(*segments: bytes, applied: int | None = None, firsts: Sequence[int] = (0,)) -> WalContents:
    """firsts: the raft index in each segment's name."""
    names = [named(number, index) for number, index in zip(range(len(segments)), firsts, strict=True)]
    return wal.read([(name, Buffer(data)) for name, data in zip(names, segments, strict=True)], applied)


def rows(log: WalContents) -> list[tuple[bytes, bytes, int, State]]:
    return [
        (batch.key(row), batch.value(row), int(batch.ordinal[row]), State(int(batch.state[row])))
        for batch in log.batches
        for row in range(len(batch))
    ]


def test_the_worked_bytes() -> None:
    log = read(WORKED)
    assert not log.gaps
    assert not log.unframed
    assert log.commit == 5
    assert log.members == ((0x8E9E05C52164694D, 0xCDF818194E3A8C32),)


def test_entries_replaced_uncommitted_and_not_yet_applied() -> None:
    segment = Segment()
    for index in range(1, 6):
        segment.entry(index, put(key(index), SECRET))
    segment.entry(4, put(key(40), SECRET), term=3).entry(5, put(key(50), SECRET), term=3).commit(4)
    log = read(segment.data + bytes(4096), applied=3)
    assert not log.gaps
    assert not log.unframed
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
    # a value that is only compared with is a row too
    assert [name for name, _, _, _ in rows(log)] == [key(9), key(1), key(2), key(3), key(4)]
    deep = part(2, operation(5))
    for _ in range(40):
        deep = part(2, part(4, deep))
    log = read(Segment().entry(1, count(1, 7) + part(6, deep)).commit(1).data)
    assert not rows(log)
    assert log.gaps
    assert log.unframed


ENCODED = base64.b64encode(SECRET)
NAMING = {
    "the user": part(4, part(1, key(1)) + part(2, b"k8s:enc:")) + part(100, count(1, 3) + part(2, ENCODED)),
    "a comparison": part(6, part(1, part(3, ENCODED))),
    "a range": part(6, part(2, part(1, part(1, ENCODED)))),
    "a deletion": part(5, part(1, ENCODED)),
}


@pytest.mark.parametrize("place", NAMING)
def test_a_name_in_a_request_in_which_a_value_begins_is_not_accounted_for(place: str) -> None:
    named_so = Segment().entry(1, count(1, 7) + NAMING[place]).commit(1).data
    honest = Segment().entry(1, count(1, 7) + NAMING[place].replace(ENCODED, b"n" * len(ENCODED))).commit(1).data
    own, other = (read(each).ledgers[0].balance() for each in (named_so, honest))
    assert other.structure + other.row - own.structure - own.row >= len(ENCODED)


def test_segments_are_one_chain_and_a_missing_one_is_a_gap() -> None:
    segments, crc = [], 0
    for number in range(3):
        segment = Segment(crc)
        segment.entry(number + 1, put(key(number), SECRET)).commit(number + 1)
        segments.append(segment.data)
        crc = segment.crc
    log = read(*segments, firsts=(0, 2, 3))
    assert not log.gaps
    assert (log.first, log.last, log.commit) == (1, 3, 3)
    assert [batch.source for batch in log.batches] == [named(0, 0), named(1, 2), named(2, 3)]
    assert not read(*segments[1:], firsts=(2, 3)).gaps, "a reader may begin at any segment"
    log = wal.read([(named(0, 0), Buffer(segments[0])), (named(2, 3), Buffer(segments[2]))], None)
    assert len(rows(log)) == 2
    assert any("0000000000000001 before it is missing" in gap.reason for gap in log.gaps)
    assert any("checksum" in gap.reason for gap in log.gaps)
    assert any("is number 3, expected 2" in gap.reason for gap in log.gaps)
    (gap,) = read(*segments, firsts=(0, 2, 9)).gaps
    assert "begins at entry 9, expected 3" in gap.reason
    broken = Buffer(segments[2] + b"\1" * 9)
    log = wal.read([(named(2, 3) + ".broken", broken)], None)
    assert len(rows(log)) == 1
    assert [gap.reason.split(": ")[-1] for gap in log.gaps] == ["torn"]


def test_entries_that_are_missing_are_gaps_where_the_next_one_lies() -> None:
    segment = Segment()
    offsets = []
    for index in (3, 4, 7):
        offsets.append(len(segment.data))
        segment.entry(index, put(key(index), SECRET))
    log = read(segment.commit(7).data)
    assert [(gap.offset, gap.reason.split("is ")[-1]) for gap in log.gaps] == [
        (offsets[0], "number 3, expected 1"),
        (offsets[2], "number 7, expected 5"),
    ]
    received = Segment().frame(5, count(1, 6) + count(2, 2)).entry(7, put(key(7), SECRET)).commit(7)
    assert not read(received.data).gaps, "a member that received a raft snapshot goes on behind it"


def test_metadata_of_another_member_are_a_gap_at_their_offset() -> None:
    segment = Segment().frame(1, count(1, 10) + count(2, 11))
    at = len(segment.data)
    log = read(segment.frame(1, count(1, 10) + count(2, 12)).data)
    assert log.members == ((10, 11), (10, 12))
    (gap,) = log.gaps
    assert gap.offset == at
    assert "expected 000000000000000a of cluster 000000000000000b" in gap.reason


def test_an_unknown_record_type_is_a_gap_and_the_chain_goes_on() -> None:
    segment = Segment().entry(1, put(key(1), SECRET))
    at = len(segment.data)
    segment.frame(9, b"of a later etcd").entry(2, put(key(2), SECRET)).commit(2)
    log = read(segment.data)
    (gap,) = log.gaps
    assert gap.offset == at
    assert log.unframed == ((0, at + 8, at + gap.length),)
    assert [(order, state) for _, _, order, state in rows(log)] == [(1, State(0)), (2, State(0))]


def test_a_wrong_checksum_flags_its_row_and_the_chain_goes_on() -> None:
    """What a damaged entry says of its index replaces nothing."""
    segment = Segment().entry(1, put(key(1), SECRET)).entry(2, put(key(2), SECRET))
    at = len(segment.data)
    data = bytearray(segment.entry(3, put(key(3), SECRET)).entry(4, put(key(4), SECRET)).commit(4).data)
    index_at = data.index(b"\x18\x03", at) + 1
    data[index_at] = 1
    log = read(bytes(data))
    damaged, jump = log.gaps
    assert damaged.offset == at
    assert damaged.reason.split(": ")[1].startswith(f"the record at offset {at} has the checksum ")
    assert "expected 2" in jump.reason
    assert [(order, state) for _, _, order, state in rows(log)] == [
        (1, State(0)),
        (2, State(0)),
        (1, State.BAD_CHECKSUM),
        (4, State(0)),
    ]


def test_a_write_that_was_torn_is_told_from_other_damage() -> None:
    value = bytes(range(1, 256)) * 16
    whole = Segment().entry(1, put(key(1), SECRET))
    at = len(whole.data)
    data = bytearray(whole.entry(2, put(key(2), value)).data)
    data[512 * 3 :] = bytes(len(data) - 512 * 3)
    torn = read(bytes(data))
    assert [order for _, _, order, _ in rows(torn)] == [1, 2]
    assert rows(torn)[1][3] & State.BAD_CHECKSUM
    data[at + 8] = 0x0B
    (gap,) = read(bytes(data)).gaps
    assert gap.offset == at
    assert "a torn write" in gap.reason
    after = Segment().data
    (gap, *_) = read(bytes(data), after, firsts=(0, 2)).gaps
    assert "no record that etcd writes" in gap.reason, "only the last segment may end in a torn write"


@pytest.mark.parametrize("field", [1 << 63 | 0x87 << 56, 1 << 40, (1 << 63) - 1, 0x80 << 56 | 1 << 55])
def test_a_length_beyond_the_file_is_a_gap_and_a_tail(field: int) -> None:
    whole = Segment().entry(1, put(key(1), SECRET)).commit(1).data
    log = read(whole + struct.pack("<Q", field | 1))
    assert [(gap.offset, gap.length) for gap in log.gaps] == [(len(whole), 8)]
    assert log.unframed == ((0, len(whole), len(whole) + 8),)
    assert len(rows(log)) == 1


def test_padding_that_is_not_zero_is_a_tail() -> None:
    data = bytearray(Segment().entry(1, put(key(1), SECRET)).commit(1).data)
    assert data[12:16] == bytes(4), "the padding of the first frame"
    data[14] = 7
    log = read(bytes(data))
    assert not log.gaps
    assert log.unframed == ((0, 12, 16),)


def test_many_damaged_frames_are_few_gaps_and_no_byte_of_them_is_lost() -> None:
    frame = struct.pack("<Q", 1 | 0x87 << 56) + b"\x55" + bytes(7)
    start = Segment().data
    log = read(start + frame * 5000)
    (*listed, rest) = log.gaps
    assert len(listed) == LISTED
    assert sum(gap.length for gap in log.gaps) == len(frame) * 5000
    assert "4,900 more" in rest.reason
    assert log.unframed == ((0, len(start) + 8, len(start) + len(frame) * 5000),)


def test_batches_are_of_limited_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wal, "MOST_ROWS", 2)
    log = read(small())
    assert [len(batch) for batch in log.batches] == [2, 1]
    assert [name for name, *_ in rows(log)] == [key(1), key(2), key(3)]


def test_a_put_without_a_value_is_a_row_unless_it_keeps_the_old_one() -> None:
    kept = count(1, 7) + part(4, part(1, key(2)) + count(5, 1))
    segment = Segment().entry(1, put(key(1), b"")).entry(2, kept).entry(3, count(1, 7) + part(4, part(1, key(3))))
    log = read(segment.commit(3).data)
    assert not log.gaps
    assert [(name, value) for name, value, _, _ in rows(log)] == [(key(1), b""), (key(3), b"")]


def test_numbers_beyond_64_bits_are_gaps() -> None:
    huge = b"\xff" * 9 + b"\x7f"
    entry = count(1, 0) + count(2, 1) + b"\x18" + huge + part(4, put(key(1), SECRET))
    for kind, data in ((2, entry), (1, b"\x08" + huge + b"\xff"), (5, b"\x08" + b"\xff" * 11)):
        log = read(Segment().frame(kind, data).data)
        assert not rows(log)
        assert len(log.gaps) == len(log.unframed) == 1
    assert not read(Segment().frame(3, count(1, 1) + count(2, (1 << 64) - 1) + count(3, 4)).data).gaps


def texts(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(max_size=size)


numbers = st.one_of(st.integers(0, 300), st.integers(0, (1 << 64) - 1))
puts = st.builds(
    lambda name, value, lease, more: b"".join((name, value, lease, more)),
    texts(20).map(lambda text: part(1, text)) | st.just(b""),
    texts(200).map(lambda text: part(2, text)) | st.just(b""),
    numbers.map(lambda number: count(3, number)) | st.just(b""),
    st.sampled_from([b"", b"", b"", count(5, 1), part(1, b"the last one counts"), b"\x0b"]),
)
operations = puts.map(lambda text: part(2, text)) | st.just(part(1, part(1, b"/a"))) | st.just(part(3, part(1, b"/a")))
transactions = st.builds(
    lambda compared, success, failure: b"".join((*compared, *success, *failure)),
    st.lists(texts(9).map(lambda text: part(1, part(3, text))), max_size=2),
    st.lists(operations.map(lambda text: part(2, text)), max_size=2),
    st.lists(operations.map(lambda text: part(3, text)), max_size=2),
)
requests = st.builds(
    lambda request, number: request + part(100, count(1, number)),
    puts.map(lambda text: part(4, text)) | transactions.map(lambda text: part(6, text)) | texts(30),
    numbers,
)
made = st.builds(
    lambda kind, term, index, request: count(1, kind) + count(2, term) + count(3, index) + part(4, request),
    st.sampled_from([0, 0, 0, 1, 2]),
    numbers,
    st.integers(0, 1 << 40),
    requests,
)


@given(st.lists(made | texts(40), min_size=1, max_size=8))
def test_columns_say_of_an_entry_what_reading_it_by_itself_does(those: list[bytes]) -> None:
    stops = np.cumsum([len(each) for each in those])
    starts = stops - [len(each) for each in those]
    data = b"".join(those)
    known, indices, found, *_ = wire.entries(Buffer(data), starts, stops)
    for row in np.flatnonzero(known).tolist():
        alone = raft.entry(data, int(starts[row]), int(stops[row]))
        assert indices[row] == alone.raft_index
        assert [tuple(each[1:]) for each in found.tolist() if each[0] == row] == list(alone.puts)
        assert not alone.passwords


def test_columns_know_what_kubernetes_writes() -> None:
    """Else all would be read one by one, and the log in ten times the time."""
    compare = part(1, count(2, 2) + part(3, key(1)) + count(6, 0))
    write, leased = part(1, key(1)) + part(2, SECRET), part(1, key(1)) + part(2, SECRET) + count(3, 7 << 58)
    get, delete = part(1, part(1, key(1))), part(3, part(1, key(1)))
    create, expiring = (compare + part(2, part(2, each)) for each in (write, leased))
    update, remove = create + part(3, get), compare + part(2, delete) + part(3, get)
    header = part(100, count(1, (1 << 63) + 5))
    bodies = [part(6, each) + header for each in (create, expiring, update, remove)] + [part(4, write) + header]
    those = [count(1, 0) + count(2, 3) + count(3, 90_000) + part(4, body) for body in bodies]
    stops = np.cumsum([len(each) for each in those])
    known, _, found, *_ = wire.entries(Buffer(b"".join(those)), stops - [len(each) for each in those], stops)
    assert known.all()
    assert found[:, 0].tolist() == [0, 1, 2, 4]


def test_what_etcd_itself_writes_into_the_v2_store_is_no_put() -> None:
    request = count(1, 7) + part(2, b"PUT") + part(3, b"/0/version") + part(4, b"3.5.0")
    log = read(Segment().entry(1, request).commit(1).data)
    assert not rows(log)
    assert not log.gaps


@pytest.mark.parametrize("wrapped", [False, True])
def test_requests_of_the_v2_store_are_puts(wrapped: bool) -> None:
    request = count(1, 7) + part(2, b"PUT") + part(3, b"/1" + key(1)) + part(4, SECRET) + count(5, 0) + part(6, SECRET)
    log = read(Segment().entry(1, part(2, request) if wrapped else request).commit(1).data)
    assert [row[:2] for row in rows(log)] == [(key(1), SECRET)] * 2
    assert not log.gaps


def test_passwords_are_counted_and_not_shown() -> None:
    request = count(1, 7) + part(1100, part(1, b"root") + part(2, b"CANARY-password"))
    log = read(Segment().entry(1, request).commit(1).data)
    assert any("1 request in the WAL holds a password" in note for note in log.notes)
    assert "CANARY" not in repr(log.notes)


FULL = "the log ends at entry 5 in a segment that is full, and the database has applied 9: its end is missing"


@pytest.mark.parametrize("tail", [0, 512], ids=["full", "being written"])
@pytest.mark.parametrize(
    ("first", "last", "commit", "applied", "reason"),
    [
        (1, 5, 5, 5, ""),
        (1, 5, 5, 3, ""),
        (1, 5, 4, 0, ""),
        (4, 5, 5, 3, ""),
        (1, 5, 5, 9, FULL),
        (1, 5, 30, 5, "the log ends at entry 5, and says that 30 are committed: its end is missing"),
        (20, 25, 25, 9, "the log begins at entry 20, and the database has applied 9: entries are missing"),
    ],
)
def test_a_log_without_entries_that_it_must_have(
    first: int, last: int, commit: int, applied: int, reason: str, tail: int
) -> None:
    """Of a segment that etcd would still write to, entries that are missing may never have been: a remark."""
    segment = Segment()
    reason = "" if reason == FULL and tail else reason
    for index in range(first, last + 1):
        segment.entry(index, put(key(index), SECRET))
    log = read(segment.commit(commit).data + bytes(tail), applied=applied, firsts=[first])
    assert [gap.reason.partition(": ")[2] for gap in log.gaps] == ([reason] if reason else [])
    assert any("what lay behind is not here" in note for note in log.notes) == (last < applied and not reason)
    # what the database has is committed, whatever the log says
    assert any("not committed" in note for note in log.notes) == (commit < last and applied < last)


def test_a_put_that_leaves_the_value_as_it_is_has_none() -> None:
    """etcd refuses one with both: what it holds all the same is read."""
    empty, both = (count(1, 7) + part(4, part(1, key(1)) + value + count(5, 1)) for value in (b"", part(2, SECRET)))
    assert rows(read(Segment().entry(1, empty).commit(1).data)) == []
    assert [row[:2] for row in rows(read(Segment().entry(1, both).commit(1).data))] == [(key(1), SECRET)]


def small() -> bytes:
    segment = Segment()
    for index in range(1, 4):
        segment.entry(index, put(key(index), SECRET))
    return segment.commit(3).data + bytes(64)


def test_no_flipped_bit_changes_a_row_unnoticed() -> None:
    """A checksum covers a record's data and nothing else: a state may turn into a leader's empty entry."""
    whole = small()
    before = [row[:3] for row in rows(read(whole))]
    for at, bit in sample([(at, bit) for at in range(len(whole)) for bit in (0, 5, 7)], 200):
        data = bytearray(whole)
        data[at] ^= 1 << bit
        log = read(bytes(data))
        told = bool(log.gaps or log.unframed) or any(state & State.BAD_CHECKSUM for _, _, _, state in rows(log))
        assert told or [row[:3] for row in rows(log)] == before, at


def test_no_truncation_raises_or_loses_a_whole_entry() -> None:
    whole = small()
    ends = [0]
    while ends[-1] + 8 <= len(whole) and (field := struct.unpack_from("<Q", whole, ends[-1])[0]):
        ends.append(ends[-1] + 8 + (field & (1 << 56) - 1) + (field >> 56 & 7 if field >> 63 else 0))
    for size in sample(range(1, len(whole)), 100):
        log = read(whole[:size])
        complete = sum(end <= size for end in ends[2:5])
        assert len(rows(log)) == complete
        assert bool(log.gaps) == bool(log.unframed) == (size not in ends and size < ends[-1])


def test_what_stands_behind_the_end_mark_is_a_tail() -> None:
    behind = Segment().entry(9, put(key(9), SECRET)).data
    whole = small()
    log = read(whole + behind)
    ((number, start, end),) = log.unframed
    assert number == 0
    assert start <= len(whole)
    assert end == len(whole + behind)
    assert len(rows(log)) == 3


def test_random_bytes_never_raise() -> None:
    rng = random.Random(3)
    for _ in sample(range(300), 60):
        data = bytearray(small())
        for _ in range(rng.randrange(1, 8)):
            start = rng.randrange(len(data))
            data[start : start + rng.randrange(12)] = rng.randbytes(rng.randrange(12))
        read(bytes(data) or b"\1")


@pytest.fixture(scope="module")
def member(program: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[bytes, list[bytes]]]:
    """The data directory of a stopped etcd, and every value that was put under each key."""
    folder = tmp_path_factory.mktemp("member") / "data"
    written: dict[bytes, list[bytes]] = {}

    def remember(pairs: Sequence[tuple[bytes, bytes]]) -> Sequence[tuple[bytes, bytes]]:
        for name, value in pairs:
            written.setdefault(name, []).append(value)
        return pairs

    with Etcd(folder, program=program) as etcd:
        rng = random.Random(5)
        for number in range(200):
            value = StoredObject(name=b"s%d" % number, data={b"x": rng.randbytes(rng.randrange(1, 6000))}).protobuf()
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
    assert not log.unframed
    found: dict[bytes, list[bytes]] = {}
    for name, value, _, state in rows(log):
        assert state == State(0)
        found.setdefault(name, []).append(value)
    assert found == written
    for batch in log.batches:
        assert set(batch.place.tolist()) == {Place.WAL}
    mine = sorted((each.key, each.offset, each.size) for each in oracle.puts(path.name, data))
    theirs = sorted(
        (batch.key(row), int(batch.value_at[row]), int(batch.value_len[row]))
        for batch in log.batches
        for row in range(len(batch))
    )
    assert theirs == mine
