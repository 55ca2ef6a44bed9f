"""The buckets of an etcd backend: its records, and its own facts (revision, compaction, versions, members).

Format: etcd server/storage/schema/ (bucket.go, cindex.go, membership.go) and server/storage/mvcc/kvstore.go.
"""

import hashlib
import json
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from auditor.arrays.dtypes import Ints
from auditor.evidence import carve
from auditor.evidence.batch import RecordBatch
from auditor.evidence.bbolt import freelist
from auditor.evidence.bbolt.elements import ELEMENT, IS_BUCKET, Leaves, overlaps, valid_elements
from auditor.evidence.bbolt.tree import Walker
from auditor.evidence.etcd import mvcc
from auditor.model.evidence import Backend, Gap
from auditor.model.vocabulary import PageKind, Place
from auditor.text import shown

EXPECTED = frozenset(
    b"key meta lease alarm members members_removed cluster auth authUsers authRoles authRevision test".split()
)
"""The buckets that etcd writes (bucket.go)."""
BUCKET_HEADER = 16
PAGE_HEADER = 16
FEW = 4096
"""Pairs that are read of a bucket other than `key`: those with facts hold a handful."""

BUCKET_NAME = re.compile(rb"[A-Za-z][A-Za-z_]{0,23}")
MEMBER_ID = re.compile(rb"[0-9a-f]{1,16}")
LONGEST_NAME = 253
"""Characters of the longest name of a member that is shown: those of a host's name."""
VERSION = re.compile(rb"\d{1,5}\.\d{1,5}(\.\d{1,5})?(-[0-9A-Za-z.]{1,32})?")
"""A semantic version (go-semver), which is what etcd stores."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Buckets:
    """The contents of a backend."""

    records: RecordBatch
    """The records of the `key` bucket, and behind them what its other elements hold."""
    facts: Backend


def read(walker: Walker) -> Buckets:
    """Walk every bucket under the walker's meta. Invalid pages and elements become gaps of the walker."""
    buckets: dict[bytes, Leaves] = {}
    top = walker.walk(walker.meta.root)
    for row in range(min(top.flags.size, FEW)):
        name = walker.buffer.slice(int(top.key_at[row]), int(top.key_len[row]))
        at, size = int(top.value_at[row]), int(top.value_len[row])
        if not top.flags[row] & IS_BUCKET:
            walker.gaps.append(Gap(walker.source, at, size, f"offset {at}: a pair outside every bucket"))
            continue
        if name not in EXPECTED:
            walker.gaps.append(Gap(walker.source, at, size, f"offset {at}: a bucket that etcd does not know"))
        buckets[name] = _bucket(walker, at, size)
    if b"key" not in buckets:
        walker.gap(min(walker.meta.root, walker.pages), "no bucket named `key` under the root")
    freelist.check(walker)
    names = _bucket_names(sorted(buckets))
    sizes = tuple((names[name], int(leaves.flags.size)) for name, leaves in sorted(buckets.items()))
    # the only reference to the one large bucket, so that mvcc.read() can free it
    undecoded: list[Leaves] = []
    records, gaps = mvcc.read(walker.buffer, walker.source, buckets.pop(b"key", Leaves.empty()), undecoded)
    walker.gaps.extend(gaps)
    facts = _facts(walker, buckets, sizes, records.mod_revision)
    return Buckets(RecordBatch.concatenate([records, *_carved(walker, undecoded)]) if undecoded else records, facts)


def _carved(walker: Walker, undecoded: Sequence[Leaves]) -> Iterator[RecordBatch]:
    """The values in elements of the `key` bucket that are no records, as of bytes that no structure describes."""
    for leaves in undecoded:
        start, end = leaves.key_at.tolist(), (leaves.value_at + leaves.value_len).tolist()
        for rows in carve.portions(walker.buffer, start, end, fragments=True):
            yield carve.batch(walker.buffer, walker.source, rows, Place.SLACK, walker.page_size)


def _bucket(walker: Walker, at: int, size: int) -> Leaves:
    """The pairs of one bucket: its own tree, or a page image inside the value."""
    if size < BUCKET_HEADER:
        walker.gaps.append(Gap(walker.source, at, size, f"offset {at}: a bucket header needs 16 bytes, found {size}"))
        return Leaves.empty()
    (root,) = struct.unpack(walker.meta.order + "Q", walker.buffer.slice(at, 8))
    leaves = walker.walk(root) if root else _inline(walker, at + BUCKET_HEADER, size - BUCKET_HEADER)
    subbuckets = (leaves.flags & IS_BUCKET) != 0
    if subbuckets.any():
        offset = int(leaves.value_at[subbuckets][0])
        walker.gaps.append(Gap(walker.source, offset, 0, f"offset {offset}: a bucket inside a bucket, not read"))
        leaves = leaves.take(~subbuckets)
    return leaves


