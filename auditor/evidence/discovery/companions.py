"""Files beside a snapshot that may hold its keys: looked for by name, and in folders that were named by content too.

Names: cluster-etcd-operator bindata/etcd/cluster-backup.sh (OpenShift's pair of files with one stamp), k3s
pkg/daemons/control (server/cred/encryption-config.json), rke cluster/state.go (.rkestate), kubespray
roles/kubernetes/control-plane (secrets_encryption.yaml), kops (encryptionconfig.yaml), k0s (k0s.yaml), and the
Kubernetes documentation's own example, which kubeadm's users follow (enc.yaml).
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

_OPENSHIFT = re.compile(r"snapshot_(\d{4}-\d\d-\d\d_\d{6})(__POSSIBLY_DIRTY__)?\.db")
_DIRTY = "__POSSIBLY_DIRTY__"
_ARCHIVE = re.compile(rf"static_kuberesources_(\d{{4}}-\d\d-\d\d_\d{{6}})({_DIRTY})?\.tar\.gz")
_FIXED = (
    "encryption-config.json",
    "encryption-config.yaml",
    "encryption-provider-config.yaml",
    "encryptionconfig.yaml",
    "enc.yaml",
    "secrets_encryption.yaml",
    "k0s.yaml",
    "cluster.rkestate",
)


def is_companion(name: str) -> bool:
    """Whether a name is a companion file's, not a snapshot's."""
    return name in _FIXED or name.endswith(".rkestate") or name.startswith("static_kuberesources_")


def candidates(snapshot: Path) -> Iterator[Path]:
    """The companion files in the snapshot's folder that may hold its keys."""
    names = [*_FIXED, f"{snapshot.name}.rkestate", f"{snapshot.stem}.rkestate"]
    if stamp := _OPENSHIFT.fullmatch(snapshot.name):
        names += [f"static_kuberesources_{stamp[1]}{stamp[2] or ''}.tar.gz"]
        names += [f"static_kuberesources_{stamp[1]}.tar.gz"] if stamp[2] else []
    for name in dict.fromkeys(names):
        if (path := snapshot.with_name(name)).is_file():
            yield path


def of(evidence: Path, told: Sequence[tuple[str, str]], *, named: bool) -> list[Path]:
    """The companion files of one item of evidence, each once.

    Args:
        evidence: A file or folder.
        told: Files that may hold a configuration by their content, and the folder whose evidence each belongs to: all
            below it, or where that is the file's own folder, what lies in it.
        named: Whether they are looked for by name too.
    """
    own = evidence.absolute()
    files = list(candidates(evidence)) if named else []
    names = {path.name for path in files}
    for text, scope in told:
        path, folder = Path(text).absolute(), Path(scope).absolute()
        if path.parent == own.parent or (path.parent != folder and own.is_relative_to(folder)):
            files += [Path(text)] if path.parent != own.parent or path.name not in names else []
    return files


def is_paired(archive: Path) -> bool:
    """Whether a file is the archive of keys that OpenShift makes with a snapshot, which lies beside it."""
    stamp = _ARCHIVE.fullmatch(archive.name)
    if stamp is None:
        return False
    names = (f"snapshot_{stamp[1]}{stamp[2] or ''}.db", f"snapshot_{stamp[1]}{_DIRTY}.db")
    return any(archive.with_name(name).is_file() for name in names)
