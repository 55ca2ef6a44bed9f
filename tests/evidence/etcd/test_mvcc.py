"""Records of the `key` bucket: which is current, which is not, and which is none, against a naive model."""

import struct
from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.arrays.buffer import Buffer
from auditor.evidence.batch import UNKNOWN, RecordBatch
from auditor.evidence.bbolt import meta
from auditor.evidence.bbolt.elements import Leaves
from auditor.evidence.bbolt.tree import Walker
from auditor.evidence.etcd import backend, mvcc
from auditor.model.evidence import Gap
from auditor.model.vocabulary import Place, State
from auditor.protobuf.kv_pb2 import KeyValue
from tests.conftest import Read
from tests.helpers import bolt_builder
from tests.helpers.bolt_builder import Pair, record

LATEST, HISTORY, DELETED = Place.LATEST, Place.HISTORY, Place.DELETED
MOST = (1 << 63) - 1


def read_pairs(pairs: Sequence[Pair]) -> tuple[RecordBatch, list[Gap]]:
    """The records of these pairs, one behind the other in memory, the last at the very end."""
    sizes = np.array([(len(key), len(value)) for key, value in pairs], np.int64).reshape(-1, 2)
    key_at = np.cumsum(sizes.sum(axis=1)) - sizes.sum(axis=1)
    key_len, value_len = sizes.T.copy()
    nothing = np.zeros(len(pairs), np.int64)
    leaves = Leaves.of(
        flags=nothing, key_at=key_at, key_len=key_len, value_at=key_at + key_len, value_len=value_len, page=nothing
    )
    return mvcc.read(Buffer(b"".join(key + value for key, value in pairs)), "built.db", leaves)


def whole(pairs: Sequence[Pair]) -> RecordBatch:
    batch, gaps = read_pairs(pairs)
    assert not gaps
    return batch


def places(pairs: Sequence[Pair]) -> list[Place]:
    return [Place(place) for place in whole(pairs).place.tolist()]


def one_gap(pairs: Sequence[Pair]) -> tuple[RecordBatch, Gap]:
    batch, gaps = read_pairs(pairs)
    (gap,) = gaps
    return batch, gap


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def fields(stored: KeyValue) -> list[bytes]:
    """The fields of a KeyValue, each encoded by itself, in etcd's order."""
    return [KeyValue(**{each.name: value}).SerializeToString() for each, value in stored.ListFields()]


def test_the_newest_is_latest_and_what_it_replaced_history() -> None:
    assert places([record(2, b"/a"), record(3, b"/b"), record(4, b"/a", create=2, version=2)]) == [
        HISTORY, LATEST, LATEST,
    ]  # fmt: skip


def test_everything_under_a_tombstone_is_deleted() -> None:
    pairs = [record(2, b"/a"), record(3, b"/a", create=2, version=2), record(4, b"/a", tombstone=True)]
    batch = whole([*pairs, record(5, b"/b")])
    assert batch.place.tolist() == [DELETED, DELETED, DELETED, LATEST]
    assert batch.has(State.TOMBSTONE).tolist() == [False, False, True, False]
    assert batch.key(2) == b"/a"
    assert (batch.create_revision[2], batch.version[2], batch.value_len[2]) == (UNKNOWN, UNKNOWN, 0)


def test_what_came_before_a_recreation_is_history() -> None:
    pairs = [record(2, b"/a", b"1"), record(3, b"/a", tombstone=True), record(4, b"/a", b"2")]
    assert places(pairs) == [HISTORY, HISTORY, LATEST]
    assert places([*pairs, record(5, b"/a", tombstone=True)]) == [DELETED] * 4


def test_the_last_of_several_in_one_transaction_counts() -> None:
    pairs = [record(2, b"/a", b"1", sub=0), record(2, b"/b", sub=1), record(2, b"/a", sub=2, tombstone=True)]
    batch = whole([*pairs, record(2, b"/a", b"2", sub=3)])
    assert batch.place.tolist() == [HISTORY, LATEST, HISTORY, LATEST]
    assert batch.mod_revision.tolist() == [2] * 4
    assert batch.sub_revision.tolist() == [0, 1, 2, 3]


