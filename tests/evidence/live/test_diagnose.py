"""What stands in the way of a connection, told by sockets that refuse, hang up, fall silent or speak something else."""

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives import serialization

from auditor.errors import UsageError
from auditor.evidence.live import diagnose, errors
from auditor.evidence.live.access import Access, Endpoint
from tests.helpers.members import Authority

Answer = Callable[[socket.socket], None]
WAIT = 0.3


@contextmanager
def server(answer: Answer) -> Iterator[Endpoint]:
    """A port on which every connection is answered so, and then closed."""

    def accept() -> None:
        while True:
            try:
                near, _ = listening.accept()
            except OSError:
                return
            with near:
                answer(near)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=accept)
        thread.start()
        yield Endpoint(False, "127.0.0.1", listening.getsockname()[1])
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def reset(near: socket.socket) -> None:
    near.recv(1)
    near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def silence(near: socket.socket) -> None:
    """Until the other side has had enough."""
    while near.recv(1 << 16):
        pass


def nonsense(near: socket.socket) -> None:
    near.recv(1 << 16)
    near.sendall(b"\x16\x03\x03\x00\x04\x63\x00\x00\x00")  # a TLS record that holds no message of a handshake


def asked(endpoint: Endpoint, *, secure: bool = False, cacert: str = "") -> str:
    made = Endpoint(secure, endpoint.host, endpoint.port)
    return diagnose.diagnose(made, Access((made,), cacert=cacert, timeout=WAIT))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


SETTINGS = b"\0\0\0\4\0\0\0\0\0"
"""What an HTTP/2 server says first (RFC 9113, 3.4)."""


def test_a_server_that_speaks_http2_is_not_in_the_way() -> None:
    with server(lambda near: near.sendall(SETTINGS)) as endpoint:
        assert not asked(endpoint)


def test_a_server_that_falls_silent_hangs() -> None:
    with server(silence) as endpoint:
        assert asked(endpoint) == diagnose.HANGS


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"<!DOCTYPE html>", b"SSH-2.0-x\r\n"])
def test_a_server_that_speaks_something_else_is_no_etcd(answer: bytes) -> None:
    with server(lambda near: near.sendall(answer)) as endpoint:
        assert asked(endpoint) == diagnose.NO_HTTP2


@pytest.mark.parametrize("answer", [reset, lambda near: near.recv(1 << 16)], ids=["reset", "closed"])
def test_a_server_that_hangs_up(answer: Answer) -> None:
    with server(answer) as endpoint:
        assert asked(endpoint) == "it hangs up without an answer: is it https://?"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (silence, diagnose.HANGS),
        (reset, "it hangs up instead of speaking TLS: is it http://?"),
        (nonsense, "no TLS connection ("),
    ],
    ids=["silent", "reset", "nonsense"],
)
def test_a_server_that_does_not_finish_the_handshake(answer: Answer, said: str, authority: Authority) -> None:
    with server(answer) as endpoint:
        told = asked(endpoint, secure=True, cacert=str(authority.cacert))
    assert told.startswith(said)
    assert bool(told) == bool(said)


def test_nothing_listens_or_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert asked(Endpoint(False, "127.0.0.1", port)) == "nothing listens there (connection refused)"
    assert asked(Endpoint(False, "name.invalid", 1)) == "its host name cannot be resolved"
    assert asked(Endpoint(False, "255.255.255.255", 1)).startswith("no connection: ")


def test_a_server_that_takes_no_more_connections() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        endpoint = Endpoint(False, "127.0.0.1", full.getsockname()[1])
        waiting = []
        for _ in range(4):  # those that fit into its queue
            each = socket.socket()
            each.setblocking(False)
            each.connect_ex((endpoint.host, endpoint.port))
            waiting.append(each)
        assert asked(endpoint) == f"no connection within {WAIT / 4:g} s"
        for each in waiting:
            each.close()


def test_a_key_that_is_locked_by_a_password_is_refused(authority: Authority, tmp_path: Path) -> None:
    """OpenSSL would ask for it on the terminal."""
    tls = authority.issue("client")
    key = serialization.load_pem_private_key(tls.key.read_bytes(), None)
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"CANARY-pass"),
        )
    )
    access = Access((), cacert=str(tls.cacert), cert=str(tls.cert), key=str(locked))
    with pytest.raises(UsageError, match="the key is locked by a password"):
        diagnose.context(access)


def test_a_system_without_authorities_is_told_to_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: SimpleNamespace(cafile=None))
    with pytest.raises(UsageError, match="--cacert"):
        diagnose.authorities(Access(()))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: SimpleNamespace(cafile="own.pem"))
    assert diagnose.authorities(Access(())) == "own.pem"


def test_a_request_that_timed_out_may_say_why() -> None:
    plain = errors.from_status("etcdserver: request timed out", "UNAVAILABLE", "http://a:1", "range")
    more = errors.from_status(
        "etcdserver: request timed out, possibly due to previous leader failure", "UNAVAILABLE", "http://a:1", "range"
    )
    assert (type(plain), str(plain)) == (type(more), str(more))
