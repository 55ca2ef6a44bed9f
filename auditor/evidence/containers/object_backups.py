"""Tars of objects, identified by the names of their first members; and what such a name says of its object.

loft-sh/vcluster pkg/snapshot (client.go), rancher/backup-restore-operator pkg/resourcesets/collector.go, Velero's
documentation of its output file format; canonical/k8s-dqlite pkg/migrator/migrator.go and MicroK8s' dbctl, which packs
what that writes: `NAME/N.key` and `NAME/N.data`.
"""

import re
from typing import NamedTuple

from auditor.model.vocabulary import EvidenceKind

HEAD = 1 << 16
"""Leading bytes that identify a backup."""
BLOCK = 512
VCLUSTER = re.compile(rb"/*vcluster/snapshot/|/+(?:registry|bootstrap)/")
"""The first member of a snapshot of vCluster's: what it says of its Helm release, where it knows one, else a key."""
_RANCHER = re.compile(
    r"(?:[^/]+/)?(?P<plural>[a-z0-9]+)\.(?P<group>[a-z0-9.-]*)#v\d\w*/(?:(?P<namespace>[^/]+)/)?(?P<name>[^/]+)\.json"
)
_VELERO = re.compile(
    r"(?:[^/]+/)?resources/(?P<resource>[a-z0-9.-]+)/(?:[a-z0-9-]+/)?"
    r"(?:namespaces/(?P<namespace>[^/]+)|cluster)/(?P<name>[^/]+)\.json"
)


DBCTL = re.compile(r"(?:.{0,1000}/)?(?P<number>\d{1,12})\.(?P<part>key|data)")
"""A file of MicroK8s' dbctl: the etcd key of an object, or its stored value."""
_PAX, _GLOBAL, _LONG_NAME = b"x", b"g", b"L"
"""Flags of what is no member, and says something of the next, or of all (POSIX pax, GNU tar)."""
_PATH = re.compile(rb"(?:\A|\n)\d{1,7} path=([^\n]*)\n")


class Identity(NamedTuple):
    """An object by the name of its member."""

    plural: str
    group: str
    namespace: str
    name: str


def kind(head: bytes) -> EvidenceKind | None:
    """The kind of a backup by the first HEAD bytes of a tar, or more; None for any other tar."""
    at, stated, first = 0, b"", True
    while at + BLOCK <= len(head):
        size = re.fullmatch(rb"[ \0]*([0-7]{1,12})[ \0]*", head[at + 124 : at + 136])
        end = at + BLOCK + (int(size[1], 8) if size is not None else 0)
        flag = head[at + 156 : at + 157]
        if flag in {_PAX, _GLOBAL, _LONG_NAME}:
            stated = _stated_name(flag, head[at + BLOCK : end]) or stated
        else:
            name, stated = stated or head[at : at + 100].split(b"\0", 1)[0], b""
            if first and VCLUSTER.match(name):
                return EvidenceKind.VCLUSTER_SNAPSHOT
            first = False
            path = name.decode("utf-8", "replace").removeprefix("./")
            if DBCTL.fullmatch(path) is not None:
                return EvidenceKind.DBCTL_BACKUP
            for own in (EvidenceKind.RANCHER_BACKUP, EvidenceKind.VELERO_BACKUP):
                if identity(path, own) is not None:
                    return own
        if size is None:
            return None
        at += BLOCK + (end - at - 1) // BLOCK * BLOCK
    return None


def _stated_name(flag: bytes, content: bytes) -> bytes:
    """The name of the next member, as a header before it says; empty where it says none."""
    if flag == _LONG_NAME:
        return content.rstrip(b"\0")
    match = _PATH.search(content) if flag == _PAX else None
    return match[1] if match is not None else b""


def identity(path: str, kind: EvidenceKind) -> Identity | None:
    """The object of a member; None where the name is none of an object's."""
    if kind is EvidenceKind.RANCHER_BACKUP:
        match = _RANCHER.fullmatch(path)
        return Identity(match["plural"], match["group"], match["namespace"] or "", match["name"]) if match else None
    match = _VELERO.fullmatch(path)
    if match is None:
        return None
    plural, _, group = match["resource"].partition(".")
    return Identity(plural, group, match["namespace"] or "", match["name"])