def test_a_tombstone_without_what_it_deleted_is_deleted() -> None:
    """What compaction leaves of a key deleted at the compaction's own revision."""
    assert places([record(9, b"/a", tombstone=True), record(10, b"/b")]) == [DELETED, LATEST]


def test_the_empty_record_of_a_bumped_revision(read: Read) -> None:
    """etcdutl snapshot restore --bump-revision writes one: it moves the revision on and is no gap."""
    reading = read(bolt_builder.backend([record(2, b"/a", b"v"), (bolt_builder.revision(1_000_000_002), b"")]).seal())
    assert not reading.gaps
    (batch,) = reading.batches
    assert (batch.key(1), batch.value(1), batch.place[1]) == (b"", b"", LATEST)
    assert batch.place[0] == LATEST
    assert reading.backend.newest_record == reading.backend.revision == 1_000_000_002


@pytest.mark.parametrize("lease", [1, 127, 128, 1 << 55, 1 << 56, 0x70CC8D7A6B5C4D3E, MOST])
@pytest.mark.parametrize("value", [b"", b"v", b"v" * 200])
def test_leases_of_any_size_leave_the_value_whole(lease: int, value: bytes) -> None:
    batch = whole([record(2, b"/a", value, lease=lease), record(3, b"/b", b"next")])
    assert [batch.value(0), batch.value(1)] == [value, b"next"]
    assert batch.place.tolist() == [LATEST, LATEST]


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16383, 16384, 1 << 21])
def test_values_and_keys_of_any_length(size: int) -> None:
    """On both sides of each length of the length itself."""
    batch = whole([record(2, b"k" * max(size, 1), b"v"), record(3, b"/b", b"v" * size), record(4, b"/c", b"next")])
    assert [len(batch.key(0)), len(batch.value(1))] == [max(size, 1), size]
    assert (batch.value(0), batch.value(2)) == (b"v", b"next")


keys = st.one_of(st.binary(min_size=1, max_size=20), st.binary(min_size=125, max_size=130))
revisions = st.one_of(st.integers(1, 300), st.integers(1, MOST))
stored_values = st.one_of(st.binary(max_size=20), st.binary(min_size=120, max_size=140))
message = st.builds(
    KeyValue, key=keys, version=revisions, value=stored_values, lease=st.one_of(st.just(0), st.integers(1, MOST))
)


def check(batch: RecordBatch, row: int, stored: KeyValue) -> None:
    """The columns say what the message says, and key and value lie apart, inside the record."""
    assert batch.key(row) == stored.key
    assert batch.value(row) == stored.value
    assert batch.mod_revision[row] == stored.mod_revision
    assert batch.create_revision[row] == stored.create_revision
    assert batch.version[row] == stored.version
    key, value = (
        (int(batch.key_at[row]), int(batch.key_len[row])),
        (int(batch.value_at[row]), int(batch.value_len[row])),
    )
    if stored.value:
        first, second = sorted((key, value))
        assert first[0] + first[1] <= second[0]


@st.composite
def messages(draw: st.DrawFn) -> list[KeyValue]:
    """Messages that stand under ascending revisions of their own."""
    mains = sorted(draw(st.lists(revisions, min_size=1, max_size=6, unique=True)))
    drawn = [draw(message) for _ in mains]
    for main, each in zip(mains, drawn, strict=True):
        each.mod_revision = main
        each.create_revision = draw(st.integers(1, main))
    return drawn


@given(messages())
def test_every_field_is_read_as_the_protobuf_library_reads_it(stored: list[KeyValue]) -> None:
    batch = whole([(bolt_builder.revision(each.mod_revision), each.SerializeToString()) for each in stored])
    for row, each in enumerate(stored):
        check(batch, row, each)


