"""A live etcd as an exhibit: the snapshot that it streams, or its current keys."""

from collections.abc import Sequence
from pathlib import Path

from auditor.errors import UsageError
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.file import EvidenceFile
from auditor.evidence.live import errors, members, membership, roles, snapshot
from auditor.evidence.live.access import Access, shown
from auditor.evidence.live.client import Client
from auditor.evidence.live.member import Member
from auditor.evidence.live.members import MemberStatus
from auditor.evidence.live.scope import Scope
from auditor.evidence.live.spool import Spool
from auditor.model.evidence import Gap, Live
from auditor.model.vocabulary import LiveWay
from auditor.observer import Observer
from auditor.options import Options
from auditor.text import hex_id


def gather(access: Access, options: Options, observer: Observer, scope: Scope | None = None) -> Exhibit:
    """The exhibit of a cluster: a snapshot, or with --range its keys. Nothing is ever written to a member.

    Args:
        access: The endpoints.
        options: The run's options.
        observer: Hears of members and of the bytes received.
        scope: The keys to read with --range; by default those under the storage prefixes.

    Raises LiveError, NoRoom and UsageError.
    """
    keep = Path(options.keep) if options.keep else None
    if keep is not None and keep.exists() and not options.keep_force:
        raise UsageError(f"{shown(options.keep)} exists: choose another file, or overwrite it with --force")
    with Client(access) as client:
        statuses, silent = client.statuses()
        for text in membership.doubts(client, silent, statuses[0].endpoint):
            client.note(text)
        for status in statuses:
            observer.step(f"{status.endpoint} answers: member {hex_id(status.member_id)}, revision {status.revision}")
        client.prefer(min(statuses, key=lambda status: (status.learner, not status.leader)).endpoint)
        with Spool(options.work_dir, keep) as spool:
            if options.range_only:
                return _range(client, (statuses, silent), scope or Scope(options.storage_prefixes), spool, observer)
            sender, doubt = _snapshot(client, spool, observer)
            if keep is not None:
                spool.keep(force=options.keep_force)
            observer.step(f"took the snapshot of {sender.endpoint}: {spool.size} bytes, its SHA-256 matches")
            name = shown(keep.name) if keep is not None else sender.endpoint
            file = EvidenceFile.adopt(spool.release(), name, hashed=not options.quick)
        return Exhibit(
            sender.endpoint,
            [(Role.DATABASE, file)],
            gaps=_gaps(statuses, sender, name, doubt),
            notes=[*_notes(statuses, silent, sender.endpoint), *client.notes],
            live=_live(LiveWay.SNAPSHOT, sender, sender.revision),
        )


def _snapshot(client: Client, spool: Spool, observer: Observer) -> tuple[MemberStatus, str]:
    try:
        return snapshot.take(client, spool, observer)
    except errors.Denied as error:
        only = f"{error}; only the root role may take a snapshot: --range reads the keys that another role may read"
        raise errors.Denied("; ".join(filter(None, (only, roles.has(client))))) from None


def _range(
    client: Client,
    answers: tuple[Sequence[MemberStatus], dict[str, str]],
    scope: Scope,
    spool: Spool,
    observer: Observer,
) -> Exhibit:
    statuses, silent = answers
    keys, ranges = scope.read(client, spool, observer)
    covered = roles.words(ranges)
    if not spool.size:
        raise errors.LiveError(f"{statuses[0].endpoint} holds no key under {covered}: check --storage-prefix")
    status = client.ask(Member.status)
    observer.step(f"read {len(keys)} keys in {keys.pages} pages at revision {keys.revision} through {status.endpoint}")
    file = EvidenceFile.adopt(spool.release(), status.endpoint)
    return Exhibit(
        status.endpoint,
        [(Role.RANGE, file)],
        gaps=[Gap(file.name, 0, 0, doubt) for doubt in members.doubts(statuses)],
        notes=[f"--range covers the current keys of {covered}", *_notes(statuses, silent, ""), *client.notes],
        live=_live(LiveWay.RANGE, status, keys.revision),
        index=keys.index,
        unexamined=scope.unexamined(ranges),
        storage_prefixes=scope.storage_prefixes(keys.depth),
    )


def _live(way: LiveWay, status: MemberStatus, revision: int) -> Live:
    return Live(
        way=way,
        endpoint=status.endpoint,
        member_id=status.member_id,
        cluster_id=status.cluster_id,
        etcd_version=status.version,
        revision=revision,
    )


def _notes(statuses: Sequence[MemberStatus], silent: dict[str, str], read: str) -> list[str]:
    return [
        *members.notes(statuses, silent),
        *members.lagging(statuses, read),
        *members.differences(statuses),
    ]


def _gaps(statuses: Sequence[MemberStatus], sender: MemberStatus, source: str, doubt: str) -> list[Gap]:
    """Gaps for what the sender's database may lack, and for what may be wrong in any member's.

    Args:
        statuses: The members that answer.
        sender: The one that was read.
        source: The name of its snapshot.
        doubt: Why a read that all members agree on was not possible; empty where it was.
    """
    reason = members.staleness(statuses, sender) or doubt
    reasons = [f"what was written after revision {sender.revision:,}: {reason}"] if reason else []
    return [Gap(source, 0, 0, text) for text in (*reasons, *members.doubts(statuses))]
