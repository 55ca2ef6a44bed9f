"""Tars of objects, identified by the names of their first members; and what such a name says of its object.

loft-sh/vcluster pkg/snapshot (client.go), rancher/backup-restore-operator pkg/resourcesets/collector.go, Velero's
documentation of its output file format.
"""

import re
from typing import NamedTuple

from auditor.model.vocabulary import EvidenceKind

HEAD = 1 << 16
"""Leading bytes that identify a backup."""
BLOCK = 512
VCLUSTER = re.compile(rb"/*vcluster/snapshot/")
"""The first member of a snapshot of vCluster's."""
_RANCHER = re.compile(
    r"(?:[^/]+/)?(?P<plural>[a-z0-9]+)\.(?P<group>[a-z0-9.-]*)#v\d\w*/(?:(?P<namespace>[^/]+)/)?(?P<name>[^/]+)\.json"
)
_VELERO = re.compile(
    r"(?:[^/]+/)?resources/(?P<resource>[a-z0-9.-]+)/(?:[a-z0-9-]+/)?"
    r"(?:namespaces/(?P<namespace>[^/]+)|cluster)/(?P<name>[^/]+)\.json"
)


class Identity(NamedTuple):
    """An object by the name of its member."""

    plural: str
    group: str
    namespace: str
    name: str


def kind(head: bytes) -> EvidenceKind | None:
    """The kind of a backup by the first HEAD bytes of a tar, or more; None for any other tar."""
    if VCLUSTER.match(head):
        return EvidenceKind.VCLUSTER_SNAPSHOT
    at = 0
    while at + BLOCK <= len(head):
        name = head[at : at + 100].split(b"\0", 1)[0].decode("utf-8", "replace").removeprefix("./")
        size = re.fullmatch(rb"[ \0]*([0-7]{1,12})[ \0]*", head[at + 124 : at + 136])
        for own in (EvidenceKind.RANCHER_BACKUP, EvidenceKind.VELERO_BACKUP):
            if identity(name, own) is not None:
                return own
        if size is None:
            return None
        at += BLOCK + (int(size[1], 8) + BLOCK - 1) // BLOCK * BLOCK
    return None


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
