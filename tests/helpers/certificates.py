"""Certificates, tokens and kubeconfigs that the tests make."""

import base64
import json
from datetime import datetime
from functools import cache
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SUBJECT = "SUBJECT-8d1c4e"
SERIAL = 0x53455249414C5F394631  # "SERIAL_9F1"
NAMES = ("SAN-5b2f7a.example", "other.example")


@cache
def key(number: int = 0) -> ec.EllipticCurvePrivateKey:
    """The private key of a number."""
    return ec.derive_private_key(0x10001 + number, ec.SECP256R1())


def key_pem(number: int = 0) -> bytes:
    return key(number).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def certificate(end: str, number: int = 0, issuer: int = 99, start: str = "2020-01-01T00:00:00") -> bytes:
    """A certificate in PEM. end: the day of its notAfter; number, issuer: of the keys; start: its notBefore."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SUBJECT)])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key(number).public_key())
        .serial_number(SERIAL)
        .not_valid_before(datetime.fromisoformat(f"{start}+00:00"))
        .not_valid_after(datetime.fromisoformat(f"{end}T23:59:59+00:00"))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in NAMES]), critical=False)
        .sign(key(issuer), hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )


def token(**claims: Any) -> bytes:
    """A JSON Web Token with a signature of no key."""

    def part(tree: dict[str, Any]) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(tree).encode()).rstrip(b"=")

    return b".".join((part({"alg": "RS256", "kid": "k"}), part(claims), b"c2lnbmF0dXJl"))


def seconds(day: str) -> int:
    return int(datetime.fromisoformat(f"{day}T12:00:00+00:00").timestamp())


def kubeconfig(**user: Any) -> bytes:
    """A kubeconfig with one user."""
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": "https://192.0.2.1:6443"}}],
            "users": [{"name": "u", "user": user}],
        }
    ).encode()


def text(raw: bytes) -> str:
    """The base64 of some bytes, as kubeconfigs hold them."""
    return base64.b64encode(raw).decode()