def unknown_varint(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def unknown_text(number: int, text: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(text)) + text


def unknown_fixed(number: int, text: bytes) -> bytes:
    return varint(number << 3 | 1) + text


numbers = st.integers(7, 40)
unknown_fields = st.one_of(
    st.builds(unknown_varint, numbers, st.integers(0, MOST)),
    st.builds(unknown_text, numbers, st.binary(max_size=9)),
    st.builds(unknown_fixed, numbers, st.binary(min_size=8, max_size=8)),
)


@given(messages(), st.lists(unknown_fields, max_size=2), st.randoms(use_true_random=False))
def test_fields_in_any_order_and_unknown_ones(stored: list[KeyValue], unknown: list[bytes], order: Random) -> None:
    pairs = []
    for each in stored:
        parts = [*fields(each), *unknown]
        order.shuffle(parts)
        pairs.append((bolt_builder.revision(each.mod_revision), b"".join(parts)))
    batch, gaps = read_pairs(pairs)
    assert len(gaps) == (len(stored) if unknown else 0)
    assert all("not all of it was read" in gap.reason for gap in gaps)
    for row, each in enumerate(stored):
        check(batch, row, each)


def test_a_field_that_comes_twice_is_told_and_the_last_counts() -> None:
    stored = KeyValue(key=b"/a", mod_revision=2, value=b"one").SerializeToString()
    batch, gap = one_gap([(bolt_builder.revision(2), stored + KeyValue(value=b"two").SerializeToString())])
    assert batch.value(0) == b"two"
    assert "holds a field twice" in gap.reason


def test_one_wrong_bit_in_a_value_s_tag_hides_no_value() -> None:
    """It makes a second key of the value, and protobuf's last one counts."""
    stored = bytearray(KeyValue(key=b"/a", mod_revision=2, value=b"k8s\0" + bytes(90)).SerializeToString())
    at = stored.index(b"\x2a\x5e")
    stored[at] = 0x0A
    batch, gap = one_gap([(bolt_builder.revision(2), bytes(stored))])
    assert len(batch) == 0
    assert "no mvccpb.KeyValue" in gap.reason


@pytest.mark.parametrize("tag", [0x11, 0x2D, 0x28, 0x0D, 0x32])
def test_a_known_field_of_another_kind_is_no_record(tag: int) -> None:
    """protobuf's library passes over it, and a value in it would be read by nobody; etcd itself refuses it."""
    stored = KeyValue(key=b"/a", mod_revision=2).SerializeToString() + bytes([tag, 8]) + b"k8s\0" * 3
    batch, gap = one_gap([(bolt_builder.revision(2), stored)])
    assert not len(batch)
    assert gap.reason.endswith("record is no mvccpb.KeyValue")


@pytest.mark.parametrize(
    "parts",
    [
        ["lease", "value"],
        ["value", "lease", "version"],
        ["lease", "version", "value"],
    ],
)
def test_a_short_value_behind_the_lease_is_not_taken_for_the_lease(parts: list[str]) -> None:
    """The lease is looked at last and by its length: what follows it may be as short as a long lease."""
    given_ = KeyValue(version=3, value=b"short", lease=5)
    tail = b"".join(KeyValue(**{name: getattr(given_, name)}).SerializeToString() for name in parts)
    head = KeyValue(key=b"/a", create_revision=2, mod_revision=2).SerializeToString()
    batch = whole([(bolt_builder.revision(2), head + tail)])
    assert batch.value(0) == b"short"
    if "version" in parts:
        assert batch.version[0] == 3


def test_the_value_is_found_where_it_is_stored() -> None:
    """Fields out of order, and a key that holds the value's own encoding: the value still is the value."""
    key = b"/a*\x01v"
    stored = KeyValue(value=b"v").SerializeToString() + KeyValue(key=key, mod_revision=2).SerializeToString()
    batch = whole([(bolt_builder.revision(2), stored)])
    assert (batch.key(0), batch.value(0)) == (key, b"v")
    assert batch.value_at[0] == len(bolt_builder.revision(2)) + 2


@pytest.mark.parametrize("length", [b"\x01", b"\x81\x00", b"\x81\x80\x00"])
def test_a_length_written_longer_than_it_need_be(length: bytes) -> None:
    """Protobuf reads it; so must whoever looks for the bytes."""
    stored = b"\x2a" + length + b"v" + KeyValue(key=b"/a", mod_revision=2).SerializeToString()
    batch = whole([(bolt_builder.revision(2), stored)])
    assert (batch.key(0), batch.value(0)) == (b"/a", b"v")


def test_a_foreign_mod_revision_is_a_gap_and_the_record_is_still_read() -> None:
    foreign = (bolt_builder.revision(3), record(2, b"/b", b"moved")[1])
    batch, gap = one_gap([record(2, b"/a"), foreign])
    assert "mod_revision" in gap.reason
    assert gap.offset == len(b"".join(record(2, b"/a")))
    assert gap.length == len(b"".join(foreign))
    assert (batch.key(1), batch.value(1), batch.mod_revision[1]) == (b"/b", b"moved", 3)
    assert batch.place.tolist() == [LATEST, LATEST]


@pytest.mark.parametrize("mod", [-1, -2, -3, MOST, 0])
def test_a_mod_revision_that_none_can_have_is_a_gap(mod: int) -> None:
    """0 is what protobuf reads where there is none: etcd leaves it out of tombstones only."""
    stored = KeyValue(key=b"/a", create_revision=2, mod_revision=mod, version=1, value=b"v").SerializeToString()
    _, gaps = read_pairs([(bolt_builder.revision(2), stored)])
    assert len(gaps) == 1


def test_a_create_revision_of_the_future_is_a_gap() -> None:
    batch, gap = one_gap([record(2, b"/a", create=3)])
    assert "create_revision" in gap.reason
    assert batch.place.tolist() == [LATEST]


@pytest.mark.parametrize(
    "key",
    [
        b"x",
        bolt_builder.revision(3)[:16],
        bolt_builder.revision(3) + b"tt",
        bolt_builder.revision(3) + b"x",
        bolt_builder.revision(3)[:8] + b"-" + bolt_builder.revision(3)[9:],
        struct.pack(">QcQ", 1 << 63, b"_", 0),
        struct.pack(">QcQ", 3, b"_", 1 << 63),
    ],
)
def test_a_key_that_is_no_revision_is_a_gap_and_the_others_are_read(key: bytes) -> None:
    batch, gap = one_gap([record(2, b"/a"), (key, record(3, b"/a")[1]), record(4, b"/a", create=2)])
    assert "no revision" in gap.reason
    assert gap.offset == len(b"".join(record(2, b"/a")))
    assert batch.mod_revision.tolist() == [2, 4]
    assert batch.place.tolist() == [HISTORY, LATEST]


@pytest.mark.parametrize(
    "stored",
    [
        b"\x0a",
        b"\x0a\x05/a",
        b"\x0a\x02/a\x10",
        b"\x0a\x02/a\x10\x80\x80",
        b"\x0a\x02/a\x2a\x09short",
        b"\x0a\x02/a\xff\xff\xff",
        b"\x0a\x02/a" + b"\x10" + b"\xff" * 11,
        b"\0" * 20,
    ],
)
def test_what_is_no_keyvalue_is_a_gap_and_the_others_are_read(stored: bytes) -> None:
    batch, gap = one_gap([record(2, b"/a"), (bolt_builder.revision(3), stored), record(4, b"/a", create=2)])
    assert "no mvccpb.KeyValue" in gap.reason
    assert (gap.offset, gap.length) == (len(b"".join(record(2, b"/a"))), 17 + len(stored))
    assert batch.mod_revision.tolist() == [2, 4]
    assert batch.place.tolist() == [HISTORY, LATEST]


def test_a_record_that_ends_early_does_not_read_on_into_the_next() -> None:
    """A length that reaches past the record, into bytes that the file does have."""
    good = record(3, b"/b", b"v" * 50)
    for claimed in (4, 30, 60):
        cut = b"\x0a\x02/a\x18\x02\x2a" + bytes([claimed]) + b"abc"
        batch, gap = one_gap([(bolt_builder.revision(2), cut), good])
        assert gap.offset == 0
        assert [batch.key(row) for row in range(len(batch))] == [b"/b"]


def test_revisions_out_of_order_are_a_gap_and_resolved_by_number() -> None:
    pairs = [record(2, b"/a", b"1"), record(5, b"/b", tombstone=True), record(4, b"/a", b"3"), record(3, b"/a", b"2")]
    batch, gap = one_gap([*pairs, record(2, b"/b", sub=1)])
    assert "ascending" in gap.reason
    assert list(zip(batch.mod_revision.tolist(), batch.sub_revision.tolist(), strict=True)) == [
        (2, 0),
        (2, 1),
        (3, 0),
        (4, 0),
        (5, 0),
    ]
    assert [batch.value(row) for row in (0, 2, 3)] == [b"1", b"2", b"3"]
    assert batch.place.tolist() == [HISTORY, DELETED, HISTORY, LATEST, DELETED]


def test_a_revision_that_occurs_twice_is_a_gap() -> None:
    batch, gap = one_gap([record(2, b"/a", b"1"), record(2, b"/a", b"2")])
    assert "ascending" in gap.reason
    assert sorted(batch.place.tolist()) == [LATEST, HISTORY]


def test_many_damaged_records_are_counted() -> None:
    bad = [(bolt_builder.revision(number), b"\x0a") for number in range(2, 252)]
    _, gaps = read_pairs([*bad, record(300, b"/a")])
    assert len(gaps) == 101
    assert sum(gap.length for gap in gaps) == 250 * 18
    assert "150 more" in gaps[-1].reason


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[int, int, bytes, bool]]:
    """(main, sub, key, tombstone) in order of revision; few keys, so that they meet often."""
    found = []
    main = 1
    for _ in range(draw(st.integers(0, 12))):
        main += draw(st.integers(1, 3))
        for sub in range(draw(st.integers(1, 3))):
            key = draw(st.sampled_from([b"/a", b"/b", b"/a/", b"/a" * 70, b"\xff\x00"]))
            found.append((main, sub, key, draw(st.booleans())))
    return found


