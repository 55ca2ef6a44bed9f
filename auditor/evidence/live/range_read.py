"""The keys under some prefixes at one revision, read in pages of about the same number of bytes."""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

from auditor.evidence.etcd.range_answer import COLUMNS
from auditor.evidence.live import errors
from auditor.evidence.live.client import Client
from auditor.evidence.live.member import Member
from auditor.evidence.live.spool import Spool
from auditor.observer import Observer
from auditor.protobuf import rpc_pb2 as rpc
from auditor.text import encode

FIRST = 16
"""Keys of the first page: the size of the values is not known yet."""
MOST = 10_000
"""Keys of a page at most."""
TARGET = 4 << 20
"""Bytes of a page: an answer of a fraction of a second, which a busy member sends among others."""
GROWTH = 4
"""The factor by which the number of keys grows from page to page, or shrinks after a timeout."""
RESTARTS = 5
"""Attempts after a compaction."""


class Pager:
    """Pages of a range in the order of its keys, each a linearizable read through any endpoint.

    revision: that of all pages; 0 takes the current one with the first page. remaining: keys not read yet.
    """

    def __init__(self, client: Client, revision: int = 0) -> None:
        self.revision = revision
        self.remaining = 0
        self._client = client
        self._limit = FIRST

    def pages(self, start: bytes, end: bytes) -> Iterator[rpc.RangeResponse]:
        """The pages of the keys from `start` to before `end`. Raises Compacted and the other LiveErrors."""
        more = True
        while more:
            answer = self._client.ask(partial(self._page, start, end))
            self.revision = self.revision or answer.header.revision
            self._check(answer, start, end)
            self.remaining = answer.count - len(answer.kvs)
            more = bool(answer.more and answer.kvs)
            if more:
                start = answer.kvs[-1].key + b"\0"
            self._adapt(answer)
            yield answer

    def _check(self, answer: rpc.RangeResponse, start: bytes, end: bytes) -> None:
        """Keys in order and inside the range: else pages would overlap, or never end."""
        keys = [kv.key for kv in answer.kvs]
        inside = not keys or start <= keys[0] <= keys[-1] < end
        if not inside or any(first >= second for first, second in pairwise(keys)):
            raise errors.LiveError(f"{self._client.endpoint}: range: its answer is not the range that was asked for")
        if any(kv.mod_revision > self.revision for kv in answer.kvs):
            raise errors.LiveError(f"{self._client.endpoint}: range: its answer is newer than revision {self.revision}")

    def _page(self, start: bytes, end: bytes, member: Member) -> rpc.RangeResponse:
        request = rpc.RangeRequest(key=start, range_end=end, limit=self._limit, revision=self.revision)
        try:
            return member.range(request)
        except errors.TimedOut:
            self._limit = max(self._limit // GROWTH, 1)
            raise

    def _adapt(self, answer: rpc.RangeResponse) -> None:
        if answer.kvs:
            fitting = TARGET * len(answer.kvs) // max(answer.ByteSize(), 1)
            self._limit = min(max(fitting, 1), GROWTH * self._limit, MOST)


@dataclass(slots=True)
class Range:
    """Keys in the order of prefixes and names; the bytes are in the spool, each key before its value."""

    revision: int = 0
    pages: int = 0
    """Number of answers."""
    depth: int = 0
    """Slashes of the key with the most."""
    index: "array[int]" = field(default_factory=lambda: array("q"))
    """Lengths and revisions, COLUMNS of etcd/range_answer.py for each key."""

    def __len__(self) -> int:
        """Number of keys."""
        return len(self.index) // COLUMNS


def bounds(prefix: str) -> tuple[bytes, bytes]:
    """The range of all keys below a storage prefix: from `/registry/` to before `/registry0`."""
    name = encode(prefix.strip("/"))
    start = b"/" + name + b"/" if name else b"/"
    return start, start[:-1] + bytes([start[-1] + 1])


def read(client: Client, ranges: Sequence[tuple[bytes, bytes]], spool: Spool, observer: Observer) -> Range:
    """Every key of some ranges at one revision. A compaction meanwhile is noted, and all keys are read again.

    Args:
        client: The cluster.
        ranges: First key and end of each; none of them overlap.
        spool: The file for keys and values.
        observer: Hears of the bytes received.

    Raises LiveError, Compacted after RESTARTS compactions, and NoRoom.
    """
    for attempt in range(RESTARTS + 1):
        pager = Pager(client)
        try:
            return _whole(pager, ranges, spool, observer)
        except errors.Compacted as error:
            if attempt == RESTARTS:
                raise
            client.notes.append(f"revision {pager.revision:,} was compacted while it was read: begun again ({error})")
    raise AssertionError


def _whole(pager: Pager, ranges: Sequence[tuple[bytes, bytes]], spool: Spool, observer: Observer) -> Range:
    spool.clear()
    keys = Range()
    for limits in dict.fromkeys(ranges):
        for page in pager.pages(*limits):
            spool.write(b"".join([part for kv in page.kvs for part in (kv.key, kv.value)]))
            for kv in page.kvs:
                keys.depth = max(keys.depth, kv.key.count(b"/"))
                keys.index.extend((len(kv.key), len(kv.value), kv.mod_revision, kv.create_revision, kv.version))
            keys.pages += 1
            if len(keys):
                observer.received(spool.size, spool.size * (len(keys) + pager.remaining) // len(keys))
    keys.revision = pager.revision
    return keys
