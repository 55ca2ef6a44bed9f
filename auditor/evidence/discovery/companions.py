"""Files that distributions put beside a snapshot and that may hold its keys: looked for by name alone.

Names: cluster-etcd-operator bindata/etcd/cluster-backup.sh (OpenShift's pair of files with one stamp), k3s
pkg/daemons/control (server/cred/encryption-config.json), rke cluster/state.go (.rkestate), kubespray
roles/kubernetes/control-plane (secrets_encryption.yaml), kops (encryptionconfig.yaml), k0s (k0s.yaml), and the
Kubernetes documentation's own example, which kubeadm's users follow (enc.yaml).
"""

import re
from collections.abc import Iterator
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


def is_paired(archive: Path) -> bool:
    """Whether a file is the archive of keys that OpenShift makes with a snapshot, which lies beside it."""
    stamp = _ARCHIVE.fullmatch(archive.name)
    if stamp is None:
        return False
    names = (f"snapshot_{stamp[1]}{stamp[2] or ''}.db", f"snapshot_{stamp[1]}{_DIRTY}.db")
    return any(archive.with_name(name).is_file() for name in names)
