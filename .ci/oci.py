"""A container image as an OCI layout (image-spec 1.0) of one layer, and the check of one.

python3 .ci/oci.py make ROOT LAYOUT
python3 .ci/oci.py check LAYOUT
"""

import gzip
import hashlib
import io
import json
import platform
import sys
import tarfile
from pathlib import Path
from typing import Any

USER = 65532
"""The user's number: distroless' nonroot."""
TYPE = "application/vnd.oci.image"
EPOCH = "1980-01-01T00:00:00Z"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def make(root: Path, layout: Path) -> None:
    """Write a layout with the files of a folder."""
    layer = _layer(root)
    (layout / "blobs" / "sha256").mkdir(parents=True)
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    config = {
        "created": EPOCH,
        "architecture": ARCHITECTURES[platform.machine()],
        "os": "linux",
        "config": {
            "User": f"{USER}:{USER}",
            "Entrypoint": ["/etcd-auditor/etcd-auditor"],
            "Cmd": ["--help"],
            "Env": ["PATH=/etcd-auditor", "HOME=/tmp", "LANG=C.UTF-8"],
            "WorkingDir": "/",
            "Labels": {"org.opencontainers.image.title": "etcd-auditor"},
        },
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        "history": [{"created": EPOCH, "created_by": ".ci/image"}],
    }
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, filename="") as file:
        file.write(layer)
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{TYPE}.manifest.v1+json",
        "config": _blob(layout, json.dumps(config).encode(), f"{TYPE}.config.v1+json"),
        "layers": [_blob(layout, packed.getvalue(), f"{TYPE}.layer.v1.tar+gzip")],
    }
    entry = _blob(layout, json.dumps(manifest).encode(), f"{TYPE}.manifest.v1+json")
    entry["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))


def check(layout: Path) -> None:
    """Exit with a message where a blob is not what a digest says, or the image runs as root."""
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    manifest = json.loads(_read(layout, entry))
    config = json.loads(_read(layout, manifest["config"]))
    (layer,) = manifest["layers"]
    content = gzip.decompress(_read(layout, layer))
    if config["rootfs"]["diff_ids"] != [_digest(content)]:
        sys.exit(".ci/oci.py: the layer is not the one that the configuration names")
    if config["config"]["User"].startswith("0") or not config["config"]["User"]:
        sys.exit(".ci/oci.py: the image runs as root")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        names = archive.getnames()
        if "etcd-auditor/etcd-auditor" not in names or any(name.startswith(("/", "..")) for name in names):
            sys.exit(".ci/oci.py: the layer lacks the program, or leads outside")


def _layer(root: Path) -> bytes:
    """A tar of a folder: sorted, of root, without times. /tmp is for everyone; a read-only root mounts its own."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(root.rglob("*")):
            info = archive.gettarinfo(str(path), str(path.relative_to(root)))
            info.uid = info.gid = info.mtime = 0
            info.uname = info.gname = ""
            info.mode = 0o1777 if info.name == "tmp" else 0o755
            if info.isfile():
                with path.open("rb") as file:
                    archive.addfile(info, file)
            else:
                archive.addfile(info)
    return out.getvalue()


def _blob(layout: Path, content: bytes, kind: str) -> dict[str, Any]:
    """A descriptor of what is written."""
    digest = _digest(content)
    layout.joinpath("blobs", *digest.split(":")).write_bytes(content)
    return {"mediaType": kind, "digest": digest, "size": len(content)}


def _read(layout: Path, descriptor: dict[str, Any]) -> bytes:
    content = layout.joinpath("blobs", *descriptor["digest"].split(":")).read_bytes()
    if _digest(content) != descriptor["digest"] or len(content) != descriptor["size"]:
        sys.exit(f".ci/oci.py: a blob is not {descriptor['digest']}")
    return content


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


if __name__ == "__main__":
    {"make": make, "check": check}[sys.argv[1]](*map(Path, sys.argv[2:]))
