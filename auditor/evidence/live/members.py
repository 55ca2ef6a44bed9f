"""The state of a cluster's members, by their answers to Status: what to say of it, and what it leaves in doubt.

Format: etcd server/etcdserver/api/v3rpc/maintenance.go (Status): `errors` has a text for each alarm of the cluster, of
whichever member, and one where the member knows no leader. A learner does not stand for election: cut off from the
others, it goes on naming the leader that it had (raft/raft.go, tickElection).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from auditor.text import hex_id

CORRUPT, NOSPACE = "CORRUPT", "NOSPACE"
_ALARM = re.compile(r"memberID:(\d{1,20})\s+alarm:([A-Z]{1,20})\s*")
NO_LEADER = "etcdserver: no leader"


class Alarm(NamedTuple):
    """An alarm that a member has raised."""

    member_id: int
    kind: str
    """NOSPACE, CORRUPT, or one of a later etcd."""


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """A member's answer to Status (etcd api/etcdserverpb/rpc.proto)."""

    endpoint: str
    member_id: int
    cluster_id: int
    version: str
    revision: int
    raft_index: int
    raft_term: int
    leader: int
    """The id of the leader that it knows of, 0 for none."""
    db_size: int
    learner: bool = False
    alarms: tuple[Alarm, ...] = ()
    """Those of every member of the cluster, as this one knows them."""
    troubles: int = 0
    """Errors that it states and that are none of those above."""

    @property
    def name(self) -> str:
        """The member, for a sentence."""
        return f"member {hex_id(self.member_id)}"


def alarms(texts: Sequence[str]) -> tuple[tuple[Alarm, ...], int]:
    """The alarms among the errors of a Status, and the number of errors that are neither alarms nor a lost leader."""
    matches = [_ALARM.fullmatch(text) for text in texts if text != NO_LEADER]
    known = tuple(Alarm(int(each[1]), each[2]) for each in matches if each is not None)
    return tuple(dict.fromkeys(known)), matches.count(None)


def notes(statuses: Sequence[MemberStatus], silent: Mapping[str, str]) -> list[str]:
    """Sentences on members that do not answer, have an alarm, know no leader, or learn.

    Args:
        statuses: The members that answer.
        silent: The reasons of the other endpoints.
    """
    texts = [f"{reason}; its member was not asked" for reason in silent.values()]
    texts += _alarms(statuses)
    for status in statuses:
        if status.troubles:
            texts.append(f"{status.endpoint}: {status.name} states an error that etcd-auditor does not know")
        if not status.leader:
            texts.append(f"{status.endpoint}: {status.name} knows of no leader")
        if status.learner:
            texts.append(f"{status.endpoint}: {status.name} is a learner: it has no vote, and may be behind")
    return texts


def differences(statuses: Sequence[MemberStatus]) -> list[str]:
    """Sentences on members that run different versions of etcd."""
    versions = {status.version: status.endpoint for status in reversed(statuses)}
    if len(versions) < 2:
        return []
    each = ", ".join(f"{endpoint} {version}" for version, endpoint in sorted(versions.items()))
    return [f"the members run different versions of etcd: {each}"]


def lagging(statuses: Sequence[MemberStatus], read: str = "") -> list[str]:
    """Sentences on members that are behind the newest.

    Args:
        statuses: The members that answer.
        read: The endpoint of the snapshot; empty for a range, which is read through several.
    """
    newest = max(statuses, key=lambda status: (status.revision, status.raft_index))
    texts = []
    for status in statuses:
        if status.revision < newest.revision:
            behind = f"at revision {status.revision:,} (raft index {status.raft_index:,})"
            ahead = f"{newest.endpoint} is at {newest.revision:,} (raft index {newest.raft_index:,})"
            who = "the member that was read" if status.endpoint == read else "member"
            texts.append(f"{status.endpoint}: {who} {hex_id(status.member_id)} is behind: {behind}, while {ahead}")
    return texts


def _alarms(statuses: Sequence[MemberStatus]) -> list[str]:
    sentences = {
        NOSPACE: "etcd takes no more writes, and no rewrite goes on, until it has space and the alarm is disarmed",
        CORRUPT: "its data differs from other members'",
    }
    raised = dict.fromkeys(alarm for status in statuses for alarm in status.alarms)
    return [
        f"member {hex_id(alarm.member_id)} has raised the alarm {alarm.kind}: "
        f"{sentences.get(alarm.kind, 'etcd-auditor does not know it')}"
        for alarm in raised
    ]


def doubts(statuses: Sequence[MemberStatus]) -> list[str]:
    """Reasons for which what any member answers may be wrong; empty where there are none."""
    raised = dict.fromkeys(alarm for status in statuses for alarm in status.alarms if alarm.kind != NOSPACE)
    return [
        f"member {hex_id(alarm.member_id)} has raised the alarm {alarm.kind}: members hold different data, and "
        "which of them hold the right one cannot be told here"
        if alarm.kind == CORRUPT
        else f"member {hex_id(alarm.member_id)} has raised an alarm that etcd-auditor does not know"
        for alarm in raised
    ]


def staleness(statuses: Sequence[MemberStatus], sender: MemberStatus) -> str:
    """The reason for which the sender of a snapshot may lack what was written; empty where there is none."""
    if not sender.leader:
        return f"{sender.name} knows of no leader: what the others wrote since is not in its database"
    if sender.learner:
        return f"{sender.name} is a learner, and one that is cut off does not know it: take a voting member's endpoint"
    if sender.revision < max(status.revision for status in statuses):
        return f"{sender.name} is behind the others: take another endpoint"
    return ""