def model(history: list[tuple[int, int, bytes, bool]]) -> list[Place]:
    """Replayed as etcd does: a map of what each key's newest record is."""
    newest = {key: row for row, (_, _, key, _) in enumerate(history)}
    found = []
    for row, (_, _, key, _) in enumerate(history):
        gone = history[newest[key]][3]
        found.append(DELETED if gone else LATEST if newest[key] == row else HISTORY)
    return found


@given(histories())
def test_places_are_the_models(history: list[tuple[int, int, bytes, bool]]) -> None:
    pairs = [
        record(main, key, b"%d" % row, sub=sub, tombstone=gone) for row, (main, sub, key, gone) in enumerate(history)
    ]
    assert places(pairs) == model(history)


@settings(max_examples=50)
@given(histories().filter(lambda history: len(history) > 1), st.randoms(use_true_random=False))
def test_places_do_not_depend_on_the_order_in_the_file(
    history: list[tuple[int, int, bytes, bool]], order: Random
) -> None:
    pairs = [
        record(main, key, b"%d" % row, sub=sub, tombstone=gone) for row, (main, sub, key, gone) in enumerate(history)
    ]
    shuffled = list(pairs)
    order.shuffle(shuffled)
    batch, gaps = read_pairs(shuffled)
    assert len(gaps) == (shuffled != pairs)
    assert [Place(place) for place in batch.place.tolist()] == model(history)


@settings(max_examples=40)
@given(histories())
def test_places_are_the_models_through_a_whole_file(history: list[tuple[int, int, bytes, bool]]) -> None:
    """The same records from a tree of many small pages."""
    pairs = [record(main, key, sub=sub, tombstone=gone) for main, sub, key, gone in history]
    data = bolt_builder.backend(pairs, page_size=1024, fanout=2).seal()
    walker = Walker(Buffer(data), meta.read(Buffer(data), "built.db").current, "built.db", len(data))
    found = backend.read(walker)
    assert not walker.gaps
    assert [Place(place) for place in found.records.place.tolist()] == model(history)
    assert found.facts.newest_record == (history[-1][0] if history else 0)
