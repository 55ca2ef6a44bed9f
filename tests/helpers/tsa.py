"""A time-stamping authority on loopback, for which openssl answers (openssl-ts(1))."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.helpers.https_server import Request, serving

CONFIGURATION = """\
[tsa]
default_tsa = own
[own]
serial = {folder}/serial
signer_cert = {folder}/authority.pem
signer_key = {folder}/authority-key.pem
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_alg = sha256
"""


class Authority:
    """Its certificates and key in a folder; `root` is what a reader must trust."""

    def __init__(self, folder: Path, name: str = "Authority of the tests") -> None:
        folder.mkdir()
        self.folder, self.root = folder, folder / "root.pem"
        self.refusing, self.leads = b"", ""
        self.questions: list[bytes] = []
        top, own = (rsa.generate_private_key(65537, 2048) for _ in range(2))
        issuer, subject = _name("Root of the tests"), _name(name)
        root = _builder(issuer, issuer, top).add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
        signer = _builder(subject, issuer, own).add_extension(usage, True)
        for builder, path in ((root, self.root), (signer, folder / "authority.pem")):
            path.write_bytes(builder.sign(top, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        kind, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        (folder / "authority-key.pem").write_bytes(own.private_bytes(serialization.Encoding.PEM, kind, plain))
        (folder / "serial").write_text("01\n")
        (folder / "tsa.cnf").write_text(CONFIGURATION.format(folder=folder))

    def answer(self, question: bytes) -> bytes:
        self.questions.append(question)
        asked, answered = self.folder / "question", self.folder / "answer"
        asked.write_bytes(question)
        command = ["openssl", "ts", "-reply", "-config", str(self.folder / "tsa.cnf"), "-queryfile", str(asked)]
        subprocess.run([*command, "-out", str(answered)], check=True, capture_output=True)
        return answered.read_bytes()

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Its URL."""

        def respond(request: Request) -> tuple[int, Mapping[str, str], bytes]:
            if self.leads:
                return 302, {"Location": self.leads}, b""
            raw = self.refusing or self.answer(request.body)
            return 200, {"Content-Type": "application/timestamp-reply"}, raw

        with serving(respond) as address:
            yield f"{address}/tsr"


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(subject: x509.Name, issuer: x509.Name, key: rsa.RSAPrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
    )
