"""Build bbolt files byte by byte, so that the readers can be shown every shape and every damage.

Format: bbolt internal/common/ (page.go, meta.go, inode.go, bucket.go), freelist in internal/freelist/shared.go;
revisions: etcd server/storage/mvcc/revision.go. Nothing here is shared with the auditor, but for the KeyValue message.
"""

import hashlib
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from auditor.protobuf.kv_pb2 import KeyValue

Pair: TypeAlias = tuple[bytes, bytes]
Order: TypeAlias = Literal["<", ">"]

MAGIC, VERSION = 0xED0CDAED, 2
BRANCH, LEAF, META, FREELIST = 0x01, 0x02, 0x04, 0x10
PLAIN, BUCKET = 0, 1
HEADER = ELEMENT = BUCKET_HEADER = 16
BODY = 64
ROOT_FIELD, FREELIST_FIELD, PAGES_FIELD = HEADER + 16, HEADER + 32, HEADER + 40
CHECKSUM_FIELD = HEADER + 56
NO_FREELIST = 0xFFFFFFFFFFFFFFFF


def fnv1a(data: bytes) -> int:
    """64-bit FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/."""
    value = 0xCBF29CE484222325
    for octet in data:
        value ^= octet
        value = value * 0x100000001B3 % (1 << 64)
    return value


def header(order: Order, number: int, kind: int, count: int, overflow: int) -> bytes:
    return struct.pack(order + "QHHI", number, kind, count, overflow)


def leaf(order: Order, number: int, elements: Sequence[tuple[int, bytes, bytes]], overflow: int = 0) -> bytes:
    """A leaf of (flags, key, value), not padded."""
    table, payload = b"", b""
    for i, (flags, key, value) in enumerate(elements):
        position = ELEMENT * (len(elements) - i) + len(payload)
        table += struct.pack(order + "IIII", flags, position, len(key), len(value))
        payload += key + value
    return header(order, number, LEAF, len(elements), overflow) + table + payload


def branch(order: Order, number: int, children: Sequence[tuple[bytes, int]]) -> bytes:
    """A branch of (first key, page), not padded."""
    table, payload = b"", b""
    for i, (key, child) in enumerate(children):
        table += struct.pack(order + "IIQ", ELEMENT * (len(children) - i) + len(payload), len(key), child)
        payload += key
    return header(order, number, BRANCH, len(children), 0) + table + payload


@dataclass
class Database:
    """A built file and where its parts lie; tests change `data` and call seal()."""

    data: bytearray
    order: Order
    page_size: int
    root: int
    roots: dict[bytes, int]
    """Root page of each bucket that has a tree of its own."""
    trailer: bool

    def at(self, page: int) -> int:
        return page * self.page_size

    def element(self, page: int, index: int) -> int:
        return self.at(page) + HEADER + ELEMENT * index

    def patch(self, at: int, form: str, *values: int) -> None:
        struct.pack_into(self.order + form, self.data, at, *values)

    def look(self, at: int, form: str) -> int:
        (value,) = struct.unpack_from(self.order + form, self.data, at)
        return int(value)

    def kind(self, page: int) -> int:
        return self.look(self.at(page) + 8, "H")

    def children(self, page: int) -> list[int]:
        """The pages that a branch leads to."""
        count = self.look(self.at(page) + 10, "H")
        return [self.look(self.element(page, i) + 8, "Q") for i in range(count)]

    def levels(self, page: int) -> list[list[int]]:
        """The pages of a tree, level by level from its root."""
        levels = [[page]]
        while self.kind(levels[-1][0]) == BRANCH:
            levels.append([child for each in levels[-1] for child in self.children(each)])
        return levels

    def patch_metas(self, field_at: int, form: str, value: int) -> None:
        for page in (0, 1):
            self.patch(self.at(page) + field_at, form, value)

    def seal(self) -> bytes:
        """The file, with both metas' checksums and the trailer made right."""
        body = self.data[: len(self.data) - 32] if self.trailer else self.data
        seal_metas(body, self.page_size, self.order)
        return with_trailer(bytes(body)) if self.trailer else bytes(body)


def seal_metas(body: bytearray, page_size: int, order: Order = "<") -> None:
    """Recompute the checksum of both metas in place."""
    for start in (0, page_size):
        if len(body) >= start + HEADER + BODY:
            digest = fnv1a(bytes(body[start + HEADER : start + CHECKSUM_FIELD]))
            struct.pack_into(order + "Q", body, start + CHECKSUM_FIELD, digest)


def with_trailer(body: bytes) -> bytes:
    return body + hashlib.sha256(body).digest()