def _inline(walker: Walker, at: int, size: int) -> Leaves:
    """A bucket of one small leaf inside its parent's value, read from a copy: it is not aligned in the file."""
    raw = walker.buffer.slice(at, size)
    page_flags, count, overflow = (
        struct.unpack(walker.meta.order + "HHI", raw[8:PAGE_HEADER]) if size >= 16 else (0, 0, 0)
    )
    if page_flags != PageKind.LEAF or overflow or PAGE_HEADER + ELEMENT * count > size:
        reason = f"offset {at}: expected the page of an inline bucket, found flags {page_flags:02x}, count {count}"
        walker.gaps.append(Gap(walker.source, at, size, reason))
        return Leaves.empty()
    table = np.frombuffer(raw, walker.meta.order + "u4", 4 * count, PAGE_HEADER).reshape(-1, 4).astype(np.int64)
    element = PAGE_HEADER + ELEMENT * np.arange(count)
    flags, pos, key_len, value_len = table.T
    key_at = element + pos
    end = key_at + key_len + value_len
    valid = valid_elements(flags, key_len, key_at, end, PAGE_HEADER + ELEMENT * count, size)
    valid[valid] = ~overlaps(np.zeros(int(valid.sum()), np.int64), key_at[valid], end[valid])
    if not valid.all():
        walker.gaps.append(Gap(walker.source, at, size, f"offset {at}: damaged elements of an inline bucket"))
    page = np.full(count, at // walker.page_size, np.int64)
    return Leaves.of(
        flags=flags[valid],
        key_at=(key_at + at)[valid],
        key_len=key_len[valid],
        value_at=(key_at + key_len + at)[valid],
        value_len=value_len[valid],
        page=page[valid],
    )


def _facts(
    walker: Walker, buckets: dict[bytes, Leaves], sizes: tuple[tuple[str, int], ...], mod_revision: Ints
) -> Backend:
    """The facts in the small buckets; sizes: number of pairs in each bucket; mod_revision: of the records."""

    def pairs(name: bytes) -> dict[bytes, bytes]:
        leaves, buffer = buckets.get(name, Leaves.empty()), walker.buffer
        rows = range(min(leaves.flags.size, FEW))
        return {
            buffer.slice(int(leaves.key_at[i]), int(leaves.key_len[i])): buffer.slice(
                int(leaves.value_at[i]), int(leaves.value_len[i])
            )
            for i in rows
        }

    meta, cluster = pairs(b"meta"), pairs(b"cluster")
    for bucket, key in ((b"meta", b"storageVersion"), (b"cluster", b"clusterVersion")):
        raw = pairs(bucket).get(key)
        if raw is not None and VERSION.fullmatch(raw) is None:
            at, text = _at(walker, buckets[bucket], key), key.decode()
            reason = f"offset {at}: the {text} is no version, {len(raw):,} bytes of something else: not quoted"
            walker.gaps.append(Gap(walker.source, at, len(raw), reason))
    finished = _decode(meta.get(b"finishedCompactRev"), _revision)
    scheduled = _decode(meta.get(b"scheduledCompactRev"), _revision)
    newest = int(mod_revision[-1]) if mod_revision.size else 0
    return Backend(
        # an empty store is at revision 1; without the bucket `key` nobody can know
        revision=max(newest, finished or 0, scheduled or 0, int(any(name == "key" for name, _ in sizes))),
        newest_record=newest,
        compacted=finished,
        scheduled=scheduled,
        storage_version=_decode(meta.get(b"storageVersion"), _version),
        cluster_version=_decode(cluster.get(b"clusterVersion"), _version),
        consistent_index=_decode(meta.get(b"consistent_index"), _number),
        term=_decode(meta.get(b"term"), _number),
        members=tuple(_member(key, value) for key, value in pairs(b"members").items()),
        cluster_id=None if pairs(b"members_removed") else _cluster_id(list(pairs(b"members"))),
        buckets=sizes,
        page_size=walker.page_size,
        pages=walker.meta.high_water,
        auth_enabled=pairs(b"auth").get(b"authEnabled") == b"\x01",
    )


def _at(walker: Walker, leaves: Leaves, key: bytes) -> int:
    """The offset of the value of the last pair with this key."""
    rows = [row for row in range(min(leaves.flags.size, FEW)) if leaves.key_len[row] == len(key)]
    matches = [row for row in rows if walker.buffer.slice(int(leaves.key_at[row]), len(key)) == key]
    return int(leaves.value_at[matches[-1]])


def _decode(raw: bytes | None, convert: Callable[[bytes], T]) -> T | None:
    """`convert(raw)`, or None where the value is absent or malformed."""
    try:
        return None if raw is None else convert(raw)
    except (ValueError, struct.error):
        return None


def _number(raw: bytes) -> int:
    return int(struct.unpack(">Q", raw)[0])


def _revision(raw: bytes) -> int:
    return int(struct.unpack(">q", raw[:8])[0])


def _bucket_names(names: Iterable[bytes]) -> dict[bytes, str]:
    """The names of the buckets for reports. One that nobody would choose may be a value: it is not quoted."""
    return {
        name: name.decode("ascii") if BUCKET_NAME.fullmatch(name) else f"unknown bucket {number} ({len(name):,} bytes)"
        for number, name in enumerate(names, 1)
    }


def _version(raw: bytes) -> str:
    """A version as etcd writes it; a bucket that holds another text is not quoted. Raises ValueError."""
    if VERSION.fullmatch(raw) is None:
        raise ValueError
    return raw.decode("ascii")


def _cluster_id(members: list[bytes]) -> int | None:
    """The id that etcd derives from a cluster's first members (server/etcdserver/api/membership genID).

    Right only if no member was added or removed; a backend does not store it.
    """
    try:
        ids = sorted(int(member, 16) for member in members)
        digest = hashlib.sha1(struct.pack(f">{len(ids)}Q", *ids), usedforsecurity=False).digest()
    except (ValueError, struct.error):
        return None
    return int.from_bytes(digest[:8]) if ids else None


def _member(key: bytes, value: bytes) -> tuple[str, str]:
    """Member id as stored, by etcd in hexadecimal, and the member's name."""
    try:
        name = json.loads(value).get("name", "")
    except (ValueError, AttributeError, RecursionError):
        name = ""
    member = key.decode("ascii") if MEMBER_ID.fullmatch(key) else f"no id ({len(key):,} bytes)"
    text = name if isinstance(name, str) and len(name) <= LONGEST_NAME else "no name of a member"
    return member, shown(text)
