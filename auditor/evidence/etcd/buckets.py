"""The pairs of every bucket other than `key`: each is parsed to its last byte, by the types that etcd gives them.

Sources: etcd server/storage/schema (bucket.go, meta.go, membership.go, auth*.go, alarm.go, lease.go, cindex.go,
confstate.go), api/authpb/auth.proto, server/lease/leasepb/lease.proto, api/etcdserverpb/rpc.proto (AlarmMember),
server/etcdserver/api/membership/member.go. What a pair holds beside is nothing that etcd wrote.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools
from auditor.evidence import beginnings
from auditor.evidence.bbolt.elements import Leaves
from auditor.evidence.etcd import wire
from auditor.evidence.protobuf_wire import BYTES, VARINT, WireError, fields

NAMES = frozenset(
    b"key meta lease alarm members members_removed cluster auth authUsers authRoles authRevision test".split()
)
"""The buckets that etcd writes (bucket.go)."""
LEASE_ID = 8
"""Bytes of a lease's key."""
LONGEST_TEXT = 512
"""Bytes of a name, of a role, of one end of a range: etcd sets no bound."""
LEAST_TEXT = 16
"""Bytes of a shorter text that are not looked at: nothing can be read in them."""
LONGEST_LABEL = 80
MOST_TEXTS = 64
"""Roles of a user, permissions of a role, addresses of a member."""
VERSION = re.compile(rb"\d{1,5}\.\d{1,5}(\.\d{1,5})?(-[0-9A-Za-z.]{1,32})?")
"""A semantic version (go-semver), which is what etcd stores."""
MEMBER_ID = re.compile(rb"[0-9a-f]{1,16}")
_REVISION = re.compile(rb".{8}_.{8}t?", re.DOTALL)
_URL = re.compile(r"https?://[A-Za-z0-9._:%\[\]-]{1,270}|unixs?:[A-Za-z0-9._:/%-]{1,270}")
_PASSWORD = re.compile(rb"(\$2[abxy]?\$\d\d\$[./A-Za-z0-9]{53})?")
"""A bcrypt hash; none for a user without a password."""


def known(bucket: bytes, key: bytes, value: bytes) -> bool:
    """Whether a pair is what etcd stores in this bucket, and nothing else.

    Args:
        bucket: The bucket's name.
        key: The pair's key.
        value: Its value.
    """
    check = _BUCKETS.get(bucket)
    try:
        return check is not None and check(key, value)
    except (ValueError, RecursionError):
        return False


def known_anywhere(key: bytes, value: bytes) -> bool:
    """Whether a pair of a page that no root reaches is what etcd stores in some bucket."""
    return any(known(bucket, key, value) for bucket in _BUCKETS)


def leases(buffer: Buffer, leaves: Leaves) -> Bools:
    """Which pairs are leases: eight bytes of id, and a leasepb.Lease of up to three numbers."""
    sound: Bools = (leaves.flags == 0) & (leaves.key_len == LEASE_ID)
    rows = np.flatnonzero(sound)
    at = leaves.value_at[rows]
    regular, (number, _, _) = wire.messages(buffer, at, at + leaves.value_len[rows], wire.NUMBERS)
    sound[rows] = regular & number.present
    return sound


def is_member(raw: bytes) -> bool:
    """Whether bytes are the JSON of a member, or of a change of one (membership.ConfigChangeContext)."""
    try:
        return not raw or _CHANGE(b"", raw)
    except (ValueError, RecursionError):
        return False


def _exactly(content: re.Pattern[bytes]) -> Callable[[bytes, bytes], bool]:
    return lambda _, value: content.fullmatch(value) is not None


def _size(size: int) -> Callable[[bytes, bytes], bool]:
    return lambda _, value: len(value) == size


def _named(checks: Mapping[bytes, Callable[[bytes, bytes], bool]]) -> Callable[[bytes, bytes], bool]:
    """A bucket of a few pairs, each under a name of its own."""
    return lambda key, value: key in checks and checks[key](key, value)


def is_text(raw: bytes) -> bool:
    """Whether bytes are a bounded text of letters that can be printed, and no value begins in it in any writing."""
    if len(raw) > LONGEST_TEXT or not raw.decode("utf-8").isprintable():
        return False
    return len(raw) < LEAST_TEXT or not beginnings.in_text(raw)


def is_range_end(raw: bytes) -> bool:
    """The end of a range of keys: a text, or one with its last byte raised; a zero for `from there on`."""
    return raw == b"\0" or (len(raw) <= LONGEST_TEXT and is_text(raw[:-1]))


