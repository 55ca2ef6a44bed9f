"""Containers of two snapshots, one with the canary and one without: what hides the first must not leave the second to
speak for both. And what can still be taken out of a damaged container, by the libraries that the containers are of.
"""

import bz2
import io
import lzma
import random
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import lz4.frame
from backports import zstd

from tests.fuzz import archive_damage as damage
from tests.fuzz import mutate
from tests.fuzz.base import CANARY, Base, holds
from tests.helpers import packing

STEP = 512
DEEPEST = 8
MOST = 64 << 20
"""Bytes that are taken out of one container: mutated sizes may name more."""
NOTES = ("backup/notes.txt", b"nothing of etcd's\n" * 40)
NAMES = [
    "backup/canary.db", "canary", "a.txt", "snapshot.json", "member/snap/db", "snap/db", "member/wal/0.wal", "x.db.gz",
    "../canary.db", "/canary.db", "a/../../b", "", ".", "a" * 300, "é\ud800.db", "line\nbreak.db", "a\\b.db", "C:/a.db",
    "etcd-snapshot-n-1700000000", "server/cred/encryption-config.json", "backup//./canary.db", "state.db",
    "state.db-wal",
]  # fmt: skip


def make(latest: Base) -> list[Base]:
    """One base a format; each holds the same files, and is clean where both snapshots are."""
    canary, clean = ("backup/canary.db", latest.data), ("backup/clean.db", latest.clean)
    return [
        replace(_base(kind, latest, canary, clean, NOTES), alone=_base(kind, latest, canary, NOTES)) for kind in PACKS
    ]


def _base(kind: str, latest: Base, *parts: tuple[str, bytes]) -> Base:
    """parts: the files in it, that with the canary first."""
    pack = PACKS[kind]
    return Base(
        kind,
        pack(dict(parts)),
        partial(change, kind=kind, pack=pack, parts=parts),
        latest.config,
        name="mutated.pack",
        clean=pack({**dict(parts), parts[0][0]: latest.clean}),
        readable=readable,
        whole=whole,
    )


Pack = Callable[[Any], bytes]


def _stream(files: Any, *, kind: str) -> bytes:
    return packing.STREAMS[kind](packing.tar(files))


def _zip(files: Any) -> bytes:
    return packing.zip_archive(files, "deflate")


def _nested(files: Any) -> bytes:
    """A zip in a tar in xz: the canary's snapshot in gzip too."""
    inner = {name: raw for name, raw in files.items() if "canary" not in name}
    inner |= {f"{name}.gz": packing.STREAMS["gzip"](raw) for name, raw in files.items() if "canary" in name}
    return packing.STREAMS["xz"](packing.tar({"a.zip": _zip(inner)}))


PACKS: dict[str, Pack] = {
    **{kind: partial(_stream, kind=kind) for kind in packing.STREAMS},
    "tar": packing.tar,
    "zip": _zip,
    "nested": _nested,
}


def _one(raw: bytes, *, pack: Pack) -> bytes:
    return pack({"x": raw})


AGAIN: tuple[Callable[[bytes], bytes], ...] = (
    *packing.STREAMS.values(), partial(_one, pack=packing.tar), partial(_one, pack=_zip)
)  # fmt: skip


def change(data: bytes, seed: int, *, kind: str, pack: Pack, parts: tuple[tuple[str, bytes], ...]) -> bytes:
    """The snapshot damaged before it is packed, other files and names packed, or the container itself damaged."""
    rng = random.Random(seed)
    files = dict(parts)
    (name, snapshot), *_ = parts
    how = rng.random()
    if how < 0.2:
        files[name] = mutate.mutate(snapshot, seed, log=False)
        return pack(files)
    if how < 0.4:
        try:
            return pack(_renamed(files, rng)) if kind != "tar" or rng.random() < 0.4 else _members(files, rng)
        except (ValueError, IndexError, struct.error):  # no name for this format
            return data
    alone = kind in packing.STREAMS and rng.random() < 0.3
    return damage.mutate(packing.STREAMS[kind](snapshot) if alone else data, rng, kind)


def _renamed(files: dict[str, bytes], rng: random.Random) -> dict[str, bytes]:
    """Odd names, another order, a snapshot packed once more or often, no snapshot but one."""
    made: list[tuple[str, bytes]] = []
    for name, raw in files.items():
        if rng.random() < 0.5:
            name = rng.choice(NAMES)
        while rng.random() < 0.3 and len(raw) > 1000:
            raw = rng.choice(AGAIN)(raw)
        if rng.random() < 0.9:
            made.append((name, raw))
    rng.shuffle(made)
    return dict(made)


