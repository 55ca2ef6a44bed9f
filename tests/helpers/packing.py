"""Files packed in every way in which backups arrive."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import lz4.frame
from backports import zstd

DATA_FILTER: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
"""Of tarfile's extractall() from Python 3.11.4 on; Debian 12 has 3.11.2."""


def in_frames(raw: bytes, pack: Callable[[bytes], bytes]) -> bytes:
    """As pzstd packs: frames, and before each a skippable one, which says how long the next is."""
    half = len(raw) // 2
    frames = [pack(part) for part in (raw[:half], raw[half:])]
    return b"".join(struct.pack("<IIQ", 0x184D2A50, 8, len(frame)) + frame for frame in frames)


STREAMS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "zstd": zstd.compress,
    "xz": lambda raw: lzma.compress(raw, preset=0),
    "bzip2": bz2.compress,
    "lz4": lz4.frame.compress,
    "lzma": lambda raw: lzma.compress(raw, lzma.FORMAT_ALONE, preset=0),
    "zstd of pzstd": lambda raw: in_frames(raw, zstd.compress),
    "lz4 in frames": lambda raw: in_frames(raw, lz4.frame.compress),
}
METHODS = {"stored": zipfile.ZIP_STORED, "deflate": zipfile.ZIP_DEFLATED, "bzip2": zipfile.ZIP_BZIP2}


def lzw(raw: bytes, *, clear: bool = True, emptied: bool = True) -> bytes:
    """As Go's compress/lzw packs (LSB, 8): clear: with the code of an empty table first, as newer versions write.

    emptied: empty the table when it is full, as Go does; else it stays, as its reader allows.
    """
    codes: list[tuple[int, int]] = [(256, 9)] if clear else []
    table: dict[bytes, int] = {}
    count = 0  # codes since the table was empty: a code is as wide as the highest that the reader may know by then
    word = b""
    for octet in raw:
        longer = word + bytes([octet])
        if len(longer) == 1 or longer in table:
            word = longer
            continue
        codes.append((_code(table, word), _width(count)))
        count += 1
        if 257 + count == 4095 and emptied:
            codes.append((256, 12))
            table.clear()
            count = 0
        elif 257 + count < 4096:
            table[longer] = 257 + count
        word = longer[-1:]
    if word:
        codes.append((_code(table, word), _width(count)))
        count += 1
        if 257 + count == 4095 and emptied:
            codes.append((256, 12))
            count = 0
    codes.append((257, _width(count)))
    return lzw_of(codes)


def lzw_of(codes: Sequence[tuple[int, int]]) -> bytes:
    """Codes and their widths as they lie in the file."""
    bits = "".join(format(code, f"0{width}b")[::-1] for code, width in codes)
    bits += "0" * (-len(bits) % 8)
    return int(bits[::-1] or "0", 2).to_bytes(len(bits) // 8, "little")


def lzw_codes(packed: bytes) -> Iterator[tuple[int, int]]:
    """The codes and their widths, up to the end's, or that of the file."""
    word, left, count, fed, code = 0, 0, 0, iter(packed), 0
    while code != 257:
        width = _width(count)
        while left < width:
            octet = next(fed, None)
            if octet is None:
                return
            word, left = word | octet << left, left + 8
        code = word & (1 << width) - 1
        word, left = word >> width, left - width
        count = 0 if code == 256 else count + 1
        yield code, width


def unlzw(packed: bytes) -> tuple[bytes, bool]:
    """What the codes stand for, as far as they go, and whether they go to their end: one by one, as Go reads them."""
    start = [*(bytes([octet]) for octet in range(256)), b"", b""]
    table, last, out = list(start), b"", bytearray()
    for code, _ in lzw_codes(packed):
        if code == 257:
            return bytes(out), True
        if code == 256:
            table, last = list(start), b""
            continue
        if last and len(table) < 4096:
            table.append(last + (table[code] if code < len(table) else last)[:1])
        if code >= len(table):
            break
        last = table[code]
        out += last
    return bytes(out), False


def _code(table: dict[bytes, int], word: bytes) -> int:
    return word[0] if len(word) == 1 else table[word]


def _width(count: int) -> int:
    return min(max((257 + count).bit_length(), 9), 12)


def tar(files: Mapping[str, bytes], *, mode: int = 0o600) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, raw in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(raw), mode
            archive.addfile(info, io.BytesIO(raw))
    return out.getvalue()


def tar_folder(folder: Path) -> Path:
    """A tar beside a folder, of all that is in it."""
    target = folder.with_name(f"{folder.name}.tar")
    with tarfile.open(target, "w") as archive:
        archive.add(folder, folder.name)
    return target


def tar_of(*members: tarfile.TarInfo, content: bytes = b"") -> bytes:
    """A tar of members as they are given; regular ones have the content."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for info in members:
            if info.isreg():
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return out.getvalue()


def zip_archive(files: Mapping[str, bytes], method: str = "deflate") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", METHODS[method]) as archive:
        for name, raw in files.items():
            archive.writestr(name, raw)
    return out.getvalue()


def ways() -> dict[str, Callable[[str, bytes], tuple[bytes, str]]]:
    """By name: (name, content) -> the container and the way in to the content, from the container's own name on."""
    archives: dict[str, Callable[[str, bytes], tuple[bytes, str]]] = {}
    for kind, pack in STREAMS.items():
        archives[kind] = lambda name, raw, pack=pack: (pack(raw), "!unpacked")  # type: ignore[misc]
        archives[f"tar in {kind}"] = lambda name, raw, pack=pack: (pack(tar({name: raw})), f"!{name}")  # type: ignore[misc]
        archives[f"{kind} in tar"] = lambda name, raw, pack=pack: (  # type: ignore[misc]
            tar({f"{name}.gz": pack(raw)}),
            f"!{name}.gz!{name}",
        )
    for method in METHODS:
        archives[f"zip, {method}"] = lambda name, raw, method=method: (  # type: ignore[misc]
            zip_archive({name: raw}, method),
            f"!{name}",
        )
    archives["tar"] = lambda name, raw: (tar({f"./backup/{name}": raw}), f"!backup/{name}")
    archives["zip in tar"] = lambda name, raw: (tar({"a.zip": zip_archive({name: raw})}), f"!a.zip!{name}")
    archives["gzip in zip in tar in xz"] = lambda name, raw: (
        STREAMS["xz"](tar({"a.zip": zip_archive({f"{name}.gz": gzip.compress(raw)})})),
        f"!a.zip!{name}.gz!{name}",
    )
    archives["gzip twice"] = lambda name, raw: (gzip.compress(gzip.compress(raw)), "!unpacked!unpacked")
    archives["RKE1's zip"] = lambda name, raw: (zip_archive({f"/backup/{name}": raw}), f"!backup/{name}")
    return archives
