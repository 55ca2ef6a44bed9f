"""Which of two meta pages is believed, and what is said of one that is not."""

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.arrays.buffer import Buffer
from auditor.errors import UnreadableEvidence
from auditor.evidence.bbolt import meta
from auditor.evidence.file import EvidenceFile
from auditor.model.vocabulary import Place
from tests.conftest import Read, Write
from tests.helpers import bolt_builder

PAGE_SIZES = [1 << bits for bits in range(10, 17)]
RECORDS = [
    bolt_builder.record(2, b"/a", b"one"),
    bolt_builder.record(3, b"/a", b"two"),
    bolt_builder.record(4, b"/b", b"three"),
]


def built(
    page_size: int = 4096, order: bolt_builder.Order = "<", txids: tuple[int | None, int | None] = (3, 2)
) -> bytes:
    return bolt_builder.backend(RECORDS, page_size=page_size, order=order, txids=txids).seal()


def metas(data: bytes) -> meta.Metas:
    return meta.read(Buffer(data), "built.db")


def refusal(data: bytes) -> str:
    with pytest.raises(UnreadableEvidence) as caught:
        metas(data)
    return str(caught.value)


def changed(data: bytes, at: int, form: str, value: int, *, seal: int | None = None) -> bytes:
    """One little-endian number replaced; with `seal`, the checksum of the meta at that offset made right again."""
    body = bytearray(data)
    struct.pack_into("<" + form, body, at, value)
    if seal is not None:
        digest = bolt_builder.fnv1a(bytes(body[seal + bolt_builder.HEADER : seal + bolt_builder.CHECKSUM_FIELD]))
        struct.pack_into("<Q", body, seal + bolt_builder.CHECKSUM_FIELD, digest)
    return bytes(body)


@pytest.mark.parametrize("data", [b"", b"a", b"foobar", b"\0" * 56, bytes(range(256))])
def test_the_checksum_is_fnv1a(data: bytes) -> None:
    assert meta.fnv1a(data) == bolt_builder.fnv1a(data)


def test_the_checksum_of_a_published_vector() -> None:
    assert meta.fnv1a(b"foobar") == 0x85944171F73967E8  # http://www.isthe.com/chongo/src/fnv/test_fnv.c


@pytest.mark.parametrize(("txids", "page"), [((3, 2), 0), ((2, 3), 1), ((0, 1), 1), ((1 << 63, (1 << 63) - 1), 0)])
def test_the_larger_transaction_is_chosen(txids: tuple[int, int], page: int) -> None:
    found = metas(built(txids=txids))
    assert (found.current.page, found.current.txid) == (page, max(txids))
    assert found.older is not None
    assert found.older.txid == min(txids)
    assert not found.faults
    assert not found.differ


@settings(max_examples=50)
@given(st.integers(0, (1 << 64) - 1), st.integers(0, (1 << 64) - 1))
def test_any_two_transactions(first: int, second: int) -> None:
    assert metas(built(txids=(first, second))).current.txid == max(first, second)


@pytest.mark.parametrize("page_size", PAGE_SIZES)
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_page_size_in_both_byte_orders(page_size: int, order: bolt_builder.Order, read: Read) -> None:
    data = built(page_size, order)
    chosen = metas(data).current
    assert (chosen.order, chosen.page_size, chosen.freelist) == (order, page_size, meta.NOT_SYNCED)
    assert chosen.high_water * page_size == len(data) - 32
    reading = read(data)
    assert not reading.gaps
    (batch,) = reading.batches
    assert [batch.value(row) for row in range(3)] == [b"one", b"two", b"three"]
    assert batch.place.tolist() == [Place.HISTORY, Place.LATEST, Place.LATEST]


@pytest.mark.parametrize("page_size", PAGE_SIZES)
@pytest.mark.parametrize("order", ["<", ">"])
def test_the_second_meta_is_found_where_the_first_is_destroyed(
    page_size: int, order: bolt_builder.Order, read: Read
) -> None:
    data = b"\xaa" * page_size + built(page_size, order)[page_size:]
    found = metas(data)
    assert (found.current.page, found.current.page_size, found.current.order) == (1, page_size, order)
    assert found.older is None
    ((offset, reason),) = found.faults
    assert offset == 0
    assert f"edda0ced or ed0cdaed at offset {bolt_builder.HEADER}" in reason
    assert "aaaa" not in reason
    reading = read(data)
    assert sum(len(batch) for batch in reading.batches) == 3
    assert [gap.reason for gap in reading.gaps] == [reason]