def _members(files: dict[str, bytes], rng: random.Random) -> bytes:
    """A tar of links, devices, sparse and doubled members, and of extended headers that say otherwise."""
    out = io.BytesIO()
    form = rng.choice([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, raw in files.items():
            for _ in range(rng.choice([1, 1, 2])):
                info = tarfile.TarInfo(rng.choice([name, name, rng.choice(NAMES)]))
                info.size = len(raw)
                info.type = rng.choice([tarfile.REGTYPE] * 6 + [tarfile.AREGTYPE, tarfile.CONTTYPE, b"S", b"Z"])
                if form == tarfile.PAX_FORMAT and rng.random() < 0.5:
                    field = rng.choice(
                        ["size", "path", "GNU.sparse.size", "GNU.sparse.map", "GNU.sparse.major", "comment"]
                    )
                    info.pax_headers = {
                        field: rng.choice(["0", "1", "-1", str(len(raw) - 512), "1" * 40, "x", "0,512"])
                    }
                archive.addfile(info, io.BytesIO(raw))
                if rng.random() < 0.2:
                    other = tarfile.TarInfo(rng.choice(NAMES))
                    other.type = rng.choice(
                        [tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
                    )
                    other.linkname = rng.choice(NAMES)
                    archive.addfile(other)
    return out.getvalue()


def readable(data: bytes) -> bool:
    return any(holds((CANARY,), piece) for piece, _ in contents(data))


def whole(data: bytes) -> bool:
    return all(sound for _, sound in contents(data))


def contents(data: bytes, depth: int = 0) -> Iterator[tuple[bytes, bool]]:
    """All that can be taken out, as far as it goes, and whether it went to its end; the bytes themselves first."""
    yield data, True
    if depth > DEEPEST:
        return
    tar = data[257:262] == b"ustar"  # its first bytes are a name: `x.db` begins as zlib's data does
    begin = 0 if tar else _past_skippable(data)
    for start, opener in _OPENERS:
        if data.startswith(start, begin) and not tar:
            raw, sound = _unpacked(data, opener)
            yield b"", sound
            yield from contents(raw, depth + 1)
            return
    if tar:
        yield from _tarred(data, depth)
    elif b"PK\x05\x06" in data[-70_000:] or data.startswith(b"PK"):
        yield from _zipped(data, depth)


_OPENERS: tuple[tuple[bytes, Callable[[], Any]], ...] = (
    (b"\x1f\x8b", partial(zlib.decompressobj, 31)),
    (b"\x78", zlib.decompressobj),
    (b"\x28\xb5\x2f\xfd", zstd.ZstdDecompressor),
    (b"\xfd7zXZ", lzma.LZMADecompressor),
    (b"\x04\x22\x4d\x18", lz4.frame.LZ4FrameDecompressor),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\x5d\x00\x00", partial(lzma.LZMADecompressor, lzma.FORMAT_ALONE)),
)


def _past_skippable(data: bytes) -> int:
    """Where the first frame of zstd or lz4 begins that is no skippable one (RFC 8878, 3.1.2)."""
    at = 0
    while len(data) >= at + 8 and data[at] & 0xF0 == 0x50 and data[at + 1 : at + 4] == b"\x2a\x4d\x18":
        at += 8 + int.from_bytes(data[at + 4 : at + 8], "little")
    return at


def _unpacked(data: bytes, opener: Callable[[], Any]) -> tuple[bytes, bool]:
    """Every stream that stands behind another, as far as each unpacks."""
    out = bytearray()
    rest = data
    while rest := rest[_past_skippable(rest) :].lstrip(b"\0"):
        one = opener()
        fed = 0
        try:
            while not one.eof and fed < len(rest) and len(out) < MOST:
                out += one.decompress(rest[fed : fed + STEP])
                fed += STEP
        except Exception:  # noqa: BLE001 - each library has exceptions of its own
            return bytes(out), False
        if not one.eof:
            return bytes(out), False
        rest = (one.unused_data or b"") + rest[fed:]
    return bytes(out), True


def _zipped(data: bytes, depth: int) -> Iterator[tuple[bytes, bool]]:
    """What the directory names, and what stands behind any member's own header."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in archive.infolist():
                yield from contents(archive.read(info), depth + 1)
    except Exception:  # noqa: BLE001 - as above
        yield b"", False
    at = data.find(b"PK\x03\x04")
    while at >= 0:
        name, extra = (int.from_bytes(data[at + place : at + place + 2], "little") for place in (26, 28))
        raw, _ = _unpacked(data[at + 30 + name + extra :], partial(zlib.decompressobj, -15))
        for piece, _ in contents(raw, depth + 1):
            yield piece, True
        at = data.find(b"PK\x03\x04", at + 4)


def _tarred(data: bytes, depth: int) -> Iterator[tuple[bytes, bool]]:
    try:
        with tarfile.open(fileobj=io.BytesIO(data), ignore_zeros=True) as archive:
            for member in archive:
                held = archive.extractfile(member) if member.isreg() else None
                if held is not None:
                    yield from contents(held.read(), depth + 1)
    except Exception:  # noqa: BLE001 - as above
        yield b"", False
