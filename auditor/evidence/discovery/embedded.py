"""A store that does not begin with its file: behind a header of another program, or the lines of a terminal.

`kubectl exec` with -t writes its own lines before the bytes; so do wrappers, mails and answers of servers.
"""

import re
import struct

from auditor.arrays.buffer import Buffer
from auditor.evidence.bbolt import meta
from auditor.evidence.containers import magic
from auditor.evidence.containers.magic import Kind

_MAGIC = re.compile(re.escape(struct.pack("<I", meta.MAGIC)) + b"|" + re.escape(struct.pack(">I", meta.MAGIC)))
_SQLITE = re.compile(
    rb"SQLite format 3\0(?:\x00\x01|[\x02\x04\x08\x10\x20\x40\x80]\x00)[\x01\x02][\x01\x02].\x40\x20\x20", re.DOTALL
)
"""The header of a database of SQLite's: magic number, page size, versions, and three fixed fractions."""
_LINE = re.compile(rb"[ -~\t\x1b\x80-\xff]{0,1024}\r?\n")
_PACKED = magic.STREAMS | magic.TEXTS | {Kind.TAR, Kind.ZIP}
_WEAK = frozenset({Kind.ZLIB, Kind.LZMA, Kind.LZW})
"""Kinds whose magic number says too little where a file does not begin with it."""
MOST_LINE = 64


def start(head: bytes) -> int:
    """The offset at which a store, or a container, begins; 0 where none does, or where the file begins with one.

    head: the first magic.HEAD bytes of a file, or all of them.
    """
    return _database(head) or _behind_lines(head)


def _database(head: bytes) -> int:
    if (header := _SQLITE.search(head)) is not None:
        return header.start()
    buffer = Buffer(head)
    for match in _MAGIC.finditer(head, meta.HEADER):
        at = match.start() - meta.HEADER
        first = meta.parse(buffer, at, 0)
        if not isinstance(first, meta.Meta):
            continue
        page = int.from_bytes(buffer.slice(at, 8), "little" if first.order == "<" else "big")
        if page <= 1:
            return max(at - page * first.page_size, 0)
    return 0


def _behind_lines(head: bytes) -> int:
    """The end of the text lines that stand before a container."""
    at = 0
    for _ in range(MOST_LINE):
        if (line := _LINE.match(head, at)) is None:
            return 0
        at = line.end()
        kind = magic.sniff(head[at:])
        if kind in _PACKED and kind not in _WEAK:
            return at
    return 0
