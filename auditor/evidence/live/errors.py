"""Errors of a live etcd, one class for each remedy; the server's own words are never printed.

A gRPC status carries text that the peer chose. It is compared with etcd's own sentences
(api/v3rpc/rpctypes/error.go), and only the name of the code is printed.
"""

import re
from typing import TYPE_CHECKING

from auditor.errors import AuditorError

if TYPE_CHECKING:
    import grpc


class LiveError(AuditorError):
    """An endpoint cannot be read. The text names it, and says what would help."""


class Unavailable(LiveError):
    """No answer, or not in time: another endpoint or attempt may help."""


class TimedOut(Unavailable):
    """No answer in time."""


class Stuck(TimedOut):
    """No answer in time, for a reason that does not pass soon: a member that hangs, a cluster without a quorum."""


class Denied(LiveError):
    """The credential lacks the permission."""


class Expired(LiveError):
    """The session's token is not valid any more: authenticate again."""


class Compacted(LiveError):
    """The revision was compacted: begin again at a newer one."""


class Incomplete(Unavailable):
    """The stream ended before the snapshot did."""


class DifferentClusters(LiveError):
    """The endpoints belong to more than one cluster."""


class SetBack(LiveError):
    """The store is older than it was: a backup was restored. Begin again."""


_NOBODY = "authentication is on, and no user was named: give --user"
_KNOWN: dict[str, tuple[type[LiveError], str]] = {
    "etcdserver: permission denied": (Denied, "permission denied"),
    "etcdserver: user name is empty": (Denied, _NOBODY),
    "etcdserver: user name not found": (Denied, "there is no such user"),
    # Snapshot answers with the words of server/auth/store.go, and the code UNKNOWN
    "auth: permission denied": (Denied, "permission denied"),
    "auth: user name is empty": (Denied, _NOBODY),
    "auth: invalid auth token": (Expired, "the session's token is not valid any more"),
    "auth: revision in header is old": (Expired, "users or roles were changed since the session began"),
    "etcdserver: authentication failed, invalid user ID or password": (Denied, "wrong user or password"),
    "etcdserver: authentication is not enabled": (Denied, "authentication is off: leave --user out"),
    "etcdserver: invalid auth token": (Expired, "the session's token is not valid any more"),
    "etcdserver: revision of auth store is old": (Expired, "users or roles were changed since the session began"),
    "etcdserver: mvcc: required revision has been compacted": (Compacted, "the revision was compacted"),
    "etcdserver: mvcc: required revision is a future revision": (Unavailable, "it is behind the revision asked for"),
    "etcdserver: no leader": (Unavailable, "it has no leader"),
    "etcdserver: leader changed": (Unavailable, "the leader changed"),
    "etcdserver: not leader": (Unavailable, "the leader changed"),
    "etcdserver: request timed out": (TimedOut, "it timed out"),
    # Go's own, of a request's deadline that passes at the server first: older gRPC sends them as UNKNOWN
    "context deadline exceeded": (TimedOut, "it did not answer in time"),
    "context canceled": (Unavailable, "it broke off"),
    "etcdserver: server stopped": (Unavailable, "it is being stopped"),
    "etcdserver: too many requests": (Unavailable, "it has too many requests"),
    "etcdserver: corrupt cluster": (LiveError, "it says that its cluster is corrupt"),
    "etcdserver: rpc not supported for learner": (Unavailable, "it is a learner"),
}
_WEB = re.compile(r"http2 header with status: (\d{3})")
"""gRPC's words for an answer of HTTP/2 that is none of gRPC's (grpc src/core/lib/transport/status_conversion.cc)."""
_PROXY = frozenset({502, 503, 504})
"""HTTP's statuses of a proxy that does not reach what is behind it."""
_CODES: dict[str, tuple[type[LiveError], str]] = {
    "UNAVAILABLE": (Unavailable, "it does not answer"),
    "DEADLINE_EXCEEDED": (TimedOut, "it did not answer in time"),
    "CANCELLED": (Unavailable, "it broke off"),
    "ABORTED": (Unavailable, "it broke off"),
    "INTERNAL": (Unavailable, "the connection broke"),
    "UNKNOWN": (Unavailable, "it failed"),
    "PERMISSION_DENIED": (Denied, "permission denied"),
    "UNAUTHENTICATED": (Expired, "it does not accept the session"),
    "UNIMPLEMENTED": (LiveError, "it does not know the request: is this etcd's client URL?"),
}


def translated(error: "grpc.RpcError", endpoint: str, what: str) -> LiveError:
    """gRPC's error as a LiveError, to be raised `from None`: the original may quote anything."""
    import grpc

    if not isinstance(error, grpc.Call):
        return from_status("", "UNKNOWN", endpoint, what)
    return from_status(error.details() or "", error.code().name, endpoint, what)


def from_status(details: str, code: str, endpoint: str, what: str) -> LiveError:
    """The error for a status of gRPC.

    Args:
        details: The member's words, which are not repeated.
        code: The name of the status code.
        endpoint: The member's URL.
        what: The request.
    """
    if match := _WEB.search(details):
        return _from_web(int(match[1]), endpoint, what)
    if details.startswith("etcdserver: request timed out"):  # it may go on: ", possibly due to ..."
        details = "etcdserver: request timed out"
    kind, reason = _KNOWN.get(details) or _CODES.get(code, (LiveError, "it refuses"))
    return kind(f"{endpoint}: {what}: {reason} ({code})")


def _from_web(status: int, endpoint: str, what: str) -> LiveError:
    if status in _PROXY:
        return Unavailable(f"{endpoint}: {what}: a proxy answers in its place (HTTP {status})")
    return LiveError(f"{endpoint}: {what}: what answers there is a web server (HTTP {status}), and no etcd")
