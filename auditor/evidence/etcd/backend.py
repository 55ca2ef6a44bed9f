"""The buckets of an etcd backend: its records, and its own facts (revision, compaction, versions, members).

Format: etcd server/storage/schema/ (bucket.go, cindex.go, membership.go) and server/storage/mvcc/kvstore.go.
"""

import hashlib
import json
import re
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from auditor.arrays.dtypes import Ints
from auditor.evidence.batch import RecordBatch
from auditor.evidence.bbolt import freelist, inline
from auditor.evidence.bbolt.elements import IS_BUCKET, Leaves
from auditor.evidence.bbolt.tree import Walker
from auditor.evidence.etcd import accounts, buckets, mvcc
from auditor.evidence.ledger import Account
from auditor.model.evidence import Backend, Gap
from auditor.text import shown

BUCKET_NAME = re.compile(rb"[A-Za-z][A-Za-z_]{0,23}")
LONGEST_NAME = 253
"""Characters of the longest name of a member that is shown: those of a host's name."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Buckets:
    """The contents of a backend."""

    records: RecordBatch
    """The records of the `key` bucket."""
    facts: Backend


def read(walker: Walker) -> Buckets:
    """Walk every bucket under the walker's meta. Invalid pages and elements become gaps of the walker.

    What is not of its type is no part of the walker's ledger.
    """
    contents: dict[bytes, Leaves] = {}
    top = walker.walk(walker.meta.root)
    for row in range(min(top.flags.size, accounts.FEW)):
        name = walker.buffer.slice(int(top.key_at[row]), int(top.key_len[row]))
        at, size = int(top.value_at[row]), int(top.value_len[row])
        if not top.flags[row] & IS_BUCKET:
            walker.gaps.append(Gap(walker.source, at, size, f"offset {at}: a pair outside every bucket"))
            continue
        if name not in buckets.NAMES:
            walker.gaps.append(Gap(walker.source, at, size, f"offset {at}: a bucket that etcd does not know"))
        elif name not in contents:
            walker.ledger.one(Account.STRUCTURE, int(top.key_at[row]), at)
        contents[name] = _bucket(walker, at, size)
    if b"key" not in contents:
        walker.gap(min(walker.meta.root, walker.pages), "no bucket named `key` under the root")
    freelist.check(walker)
    names = _bucket_names(sorted(contents))
    sizes = tuple((names[name], int(leaves.flags.size)) for name, leaves in sorted(contents.items()))
    # the only reference to the one large bucket, so that mvcc.read() can free it
    records, gaps = mvcc.read(walker.buffer, walker.source, contents.pop(b"key", Leaves.empty()), walker.ledger)
    walker.gaps.extend(gaps)
    for name, leaves in contents.items():
        accounts.add_pairs(walker.ledger, walker.buffer, name, leaves)
    return Buckets(records, _facts(walker, contents, sizes, records.mod_revision))


def _bucket(walker: Walker, at: int, size: int) -> Leaves:
    """The pairs of one bucket: its own tree, or a page image inside the value."""
    root = inline.add_header(walker, at, size)
    if root < 0:
        walker.gaps.append(Gap(walker.source, at, size, f"offset {at}: a bucket header needs 16 bytes, found {size}"))
        return Leaves.empty()
    if root:
        leaves = walker.walk(root)
    else:
        at, size = at + inline.BUCKET_HEADER, size - inline.BUCKET_HEADER
        leaves, fault = inline.read(walker, at, size)
        if fault:
            walker.gaps.append(Gap(walker.source, at, size, f"offset {at}: {fault}"))
    subbuckets = (leaves.flags & IS_BUCKET) != 0
    if subbuckets.any():
        offset = int(leaves.value_at[subbuckets][0])
        walker.gaps.append(Gap(walker.source, offset, 0, f"offset {offset}: a bucket inside a bucket, not read"))
        leaves = leaves.take(~subbuckets)
    return leaves


def _facts(
    walker: Walker, contents: dict[bytes, Leaves], sizes: tuple[tuple[str, int], ...], mod_revision: Ints
) -> Backend:
    """The facts in the small buckets; sizes: number of pairs in each bucket; mod_revision: of the records."""

    def pairs(name: bytes) -> dict[bytes, bytes]:
        leaves, buffer = contents.get(name, Leaves.empty()), walker.buffer
        rows = range(min(leaves.flags.size, accounts.FEW))
        return {
            buffer.slice(int(leaves.key_at[i]), int(leaves.key_len[i])): buffer.slice(
                int(leaves.value_at[i]), int(leaves.value_len[i])
            )
            for i in rows
        }

    meta, cluster = pairs(b"meta"), pairs(b"cluster")
    for bucket, key in ((b"meta", b"storageVersion"), (b"cluster", b"clusterVersion")):
        raw = pairs(bucket).get(key)
        if raw is not None and buckets.VERSION.fullmatch(raw) is None:
            at, text = _at(walker, contents[bucket], key), key.decode()
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
    rows = [row for row in range(min(leaves.flags.size, accounts.FEW)) if leaves.key_len[row] == len(key)]
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
    if buckets.VERSION.fullmatch(raw) is None:
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
    member = key.decode("ascii") if buckets.MEMBER_ID.fullmatch(key) else f"no id ({len(key):,} bytes)"
    text = name if isinstance(name, str) and len(name) <= LONGEST_NAME else "no name of a member"
    return member, shown(text)
