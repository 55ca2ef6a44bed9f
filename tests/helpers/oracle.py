"""A second reader of etcd's files, for the tests to hold the auditor against: plain loops over bytes, no numpy.

It shares no code with the auditor and was written from the formats alone. bbolt: internal/common/ (page.go, meta.go,
inode.go, bucket.go), tx.go for what is left where. etcd: server/storage/mvcc/revision.go, api/mvccpb/kv.proto,
server/storage/wal/ (encoder.go), api/etcdserverpb/ (raft_internal.proto, rpc.proto). It is for whole files:
what does not hold is left out, not reported.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

HEADER = ELEMENT = 16
META_END = HEADER + 64
BRANCH, LEAF, META, FREELIST = 0x01, 0x02, 0x04, 0x10
BUCKET = 1
MAGIC, VERSION = 0xED0CDAED, 2
SMALLEST_PAGE, LARGEST_PAGE = 1 << 10, 1 << 24
REVISION, TOMBSTONE = 17, 18
LONGEST_KEY = 32768
SIGNATURES = (b"k8s\0\n", b"k8s:enc:")
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored value, or what is left of one; None is not known. `prefix` is what says how it is encrypted."""

    place: str
    key: bytes | None
    offset: int
    size: int
    main: int | None
    sub: int | None
    create: int | None
    version: int | None
    tombstone: bool
    prefix: str
    page: int
    state: tuple[str, ...]

    @property
    def end(self) -> int:
        return self.offset + self.size


@dataclass(frozen=True, slots=True)
class Field:
    """A protobuf field: `number` of a varint, `start` and `end` of bytes, as much of them as there is."""

    tag: int
    kind: int
    number: int
    start: int
    end: int
    cut: bool


@dataclass(frozen=True, slots=True)
class Record:
    """An mvccpb.KeyValue, and where it ends. cut: its value is longer than the bytes that are left of it."""

    end: int
    key: bytes
    create: int | None
    mod: int | None
    version: int | None
    value_at: int
    value_end: int
    cut: bool


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a leaf: key, and directly behind it the value, which may end later than its page does."""

    flags: int
    key_at: int
    value_at: int
    value_end: int


@dataclass(frozen=True, slots=True)
class Run:
    """Pages from `first` up to but not including `end` that one header describes."""

    first: int
    end: int
    kind: int
    count: int


@dataclass(frozen=True, slots=True)
class Meta:
    order: str
    page_size: int
    root: int
    freelist: int
    high_water: int
    txid: int

    @property
    def leads(self) -> tuple[int, int, int]:
        """What the metas of a snapshot have in common: their tree."""
        return self.root, self.freelist, self.high_water


@dataclass(frozen=True, slots=True)
class Put:
    """A put of the write-ahead log: `offset` and `size` of its value in `file`, the raft entry that it is part of."""

    file: str
    offset: int
    size: int
    key: bytes
    prefix: str
    index: int
    term: int


@dataclass(frozen=True, slots=True)
class Frame:
    """A record of the log: where its data lies."""

    type: int
    crc: int
    start: int
    end: int


# protobuf


def varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The number at `at`, and the position behind it. Raises ValueError where it does not end in time."""
    number = shift = 0
    while at < end and shift < 70:
        number |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return number, at
    raise ValueError("a varint without an end")


def fields(data: bytes, at: int, end: int, *, cut: bool = False) -> Iterator[Field]:
    """The fields of a message; with `cut` the last may be longer than the bytes that are left of it."""
    while at < end:
        key, at = varint(data, at, end)
        tag, kind, number, start = key >> 3, key & 7, 0, at
        if kind == VARINT:
            number, at = varint(data, at, end)
            start = at
        elif kind == BYTES:
            number, start = varint(data, at, end)
            at = start + number
        elif kind in (FIXED64, FIXED32):
            at += 8 if kind == FIXED64 else 4
        else:
            raise ValueError("a group")
        if tag == 0 or (at > end and not cut):
            raise ValueError("no field")
        yield Field(tag, kind, number, start, min(at, end), at > end)


