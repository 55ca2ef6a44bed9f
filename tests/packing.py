"""Files packed in every way in which backups arrive."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping

import lz4.frame
from backports import zstd

STREAMS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "zstd": zstd.compress,
    "xz": lambda raw: lzma.compress(raw, preset=0),
    "bzip2": bz2.compress,
    "lz4": lz4.frame.compress,
}
METHODS = {"stored": zipfile.ZIP_STORED, "deflate": zipfile.ZIP_DEFLATED, "bzip2": zipfile.ZIP_BZIP2}


def tar(files: Mapping[str, bytes], *, mode: int = 0o600) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, raw in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(raw), mode
            archive.addfile(info, io.BytesIO(raw))
    return out.getvalue()


def tar_of(*members: tarfile.TarInfo, content: bytes = b"") -> bytes:
    """A tar of members as they are given; regular ones have the content."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for info in members:
            if info.isreg():
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return out.getvalue()


def zipped(files: Mapping[str, bytes], method: str = "deflate") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", METHODS[method]) as archive:
        for name, raw in files.items():
            archive.writestr(name, raw)
    return out.getvalue()


def ways() -> dict[str, Callable[[str, bytes], tuple[bytes, str]]]:
    """By name: (name, content) -> the container and the way in to the content, from the container's own name on."""
    made: dict[str, Callable[[str, bytes], tuple[bytes, str]]] = {}
    for kind, pack in STREAMS.items():
        made[kind] = lambda name, raw, pack=pack: (pack(raw), "!unpacked")  # type: ignore[misc]
        made[f"tar in {kind}"] = lambda name, raw, pack=pack: (pack(tar({name: raw})), f"!{name}")  # type: ignore[misc]
        made[f"{kind} in tar"] = lambda name, raw, pack=pack: (  # type: ignore[misc]
            tar({f"{name}.gz": pack(raw)}),
            f"!{name}.gz!{name}",
        )
    for method in METHODS:
        made[f"zip, {method}"] = lambda name, raw, method=method: (  # type: ignore[misc]
            zipped({name: raw}, method),
            f"!{name}",
        )
    made["tar"] = lambda name, raw: (tar({f"./backup/{name}": raw}), f"!backup/{name}")
    made["zip in tar"] = lambda name, raw: (tar({"a.zip": zipped({name: raw})}), f"!a.zip!{name}")
    made["gzip in zip in tar in xz"] = lambda name, raw: (
        STREAMS["xz"](tar({"a.zip": zipped({f"{name}.gz": gzip.compress(raw)})})),
        f"!a.zip!{name}.gz!{name}",
    )
    made["gzip twice"] = lambda name, raw: (gzip.compress(gzip.compress(raw)), "!unpacked!unpacked")
    made["RKE1's zip"] = lambda name, raw: (zipped({f"/backup/{name}": raw}), f"!backup/{name}")
    return made
