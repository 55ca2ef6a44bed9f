"""Files that distributions put into a data directory of etcd: known by name and by content, and without values.

k3s and RKE2: pkg/etcd/etcd.go and pkg/daemons/executor/etcd.go (`name`, `config`; empty: `joined-...`, `reset-flag` and
the `tombstone` of a member that was removed); OpenShift's cluster-etcd-operator (`revision.json`); Bitnami's container
(libetcd.sh: `member_id`, `new_member_envs`, `member_removal.log`); Gardener's etcd-backup-restore
(pkg/initializer/validator: `safe_guard`, the namespace of the member's pod); mke2fs (an empty `lost+found`).
"""

import json
import re
import stat
from pathlib import Path

from auditor.evidence.discovery import bystanders

LONGEST = 1 << 16
"""Bytes of the longest such file."""
_BITNAMI = "Bitnami's container"
_CONTENT = {
    "name": ("k3s", re.compile(rb"[A-Za-z0-9][A-Za-z0-9.-]{0,252}-[0-9a-f]{8}\n?")),
    "config": (
        "k3s",
        re.compile(rb"(?: {0,8}(?:- )?[a-z][A-Za-z0-9-]{0,60}:(?: [ -~]{0,1024})?\n| *- [ -~]{1,1024}\n|\n)+"),
    ),
    "member_id": (_BITNAMI, re.compile(rb"[0-9a-f]{1,16}\n?")),
    "new_member_envs": (_BITNAMI, re.compile(rb"(?:(?:export )?ETCD_[A-Z_]{1,40}=[\x21-\x7e]{0,1024}\n?){1,16}")),
    "member_removal.log": (
        _BITNAMI,
        re.compile(rb"(?:Member +[0-9a-f]{1,16} +removed from cluster +[0-9a-f]{1,16}\n?){1,16}"),
    ),
    "safe_guard": ("Gardener's etcd-backup-restore", re.compile(rb"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\n?){1,2}")),
}
_REVISION = "revision.json"
_REVISION_FIELDS = {"clusterId", "raftIndex", "maxRaftIndex", "created"}


def owner(entry: Path) -> str:
    """Whose file this is, as its name and its content say; empty for any other."""
    try:
        status = entry.lstat()
        if stat.S_ISDIR(status.st_mode):
            return "the file system" if entry.name == "lost+found" and not any(entry.iterdir()) else ""
        if not stat.S_ISREG(status.st_mode) or status.st_size > LONGEST:
            return ""
        if not status.st_size:
            return "k3s" if bystanders.is_bystander(entry) else ""
        content = entry.read_bytes()
    except OSError:
        return ""
    return owner_of(entry.name, content)


def owner_of(name: str, content: bytes) -> str:
    """Whose file this is, as its name and its whole content say, at most LONGEST bytes; empty for any other."""
    if not bystanders.is_text([content]):
        return ""
    if name == _REVISION:
        return "OpenShift" if _is_revision(content) else ""
    whose, pattern = _CONTENT.get(name, ("", None))
    return whose if pattern is not None and pattern.fullmatch(content) else ""


def _is_revision(content: bytes) -> bool:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return False
    if not isinstance(document, dict) or not set(document) <= _REVISION_FIELDS:
        return False
    indexes = document.get("raftIndex", {})
    return isinstance(indexes, dict) and all(type(index) is int for index in indexes.values())