def key_value(data: bytes, start: int, end: int, *, cut: bool = False) -> Record | None:
    """The KeyValue that fills these bytes: 1 key, 2 create, 3 mod, 4 version, 5 value, 6 lease."""
    key, numbers, value = b"", dict[int, int](), Field(5, BYTES, 0, end, end, cut=False)
    try:
        for field in fields(data, start, end, cut=cut):
            if field.tag == 1 and field.kind == BYTES:
                key = data[field.start : field.end]
            elif field.tag == 5 and field.kind == BYTES:
                value = field
            elif field.tag in (2, 3, 4, 6) and field.kind == VARINT:
                numbers[field.tag] = field.number
            else:
                return None
    except ValueError:
        if not (cut and (key or end - start < 10)):  # even the length of the key may be cut
            return None
    create, mod, version = numbers.get(2), numbers.get(3), numbers.get(4)
    return Record(end, key, create, mod, version, value.start, value.end, value.cut)


def envelope_size(data: bytes, at: int, end: int) -> int | None:
    """Size of a `k8s` envelope, a runtime.Unknown: type, raw object, content encoding and type, all always written."""
    start = at
    at += 4
    try:
        for tag in (0x0A, 0x12, 0x1A, 0x22):
            if at >= end or data[at] != tag:
                return None
            size, at = varint(data, at + 1, end)
            at += size
    except ValueError:
        return None
    return at - start if at <= end else None


def prefix_of(value: bytes) -> str:
    """`k8s:enc:PROVIDER:vN:`, the mark of a plain encoding, or nothing that is known."""
    if value.startswith(b"k8s:enc:"):
        parts = value[:64].split(b":")
        return b":".join(parts[:4]).decode("latin-1") + ":" if len(parts) > 4 else "k8s:enc:"
    for mark in (b"k8s\0", b"{", b"\xd9\xd9\xf7"):
        if value.startswith(mark):
            return mark.decode("latin-1")
    return ""


def find_all(data: bytes, pattern: bytes, start: int, end: int) -> Iterator[int]:
    at = data.find(pattern, start, end)
    while at >= 0:
        yield at
        at = data.find(pattern, at + 1, end)


# database files


def database(raw: bytes) -> list[Stored]:
    """Every stored value in a snapshot, or in a raw database file, by offset. Tombstones are among them."""
    return sorted(_Database(raw).stored(), key=lambda each: each.offset)


def live_pages(raw: bytes) -> tuple[frozenset[int], int]:
    """The pages that the newest root reaches, and the size of a page."""
    base = _Database(raw)
    runs, _ = base.reach(base.meta)
    return frozenset(page for run in runs for page in range(run.first, run.end)), base.size


def newest_revision(raw: bytes) -> int:
    """The highest main revision under the newest root; 1 in an empty store."""
    base = _Database(raw)
    return max((each.main or 1 for each in base.reach(base.meta)[1]), default=1)


def fnv1a(data: bytes) -> int:
    value = 0xCBF29CE484222325
    for octet in data:
        value = (value ^ octet) * 0x100000001B3 % (1 << 64)
    return value


def read_meta(data: bytes, at: int) -> Meta | None:
    body = data[at + HEADER : at + META_END]
    for order in "<>":
        if len(body) == META_END - HEADER and struct.unpack_from(order + "II", body) == (MAGIC, VERSION):
            page_size, _, root, _, freelist, high_water, txid, checksum = struct.unpack_from(
                order + "IIQQQQQQ", body, 8
            )
            if checksum == fnv1a(body[:56]):
                return Meta(order, page_size, root, freelist, high_water, txid)
    return None


def read_metas(data: bytes) -> list[Meta]:
    """The valid metas, the newer one first. The second lies where the second page begins."""
    first = read_meta(data, 0)
    metas = [first] if first else []
    size = SMALLEST_PAGE
    while size <= LARGEST_PAGE:
        second = read_meta(data, size)
        if second and second.page_size == size and (first is None or first.page_size == size):
            metas.append(second)
            break
        size *= 2
    return sorted(metas, key=lambda meta: -meta.txid)


