"""The maintenance Snapshot of a member, streamed into a private file, and checked against its SHA-256.

Format: etcd server/etcdserver/api/v3rpc/maintenance.go (Snapshot): the database in parts, each with the number of
bytes that remain, and at the end the SHA-256 of all of them. The request needs the root role.
"""

import hashlib
import time
from dataclasses import replace

from auditor.evidence.hashing import TRAILER
from auditor.evidence.live import errors
from auditor.evidence.live.client import PAUSE, Client
from auditor.evidence.live.member import Member
from auditor.evidence.live.members import MemberStatus
from auditor.evidence.live.spool import Spool
from auditor.observer import Observer
from auditor.protobuf import rpc_pb2 as rpc

ANY = rpc.RangeRequest(key=b"\0", keys_only=True, limit=1)
"""A linearizable read of a key that nobody has: a member answers it once it has applied what was committed before."""
ELECTION = 4
"""Attempts at that read before it is given up, PAUSE seconds apart: an election takes one or two."""


def take(client: Client, spool: Spool, observer: Observer) -> tuple[MemberStatus, str]:
    """Fill the spool: the status of the member that sent the snapshot, and why the snapshot may be old, where it may.

    Args:
        client: The cluster.
        spool: The file for the snapshot.
        observer: Hears of the bytes received.

    A stream that breaks is begun anew: etcd cannot continue it. Raises LiveError, Incomplete among them, and NoRoom.
    """

    def work(member: Member) -> tuple[MemberStatus, str]:
        status, doubt = _current(member)
        spool.clear()
        spool.expect(status.db_size + TRAILER)
        _copy(member, spool, observer)
        return status, doubt

    return client.ask(work)


def _current(member: Member) -> tuple[MemberStatus, str]:
    """The member's status, and why its database may be old, which is empty where it is not, or the status says it.

    A member sends a snapshot of whatever it has, and one that is cut off does not always know it. An election is waited
    for; a cluster without a quorum is not.
    """
    for attempt in range(ELECTION):
        status = member.status()
        if status.learner:
            return status, ""
        try:
            revision = member.range(ANY).header.revision
        except errors.Denied:
            return status, ""  # the snapshot is refused too
        except errors.Unavailable as error:
            doubt = f"{error}: whether others wrote since cannot be told"
            if isinstance(error, errors.TimedOut):
                break
            time.sleep(PAUSE * (attempt < ELECTION - 1))
        else:
            return replace(member.status(), revision=revision), ""
    return status, doubt


def _copy(member: Member, spool: Spool, observer: Observer) -> None:
    digest = hashlib.sha256()
    tail = b""
    total = 0
    try:
        for message in member.snapshot():
            spool.write(message.blob)
            tail += message.blob
            digest.update(tail[:-TRAILER])
            tail = tail[-TRAILER:]
            total = total or len(message.blob) + message.remaining_bytes + TRAILER
            observer.received(spool.size, max(total, spool.size))
    except errors.Unavailable as error:
        raise errors.Incomplete(f"{error}, {spool.size:,} bytes into the snapshot") from None
    if len(tail) < TRAILER or digest.digest() != tail:
        raise errors.Incomplete(
            f"{member.endpoint}: snapshot: the stream ended after {spool.size:,} bytes, and its last {TRAILER} are not "
            "the SHA-256 of those before"
        )
