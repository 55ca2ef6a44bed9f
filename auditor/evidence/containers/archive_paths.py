"""Names of archives' members: no file is ever written under one, and one that leads out of its archive is refused."""

import re

from auditor.evidence.containers.limits import Refused
from auditor.text import shown

_RKE = re.compile(r"/backup/[^/]+|/etc/kubernetes/[^/]+\.rkestate")
"""rke-tools writes full paths into its zips (rke-tools main.go)."""
_VCLUSTER = re.compile(r"/*vcluster/snapshot/")
"""The first member of a snapshot of vCluster's (loft-sh/vcluster pkg/snapshot/client.go)."""
_DRIVE = re.compile(r"[A-Za-z]:")


def normalize(container: str, name: str) -> str:
    """The name without `./` and double slashes. Raises Refused where it leads out of its archive."""
    unified = name.replace("\\", "/")
    parts = [part for part in unified.split("/") if part not in {"", "."}]
    if _VCLUSTER.match(unified):
        raise Refused(
            f"{container} is a snapshot of vCluster's, whose members are etcd's keys with the values as they were "
            f"stored: it is not read, and Secrets in it may be readable; restore it, and scan a snapshot of its etcd"
        )
    absolute = unified.startswith("/") and not _RKE.fullmatch(unified)
    if absolute or ".." in parts or _DRIVE.match(unified):
        why = "an absolute path" if absolute or _DRIVE.match(unified) else "a path with `..`"
        raise Refused(f"{container} holds {shown(name)}, {why}, which leads out of it: nothing in it was read")
    return "/".join(parts)


def check_link(container: str, name: str, target: str, *, symbolic: bool) -> None:
    """Check a link, which is never followed. Raises Refused where it leads out of its archive.

    Args:
        container: The archive's name in messages.
        name: The link's name.
        target: Its target.
        symbolic: Whether the target is relative to the link's folder.
    """
    parts = [part for part in name.split("/") if part not in {"", "."}][:-1] if symbolic else []
    outside = target.startswith("/") or _DRIVE.match(target) is not None
    for part in target.split("/"):
        if part == ".." and not parts:
            outside = True
        elif part == "..":
            parts.pop()
        elif part not in {"", "."}:
            parts.append(part)
    if outside:
        raise Refused(f"{container} holds {shown(name)}, a link that leads out of it: nothing in it was read")
