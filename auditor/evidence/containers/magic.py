"""The kind of a file by its magic number; its name does not count.

Magic numbers: RFC 1952 (gzip), RFC 1950 (zlib), RFC 8878 (zstd, and skippable frames), xz-file-format 1.1,
lzma-file-format (in xz), APPNOTE.TXT 4.3 (zip), the LZ4 frame format, sqlite.org/fileformat2.html, POSIX pax (tar: the
checksum of its header); bbolt page.go and bucket.go (a meta page's magic).
"""

import codecs
import mmap
import re
import struct
from enum import Enum

from auditor.evidence.containers import object_backups, text_encodings

MAGIC = 0xED0CDAED
FIRST_META = 16
"""The magic's offset in a page; the second meta page lies one page size behind the first."""
PAGE_SIZES = tuple(1 << bits for bits in range(10, 17))
HEAD = PAGE_SIZES[-1] + FIRST_META + 4
"""Leading bytes that identify any kind."""
POSTGRES, CUSTOM = b"PGDMP", 1
"""The magic number of pg_dump's archives, and the format in which data follows the table of contents
(pg_backup_archiver.h); it stands behind three bytes of a version and two sizes."""
RECORD = 512
CHECKSUM = slice(148, 156)
_OCTAL = re.compile(rb"[ \0]*([0-7]+)[ \0]*")


class Kind(Enum):
    """The kinds of content; the value is their name in words."""

    DATABASE = "etcd database"
    GZIP = "gzip"
    ZLIB = "zlib"
    ZSTD = "zstd"
    XZ = "xz"
    LZMA = "lzma"
    BZIP2 = "bzip2"
    LZ4 = "lz4"
    LZW = "LZW"
    ZIP = "zip"
    TAR = "tar"
    SQLITE = "SQLite database"
    SQLITE_LOG = "SQLite WAL"
    OBJECT_BACKUP = "tar of objects"
    POSTGRES_ARCHIVE = "archive of pg_dump"
    POSTGRES_TOC = "table of contents of pg_dump's"
    BASE64 = "base64"
    HEX = "hex"
    UTF16 = "UTF-16"
    UTF8_MARK = "UTF-8 with a byte order mark"
    CLOSED = "closed"
    OTHER = "other"


STREAMS = frozenset({Kind.GZIP, Kind.ZLIB, Kind.ZSTD, Kind.XZ, Kind.LZMA, Kind.BZIP2, Kind.LZ4, Kind.LZW})
"""Compressed streams of one file each."""
FRAMED = frozenset({Kind.ZSTD, Kind.LZ4})
"""Streams of frames, with skippable frames among them."""
ENCODINGS = frozenset({Kind.UTF16, Kind.UTF8_MARK})
"""Exports in another encoding than their program writes: a redirection of PowerShell's, an editor on Windows."""
TEXTS = frozenset({Kind.BASE64, Kind.HEX}) | ENCODINGS
"""Texts that stand for a file of another kind."""
STORES = frozenset({Kind.DATABASE, Kind.SQLITE, Kind.SQLITE_LOG, Kind.OBJECT_BACKUP})
"""Files with stored values."""
CONTAINERS = STREAMS | TEXTS | {Kind.ZIP, Kind.TAR, Kind.CLOSED, Kind.POSTGRES_ARCHIVE}
_WEAK = frozenset({Kind.OTHER, Kind.ZLIB, Kind.LZMA, Kind.LZW})
"""Kinds that a decoded text may seem by chance: their magic numbers are of two bytes, or none."""
_MAGIC_NUMBERS = (
    (b"\x1f\x8b", Kind.GZIP),
    (b"\x28\xb5\x2f\xfd", Kind.ZSTD),
    (b"\xfd7zXZ\x00", Kind.XZ),
    (b"\x04\x22\x4d\x18", Kind.LZ4),
    (b"SQLite format 3\x00", Kind.SQLITE),
    (b"\x37\x7f\x06\x82", Kind.SQLITE_LOG),
    (b"\x37\x7f\x06\x83", Kind.SQLITE_LOG),
    (b"PK\x03\x04", Kind.ZIP),
    (b"PK\x05\x06", Kind.ZIP),
    (b"PK\x07\x08", Kind.ZIP),
)
_EVENTS = b'[{"etcdEvent"'
_LZW = {256, 0, _EVENTS[0]}
"""The first code of 9 bits: the one that empties the table (newer writers), or a database's or a list's first byte."""
_SKIPPABLE_MAGIC = 0x184D2A50
"""The lowest of sixteen magic numbers of a skippable frame."""
_FRAME = struct.Struct("<II")
SKIPPABLE = _FRAME.size
"""The length of a skippable frame's header."""
_LZMA = struct.Struct("<BIQ")
_USUAL, _NOT_STATED, _LARGEST = 0x5D, (1 << 64) - 1, 1 << 38
_UNSUPPORTED = {
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"Rar!\x1a\x07": "RAR",
    b"\x1f\x9d": "Unix compress",
    b"\x02\x21\x4c\x18": "legacy LZ4",
    b"LZIP": "lzip",
    b"\x89LZO": "lzop",
    b"\xff\x06\x00\x00sNaPpY": "Snappy",
    b"070701": "cpio",
    b"070707": "cpio",
    b"!<arch>\n": "ar",
    b"QFI\xfb": "a QCOW2 disk image",
    b"Salted__": "OpenSSL-encrypted",
    b"age-encryption.org/": "age-encrypted",
    b"-----BEGIN PGP MESSAGE": "PGP-encrypted",
    b"-----BEGIN AGE ENCRYPTED": "age-encrypted",
    b"begin 6": "uuencoded",
    b"00000000: ": "a hex dump of xxd",
    b"00000000  ": "a hex dump",
    b"0000000 ": "an octal or hex dump",
}
"""Containers that this program recognises and does not open."""


