"""A live etcd as one piece of evidence: the snapshot that it streams, or its current keys; and what is said of both."""

from collections.abc import Sequence
from pathlib import Path

from auditor.errors import UsageError
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.file import EvidenceFile
from auditor.evidence.live import errors, range_read, snapshot
from auditor.evidence.live.access import Access, shown
from auditor.evidence.live.client import Client
from auditor.evidence.live.member import Member, MemberStatus
from auditor.evidence.live.spool import Spool
from auditor.model.evidence import Gap, Live, Unexamined
from auditor.model.vocabulary import LiveWay
from auditor.observer import Observer
from auditor.options import Options
from auditor.text import hex_id

PREFIX = "/registry"
"""What --range reads where no storage prefix is given: kube-apiserver's own default."""


class DifferentClusters(errors.LiveError):
    """The endpoints belong to more than one cluster."""


def gather(access: Access, options: Options, observer: Observer) -> Exhibit:
    """Read from the endpoints; nothing is ever written there. Raises LiveError, NoRoom and UsageError."""
    keep = Path(options.keep) if options.keep else None
    if keep is not None and keep.exists() and not options.keep_force:
        raise UsageError(f"{shown(options.keep)} exists: choose another file, or overwrite it with --force")
    with Client(access) as client:
        standings, silent = client.statuses()
        for each in standings:
            observer.step(f"{each.endpoint} answers: member {hex_id(each.member_id)}, revision {each.revision}")
        _same_cluster(standings)
        client.prefer(min(standings, key=lambda each: not each.leader).endpoint)
        with Spool(options.work_dir, keep) as spool:
            if options.range_only:
                return _range(client, standings, silent, options, spool, observer)
            told = _snapshot(client, spool, observer)
            if keep is not None:
                spool.keep(force=options.keep_force)
            observer.step(f"took the snapshot of {told.endpoint}: {spool.size} bytes, its SHA-256 matches")
            name = shown(keep.name) if keep is not None else told.endpoint
            file = EvidenceFile.adopt(spool.release(), name, hashed=not options.quick)
        live = _live(LiveWay.SNAPSHOT, told, told.revision)
        notes = [*_lagging(standings, silent, told.endpoint), *client.notes]
        return Exhibit(
            told.endpoint, [(Role.DATABASE, file)], gaps=_stale(standings, told, name), notes=notes, live=live
        )


def _snapshot(client: Client, spool: Spool, observer: Observer) -> MemberStatus:
    try:
        return snapshot.take(client, spool, observer)
    except errors.Denied as error:
        raise errors.Denied(
            f"{error}; only the root role may take a snapshot: --range reads the keys that another role may read"
        ) from None


def _range(
    client: Client,
    standings: Sequence[MemberStatus],
    silent: dict[str, str],
    options: Options,
    spool: Spool,
    observer: Observer,
) -> Exhibit:
    prefixes = tuple(f"/{each.strip('/')}" for each in options.storage_prefixes or (PREFIX,))
    try:
        keys = range_read.read(client, prefixes, spool, observer)
    except errors.Denied as error:
        raise errors.Denied(
            f"{error}: this credential may not read every key under {_shown(prefixes)}; name what it may with "
            "--storage-prefix"
        ) from None
    if not spool.size:
        raise errors.LiveError(f"{standings[0].endpoint} holds no key under {_shown(prefixes)}: check --storage-prefix")
    told = client.ask(Member.status)
    observer.step(f"read {len(keys)} keys in {keys.pages} pages at revision {keys.revision} through {told.endpoint}")
    file = EvidenceFile.adopt(spool.release(), told.endpoint)
    partial = not options.accept_partial
    left = [
        Unexamined("history, deleted objects and freed pages", "--range: only current values were read", partial),
        Unexamined(f"keys outside {_shown(prefixes)}", "--range: not read; see --storage-prefix", partial),
    ]
    return Exhibit(
        told.endpoint,
        [(Role.RANGE, file)],
        notes=[*_lagging(standings, silent, ""), *client.notes],
        live=_live(LiveWay.RANGE, told, keys.revision),
        index=keys.index,
        unexamined=left,
    )


def _live(way: LiveWay, told: MemberStatus, revision: int) -> Live:
    return Live(
        way=way,
        endpoint=told.endpoint,
        member_id=told.member_id,
        cluster_id=told.cluster_id,
        etcd_version=told.version,
        revision=revision,
    )


def _same_cluster(standings: Sequence[MemberStatus]) -> None:
    if len({each.cluster_id for each in standings}) > 1:
        told = ", ".join(f"{each.endpoint} cluster {hex_id(each.cluster_id)}" for each in standings)
        raise DifferentClusters(f"the endpoints are not of one cluster ({told}): audit each cluster by itself")


def _lagging(standings: Sequence[MemberStatus], silent: dict[str, str], read: str) -> list[str]:
    """What is to be said of members that do not answer, know no leader, or are behind. read: the one that was."""
    newest = max(standings, key=lambda each: (each.revision, each.raft_index))
    notes = [f"{why}; its member was not asked" for why in silent.values()]
    for each in standings:
        if not each.leader:
            notes.append(f"{each.endpoint}: member {hex_id(each.member_id)} knows of no leader")
        if each.revision < newest.revision:
            behind = f"at revision {each.revision:,} (raft index {each.raft_index:,})"
            ahead = f"{newest.endpoint} is at {newest.revision:,} (raft index {newest.raft_index:,})"
            what = "the member that was read" if each.endpoint == read else "member"
            notes.append(f"{each.endpoint}: {what} {hex_id(each.member_id)} is behind: {behind}, while {ahead}")
    return notes


def _stale(standings: Sequence[MemberStatus], told: MemberStatus, source: str) -> list[Gap]:
    """What the member's own database may lack: what is current cannot be concluded from it."""
    newest = max(each.revision for each in standings)
    reason = ""
    if not told.leader:
        reason = (
            f"member {hex_id(told.member_id)} knows of no leader: what the others wrote since is not in its database"
        )
    elif told.revision < newest:
        reason = f"member {hex_id(told.member_id)} is behind the others: take another endpoint"
    return [Gap(source, 0, 0, f"what was written after revision {told.revision:,}: {reason}")] if reason else []


def _shown(prefixes: Sequence[str]) -> str:
    return ", ".join(shown(each) for each in prefixes)
