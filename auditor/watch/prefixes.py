"""The storage prefixes under which an etcd holds objects, asked of it: one key of each beginning, and counts."""

from collections.abc import Sequence
from functools import partial

from auditor.evidence.live import errors, range_read
from auditor.evidence.live.access import Access
from auditor.evidence.live.client import Client
from auditor.evidence.live.cluster import Cluster
from auditor.evidence.live.member import Member
from auditor.protobuf import rpc_pb2 as rpc
from auditor.text import encode, printable, restore

MOST = 64
"""Beginnings of keys that are looked at."""


def detect(access: Access, cluster: Cluster, paths: Sequence[str]) -> tuple[str, ...]:
    """The storage prefixes of one part that have objects of some resources; none where a role may not ask.

    kube-apiserver puts a slash before the prefix that it is given (apiserver pkg/storage/etcd3/store.go, newStore).

    Args:
        access: How to reach the etcd.
        cluster: That of the run.
        paths: Paths of the resources below a storage prefix.

    Raises:
        LiveError: No endpoint answers, or one is of another cluster.
    """
    prefixes: list[str] = []
    start, end = range_read.bounds("")
    with Client(access, cluster) as client:
        try:
            for _ in range(MOST):
                answer = _range(client, rpc.RangeRequest(key=start, range_end=end, limit=1, keys_only=True))
                if not answer.kvs:
                    break
                head, slash, _rest = answer.kvs[0].key[1:].partition(b"/")
                # behind every key that begins so
                start = b"/" + head + (b"0" if slash else b"\0")
                text = printable(head)
                # what no option could name is no prefix of an API server
                if slash and restore(text) == encode(text) and any(_holds(client, f"{text}/{path}") for path in paths):
                    prefixes.append(f"/{text}")
        except errors.Denied:
            return ()
    return tuple(prefixes)


def _holds(client: Client, path: str) -> bool:
    """Whether there is a key below a path."""
    begin, end = range_read.bounds(path)
    return _range(client, rpc.RangeRequest(key=begin, range_end=end, count_only=True)).count > 0


def _range(client: Client, request: rpc.RangeRequest) -> rpc.RangeResponse:
    return client.ask(partial(Member.range, request=request))
