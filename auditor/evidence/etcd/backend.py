"""The buckets of an etcd backend, and what it says of itself: revision, compaction, versions, members.

Format: etcd server/storage/schema/ (bucket.go, cindex.go, membership.go) and server/storage/mvcc/kvstore.go.
"""

import hashlib
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from auditor.arrays.dtypes import Ints
from auditor.evidence.batch import RecordBatch
from auditor.evidence.bbolt.elements import ELEMENT, IS_BUCKET, Leaves, overlaps, valid_elements
from auditor.evidence.bbolt.tree import Walker
from auditor.evidence.etcd import mvcc
from auditor.model.evidence import Backend, Gap
from auditor.model.vocabulary import PageKind

EXPECTED = frozenset(
    b"key meta lease alarm members members_removed cluster auth authUsers authRoles authRevision test".split()
)
BUCKET_HEADER = 16
PAGE_HEADER = 16
FEW = 4096
"""Buckets other than `key` and `lease` hold a handful of pairs; no more than these are looked at."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Store:
    """The records of the `key` bucket and the backend's facts."""

    records: RecordBatch
    facts: Backend


def read(walker: Walker) -> Store:
    """Walk every bucket under the walker's meta. What does not hold is added to walker.gaps."""
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
    sizes = tuple((_text(name), int(leaves.flags.size)) for name, leaves in sorted(buckets.items()))
    # handed over, not lent: of the one large bucket nothing but its records is kept
    records, gaps = mvcc.read(walker.buffer, walker.source, buckets.pop(b"key", Leaves.empty()))
    walker.gaps.extend(gaps)
    return Store(records, _facts(walker, buckets, sizes, records.mod_revision))


def _bucket(walker: Walker, at: int, size: int) -> Leaves:
    """The pairs of one bucket: its own tree, or a page image inside the value."""
    if size < BUCKET_HEADER:
        walker.gaps.append(Gap(walker.source, at, size, f"offset {at}: a bucket header needs 16 bytes, found {size}"))
        return Leaves.empty()
    (root,) = struct.unpack(walker.meta.order + "Q", walker.buffer.slice(at, 8))
    leaves = walker.walk(root) if root else _inline(walker, at + BUCKET_HEADER, size - BUCKET_HEADER)
    nested = (leaves.flags & IS_BUCKET) != 0
    if nested.any():
        where = int(leaves.value_at[nested][0])
        walker.gaps.append(Gap(walker.source, where, 0, f"offset {where}: a bucket inside a bucket, not read"))
        leaves = leaves.take(~nested)
    return leaves


def _inline(walker: Walker, at: int, size: int) -> Leaves:
    """A bucket of one small leaf, kept in its parent's value; not aligned in the file, so read from a copy."""
    raw = walker.buffer.slice(at, size)
    flags, count, overflow = struct.unpack(walker.meta.order + "HHI", raw[8:PAGE_HEADER]) if size >= 16 else (0, 0, 0)
    if flags != PageKind.LEAF or overflow or PAGE_HEADER + ELEMENT * count > size:
        reason = f"offset {at}: expected the page of an inline bucket, found flags {flags:02x}, count {count}"
        walker.gaps.append(Gap(walker.source, at, size, reason))
        return Leaves.empty()
    table = np.frombuffer(raw, walker.meta.order + "u4", 4 * count, PAGE_HEADER).reshape(-1, 4).astype(np.int64)
    element = PAGE_HEADER + ELEMENT * np.arange(count)
    flag, pos, key_len, value_len = table.T
    key_at = element + pos
    end = key_at + key_len + value_len
    good = valid_elements(flag, key_len, key_at, end, PAGE_HEADER + ELEMENT * count, size)
    good[good] = ~overlaps(np.zeros(int(good.sum()), np.int64), key_at[good], end[good])
    if not good.all():
        walker.gaps.append(Gap(walker.source, at, size, f"offset {at}: damaged elements of an inline bucket"))
    page = np.full(count, at // walker.page_size, np.int64)
    return Leaves.of(
        flag[good], (key_at + at)[good], key_len[good], (key_at + key_len + at)[good], value_len[good], page[good]
    )


def _facts(walker: Walker, buckets: dict[bytes, Leaves], sizes: tuple[tuple[str, int], ...], main: Ints) -> Backend:
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
    finished = _either(meta.get(b"finishedCompactRev"), _revision)
    scheduled = _either(meta.get(b"scheduledCompactRev"), _revision)
    newest = int(main[-1]) if main.size else 0
    return Backend(
        revision=max(newest, finished or 0, scheduled or 0, 1),
        newest_record=newest,
        compacted=finished,
        scheduled=scheduled,
        storage_version=_either(meta.get(b"storageVersion"), _text),
        cluster_version=_either(cluster.get(b"clusterVersion"), _text),
        consistent_index=_either(meta.get(b"consistent_index"), _number),
        term=_either(meta.get(b"term"), _number),
        members=tuple(_member(key, value) for key, value in pairs(b"members").items()),
        cluster_id=None if pairs(b"members_removed") else _cluster_id(list(pairs(b"members"))),
        buckets=sizes,
        page_size=walker.page_size,
        pages=walker.meta.high_water,
        auth_enabled=pairs(b"auth").get(b"authEnabled") == b"\x01",
    )


def _either(raw: bytes | None, convert: Callable[[bytes], T]) -> T | None:
    """`convert(raw)`, or None where the value is absent or no such thing."""
    try:
        return None if raw is None else convert(raw)
    except (ValueError, struct.error):
        return None


def _number(raw: bytes) -> int:
    return int(struct.unpack(">Q", raw)[0])


def _revision(raw: bytes) -> int:
    return int(struct.unpack(">q", raw[:8])[0])


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")


def _cluster_id(members: list[bytes]) -> int | None:
    """The id that etcd derived from the members a cluster began with (server/etcdserver/api/membership genID).

    Right only while no member came or went; a backend does not store it.
    """
    try:
        ids = sorted(int(member, 16) for member in members)
        digest = hashlib.sha1(struct.pack(f">{len(ids)}Q", *ids), usedforsecurity=False).digest()
    except (ValueError, struct.error):
        return None
    return int.from_bytes(digest[:8]) if ids else None


def _member(key: bytes, value: bytes) -> tuple[str, str]:
    """Member id as it is stored, which should be hexadecimal, and its name."""
    try:
        name = json.loads(value).get("name", "")
    except (ValueError, AttributeError, RecursionError):
        name = ""
    return _text(key), str(name)