class _Database:
    """The pages of one file, under the newer of its metas."""

    def __init__(self, raw: bytes) -> None:
        self.data = raw[:-32] if len(raw) % 512 == 32 else raw
        self.metas = read_metas(self.data)
        self.meta = self.metas[0]
        self.size = self.meta.page_size
        self.pages = len(self.data) // self.size
        self.high_water = min(self.meta.high_water, self.pages)

    def stored(self) -> Iterator[Stored]:
        # what the newest root reaches
        runs, records = self.reach(self.meta)
        reached = {page for run in runs for page in range(run.first, run.end)}
        yield from with_places(records)
        for run in runs:
            yield from self.slack(run, "slack")
        # what only the older of two differing roots reaches
        for older in self.metas[1:]:
            if older.leads == self.meta.leads:
                continue
            older_runs, older_records = self.reach(older)
            only = [run for run in older_runs if run.first not in reached]
            mine = {page for run in only for page in range(run.first, run.end)}
            yield from (replace(each, place="previous-root") for each in older_records if self.at(each) in mine)
            for run in only:
                yield from self.slack(run, "slack")
            reached |= mine
        # what no root reaches
        yield from self.unreached([page for page in range(2, self.high_water) if page not in reached], "freed")
        yield from self.unreached(list(range(self.high_water, self.pages)), "slack")
        yield from self.search(self.pages * self.size, len(self.data), "slack")

    def at(self, each: Stored) -> int:
        """The page that an offset lies in; that of a value's record, where the value is empty."""
        return each.page if not each.size else each.offset // self.size

    # pages

    def header(self, page: int) -> Run | None:
        """The run that begins at this page, as long as its header claims; None where the header is not its own."""
        if not 0 <= page < self.pages:
            return None
        own, kind, count, overflow = struct.unpack_from(self.meta.order + "QHHI", self.data, page * self.size)
        if own != page or kind not in (BRANCH, LEAF, META, FREELIST):
            return None
        return Run(page, page + 1 + overflow, kind, count)

    def reach(self, meta: Meta) -> tuple[list[Run], list[Stored]]:
        """The runs of pages under one root, and the records of its `key` bucket, not yet placed."""
        runs = [Run(0, 1, META, 0), Run(1, 2, META, 0)]
        freelist = self.header(meta.freelist)
        if freelist and freelist.kind == FREELIST:
            runs.append(freelist)
        records: list[Stored] = []
        top = self.tree(meta.root)
        runs += top
        for page in top:
            for bucket in self.elements(page):
                if not bucket.flags & BUCKET:
                    continue
                (root,) = struct.unpack_from(meta.order + "Q", self.data, bucket.value_at)
                below = self.tree(root) if root else []
                runs += below
                if self.data[bucket.key_at : bucket.value_at] != b"key":
                    continue
                if not root:
                    records += self.inline(bucket)
                for run in below:
                    records += [each for element in self.elements(run) for each in self.record(element, run) or []]
        return runs, records

    def tree(self, root: int) -> list[Run]:
        """The runs of a tree, in key order of what they hold."""
        runs, waiting, seen = [], [root], set[int]()
        while waiting:
            run = self.header(waiting.pop())
            if run is None or run.end > self.pages or run.kind not in (BRANCH, LEAF) or run.first in seen:
                continue
            seen.add(run.first)
            runs.append(run)
            if run.kind == BRANCH:
                table = [run.first * self.size + HEADER + ELEMENT * i for i in range(run.count)]
                children = [struct.unpack_from(self.meta.order + "IIQ", self.data, at)[2] for at in table]
                waiting += reversed(children)
        return runs

    def elements(self, run: Run) -> list[Element]:
        return self.leaf(run.first * self.size, run.end * self.size, run.count) if run.kind == LEAF else []

    def leaf(self, start: int, end: int, count: int) -> list[Element]:
        """The elements of a leaf whose header lies at `start`; those whose key lies past `end` are not there."""
        elements = []
        floor = start + HEADER + ELEMENT * count
        for i in range(count):
            at = start + HEADER + ELEMENT * i
            if at + ELEMENT > end:
                break
            flags, pos, key_size, value_size = struct.unpack_from(self.meta.order + "IIII", self.data, at)
            key_at = at + pos
            value_at = key_at + key_size
            if flags > BUCKET or not 1 <= key_size <= LONGEST_KEY or not floor <= key_at < end:
                break
            floor = value_at + value_size
            elements.append(Element(flags, key_at, value_at, floor))
        return elements

    def inline(self, bucket: Element) -> list[Stored]:
        """The records of a bucket that is a page image behind 16 bytes of bucket header, in its parent's value."""
        start = bucket.value_at + 16
        if start + HEADER > bucket.value_end:
            return []
        _, kind, count, _ = struct.unpack_from(self.meta.order + "QHHI", self.data, start)
        if kind != LEAF:
            return []
        run = Run(start // self.size, start // self.size + 1, LEAF, count)
        elements = self.leaf(start, bucket.value_end, count)
        return [each for element in elements for each in self.record(element, run, bucket.value_end) or []]

    # records

    def record(self, element: Element, run: Run, end: int | None = None) -> list[Stored] | None:
        """The one record that an element holds, none where no byte of its value is left; None where it is no record."""
        end = run.end * self.size if end is None else end
        if element.value_at > end:
            return []
        revision = self.data[element.key_at : element.value_at]
        cut = element.value_end > end
        pair = key_value(self.data, element.value_at, min(element.value_end, end), cut=cut)
        if element.flags or pair is None or not is_revision(revision):
            return None
        visible = pair.value_end > pair.value_at or not cut
        return [self.value(pair, revision, run.first)] if visible else []

    def value(self, record: Record, revision: bytes, page: int) -> Stored:
        """A record's value, not yet placed. revision: its own key, empty where that is lost."""
        main, sub = struct.unpack(">QxQ", revision[:REVISION]) if len(revision) >= REVISION else (record.mod, None)
        return Stored(
            place="",
            key=record.key,
            offset=record.value_at,
            size=record.value_end - record.value_at,
            main=main,
            sub=sub,
            create=record.create,
            version=record.version,
            tombstone=len(revision) == TOMBSTONE,
            prefix=prefix_of(self.data[record.value_at : record.value_end]),
            page=page,
            state=("tail-lost",) if record.cut else (),
        )

    # what no root reaches

    def unreached(self, pages: list[int], place: str) -> Iterator[Stored]:
        """Pages that still begin with a header of their own, as far as they are their own; then all the others.

        A run that was written over in part was written over by a run that began in it: what follows up to the next
        header is still its own.
        """
        unclaimed = set(pages)
        for page in pages:
            run = self.header(page) if page in unclaimed else None
            if run is None:
                continue
            end = page + 1
            while end < run.end and end in unclaimed and self.header(end) is None:
                end += 1
            run = replace(run, end=end)
            unclaimed -= set(range(page, end))
            yield from self.freed(run, place)
        for page in pages:
            if page in unclaimed and page - 1 not in unclaimed:
                end = page
                while end in unclaimed:
                    end += 1
                yield from self.search(page * self.size, end * self.size, place)

    def freed(self, run: Run, place: str) -> Iterator[Stored]:
        if run.kind != LEAF:
            yield from self.search(run.first * self.size, run.end * self.size, place, fragments=False)
            return
        elements = self.elements(run)
        # its first key lies behind its table: a leaf of the bucket of keys, whatever was written over the others
        revisions = bool(elements) and is_revision(self.data[elements[0].key_at : elements[0].value_at])
        unread: list[tuple[int, int]] = []
        for element in elements:
            if element.flags & BUCKET:
                yield from (replace(each, place=place) for each in self.inline(element))
                continue
            records = self.record(element, run)
            if records is not None:
                yield from (replace(each, place=place) for each in records)
            elif revisions:
                start, end = element.key_at, min(element.value_end, run.end * self.size)
                if unread and unread[-1][1] == start:  # a newer run's value goes on where an older one's ended
                    start = unread.pop()[0]
                unread.append((start, end))
        for start, end in unread:
            yield from self.search(start, end, place)
        yield from self.slack(run, "slack")

    def slack(self, run: Run, place: str) -> Iterator[Stored]:
        """What is not zero outside header, element table and payloads."""
        start, end = run.first * self.size, run.end * self.size
        described = [(start, start + HEADER)]
        if run.kind == META:
            described = [(start, start + META_END)]
        elif run.kind == FREELIST:
            (many,) = struct.unpack_from(self.meta.order + "Q", self.data, start + HEADER)
            count = run.count if run.count < 0xFFFF else many + 1
            described.append((start + HEADER, start + HEADER + 8 * count))
        else:
            described.append((start + HEADER, start + HEADER + ELEMENT * run.count))
        if run.kind == BRANCH:
            for i in range(run.count):
                at = start + HEADER + ELEMENT * i
                pos, key_size = struct.unpack_from(self.meta.order + "II", self.data, at)
                described.append((at + pos, at + pos + key_size))
        described += [(element.key_at, element.value_end) for element in self.elements(run)]
        at = start
        for first, last in [*sorted(described), (end, end)]:
            if first > at:
                yield from self.search(at, min(first, end), place)
            at = max(at, last)

    def search(self, start: int, end: int, place: str, *, fragments: bool = True) -> Iterator[Stored]:
        """Bytes that nothing describes: records and values by how they begin; with `fragments` all else but zeros."""
        done = start
        for first, last, stored in [*self.stretches(start, end), (end, end, None)]:
            if fragments:
                yield from self.fragment(done, first, place)
            if stored:
                yield replace(stored, place=place)
            done = last

    def stretches(self, start: int, end: int) -> Iterator[tuple[int, int, Stored | None]]:
        """Start and end of what belongs to each record or value, and the value if any; ascending and apart."""
        revisions = {max(at - 8, start): at for at in find_all(self.data, b"_\0\0\0\0", start, end)}
        values = sorted(at for signature in SIGNATURES for at in find_all(self.data, signature, start, end))
        done = start
        for at in sorted([*revisions, *values]):
            if at < done:
                continue
            around = self.revised(at, revisions[at], end) if at in revisions else self.around(at, done, end)
            if around:
                first, record, revision = around
                done = record.end
                visible = record.value_end > record.value_at or len(revision) == TOMBSTONE
                page = record.value_at // self.size
                yield first, done, self.value(record, revision, page) if visible else None
            elif at not in revisions:
                following = next((each for each in values if each > at), end)
                size = envelope_size(self.data, at, following)
                done = at + (size or len(self.data[at:following].rstrip(b"\0")))
                yield at, done, self.bare(at, done, ("tail-lost",) if size is None else ())

    def revised(self, at: int, separator: int, end: int) -> tuple[int, Record, bytes] | None:
        """The record behind the revision key at `at`, if it is one: they must name the same revision."""
        length = TOMBSTONE if self.data[separator + 9 : separator + 10] == b"t" else REVISION
        record = self.loose_record(separator + length - 8, end)
        if record is None:
            return None
        revision = self.data[at : separator + length - 8]
        if len(revision) < length and record.mod is not None:  # its first bytes were written over
            revision = struct.pack(">Q", record.mod) + self.data[separator : separator + length - 8]
        named = struct.unpack(">Q", revision[:8])[0] if len(revision) == length else None
        return (at, record, revision) if length == TOMBSTONE or record.mod == named else None

    def around(self, at: int, start: int, end: int) -> tuple[int, Record, bytes] | None:
        """The record whose value begins at `at`: it begins at the nearest byte that makes it one."""
        for begin in range(at - 1, max(start, at - 2048) - 1, -1):
            record = self.loose_record(begin, end) if self.data[begin] == 0x0A else None
            if record and record.value_at == at:
                return begin, record, b""
        return None

    def loose_record(self, start: int, end: int) -> Record | None:
        """The KeyValue that begins at `start`, whose own end is not known: its fields come in order, each once."""
        at, before = start, 0
        fields_by_tag: dict[int, Field] = {}
        try:
            for field in fields(self.data, start, end, cut=True):
                if field.tag <= before or field.tag > 6 or field.kind != (BYTES if field.tag in (1, 5) else VARINT):
                    break
                if field.cut and field.tag != 5:
                    break
                fields_by_tag[field.tag], before, at = field, field.tag, field.end
        except ValueError:
            pass
        if (
            1 not in fields_by_tag
            or not 0 < fields_by_tag[1].number <= LONGEST_KEY
            or (3 not in fields_by_tag and 5 in fields_by_tag)
        ):
            return None
        value = fields_by_tag.get(5, Field(5, BYTES, 0, at, at, cut=False))
        create, mod, version = (fields_by_tag[tag].number if tag in fields_by_tag else None for tag in (2, 3, 4))
        key = self.data[fields_by_tag[1].start : fields_by_tag[1].end]
        return Record(at, key, create, mod, version, value.start, value.end, value.cut)

    def fragment(self, start: int, end: int, place: str) -> Iterator[Stored]:
        """What is not zero here, if anything: part of a value whose beginning was written over."""
        rest = self.data[start:end].lstrip(b"\0")
        start, end = end - len(rest), end - len(rest) + len(rest.rstrip(b"\0"))
        if end > start:
            yield replace(self.bare(start, end, ("head-lost",)), place=place)

    def bare(self, start: int, end: int, state: tuple[str, ...]) -> Stored:
        """A value without its record, not yet placed."""
        return Stored(
            place="",
            key=None,
            offset=start,
            size=end - start,
            main=None,
            sub=None,
            create=None,
            version=None,
            tombstone=False,
            prefix=prefix_of(self.data[start:end]),
            page=start // self.size,
            state=state,
        )


def is_revision(key: bytes) -> bool:
    """8 bytes of main, `_`, 8 bytes of sub, and `t` for a tombstone."""
    return key[8:9] == b"_" and (len(key) == REVISION or (len(key) == TOMBSTONE and key[17:] == b"t"))


def with_places(records: Iterable[Stored]) -> list[Stored]:
    """Records with their places: of each key the newest is the latest one, unless it is a tombstone."""
    ordered = sorted(records, key=lambda each: (each.main or 0, each.sub or 0))
    newest = {each.key: each for each in ordered}
    placements = []
    for each in ordered:
        last = newest[each.key]
        place = "deleted" if last.tombstone else "latest" if each is last else "history"
        placements.append(replace(each, place=place))
    return placements


# the write-ahead log


def frames(data: bytes) -> Iterator[Frame]:
    """The records of one log file, up to the zero length that ends it.

    A frame is 8 bytes, always little endian, of which the low 56 bits are the record's length and, where the topmost
    bit is set, the three lowest of the top byte the padding behind it.
    """
    at = 0
    while at + 8 <= len(data):
        (word,) = struct.unpack_from("<Q", data, at)
        length = word & 0xFFFFFFFFFFFFFF
        padding = word >> 56 & 7 if word >> 63 else 0
        start, end = at + 8, at + 8 + length
        if not length or end > len(data):
            return
        kind = crc = 0
        content = (start, start)
        for field in fields(data, start, end):
            if field.tag == 1:
                kind = field.number
            elif field.tag == 2:
                crc = field.number
            elif field.tag == 3:
                content = (field.start, field.end)
        yield Frame(kind, crc, *content)
        at = end + padding


def puts(name: str, data: bytes) -> Iterator[Put]:
    """Every put in the entries of one log file, also inside transactions, whichever branch they stand in."""
    for frame in frames(data):
        if frame.type != 2:
            continue
        entry = {field.tag: field for field in fields(data, frame.start, frame.end)}
        kind, term, index = (entry[tag].number if tag in entry else 0 for tag in (1, 2, 3))
        if kind or 4 not in entry or entry[4].start == entry[4].end:
            continue  # a change of membership, or a leader's empty entry
        request = list(fields(data, entry[4].start, entry[4].end))
        if any(field.tag == 2 and field.kind == BYTES for field in request):
            continue  # etcd's version 2 API: its field 2 is the method
        for key, start, end in _requests(data, request, put=4, txn=6):
            yield Put(name, start, end - start, key, prefix_of(data[start:end]), index, term)


def _requests(data: bytes, message: Iterable[Field], put: int, txn: int) -> Iterator[tuple[bytes, int, int]]:
    """Key, and start and end of the value, of each put in an InternalRaftRequest or RequestOp."""
    for field in message:
        if field.tag == put and field.kind == BYTES:
            inner = {each.tag: each for each in fields(data, field.start, field.end)}
            key = data[inner[1].start : inner[1].end] if 1 in inner else b""
            value = inner.get(2, Field(2, BYTES, 0, field.end, field.end, cut=False))
            yield key, value.start, value.end
        elif field.tag == txn and field.kind == BYTES:
            for each in fields(data, field.start, field.end):
                if each.tag in (2, 3):  # success, failure
                    yield from _requests(data, fields(data, each.start, each.end), put=2, txn=4)