@dataclass
class Builder:
    """What to build. fanout: most elements of a page of a tree, 0 for as many as fit.

    inline: the buckets that become a page image in their parent's value. txids: of page 0 and page 1; None leaves
    that meta page empty. freed: images that fill pages which no root reaches. freelist: whether one is stored.
    """

    buckets: Mapping[bytes, Sequence[Pair]]
    page_size: int = 4096
    order: Order = "<"
    inline: Iterable[bytes] = ()
    fanout: int = 0
    txids: tuple[int | None, int | None] = (3, 2)
    freed: Sequence[bytes] = ()
    freelist: bool = False
    trailer: bool = True
    nested: Mapping[bytes, Sequence[bytes]] = field(default_factory=dict)
    """Names of empty inline buckets inside a bucket: bbolt allows them, etcd has none."""

    def build(self) -> Database:
        self._pages: list[bytes] = []
        self._end = 2 * self.page_size
        freed = [self._add(image) for image in self.freed]
        top, roots = [], {}
        for name, pairs in sorted(self.buckets.items()):
            elements = [(PLAIN, key, value) for key, value in pairs]
            elements += [(BUCKET, inner, self._inline([])) for inner in self.nested.get(name, ())]
            if name in set(self.inline):
                top.append((BUCKET, name, self._inline(elements)))
            else:
                roots[name] = self._tree(elements)
                top.append((BUCKET, name, struct.pack(self.order + "QQ", roots[name], 0)))
        root = self._tree(top)
        stored = NO_FREELIST
        if self.freelist:
            ids = struct.pack(f"{self.order}{len(freed)}Q", *freed)
            stored = self._add(header(self.order, self._next(), FREELIST, len(freed), 0) + ids)
        count = self._next()
        metas = [self._meta(page, txid, root, stored, count) for page, txid in enumerate(self.txids)]
        body = bytearray(b"".join([*metas, *self._pages]))
        seal_metas(body, self.page_size, self.order)
        for page, txid in enumerate(self.txids):
            if txid is None:
                body[page * self.page_size : (page + 1) * self.page_size] = bytes(self.page_size)
        whole = bytearray(with_trailer(bytes(body)) if self.trailer else body)
        return Database(whole, self.order, self.page_size, root, roots, self.trailer)

    def _next(self) -> int:
        return self._end // self.page_size

    def _add(self, image: bytes) -> int:
        """Append a page, padded; its number."""
        number = self._next()
        image = image or b"\0"
        self._pages.append(image + bytes(-len(image) % self.page_size))
        self._end += len(self._pages[-1])
        return number

    def _meta(self, page: int, txid: int | None, root: int, freelist: int, count: int) -> bytes:
        body = struct.pack(
            self.order + "IIIIQQQQQQ", MAGIC, VERSION, self.page_size, 0, root, 0, freelist, count, txid or 0, 0
        )
        image = header(self.order, page, META, 0, 0) + body
        return image + bytes(self.page_size - len(image))

    def _inline(self, elements: Sequence[tuple[int, bytes, bytes]]) -> bytes:
        return struct.pack(self.order + "QQ", 0, 0) + leaf(self.order, 0, elements)

    def _tree(self, elements: Sequence[tuple[int, bytes, bytes]]) -> int:
        """Add the pages of a tree, leaves first; the number of its root."""
        sizes = [ELEMENT + len(key) + len(value) for _, key, value in elements]
        level = []
        for start, end in self._packs(sizes) or [(0, 0)]:
            size = HEADER + sum(sizes[start:end])
            overflow = (size - 1) // self.page_size
            number = self._add(leaf(self.order, self._next(), elements[start:end], overflow))
            level.append((elements[start][1] if elements else b"", number))
        while len(level) > 1:
            packs = self._packs([ELEMENT + len(key) for key, _ in level])
            level = [
                (level[start][0], self._add(branch(self.order, self._next(), level[start:end]))) for start, end in packs
            ]
        return level[0][1]

    def _packs(self, sizes: Sequence[int]) -> list[tuple[int, int]]:
        """Which elements go onto one page: ranges that fit into it, or one element that needs several pages."""
        packs, start, used = [], 0, HEADER
        for i, size in enumerate(sizes):
            full = i - start >= self.fanout if self.fanout else False
            if i > start and (full or used + size > self.page_size):
                packs.append((start, i))
                start, used = i, HEADER
            used += size
        return [*packs, (start, len(sizes))] if sizes else []


def revision(main: int, sub: int = 0, *, tombstone: bool = False) -> bytes:
    return struct.pack(">QcQ", main, b"_", sub) + (b"t" if tombstone else b"")


def record(
    main: int,
    key: bytes,
    value: bytes = b"",
    *,
    sub: int = 0,
    create: int | None = None,
    version: int = 1,
    lease: int = 0,
    tombstone: bool = False,
) -> Pair:
    """One pair of the `key` bucket, as etcd writes it: a tombstone names its key and nothing else."""
    if tombstone:
        return revision(main, sub, tombstone=True), KeyValue(key=key).SerializeToString()
    created = main if create is None else create
    stored = KeyValue(
        key=key, create_revision=created, mod_revision=main, version=version, value=value, lease=lease
    ).SerializeToString()
    return revision(main, sub), stored


def store(records: Sequence[Pair]) -> dict[bytes, Sequence[Pair]]:
    """The buckets of an etcd backend: these records, and the few pairs that every backend holds."""
    return {
        b"key": records,
        b"meta": [(b"consistent_index", struct.pack(">Q", 9)), (b"term", struct.pack(">Q", 2))],
        b"members": [(b"3ce1b97bd94102ac", b'{"name": "t"}')],
        b"cluster": [(b"clusterVersion", b"3.5.0")],
        b"lease": [],
    }


SMALL: tuple[bytes, ...] = (b"meta", b"members", b"cluster", b"lease")
"""The buckets of store() that bbolt would keep inline."""


def backend(records: Sequence[Pair], **options: Any) -> Database:
    """An etcd backend of these records; options are Builder's."""
    return Builder(store(records), **{"inline": SMALL, **options}).build()
