"""The maintenance Snapshot of a member, streamed into a private file, and checked against its SHA-256.

Format: etcd server/etcdserver/api/v3rpc/maintenance.go (Snapshot): the database in parts, each with the number of
bytes that remain, and at the end the SHA-256 of all of them. The request needs the root role.
"""

import hashlib

from auditor.evidence.hashing import TRAILER
from auditor.evidence.live import errors
from auditor.evidence.live.client import Client
from auditor.evidence.live.member import Member, MemberStatus
from auditor.evidence.live.spool import Spool
from auditor.observer import Observer


def take(client: Client, spool: Spool, observer: Observer) -> MemberStatus:
    """Fill the spool; the status of the member that sent the snapshot.

    Args:
        client: The cluster.
        spool: The file for the snapshot.
        observer: Hears of the bytes received.

    A stream that breaks is begun anew: etcd cannot continue it. Raises LiveError, Incomplete among them, and NoRoom.
    """

    def work(member: Member) -> MemberStatus:
        status = member.status()
        spool.clear()
        spool.expect(status.db_size + TRAILER)
        _copy(member, spool, observer)
        return status

    return client.ask(work)


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