def test_a_stale_meta_inside_the_first_page_is_not_taken_for_the_second(read: Read) -> None:
    """Debris at 1024 that holds by itself, but says that pages have another size than where it lies."""
    data = bytearray(built(16384))
    debris = bolt_builder.Builder({b"key": []}, page_size=4096).build().data[:80]
    data[:16384] = b"\xaa" * 1024 + debris + b"\xaa" * (16384 - 1024 - len(debris))
    assert metas(bytes(data)).current.page_size == 16384
    assert sum(len(batch) for batch in read(bytes(data)).batches) == 3


@pytest.mark.parametrize(("bad", "good"), [(0, 1), (1, 0)])
def test_one_bad_meta_is_a_fault_and_the_other_is_used(bad: int, good: int) -> None:
    """Also where the bad one would have been the newer."""
    for txids in ((3, 2), (2, 3)):
        data = changed(built(txids=txids), bad * 4096 + bolt_builder.CHECKSUM_FIELD, "Q", 1)
        found = metas(data)
        assert (found.current.page, found.older) == (good, None)
        ((offset, reason),) = found.faults
        assert offset == bad * 4096
        assert f"meta page {bad} at offset {offset}" in reason


def test_a_wrong_checksum_says_where_it_stands_and_quotes_nothing() -> None:
    data = built()
    ((_, reason),) = metas(changed(data, bolt_builder.CHECKSUM_FIELD, "Q", 0x1234)).faults
    assert f"checksum at offset {bolt_builder.CHECKSUM_FIELD}" in reason
    assert "1234" not in reason


@pytest.mark.parametrize("at", range(bolt_builder.HEADER, bolt_builder.HEADER + bolt_builder.BODY))
def test_no_byte_of_a_meta_changes_unseen(at: int) -> None:
    data = bytearray(built())
    data[at] ^= 0x10
    found = metas(bytes(data))
    assert found.current.page == 1
    assert [offset for offset, _ in found.faults] == [0]


def test_a_wrong_version_is_named() -> None:
    data = changed(built(), bolt_builder.HEADER + 4, "I", 3, seal=0)
    found = metas(data)
    assert found.current.page == 1
    ((_, reason),) = found.faults
    for part in ("version 2", f"offset {bolt_builder.HEADER + 4}"):
        assert part in reason


@pytest.mark.parametrize("page_size", [0, 1, 512, 4095, 4097, 6144, 1 << 25, (1 << 32) - 1])
def test_a_page_size_that_cannot_be_is_named(page_size: int) -> None:
    data = changed(built(), bolt_builder.HEADER + 8, "I", page_size, seal=0)
    ((offset, reason),) = metas(data).faults
    assert offset == 0
    assert "page size is no power of two" in reason


def test_a_page_size_that_is_not_where_the_second_meta_lies_is_a_fault() -> None:
    """The first meta says 8192, but the second lies at 4096: nothing at 8192 is a meta."""
    data = changed(built(), bolt_builder.HEADER + 8, "I", 8192, seal=0)
    faults = metas(data).faults
    assert [offset for offset, _ in faults] == [8192]


def test_both_bad_names_the_file_and_both_reasons() -> None:
    data = changed(built(), bolt_builder.HEADER, "I", 0x04030201)
    data = changed(data, 4096 + bolt_builder.CHECKSUM_FIELD, "Q", 0x55)
    said = refusal(data)
    for part in (
        "built.db",
        "edda0ced",
        f"offset {bolt_builder.HEADER}",
        "offset 4096",
    ):
        assert part in said
    assert "01020304" not in said


@pytest.mark.parametrize("length", [8, 16, 79])
def test_a_file_shorter_than_a_meta_says_where_it_ends(length: int) -> None:
    said = refusal(built()[:length])
    assert f"ends at {length}" in said


@pytest.mark.parametrize("length", [80, 4096, 4096 + 79])
def test_a_file_that_ends_before_the_second_meta_is_read_with_a_fault(length: int) -> None:
    found = metas(built()[:length])
    assert found.current.page == 0
    ((offset, reason),) = found.faults
    assert offset == 4096
    assert f"ends at {length}" in reason


def test_two_roots_differ() -> None:
    data = changed(built(), 4096 + bolt_builder.ROOT_FIELD, "Q", 2, seal=4096)
    assert metas(data).differ
    assert not metas(built()).differ


def test_the_command_names_the_file_that_holds_no_meta(write: Write) -> None:
    path = write(b"\0" * 20000)
    with EvidenceFile.open(path, hashed=False) as file, pytest.raises(UnreadableEvidence, match=Path(path).name):
        meta.read(Buffer(file.map), file.name)