def _object(raw: bytes) -> dict[str, Any]:
    """A JSON object without a name twice. Raises ValueError."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(items)) < len(items):
            raise ValueError
        return dict(items)

    tree = json.loads(raw, object_pairs_hook=pairs)
    if not isinstance(tree, dict) or len(raw) > LONGEST_TEXT * MOST_TEXTS:
        raise ValueError
    return tree


def _is_name(value: object) -> bool:
    """A member's name: a host's, whose labels have 63 letters at most (RFC 1035), with what distributions append."""
    return (
        isinstance(value, str)
        and is_text(value.encode("utf-8"))
        and all(len(label) <= LONGEST_LABEL for label in value.split("."))
    )


def _is_version(value: object) -> bool:
    """The version to go back to, empty where none is (etcd server/etcdserver/api/membership, DowngradeInfo)."""
    return isinstance(value, str) and (not value or VERSION.fullmatch(value.encode("utf-8")) is not None)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and abs(value) < 1 << 64


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _are_urls(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, list) and all(
        isinstance(url, str) and _URL.fullmatch(url) and is_text(url.encode("ascii")) for url in value
    )


def _are_ids(value: object) -> bool:
    return value is None or (isinstance(value, list) and all(map(_is_number, value)))


def _document(checks: Mapping[str, Callable[[object], bool]]) -> Callable[[bytes, bytes], bool]:
    """A JSON object of some of these fields, each of its type."""

    def check(_: bytes, value: bytes) -> bool:
        return all(name in checks and checks[name](each) for name, each in _object(value).items())

    return check


def _message(raw: bytes, checks: Mapping[int, Callable[[bytes], bool] | None], repeated: int = 0) -> bool:
    """Whether bytes are a protobuf message of these fields: a number where None, else a content that passes.

    Args:
        raw: The bytes.
        checks: By field number.
        repeated: The field that may stand several times.
    """
    seen: dict[int, int] = {}
    for number, wire_type, start, stop in fields(raw, 0, len(raw)):
        seen[number] = seen.get(number, 0) + 1
        if number not in checks or seen[number] > (MOST_TEXTS if number == repeated else 1):
            return False
        check = checks[number]
        if wire_type != (VARINT if check is None else BYTES):
            return False
        if check is not None and not check(raw[start:stop]):
            return False
    return True


def _parsed(raw: bytes, checks: Mapping[int, Callable[[bytes], bool] | None], repeated: int = 0) -> bool:
    try:
        return _message(raw, checks, repeated)
    except WireError:
        return False


def _user(key: bytes, value: bytes) -> bool:
    """authpb.User: name, password, roles, options."""

    def password(raw: bytes) -> bool:
        return _PASSWORD.fullmatch(raw) is not None

    checks = {1: key.__eq__, 2: password, 3: is_text, 4: lambda raw: _parsed(raw, {1: None})}
    return is_text(key) and _parsed(value, checks, 3)


def _role(key: bytes, value: bytes) -> bool:
    """authpb.Role: name, and permissions of a kind, a key and the end of a range."""
    permission = {1: None, 2: is_range_end, 3: is_range_end}
    return is_text(key) and _parsed(value, {1: key.__eq__, 2: lambda raw: _parsed(raw, permission)}, 2)


def _lease(key: bytes, value: bytes) -> bool:
    return len(key) == LEASE_ID and _parsed(value, {1: None, 2: None, 3: None})


_MEMBER = _document(
    {"id": _is_number, "peerURLs": _are_urls, "isLearner": _is_flag, "name": _is_name, "clientURLs": _are_urls}
)
_CHANGE = _document(
    {
        "id": _is_number,
        "peerURLs": _are_urls,
        "isLearner": _is_flag,
        "name": _is_name,
        "clientURLs": _are_urls,
        "isPromote": _is_flag,
    }
)
_CONF_STATE = _document(
    {
        "voters": _are_ids,
        "learners": _are_ids,
        "voters_outgoing": _are_ids,
        "learners_next": _are_ids,
        "auto_leave": _is_flag,
    }
)
_BUCKETS: Mapping[bytes, Callable[[bytes, bytes], bool]] = {
    b"meta": _named(
        {
            b"consistent_index": _size(8),
            b"term": _size(8),
            b"confState": _CONF_STATE,
            b"scheduledCompactRev": _exactly(_REVISION),
            b"finishedCompactRev": _exactly(_REVISION),
            b"storageVersion": _exactly(VERSION),
        }
    ),
    b"cluster": _named(
        {
            b"clusterVersion": _exactly(VERSION),
            b"downgrade": _document({"target-version": _is_version, "enabled": _is_flag}),
        }
    ),
    b"members": lambda key, value: MEMBER_ID.fullmatch(key) is not None and _MEMBER(key, value),
    b"members_removed": lambda key, value: MEMBER_ID.fullmatch(key) is not None and value == b"removed",
    b"alarm": lambda key, value: not value and _parsed(key, {1: None, 2: None}),
    b"auth": _named({b"authEnabled": lambda _, value: value in (b"\0", b"\1"), b"authRevision": _size(8)}),
    b"authUsers": _user,
    b"authRoles": _role,
    b"lease": _lease,
}
