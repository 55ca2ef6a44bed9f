"""Walks over bbolt's trees: every shape is read whole, every damage is a gap, and what is undamaged is still read."""

import json
import struct
import subprocess
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.arrays import parallel
from auditor.arrays.buffer import Buffer
from auditor.evidence.bbolt import meta, tree
from auditor.evidence.bbolt.elements import Leaves
from auditor.evidence.bbolt.tree import Walker
from auditor.evidence.etcd import backend
from auditor.evidence.gaps import LISTED
from auditor.evidence.reading import Reading
from auditor.model.evidence import Gap
from auditor.model.vocabulary import PageKind
from tests.conftest import Read, Write
from tests.helpers import bolt_builder
from tests.helpers.bolt_builder import Database, Pair
from tests.helpers.etcd import binary

RECORDS = [
    bolt_builder.record(number, b"/registry/secrets/a/%03d" % number, b"v%d" % number) for number in range(2, 102)
]
FANOUT = 4


def walker(database: Database) -> Walker:
    data = database.seal()
    return Walker(Buffer(data), meta.read(Buffer(data), "built.db").current, "built.db", len(data))


def pairs(buffer: Buffer, leaves: Leaves) -> list[Pair]:
    return list(
        zip(
            buffer.slices(leaves.key_at, leaves.key_len),
            buffer.slices(leaves.value_at, leaves.value_len),
            strict=True,
        )
    )


def walked(database: Database, name: bytes = b"key") -> tuple[list[Pair], list[Gap]]:
    """The pairs of one bucket's own tree, and the gaps."""
    walk = walker(database)
    found = walk.walk(database.roots[name])
    assert found.page.tolist() == sorted(found.page.tolist())
    return pairs(walk.buffer, found), walk.gaps


def deep(**options: object) -> Database:
    """The hundred records in a tree of four levels."""
    database = bolt_builder.backend(RECORDS, fanout=FANOUT, **options)
    assert [len(level) for level in database.levels(database.roots[b"key"])] == [1, 2, 7, 25]
    return database


def leaf_pages(database: Database) -> list[int]:
    return database.levels(database.roots[b"key"])[-1]


def inline_image(database: Database, name: bytes) -> int:
    """Where the page image of an inline bucket begins: behind its name and its 16 bytes of header."""
    return database.data.index(name + bytes(16) + bytes(8)) + len(name) + 16


def mains(reading: Reading) -> list[int]:
    return [main for batch in reading.batches for main in batch.mod_revision.tolist()]


def lost(found: list[Pair], *leaves: int) -> None:
    """All records are there, but for those of these leaves (by number), which hold FANOUT each."""
    gone = {RECORDS[leaf * FANOUT + i] for leaf in leaves for i in range(FANOUT)}
    assert found == [record for record in RECORDS if record not in gone]


@pytest.mark.parametrize("fanout", [0, 2, 3, 50])
@pytest.mark.parametrize(("page_size", "order"), [(1024, "<"), (4096, ">"), (65536, "<")])
def test_trees_of_any_shape(fanout: int, page_size: int, order: bolt_builder.Order) -> None:
    found, gaps = walked(bolt_builder.backend(RECORDS, fanout=fanout, page_size=page_size, order=order))
    assert found == RECORDS
    assert not gaps


