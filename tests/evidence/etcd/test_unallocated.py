"""What a real etcd leaves behind: large values, rewrites, deletes, compactions, reused pages, a writer at work.

Every value is a Secret that holds its own 24 letters every 64 bytes, so that whatever page of it is left shows them:
each place in the file where they stand must lie in a row.
"""

import bisect
import random
import re
import shutil
import string
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import auditor
from tests.helpers import bolt_builder, members, oracle
from tests.helpers.etcd import Etcd
from tests.helpers.objects import StoredObject
from tests.system.test_oracle import COMPARED, expected_rows, inventory_rows

LETTERS = 24
EVERY = 64
CANARY = re.compile(rb"<[A-Z]{24}>")
LEAST = 96
"""Shorter fragments are not compared: they may be what is left of a record before its value."""
EACH_WRITE = "--backend-batch-limit=1"
"""etcd then commits after every write, not ten times a second: each commit frees pages and uses freed ones again."""


def secret(letters: random.Random, name: str, size: int) -> tuple[bytes, bytes]:
    """Key and stored value of a Secret of about this size, with a new canary."""
    canary = "".join(letters.choices(string.ascii_uppercase, k=LETTERS))
    block = f"<{canary}>".ljust(EVERY, ".").encode()
    thing = StoredObject(name=name.encode(), data={b"canary": (block * (size // EVERY + 1))[: max(size, LETTERS + 2)]})
    return thing.key, thing.protobuf()


class Writer:
    """Puts Secrets into one etcd, each with a canary of its own. Not for two threads at once."""

    def __init__(self, etcd: Etcd, seed: int) -> None:
        self.etcd = etcd
        self.random = random.Random(seed)
        self.revision = 0

    def pair(self, name: str, size: int) -> tuple[bytes, bytes]:
        return secret(self.random, name, size)

    def put(self, name: str, size: int) -> None:
        self.revision = self.etcd.put(*self.pair(name, size))

    def put_many(self, names: list[str], size: int) -> None:
        self.revision = self.etcd.put_many([self.pair(name, size) for name in names])

    def delete(self, name: str) -> None:
        self.revision = self.etcd.delete(StoredObject(name=name.encode()).key)

    def compact(self) -> None:
        self.etcd.compact(self.revision)


def large(folder: Path) -> Path:
    """Values of up to 1 MB, freed, and smaller ones written into what they left, over and over."""
    with Etcd(folder / "data", EACH_WRITE) as etcd:
        writer = Writer(etcd, 1)
        for size in (1_000_000, 300_000, 20_000, 90_000, 700_000):
            for number in range(3):
                writer.put(f"large-{number}", size + 5_000 * number)
            writer.compact()
        writer.delete("large-0")
        writer.compact()
        for number in range(12):
            writer.put(f"small-{number}", 300)
        return etcd.save(folder / "saved.db")


def shared(folder: Path) -> Path:
    """Leaves that hold several values of some pages each: a run that is reused in part loses whole values too."""
    with Etcd(folder / "data") as etcd:
        writer = Writer(etcd, 2)
        for round_ in range(6):
            for group in range(8):
                names = [f"shared-{group}-{number}" for number in range(4)]
                writer.put_many(names, writer.random.choice((700, 3_000, 9_000, 15_000)))
            writer.put(f"big-{round_ % 2}", 200_000)
            writer.delete(f"shared-{round_}-1")
            writer.compact()
        return etcd.save(folder / "saved.db")


def rewritten(folder: Path, which: str = "distro") -> Path:
    """Small values rewritten and deleted many times between compactions, as a cluster does to them."""
    with Etcd(folder / "data", EACH_WRITE, program=members.program(which)) as etcd:
        writer = Writer(etcd, 3)
        for _ in range(4):
            for _ in range(120):
                name = f"often-{writer.random.randrange(40)}"
                if writer.random.random() < 0.2:
                    writer.delete(name)
                else:
                    writer.put(name, writer.random.choice((100, 400, 1_500, 6_000)))
            writer.compact()
        for number in range(30):
            writer.put(f"often-{number}", 200)
        return etcd.save(folder / "saved.db")


def young(folder: Path) -> Path:
    """A store so small that its bucket of keys still lies inside the root's leaf, and is freed with it."""
    with Etcd(folder / "data", EACH_WRITE) as etcd:
        writer = Writer(etcd, 4)
        writer.put("young", 80)
        writer.put("young", 90)
        writer.compact()
        return etcd.save(folder / "saved.db")


def defragmented(folder: Path) -> Path:
    """Defragmented, and then at work again."""
    with Etcd(folder / "data", EACH_WRITE) as etcd:
        writer = Writer(etcd, 5)
        for size in (500_000, 30_000):
            for number in range(4):
                writer.put(f"defragmented-{number}", size)
            writer.compact()
        etcd.defragment()
        for size in (60_000, 400):
            for number in range(4):
                writer.put(f"defragmented-{number}", size)
            writer.compact()
        return etcd.save(folder / "saved.db")


def under_load(folder: Path) -> Path:
    """Saved while a thread writes, deletes and compacts: what was free when etcd began may be newer than the rest."""
    with Etcd(folder / "data", EACH_WRITE) as etcd:
        writer = Writer(etcd, 6)
        for size in (400_000, 150_000, 40_000):
            for number in range(8):
                writer.put(f"load-{number}", size)
            writer.compact()
        done, busy = threading.Event(), threading.Event()

        def write() -> None:
            for number in count():
                if done.is_set():
                    return
                writer.put(f"load-{number % 8}", writer.random.choice((500, 5_000, 40_000, 200_000)))
                if number % 10 == 9:
                    writer.delete(f"load-{number % 7}")
                    writer.compact()
                    busy.set()

        thread = threading.Thread(target=write)
        thread.start()
        busy.wait(timeout=30)
        try:
            return etcd.save(folder / "saved.db")
        finally:
            done.set()
            thread.join()


def raw(folder: Path, *, stopped: bool, which: str = "distro") -> Path:
    """The database file itself: its two metas lead to the last two commits."""
    with Etcd(folder / "data", EACH_WRITE, program=members.program(which)) as etcd:
        writer = Writer(etcd, 7)
        for size in (300_000, 25_000):
            for number in range(6):
                writer.put(f"raw-{number}", size)
            writer.compact()
        for number in range(6):
            writer.put(f"raw-{number}", 2_000)
        database = folder / "data" / "member" / "snap" / "db"
        if not stopped:
            return Path(shutil.copy(database, folder / "copied.db"))
    return database


def cut(folder: Path, *, page: int) -> Path:
    """Freed leaves of two values in two pages, of which one was used again; it cuts the second record everywhere."""
    letters = random.Random(8)
    size, images = bolt_builder.Builder({}).page_size, []
    for step, first in enumerate(range(3_450, 3_930)):
        number = 2 + 2 * step
        pairs = [secret(letters, f"cut-{step}-{half}", length) for half, length in enumerate((first, 3_000))]
        records = [bolt_builder.record(number, *pair, sub=sub) for sub, pair in enumerate(pairs)]
        leaf = bolt_builder.leaf("<", number, [(bolt_builder.PLAIN, *record) for record in records], overflow=1).ljust(
            2 * size, b"\0"
        )
        again = bolt_builder.leaf("<", number + page, []).ljust(size, b"\0")
        images.append(leaf[: size * page] + again + leaf[size * (page + 1) :])
    live = bolt_builder.record(5_000, *secret(letters, "live", 100))
    made = folder / "built.db"
    made.write_bytes(bolt_builder.backend([live], freed=images).seal())
    return made


def slack(folder: Path) -> Path:
    """Leaves whose counts were lowered by one, and pages past the high-water mark: one with a header, one without."""
    letters = random.Random(9)
    pairs = [secret(letters, f"slack-{number}", 200 + 40 * number) for number in range(24)]
    records = [bolt_builder.record(main, *pair) for main, pair in enumerate(pairs, 10)]
    database = bolt_builder.backend(records[:20], fanout=4, trailer=False)
    for page in database.levels(database.roots[b"key"])[-1]:
        count_at = database.at(page) + 10
        database.patch(count_at, "H", database.look(count_at, "H") - 1)
    past = len(database.data) // database.page_size
    leaf = bolt_builder.leaf(database.order, past, [(bolt_builder.PLAIN, *record) for record in records[20:22]])
    bare = b"".join(key + value for key, value in records[22:])
    made = folder / "built.db"
    made.write_bytes(database.seal() + b"".join(image.ljust(database.page_size, b"\0") for image in (leaf, bare)))
    return made


def torn(folder: Path) -> Path:
    """What a snapshot under load may copy: the first pages of a run as it was, and behind them those of a newer one.

    The newer run's own header was written after its page was copied (bbolt tx.go, WriteTo).
    """
    letters = random.Random(10)
    size, images, number = bolt_builder.Builder({}).page_size, [], 2
    for step in range(40):
        pair = [secret(letters, f"torn-{step}-{part}", 3_000 + 400 * (step + part)) for part in range(8)]
        records = [
            (bolt_builder.PLAIN, *bolt_builder.record(100 * step + main, *each)) for main, each in enumerate(pair, 10)
        ]
        old = bolt_builder.leaf("<", number, records[:4])
        pages = -(-len(old) // size)
        old = bolt_builder.leaf("<", number, records[:4], pages - 1).ljust(pages * size, b"\0")
        new = bolt_builder.leaf("<", number, records[4:], pages - 1).ljust(pages * size, b"\0")
        first = 1 + step % (pages - 1)
        images.append((old[: first * size] + new[first * size :])[: pages * size])
        number += pages
    live = bolt_builder.record(50_000, *secret(letters, "live", 100))
    made = folder / "built.db"
    made.write_bytes(bolt_builder.backend([live], freed=images).seal())
    return made


MADE: dict[str, Callable[[Path], Path]] = {
    "cut-heads": partial(cut, page=0),
    "cut-tails": partial(cut, page=1),
    "slack": slack,
    "torn": torn,
    "large": large,
    "shared": shared,
    "rewritten": rewritten,
    "young": young,
    "defragmented": defragmented,
    "under-load": under_load,
    "raw-running": partial(raw, stopped=False),
    "raw-stopped": partial(raw, stopped=True),
    "rewritten-system": partial(rewritten, which="system"),
    "raw-stopped-system": partial(raw, stopped=True, which="system"),
}


@dataclass(frozen=True)
class Made:
    """One database, what the auditor says of it and what the plain reader says."""

    name: str
    raw: bytes
    rows: pd.DataFrame
    stored: list[oracle.Stored]

    def canaries(self) -> Iterator[tuple[int, bytes]]:
        for hit in CANARY.finditer(self.raw):
            yield hit.start(), hit[0]

    def wanting(self) -> list[str]:
        """What the database was made for and does not hold: without it the tests would prove little."""
        held = Counter(each.place for each in self.stored)
        held.update(word for each in self.stored for word in each.state)
        wanted = ["latest", "slack" if self.name == "slack" else "freed"]
        if self.name in {"large", "shared", "cut-heads"}:
            wanted.append("head-lost")
        if self.name == "cut-tails":
            wanted.append("tail-lost")
        if self.name == "raw-running":  # a member that stops commits once more, and nothing
            wanted.append("previous-root")
        return [each for each in wanted if not held[each]]


TRIES = 5
"""Which pages etcd uses again differs from run to run, most of all on a busy machine."""


@pytest.fixture(scope="module", params=MADE)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    for _ in range(TRIES):
        path = MADE[request.param](tmp_path_factory.mktemp(request.param))
        data = path.read_bytes()
        rows = auditor.scan(path).inventory.sort_values("offset", ignore_index=True)
        found = Made(request.param, data, rows, [each for each in oracle.database(data) if not each.tombstone])
        if not found.wanting():
            break
    return found


def test_the_database_holds_what_it_was_made_for(made: Made) -> None:
    assert not made.wanting()
    if made.name == "slack":
        assert len({each.key for each in made.stored if each.key}) == 24


def test_every_canary_lies_in_a_row_of_its_place(made: Made) -> None:
    starts = made.rows["offset"].tolist()
    ends = (made.rows["offset"] + made.rows["size"]).tolist()
    places = made.rows["place"].tolist()
    by_offset = {each.offset: each for each in made.stored}
    firsts = sorted(by_offset)
    seen = 0
    for at, canary in made.canaries():
        mine = by_offset[firsts[bisect.bisect_right(firsts, at) - 1]]
        assert mine.offset <= at < mine.end, f"the plain reader has no row at {at}"
        row = bisect.bisect_right(starts, at) - 1
        assert row >= 0, f"no row at {at}, where {canary!r} stands: {mine}"
        assert starts[row] <= at < ends[row], f"no row at {at}, where {canary!r} stands: {mine}"
        assert places[row] == mine.place, f"at {at}, in {mine}"
        seen += 1
    assert seen


def test_rows_never_overlap(made: Made) -> None:
    spans = list(zip(made.rows["offset"], made.rows["size"], strict=True))
    assert all(offset + size <= following for (offset, size), (following, _) in pairwise(spans))


def test_a_readable_value_begins_at_its_offset_unless_its_head_is_lost(made: Made) -> None:
    keyed = {each.offset for each in made.stored if each.key is not None}
    for offset, size, state in zip(made.rows["offset"], made.rows["size"], made.rows["state"], strict=True):
        assert size > 0, f"a row of nothing at {offset}"
        if "head-lost" in state:
            assert offset not in keyed
        else:
            assert made.raw.startswith(b"k8s\0"[:size], offset), f"at {offset}"


def test_rows_are_the_plain_readers(made: Made) -> None:
    offset, size, place, key, page = (COMPARED.index(name) for name in ("offset", "size", "place", "key", "page"))
    theirs, mine = inventory_rows(made.rows), expected_rows(made.stored)
    lost = {each.offset for each in made.stored if each.key is None}
    assert [row for row in theirs if row[key] and row[offset] not in lost] == [row for row in mine if row[key]]

    def begun(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Values that begin as one and have no key: which it was, is the auditor's to say."""
        without = [row for row in rows if row[offset] in lost and made.raw.startswith(b"k8s\0", row[offset])]
        return [(row[offset], row[size], row[place], row[page]) for row in without]

    def stretches(rows: list[tuple[Any, ...]]) -> list[list[Any]]:
        """Bytes in values and fragments without a key, by place: where one ends and the next begins is not told."""
        joined: list[list[Any]] = []
        for row in rows:
            if row[key] and row[offset] not in lost:
                continue
            if joined and joined[-1][2] == row[place] and not made.raw[joined[-1][1] : row[offset]].strip(b"\0"):
                joined[-1][1] = row[offset] + row[size]
            else:
                joined.append([row[offset], row[offset] + row[size], row[place]])
        return [each for each in joined if each[1] - each[0] >= LEAST]

    assert begun(theirs) == begun(mine)
    assert stretches(theirs) == stretches(mine)


def test_a_value_that_lost_its_end_says_so(made: Made) -> None:
    mine = {each.offset for each in made.stored if "tail-lost" in each.state and each.key is not None}
    lost = {each.offset for each in made.stored if each.key is None}
    states = zip(made.rows["offset"], made.rows["state"], strict=True)
    assert {offset for offset, state in states if "tail-lost" in state and offset not in lost} == mine
