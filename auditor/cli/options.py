"""Options that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from auditor.options import Options


class Level(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


Evidence = Annotated[
    str,
    typer.Argument(
        help="An etcd snapshot, a raw member/snap/db, a data directory, a container of such (zip, tar, gzip, zstd, xz, "
        "bzip2, lz4, zlib), https://HOST:2379, or the URL of an object (s3, gs, az, https).",
        show_default=False,
        envvar="ETCDCTL_ENDPOINTS",
    ),
]
Evidences = Annotated[
    list[str],
    typer.Argument(
        help="Etcd snapshots, raw member/snap/db files, data directories, containers of such (zip, tar, gzip, zstd, "
        "xz, bzip2, lz4, zlib), folders of them, patterns, URLs of objects (s3, gs, az, https); or one "
        "https://HOST:2379.",
        show_default=False,
        envvar="ETCDCTL_ENDPOINTS",
    ),
]
WorkDir = Annotated[
    Path | None,
    typer.Option(
        help="Folder for what is unpacked or streamed, in files without a name; the system's temporary folder when "
        "left out.",
        show_default=False,
    ),
]
MaxUnpacked = Annotated[int, typer.Option(min=1, help="Bytes that one container may unpack to.")]
MaxRatio = Annotated[int, typer.Option(min=1, help="Bytes that it may unpack to for each byte of its own.")]
WalDir = Annotated[
    Path | None, typer.Option(help="The WAL of a data directory, where it lies elsewhere.", show_default=False)
]
Prefixes = Annotated[
    list[str] | None,
    typer.Option(
        "--storage-prefix",
        help="kube-apiserver's --etcd-prefix; repeatable. Default: detected.",
        show_default=False,
    ),
]
Configurations = Annotated[
    list[Path] | None,
    typer.Option(
        "--encryption-config",
        help="An EncryptionConfiguration; repeatable for several API servers.",
        show_default=False,
    ),
]
Plugins = Annotated[
    list[str] | None,
    typer.Option(
        "--kms-plugin", help="NAME[=unix:///path]: a KMS plugin that may be called; repeatable.", show_default=False
    ),
]
Keks = Annotated[
    list[str] | None,
    typer.Option("--current-kek", help="NAME=KEYID: the KEK in force of a KMS; repeatable.", show_default=False),
]
FailOn = Annotated[Level, typer.Option(help="Minimum severity that fails the run (exit 1).")]
Quick = Annotated[bool, typer.Option("--quick", help="Only latest, history and deleted; no hashing.")]
AcceptPartial = Annotated[
    bool,
    typer.Option(
        "--accept-partial",
        help="Let --quick or --range conclude: what they leave out does not make the exit code 3.",
    ),
]


def library_options(**values: Any) -> Options:
    """The library's options from a command's: lists become tuples, paths text; an absent option keeps its default."""
    return Options(**{name: _plain(value) for name, value in values.items() if value is not None})


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(str, value))
    return str(value) if isinstance(value, Path) else value
