"""Whether a watched etcd is of the cluster that --expect-cluster names.

The kube-system namespace says it, where the role may read it and it is in the clear.
"""

from collections.abc import Sequence
from functools import partial

from auditor.audit.expectations import UnexpectedEvidence
from auditor.evidence.live import errors
from auditor.evidence.live.access import Access
from auditor.evidence.live.client import Client
from auditor.evidence.live.cluster import Cluster
from auditor.evidence.live.member import Member
from auditor.kubernetes import objects
from auditor.model.vocabulary import Encoding
from auditor.protobuf import rpc_pb2 as rpc
from auditor.text import printable, restore, shown


def doubt(access: Access, cluster: Cluster, prefixes: Sequence[str], expected: str) -> str:
    """Why it cannot be told whether this is the cluster; empty where it is.

    Args:
        access: How to reach the etcd.
        cluster: That of the run.
        prefixes: Storage prefixes.
        expected: Uid of the kube-system namespace.

    Raises:
        UnexpectedEvidence: It is another cluster.
        LiveError: No endpoint answers, or one is of another cluster.
    """
    unknown = f"whether this is cluster {shown(expected)} cannot be told: its kube-system namespace"
    uids = set()
    with Client(access, cluster) as client:
        for prefix in prefixes:
            request = rpc.RangeRequest(key=restore(f"{prefix}/namespaces/kube-system"))
            try:
                answer = client.ask(partial(Member.range, request=request))
            except errors.Denied:
                return f"{unknown} may not be read"
            uids |= {uid for uid in map(_uid, (each.value for each in answer.kvs)) if uid}
    if expected.strip() in uids:
        return ""
    if uids:
        raise UnexpectedEvidence(
            f"{access.name} is not cluster {shown(expected)}: the kube-system namespace's uid is "
            f"{' and '.join(sorted(uids))}; nothing was concluded"
        )
    return f"{unknown} is absent, or encrypted"


def _uid(value: bytes) -> str:
    """The uid of a namespace that is stored in the clear; empty where it does not show one."""
    for beginning, encoding in ((b"k8s\0", Encoding.PROTOBUF), (b"{", Encoding.JSON)):
        if value.startswith(beginning):
            return printable(objects.decode(value, encoding).uid)
    return ""
