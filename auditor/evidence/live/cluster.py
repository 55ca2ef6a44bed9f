"""The one cluster of a run: whatever answers must be of the cluster that answered first, and must not be set back.

Format: etcd api/etcdserverpb/rpc.proto (ResponseHeader): every answer bears the id of the cluster, the revision, and
the term of the last entry that the member applied. A linearizable read is answered no earlier than what was read before
it, so that neither revision nor term falls from one to the next, whichever members answer.
"""

import threading
from typing import NamedTuple

from auditor.evidence.live import errors
from auditor.protobuf import rpc_pb2 as rpc
from auditor.text import hex_id


class Floor(NamedTuple):
    """The least revision and term that a later linearizable read has."""

    revision: int = 0
    term: int = 0


class Cluster:
    """The id of the cluster that a run began with, and how far it is. Used by several threads."""

    def __init__(self) -> None:
        self.floor = Floor()
        """Take it before a request; pass it to seen() with the answer."""
        self._id: int | None = None
        self._endpoint = ""
        self._known: set[str] = set()
        self._lock = threading.Lock()

    def check(self, cluster_id: int, endpoint: str) -> None:
        """Note the first id. Raises DifferentClusters where a later one is another."""
        with self._lock:
            if self._id is None:
                self._id, self._endpoint = cluster_id, endpoint
            if cluster_id == self._id:
                self._known.add(endpoint)
                return
        raise errors.DifferentClusters(
            f"the endpoints are not of one cluster: {endpoint} answers for cluster {hex_id(cluster_id)}, and the first "
            f"answer, of {self._endpoint}, was for {hex_id(self._id)}: audit each cluster by itself"
        )

    def knows(self, endpoint: str) -> bool:
        """Whether this endpoint has ever answered for the cluster."""
        with self._lock:
            return endpoint in self._known

    def seen(self, header: rpc.ResponseHeader, floor: Floor, endpoint: str) -> None:
        """Note how far the cluster is, by the answer to a linearizable read.

        Args:
            header: That of the answer.
            floor: The floor when the request was sent.
            endpoint: The member's URL.

        Raises:
            SetBack: The answer is older than the floor: a backup was restored.
        """
        for what, actual, least in (
            ("revision", header.revision, floor.revision),
            ("term", header.raft_term, floor.term),
        ):
            if actual < least:
                raise errors.SetBack(
                    f"{endpoint}: the store was set back, as by restoring a backup: its {what} is {actual:,}, and was "
                    f"{least:,}"
                )
        self.reached(header.revision, header.raft_term)

    def reached(self, revision: int, term: int = 0) -> None:
        """Raise the floor: this revision, and this term, were read."""
        with self._lock:
            self.floor = Floor(max(self.floor.revision, revision), max(self.floor.term, term))

    def forget(self) -> None:
        """Lower the floor to nothing: the store was set back. The id stays."""
        with self._lock:
            self.floor = Floor()
