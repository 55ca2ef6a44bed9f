"""One member of a live etcd, through one of its client URLs: status, range, snapshot, watch. Nothing that writes."""

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from auditor.errors import UsageError
from auditor.evidence.live import diagnose, errors, stubs
from auditor.evidence.live.access import Access, Endpoint, shown
from auditor.evidence.live.cluster import Cluster
from auditor.evidence.live.members import MemberStatus, alarms
from auditor.evidence.live.watch_stream import InactivityTimer, WatchStream
from auditor.protobuf import rpc_pb2 as rpc

OPTIONS = (
    ("grpc.max_receive_message_length", -1),  # grpc's own limit, 4 MB, is less than three values may hold
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),  # the client retries, and says so
    ("grpc.use_local_subchannel_pool", 1),  # a new channel is a new connection
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.http2.max_pings_without_data", 0),
)


NO_QUORUM = "it knows of no leader: most members of its cluster do not answer, and there is no quorum"


class Member:
    """A connection to one endpoint, authenticated where a user is named. Raises LiveError and UsageError."""

    def __init__(self, access: Access, endpoint: Endpoint, cluster: Cluster | None = None) -> None:
        """A connection, made with the first request.

        Args:
            access: The credentials.
            endpoint: One of its endpoints.
            cluster: The cluster that the member must be of; by default its own.
        """
        self.endpoint = endpoint.url
        self._access = access
        self._cluster = cluster or Cluster()
        self._client_url = endpoint
        if endpoint.secure:
            diagnose.context(access)
        etcd3 = stubs.load()
        import grpc

        options: list[tuple[str, Any]] = [*OPTIONS, *_keepalive(access.timeout)]
        if access.server_name:
            names = ("grpc.ssl_target_name_override", "grpc.default_authority")
            options += [(name, access.server_name) for name in names]
        host, _, port = endpoint.authority.rpartition(":")
        try:
            self._client: Any = etcd3.client(
                host=host,
                port=port,
                ca_cert=diagnose.authorities(access) if endpoint.secure else None,
                cert_cert=access.cert or None,
                cert_key=access.key or None,
                timeout=access.timeout,
                user=access.user or None,
                password=access.password or None,
                grpc_options=options,
            )
        except grpc.RpcError as error:
            raise self._diagnosed(errors.translated(error, self.endpoint, "authentication")) from None
        except OSError as error:
            raise UsageError(f"{shown(str(error.filename or 'a certificate'))}: {error.strerror}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def status(self) -> MemberStatus:
        """The member's state, which it tells without asking others. Raises DifferentClusters."""
        answer = self._ask(self._client.maintenancestub.Status, rpc.StatusRequest(), "status")
        self._cluster.check(answer.header.cluster_id, self.endpoint)
        raised, troubles = alarms(answer.errors)
        return MemberStatus(
            endpoint=self.endpoint,
            member_id=answer.header.member_id,
            cluster_id=answer.header.cluster_id,
            version=shown(answer.version),
            revision=answer.header.revision,
            raft_index=answer.raft_index,
            raft_term=answer.raft_term,
            leader=answer.leader,
            db_size=answer.db_size,
            learner=answer.is_learner,
            alarms=raised,
            troubles=troubles,
        )

    def range(self, request: rpc.RangeRequest) -> rpc.RangeResponse:
        """One page, linearizable. Raises Compacted, Denied, SetBack, DifferentClusters and the rest."""
        floor = self._cluster.floor
        answer: rpc.RangeResponse = self._ask(self._client.kvstub.Range, request, "range")
        self._cluster.check(answer.header.cluster_id, self.endpoint)
        self._cluster.seen(answer.header, floor, self.endpoint)
        return answer

    def members(self) -> rpc.MemberListResponse:
        """The members of the cluster, as most of them know it. Raises DifferentClusters."""
        method = stubs.load().etcdrpc.ClusterStub(self._client.channel).MemberList
        answer: rpc.MemberListResponse = self._ask(method, rpc.MemberListRequest(linearizable=True), "member list")
        self._cluster.check(answer.header.cluster_id, self.endpoint)
        return answer

    def roles(self, user: str) -> list[str]:
        """The names of the roles of a user, who may ask for itself."""
        method = stubs.load().etcdrpc.AuthStub(self._client.channel).UserGet
        return list(self._ask(method, rpc.AuthUserGetRequest(name=user), "user get").roles)

    def permissions(self, role: str) -> list[rpc.Permission]:
        """The permissions of a role that the user has."""
        method = stubs.load().etcdrpc.AuthStub(self._client.channel).RoleGet
        return list(self._ask(method, rpc.AuthRoleGetRequest(role=role), "role get").perm)

    def snapshot(self) -> Iterator[rpc.SnapshotResponse]:
        """The messages of the Snapshot stream. The timeout is that of each message, not of the stream."""
        yield from self._paced(self._client.maintenancestub.Snapshot, rpc.SnapshotRequest(), "snapshot")

    def watch(self, request: rpc.WatchCreateRequest) -> WatchStream:
        """A watch on a stream of its own, for `with` and for a loop.

        hasleader (etcd api/v3rpc/rpctypes/metadatafields.go): a member without a leader ends the stream instead of
        staying silent.
        """
        method = stubs.load().etcdrpc.WatchStub(self._client.channel).Watch
        metadata = (*(self._client.metadata or ()), ("hasleader", "true"))
        return WatchStream(method, metadata, request, self.endpoint, self._access.timeout)

    def _ask(self, method: Any, request: Any, what: str) -> Any:
        """The answer to a request. One that is late is diagnosed meanwhile, so that its reason is there in time."""
        import grpc

        call = method.future(request, timeout=self._access.timeout, metadata=self._client.metadata)
        why = ""
        try:
            try:
                return call.result(self._access.timeout / 2)
            except grpc.FutureTimeoutError:
                why = diagnose.diagnose(self._client_url, self._access) or self._without_leader()
                return call.result()
        except grpc.RpcError as error:
            translated = errors.translated(error, self.endpoint, what)
            if isinstance(translated, errors.TimedOut):
                why = why or self._without_leader()
                raise errors.Stuck(f"{self.endpoint}: {why}") if why else translated from None
            raise self._diagnosed(translated) from None
        finally:
            call.cancel()

    def _without_leader(self) -> str:
        """The reason of a request that is late, where the member says that it knows of no leader; else empty."""
        import grpc

        call = self._client.maintenancestub.Status
        try:
            answer = call(rpc.StatusRequest(), timeout=self._access.timeout / 4, metadata=self._client.metadata)
        except grpc.RpcError:
            return ""
        return "" if answer.leader else NO_QUORUM

    def _paced(self, method: Any, request: Any, what: str) -> Iterator[Any]:
        import grpc

        call = method(request, metadata=self._client.metadata)
        timer = InactivityTimer(self._access.timeout, call.cancel)
        try:
            while True:
                with timer:
                    message = next(call, None)
                if message is None:
                    return
                yield message
        except grpc.RpcError as error:
            if timer.expired:
                late = f"{self.endpoint}: {what}: nothing came for {self._access.timeout:g} s"
                raise errors.Unavailable(late) from None
            raise self._diagnosed(errors.translated(error, self.endpoint, what)) from None
        finally:
            call.cancel()
            timer.stop()

    def _diagnosed(self, error: errors.LiveError) -> errors.LiveError:
        """The error, with the reason where there is no connection."""
        if isinstance(error, errors.Unavailable) and (why := diagnose.diagnose(self._client_url, self._access)):
            return errors.Unavailable(f"{self.endpoint}: {why}")
        return error


def _keepalive(timeout: float) -> list[tuple[str, int]]:
    """gRPC's options for pings: as often as etcd allows (--grpc-keepalive-min-time, 5 s), and seldom enough."""
    third = int(timeout * 1000 / 3)
    return [
        ("grpc.keepalive_time_ms", min(max(third, 6_000), 30_000)),
        ("grpc.keepalive_timeout_ms", min(max(third, 1_000), 10_000)),
    ]