sizes = st.one_of(st.integers(0, 40), st.integers(900, 1100), st.integers(0, 9000))


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(1, 300), sizes), max_size=30),
    st.sampled_from([1024, 4096]),
    st.sampled_from(["<", ">"]),
    st.integers(0, 5).filter(lambda fanout: fanout != 1),
)
def test_any_pairs_are_read_back_with_their_pages(
    shape: list[tuple[int, int]], page_size: int, order: bolt_builder.Order, fanout: int
) -> None:
    """Values over several pages too: what no tree reaches is exactly nothing."""
    stored = [(struct.pack(">H", i) + b"k" * key, bytes([i]) * value) for i, (key, value) in enumerate(shape, start=1)]
    database = bolt_builder.Builder({b"key": stored}, page_size, order, fanout=fanout).build()
    walk = walker(database)
    top = pairs(walk.buffer, walk.walk(database.root))
    assert [name for name, _ in top] == [b"key"]
    found = walk.walk(database.roots[b"key"])
    assert pairs(walk.buffer, found) == stored
    assert not walk.gaps
    assert not (walk.kinds == PageKind.FREED).any()
    assert ((found.key_at // page_size) >= found.page).all()
    assert (walk.kinds[found.page] == PageKind.LEAF).all()


def test_bbolt_itself_accepts_what_is_built_here(write: Write) -> None:
    """etcdutl checks a database before it counts: the builder and bbolt agree about the format."""
    records = [*RECORDS, bolt_builder.record(200, b"/large", b"x" * 50_000)]
    for options in ({"fanout": FANOUT}, {"page_size": 1024, "freelist": True, "freed": [b"", b"\1" * 30]}):
        database = bolt_builder.backend(records, **options)
        line = [binary("etcdutl"), "snapshot", "status", str(write(database.seal())), "-w", "json"]
        told = json.loads(subprocess.run(line, check=True, capture_output=True).stdout)
        walk = walker(database)
        facts = backend.read(walk).facts
        assert not walk.gaps
        assert (facts.newest_record, facts.pairs) == (told["revision"], told["totalKey"])
        assert facts.pages * facts.page_size == told["totalSize"]


def test_inline_buckets_are_read_wherever_they_lie(read: Read) -> None:
    """Names of every length move the image off any alignment; the records themselves may be inline as well."""
    starts = set()
    for padding in range(8):
        buckets = {**bolt_builder.store(RECORDS[:5]), b"alarm": [(b"a" * (padding + 1), b"")]}
        database = bolt_builder.Builder(buckets, inline=[*bolt_builder.SMALL, b"alarm", b"key"]).build()
        reading = read(database.seal())
        assert not reading.gaps
        assert mains(reading) == [2, 3, 4, 5, 6]
        starts.add(database.data.index(RECORDS[0][0]) % 8)
        assert reading.backend.members == (("3ce1b97bd94102ac", "t"),)
        assert (reading.backend.consistent_index, reading.backend.term) == (9, 2)
        assert dict(reading.backend.buckets) == {
            "alarm": 1, "cluster": 1, "key": 5, "lease": 0, "members": 1, "meta": 2,
        }  # fmt: skip
    assert len(starts) == 8


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_bucket_reads_the_same_inline_and_as_a_tree(order: bolt_builder.Order, read: Read) -> None:
    both = [
        read(bolt_builder.backend(RECORDS[:9], inline=[*bolt_builder.SMALL, *extra], order=order).seal())
        for extra in ([], [b"key"])
    ]
    values = [[batch.value(row) for batch in reading.batches for row in range(len(batch))] for reading in both]
    assert values[0] == values[1] == [b"v%d" % number for number in range(2, 11)]
    assert both[0].backend.buckets == both[1].backend.buckets


def test_a_nested_bucket_is_a_gap_and_its_neighbours_are_read(read: Read) -> None:
    for inline in (bolt_builder.SMALL, (*bolt_builder.SMALL, b"key")):
        reading = read(bolt_builder.backend(RECORDS[:9], inline=inline, nested={b"key": [b"\xffinner"]}).seal())
        assert mains(reading) == list(range(2, 11))
        (gap,) = reading.gaps
        assert "bucket inside a bucket" in gap.reason


def test_an_unknown_bucket_is_a_gap(read: Read) -> None:
    reading = read(
        bolt_builder.Builder({**bolt_builder.store(RECORDS), b"stash": [(b"a", b"b")]}, inline=[b"stash"])
        .build()
        .seal()
    )
    assert mains(reading) == list(range(2, 102))
    (gap,) = reading.gaps
    assert "does not know" in gap.reason


def test_a_backend_without_records_is_a_gap(read: Read) -> None:
    (gap,) = read(bolt_builder.Builder({b"meta": []}).build().seal()).gaps
    assert "`key`" in gap.reason


def test_a_stored_freelist_is_no_freed_page(read: Read) -> None:
    freed = [b"\1" * 30, b""]
    reading = read(deep(freelist=True, freed=freed).seal())
    assert not reading.gaps
    assert reading.pages.kinds.count(PageKind.FREED) == 2
    assert reading.pages.kinds.count(PageKind.FREELIST) == 1
    without = read(deep(freed=freed).seal())
    assert without.pages.kinds.count(PageKind.FREED) == 2
    assert PageKind.FREELIST not in without.pages.kinds


@pytest.mark.parametrize("page", [0, 1, 5, 10_000, (1 << 64) - 2])
def test_a_freelist_elsewhere_is_a_gap_and_the_trees_are_read(page: int, read: Read) -> None:
    database = deep()
    database.patch_metas(bolt_builder.FREELIST_FIELD, "Q", page)
    reading = read(database.seal())
    assert len(reading.gaps) == 1
    assert mains(reading) == list(range(2, 102))


def test_a_freelist_over_pages_in_use_is_a_gap(read: Read) -> None:
    database = deep(freelist=True)
    page = database.look(bolt_builder.FREELIST_FIELD, "Q")
    database.patch(database.at(page) + 12, "I", 1 << 31)
    assert len(read(database.seal()).gaps) == 1


def test_a_child_that_is_its_own_ancestor_ends() -> None:
    database = deep()
    levels = database.levels(database.roots[b"key"])
    for ancestor, branch in ((levels[0][0], levels[2][0]), (levels[2][1], levels[2][1]), (levels[1][0], levels[2][2])):
        looped = deep()
        looped.patch(looped.element(branch, 0) + 8, "Q", ancestor)
        found, gaps = walked(looped)
        (gap,) = gaps
        assert "reached twice" in gap.reason
        assert gap.offset == looped.at(ancestor)
        lost(found, levels[3].index(database.children(branch)[0]))


def test_a_root_that_is_its_own_child_ends() -> None:
    database = deep()
    root = database.roots[b"key"]
    for i in range(2):
        database.patch(database.element(root, i) + 8, "Q", root)
    found, gaps = walked(database)
    assert not found
    assert 1 <= len(gaps) <= 2


def test_a_shared_subtree_is_read_once() -> None:
    database = deep()
    second = database.levels(database.roots[b"key"])[2]
    shared = database.children(second[0])[0]
    database.patch(database.element(second[1], 3) + 8, "Q", shared)
    found, gaps = walked(database)
    (gap,) = gaps
    assert gap.offset == database.at(shared)
    assert "reached twice" in gap.reason
    lost(found, 7)


def test_branches_full_of_one_child_do_not_multiply() -> None:
    """Ten levels of branches whose children are all the next branch: a thousand walks, were pages entered twice."""
    order: bolt_builder.Order = "<"
    count = 10
    freed = [bolt_builder.branch(order, 2 + i, [(b"a", 3 + i), (b"b", 3 + i)]) for i in range(count)]
    freed.append(bolt_builder.leaf(order, 2 + count, [(0, *RECORDS[0])]))
    database = bolt_builder.Builder({b"key": []}, freed=freed).build()
    walk = walker(database)
    found = walk.walk(2)
    assert pairs(walk.buffer, found) == [RECORDS[0]]
    assert len(walk.gaps) == count


def test_two_buckets_of_one_tree_are_read_once(read: Read) -> None:
    database = bolt_builder.Builder(bolt_builder.store(RECORDS), inline=[b"meta", b"members", b"cluster"]).build()
    image = struct.pack("<Q", database.roots[b"lease"])
    at = database.data.index(b"lease" + image) + len(b"lease")
    database.patch(at, "Q", database.roots[b"key"])
    reading = read(database.seal())
    assert any("reached twice" in gap.reason for gap in reading.gaps)
    assert dict(reading.backend.buckets)["key"] == 100


@pytest.mark.parametrize("page", [0, 1, 10_000, (1 << 52), (1 << 62), (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
@pytest.mark.parametrize("level", [1, 2])
def test_a_child_outside_the_file_is_a_gap(page: int, level: int) -> None:
    database = deep()
    levels = database.levels(database.roots[b"key"])
    parent = levels[level][0]
    database.patch(database.element(parent, 1) + 8, "Q", page)
    found, gaps = walked(database)
    (gap,) = gaps
    assert "outside" in gap.reason
    assert gap.length == database.page_size
    lost(found, *([1] if level == 2 else range(4, 8)))


@pytest.mark.parametrize("page", [0, 1, 10_000, 1 << 62, (1 << 64) - 1])
def test_a_root_outside_the_file_is_a_gap(page: int, read: Read) -> None:
    database = deep()
    database.patch_metas(bolt_builder.ROOT_FIELD, "Q", page)
    reading = read(database.seal())
    assert reading.gaps
    assert all(gap.offset >= 0 and gap.length >= 0 for gap in reading.gaps)
    assert not mains(reading)


@pytest.mark.parametrize(
    ("at", "form", "value", "said"),
    [
        (0, "Q", 3, "names page 3"),
        (0, "Q", (1 << 64) - 1, "names page"),
        (8, "H", 0, "found flags 00"),
        (8, "H", 0x03, "found flags 03"),
        (8, "H", bolt_builder.META, "found flags 04"),
        (8, "H", bolt_builder.FREELIST, "found flags 10"),
        (10, "H", 0xFFFF, "65535 elements"),
        (10, "H", 256, "256 elements"),
        (12, "I", 1 << 20, "past the last page"),
        (12, "I", (1 << 32) - 1, "past the last page"),
    ],
)
@pytest.mark.parametrize("leaf", [0, 11, 24])
def test_a_bad_header_loses_its_page_only(at: int, form: str, value: int, said: str, leaf: int) -> None:
    database = deep()
    page = leaf_pages(database)[leaf]
    database.patch(database.at(page) + at, form, value)
    found, gaps = walked(database)
    (gap,) = gaps
    assert (gap.offset, gap.length) == (database.at(page), database.page_size)
    assert said in gap.reason
    assert f"page {page} at offset {gap.offset}" in gap.reason
    lost(found, leaf)


def test_an_overflow_over_pages_of_others_is_a_gap() -> None:
    """A leaf that claims its neighbour as a continuation: the bytes cannot be both."""
    database = deep()
    page = leaf_pages(database)[3]
    database.patch(database.at(page) + 12, "I", 1)
    found, gaps = walked(database)
    (gap,) = gaps
    assert "overlap" in gap.reason
    lost(found, 4)


def test_a_branch_without_children_is_a_gap() -> None:
    database = deep()
    page = database.levels(database.roots[b"key"])[2][1]
    database.patch(database.at(page) + 10, "H", 0)
    found, gaps = walked(database)
    (gap,) = gaps
    assert "without children" in gap.reason
    lost(found, 4, 5, 6, 7)


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, 2),
        (0, 0xFFFFFFFF),
        (4, 0),
        (4, 16),
        (4, 4096),
        (4, 0xFFFFFFFF),
        (8, 0),
        (8, 32769),
        (8, 0xFFFFFFFF),
        (12, 4096),
        (12, 0x7FFFFFFF),
        (12, 0xFFFFFFFF),
    ],
)
@pytest.mark.parametrize("leaf", [0, 24])
def test_an_element_that_points_outside_its_page_is_lost_alone(at: int, value: int, leaf: int) -> None:
    """Flags, position, key size and value size of the last element, so that no neighbour is drawn in."""
    database = deep()
    page = leaf_pages(database)[leaf]
    where = database.element(page, FANOUT - 1)
    database.patch(where + at, "I", value)
    found, gaps = walked(database)
    (gap,) = gaps
    assert gap.offset == database.at(page)
    assert f"offset {where}" in gap.reason
    assert "1 of its elements" in gap.reason
    bad = RECORDS[leaf * FANOUT + FANOUT - 1]
    assert found == [record for record in RECORDS if record != bad]


def test_elements_that_share_bytes_are_a_gap() -> None:
    """The third element of a leaf made to point at the second one's bytes."""
    database = deep()
    page = leaf_pages(database)[5]
    second, third = database.element(page, 1), database.element(page, 2)
    database.patch(third + 4, "I", database.look(second + 4, "I") - 16)
    found, gaps = walked(database)
    (gap,) = gaps
    assert "overlaps the one before" in gap.reason
    assert f"offset {third}" in gap.reason
    assert RECORDS[5 * FANOUT + 1] in found
    assert RECORDS[5 * FANOUT + 2] not in found


def apart(found: Leaves) -> bool:
    order = np.argsort(found.key_at)
    ends = (found.value_at + found.value_len)[order]
    return bool((found.key_at[order][1:] >= ends[:-1]).all())


def share_first_bytes(database: Database, elements: int) -> None:
    """The second element of a table points nowhere, the third at the bytes of the first."""
    first, second, third = (elements + bolt_builder.ELEMENT * i for i in range(3))
    for at in (4, 8, 12):
        database.patch(second + at, "I", 0)
    for at, less in ((4, 2 * bolt_builder.ELEMENT), (8, 0), (12, 0)):
        database.patch(third + at, "I", database.look(first + at, "I") - less)


def test_no_two_elements_share_bytes_whatever_lies_between_them() -> None:
    database = deep()
    share_first_bytes(database, database.element(leaf_pages(database)[5], 0))
    walk = walker(database)
    found = walk.walk(database.roots[b"key"])
    assert apart(found)
    assert walk.gaps


def test_no_two_elements_of_an_inline_bucket_share_bytes(read: Read) -> None:
    database = bolt_builder.backend(RECORDS[:5], inline=[*bolt_builder.SMALL, b"key"])
    share_first_bytes(database, inline_image(database, b"key") + bolt_builder.HEADER)
    reading = read(database.seal())
    assert mains(reading) == [2, 5, 6]
    assert reading.gaps


@pytest.mark.parametrize(("at", "value"), [(4, 0xFFFFFFFF), (8, 0xFFFFFFFF), (12, 0xFFFFFFFF)])
@pytest.mark.parametrize("inline", [(), (b"key",)])
def test_an_element_that_points_outside_does_not_cost_the_next_one(
    at: int, value: int, inline: tuple[bytes, ...], read: Read
) -> None:
    database = bolt_builder.backend(RECORDS[:5], inline=[*bolt_builder.SMALL, *inline])
    start = inline_image(database, b"key") if inline else database.at(database.roots[b"key"])
    database.patch(start + bolt_builder.HEADER + 2 * bolt_builder.ELEMENT + at, "I", value)
    reading = read(database.seal())
    assert len(reading.gaps) == 1
    assert mains(reading) == [2, 3, 5, 6]


def chain(length: int) -> Database:
    """Branches of one child each, one under the other, over a leaf."""
    freed = [bolt_builder.branch("<", 2 + i, [(b"a", 3 + i)]) for i in range(length)]
    freed.append(bolt_builder.leaf("<", 2 + length, [(0, *RECORDS[0])]))
    return bolt_builder.Builder({b"key": []}, freed=freed).build()


def test_a_tree_deeper_than_any_is_a_gap() -> None:
    walk = walker(chain(tree.DEEPEST - 1))
    assert pairs(walk.buffer, walk.walk(2)) == [RECORDS[0]]
    assert not walk.gaps
    walk = walker(chain(tree.DEEPEST))
    assert not walk.walk(2).flags.size
    (gap,) = walk.gaps
    assert "deeper" in gap.reason


def test_very_many_damaged_pages_are_counted() -> None:
    """No more than a hundred of one kind are listed, and none is left out of the bytes that were not read."""
    records = [bolt_builder.record(number, b"/k%d" % number) for number in range(2, 602)]
    database = bolt_builder.backend(records, fanout=2)
    pages = leaf_pages(database)
    for page in pages:
        database.patch(database.at(page) + 8, "H", 0)
    found, gaps = walked(database)
    assert not found
    assert len(pages) == 300
    assert len(gaps) == LISTED + 1
    assert sum(gap.length for gap in gaps) == 300 * database.page_size


@pytest.mark.parametrize(
    ("at", "form", "value"),
    [
        (8, "H", bolt_builder.BRANCH),
        (8, "H", 0),
        (10, "H", 0xFFFF),
        (10, "H", 40),
        (12, "I", 1),
        (12, "I", (1 << 32) - 1),
    ],
)
def test_a_bad_inline_bucket_is_a_gap_and_the_others_are_read(at: int, form: str, value: int, read: Read) -> None:
    database = deep()
    image = inline_image(database, b"meta")
    database.patch(image + at, form, value)
    reading = read(database.seal())
    (gap,) = reading.gaps
    assert gap.offset == image
    assert mains(reading) == list(range(2, 102))
    assert reading.backend.consistent_index is None
    assert reading.backend.cluster_version == "3.5.0"


@pytest.mark.parametrize(("at", "value"), [(0, 2), (4, 0), (4, 8000), (8, 0), (8, 1 << 31), (12, 9000), (12, 1 << 31)])
def test_a_bad_element_of_an_inline_bucket_is_a_gap(at: int, value: int, read: Read) -> None:
    database = deep()
    image = inline_image(database, b"meta")
    database.patch(image + 16 + 16 + at, "I", value)
    reading = read(database.seal())
    (gap,) = reading.gaps
    assert gap.offset == image
    assert (reading.backend.consistent_index, reading.backend.term) == (9, None)


def test_a_pair_beside_the_buckets_is_a_gap(read: Read) -> None:
    """The flag of one top-level element cleared: no bucket any more, so nothing of it is read."""
    database = bolt_builder.backend(RECORDS)
    names = [name for name, _ in sorted(bolt_builder.store([]).items())]
    database.patch(database.element(database.root, names.index(b"lease")), "I", 0)
    reading = read(database.seal())
    (gap,) = reading.gaps
    assert "outside every bucket" in gap.reason
    assert mains(reading) == list(range(2, 102))


@pytest.mark.parametrize("chunk", [1, 3, 7, 1000])
@pytest.mark.parametrize("damage", ["none", "elements", "pages", "twice"])
def test_portions_make_no_difference(chunk: int, damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Headers and elements are read portion by portion, on several processors: the answer is that of one portion."""
    database = deep()
    pages = leaf_pages(database)
    if damage == "elements":
        for leaf in (3, 11, 24):
            database.patch(database.element(pages[leaf], 1) + 8, "I", 1 << 20)
        database.patch(
            database.element(pages[7], 1) + 4, "I", database.look(database.element(pages[7], 0) + 4, "I") - 16
        )
    if damage == "pages":
        for leaf in (3, 11, 24):
            database.patch(database.at(pages[leaf]) + 8, "H", 0x10)
    if damage == "twice":
        database.patch(database.at(pages[5]) + 12, "I", 3)
    whole = walker(database)
    expected = whole.walk(database.roots[b"key"])
    assert bool(whole.gaps) == (damage != "none")
    monkeypatch.setattr(parallel, "_PROCESSORS", 4)
    for module in (tree, parallel):
        monkeypatch.setattr(module, "CHUNK", chunk)
    monkeypatch.setattr(tree, "parallel_for", partial(parallel.parallel_for, size=chunk))
    monkeypatch.setattr(tree, "chunks", partial(parallel.chunks, size=chunk))
    walk = walker(database)
    found = walk.walk(database.roots[b"key"])
    assert [column.tolist() for column in found.columns().values()] == [
        column.tolist() for column in expected.columns().values()
    ]
    assert [column.dtype for column in found.columns().values()] == [
        column.dtype for column in expected.columns().values()
    ]
    assert walk.gaps == whole.gaps
    assert walk.kinds.tolist() == whole.kinds.tolist()