def sniff(head: bytes) -> Kind:
    """The kind of a file by its first HEAD bytes, or all of them."""
    kind = _by_magic_number(head)
    if _has_meta(head, FIRST_META) and kind is None:  # a small database may stand in packed bytes as it is
        return Kind.DATABASE
    if is_tar_header(head):  # its first member may be a database that begins where a second meta page would
        return Kind.TAR if object_backups.kind(head) is None else Kind.OBJECT_BACKUP
    if kind is not None:
        return kind
    if head.startswith(POSTGRES):
        return Kind.POSTGRES_ARCHIVE if head[10:11] == bytes([CUSTOM]) else Kind.POSTGRES_TOC
    if any(_has_meta(head, size + FIRST_META) for size in PAGE_SIZES):
        return Kind.DATABASE
    if head[:3] == b"BZh" and head[4:10] in {b"\x31\x41\x59\x26\x53\x59", b"\x17\x72\x45\x38\x50\x90"}:
        return Kind.BZIP2
    if len(head) > 2 and head[0] == 0x78 and head[1] in {0x01, 0x5E, 0x9C, 0xDA}:
        return Kind.ZLIB
    if _is_lzma(head):
        return Kind.LZMA
    if closed(head):
        return Kind.CLOSED
    return Kind.LZW if _is_lzw(head) else _text(head)


def of(mapping: mmap.mmap) -> Kind:
    """The kind of a mapped file."""
    return sniff(mapping[:HEAD])


def closed(head: bytes) -> str:
    """The name of a container that this program recognises and does not open; empty for everything else."""
    return next((name for start, name in _UNSUPPORTED.items() if head.startswith(start)), "")


def _text(head: bytes) -> Kind:
    """The kind of a text that stands for a file with a magic number, or for an export; else OTHER."""
    if kind := _encoding(head):
        return kind
    content = text_encodings.decoded_head(head)
    if not content or (sniff(content) in _WEAK and not _is_dump(content)):
        return Kind.OTHER
    return Kind.HEX if text_encodings.is_hex(head) else Kind.BASE64


def _encoding(head: bytes) -> Kind | None:
    """The encoding of an export that is not in its own; None for any other text. Objects are read behind a mark."""
    text = text_encodings.unmarked(head)
    if not text:
        return None
    from auditor.evidence.containers import exports, foreign

    if _is_dump(text) or exports.sql_dump(text) is not None:
        return Kind.UTF8_MARK if head.startswith(codecs.BOM_UTF8) else Kind.UTF16
    return Kind.UTF16 if not head.startswith(codecs.BOM_UTF8) and foreign.is_objects(text) else None


def _is_dump(head: bytes) -> bool:
    from auditor.evidence.containers import exports

    return exports.JSON_DUMP.match(head) is not None or exports.is_increment(head)


def _by_magic_number(head: bytes) -> Kind | None:
    """The kind by a magic number at the beginning, or behind skippable frames: pzstd begins with one."""
    at = 0
    while length := skippable(head[at : at + SKIPPABLE]):
        at += length
    return next(
        (kind for start, kind in _MAGIC_NUMBERS if head.startswith(start, at) and (not at or kind in FRAMED)), None
    )


def skippable(head: bytes) -> int:
    """The length of the skippable frame at the beginning, its header included; 0 where there is none."""
    if len(head) < SKIPPABLE:
        return 0
    magic, size = _FRAME.unpack_from(head)
    return SKIPPABLE + size if magic & 0xFFFFFFF0 == _SKIPPABLE_MAGIC else 0


def _is_lzma(head: bytes) -> bool:
    """Whether this is a header as `xz --format=lzma` writes it: the usual properties, a window of 2^n or 2^n + 2^(n-1)
    bytes, and no size or one under 256 GB: the rule of `xz` itself."""
    if len(head) <= _LZMA.size:
        return False
    properties, window, size = _LZMA.unpack_from(head)
    highest = 1 << max(window.bit_length() - 1, 0)
    usual = properties == _USUAL and window in {highest, highest | highest >> 1}
    return usual and (size == _NOT_STATED or size < _LARGEST)


def _has_meta(head: bytes, at: int) -> bool:
    """Whether the magic of a meta page stands at `at`, in either byte order."""
    return head[at : at + 4] in {struct.pack("<I", MAGIC), struct.pack(">I", MAGIC)}


def begins_with_meta(head: bytes) -> bool:
    """Whether the first page of a database is a meta page by its magic number."""
    return _has_meta(head, FIRST_META)


def _is_lzw(head: bytes) -> bool:
    """Whether these are LZW codes, which have no magic number, of an etcd database or a list of events."""
    if len(head) < 3 or head[0] | (head[1] & 1) << 8 not in _LZW:
        return False
    from auditor.evidence.containers import lzw

    content = lzw.plaintext_head(head)
    return content.startswith(_EVENTS) or _has_meta(content, FIRST_META)


def is_tar_header(head: bytes) -> bool:
    """Whether a tar's member begins here: the checksum of its record is right.

    It is the sum of the record's bytes, with spaces in the checksum's own field.
    """
    stated = _OCTAL.fullmatch(head[CHECKSUM])
    if len(head) < RECORD or stated is None or not any(head[:RECORD]):
        return False
    return int(stated[1], 8) == sum(head[: CHECKSUM.start]) + 8 * ord(" ") + sum(head[CHECKSUM.stop : RECORD])
