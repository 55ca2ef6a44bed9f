"""Three members: one that stops during the scan, one that is left alone, one that is behind."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

import auditor
from auditor.evidence.live import members
from auditor.evidence.live.members import MemberStatus
from tests.helpers.etcd import Etcd
from tests.helpers.members import cluster
from tests.helpers.objects import StoredObject
from tests.helpers.observers import Calling

each_way = pytest.mark.parametrize(
    "options",
    [auditor.Options(), auditor.Options(range_only=True, accept_partial=True)],
    ids=["snapshot", "range"],
)


def fill(etcd: Etcd) -> None:
    """8 MB of Secrets: more than the buffers between two sockets hold."""
    for number in range(400):
        thing = StoredObject(b"shop", b"s%03d" % number, {b"password": b"hunter2", b"more": bytes(20_000)})
        etcd.put(thing.key, thing.protobuf())


def killed(etcd: Etcd) -> Callable[[int, int], None]:
    """Progress that ends a member at its first word."""

    def progress(_: int, __: int) -> None:
        etcd.process.kill()
        etcd.process.wait()

    return progress


@each_way
def test_a_member_that_stops_during_the_scan(options: auditor.Options, tmp_path: Path) -> None:
    """The leader, so that the others elect another meanwhile."""
    with cluster(tmp_path, "--heartbeat-interval=50", "--election-timeout=300") as members:
        fill(members[0])
        first = auditor.scan(",".join(each.url for each in members), options)
        assert first.complete
        assert not any("went on with" in note or "leader" in note for note in first.notes)
        (leader,) = [each for each in members if _id(each) == _leader(members[0])]
        order = [leader, *(each for each in members if each is not leader)]
        audit = auditor.scan(",".join(each.url for each in order), options, observer=Calling(received=killed(leader)))
    assert audit.tally.objects == 400
    assert audit.complete
    assert audit.evidence.live is not None
    assert audit.evidence.live.endpoint in {each.url for each in order[1:]}
    assert any(f"went on with {order[1].url}" in note for note in audit.notes)


def test_a_member_without_a_leader_is_not_concluded_on(tmp_path: Path) -> None:
    with cluster(tmp_path, "--heartbeat-interval=50", "--election-timeout=300") as members:
        fill(members[0])
        left, *others = members
        for each in others:
            each.process.kill()
            each.process.wait()
        while _leader(left):
            time.sleep(0.05)
        audit = auditor.scan(",".join(each.url for each in (*others, left)))
    assert not audit.complete
    (gap,) = audit.gaps
    assert "knows of no leader" in gap.reason
    assert sum("its member was not asked" in note for note in audit.notes) == 2
    assert any("knows of no leader" in note for note in audit.notes)


def standing(endpoint: str, revision: int, leader: int = 1) -> MemberStatus:
    return MemberStatus(
        endpoint=f"http://{endpoint}",
        member_id=int(endpoint, 16),
        cluster_id=12,
        version="3.5.1",
        revision=revision,
        raft_index=10 * revision,
        raft_term=2,
        leader=leader,
        db_size=1 << 20,
    )


def test_a_member_behind_the_others_is_told() -> None:
    both = [standing("a", 90), standing("b", 155)]
    (note,) = members.lagging(both, "http://a")
    assert note == (
        "http://a: the member that was read 000000000000000a is behind: at revision 90 (raft index 900), "
        "while http://b is at 155 (raft index 1,550)"
    )
    assert members.staleness(both, both[0]) == "member 000000000000000a is behind the others: take another endpoint"
    assert members.staleness(both, both[1]) == ""
    assert members.notes([both[1]], {"http://x": "http://x: nothing"}) == [
        "http://x: nothing; its member was not asked"
    ]


def _id(etcd: Etcd) -> int:
    from auditor.protobuf import rpc_pb2 as rpc

    return int(etcd.call("Status", rpc.StatusRequest()).header.member_id)


def _leader(etcd: Etcd) -> int:
    from auditor.protobuf import rpc_pb2 as rpc

    return int(etcd.call("Status", rpc.StatusRequest()).leader)
