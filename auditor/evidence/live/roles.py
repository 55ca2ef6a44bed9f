"""The ranges of keys that a user's roles let it read, and the least role to ask for.

Format: etcd api/authpb/auth.proto (Permission): a range's end is empty for one key, and one zero byte for all keys from
the first on. A user may ask for itself and for its own roles (etcd server/etcdserver/apply_auth.go).
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

from auditor.evidence.live import errors
from auditor.evidence.live.access import Access, shown
from auditor.evidence.live.client import Client
from auditor.protobuf import rpc_pb2 as rpc
from auditor.text import printable

Bounds = tuple[bytes, bytes]
"""First key, and the end of the range, which is not part of it; an end of `LAST` is after every key."""
LAST = b"\xff" * 8
ROOT = "root"
ROLE = "etcd-auditor"
"""The name of the role in commands for the user to run."""


def granted(client: Client) -> list[Bounds] | None:
    """The ranges that the client's user may read, in order; None where that is not known."""
    name = user_name(client.access)
    if not name:
        return None
    try:
        roles = client.ask(lambda member: member.roles(name))
        if ROOT in roles:
            return [(b"\0", LAST)]
        permissions = client.ask(lambda member: [each for role in roles for each in member.permissions(role)])
    except errors.LiveError:
        return None
    return sorted(_bounds(each) for each in permissions if each.perm_type != rpc.Permission.WRITE)


def user_name(access: Access) -> str:
    """The name of etcd's user: that of the options, or the common name of the client's certificate."""
    if access.user or not access.cert:
        return access.user
    from cryptography import x509

    try:
        subject = x509.load_pem_x509_certificate(Path(access.cert).read_bytes()).subject
    except (OSError, ValueError):
        return ""
    names = subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def _bounds(permission: rpc.Permission) -> Bounds:
    key, end = permission.key, permission.range_end
    if not end:
        return key, key + b"\0"
    return key, LAST if end == b"\0" else end


def within(ranges: Sequence[Bounds], wanted: Sequence[Bounds]) -> list[Bounds]:
    """The parts of the wanted ranges that lie in some range, in order, joined where they touch."""
    parts = sorted(
        (max(start, first), min(end, last))
        for start, end in ranges
        for first, last in wanted
        if max(start, first) < min(end, last)
    )
    joined: list[Bounds] = []
    for start, end in parts:
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((start, end))
    return joined


def words(ranges: Sequence[Bounds]) -> str:
    """Ranges for a sentence: a prefix as such, else from where to where."""
    return ", ".join(_words(*each) for each in ranges)


def _words(start: bytes, end: bytes) -> str:
    if start.endswith(b"/") and end == start[:-1] + b"0":
        return printable(start)
    if end == start + b"\0":
        return f"the key {printable(start)}"
    last = "the last key" if end == LAST else f"before {printable(end)}"
    return f"{printable(start)} to {last}"


def has(client: Client) -> str:
    """A clause on what the client's user may read; empty where that is not known."""
    ranges = granted(client)
    if ranges is None:
        return ""
    return f"user {shown(user_name(client.access))} may read {words(ranges) or 'nothing'}"


def least(client: Client, ranges: Sequence[Bounds]) -> str:
    """A clause with the commands that let the client's user read some ranges, each that of a prefix."""
    name = user_name(client.access)
    grant = f"etcdctl role grant-permission --prefix=true {ROLE} read"
    commands = [
        f"etcdctl role add {ROLE}",
        *(f"{grant} {shlex.quote(printable(start))}" for start, _ in ranges),
        f"etcdctl user grant-role {shlex.quote(shown(name)) if name else 'USER'} {ROLE}",
    ]
    return f"the least role to ask for: {' && '.join(commands)}"


def denial(error: errors.Denied, client: Client, ranges: Sequence[Bounds]) -> errors.Denied:
    """The error with what the client's user may read, and how it may be let read some ranges."""
    return errors.Denied("; ".join(filter(None, (str(error), has(client), least(client, ranges)))))
