"""Until when what authenticates in a Secret is valid: the leaf's end, a token's, none; and never a byte of a value."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from auditor.kubernetes.credentials import NONE_STATED, NOTHING, valid_until
from tests.helpers.certificates import certificate, key, key_pem, kubeconfig, seconds, text, token

Data = dict[bytes, bytes]
LEAF, CHAIN, CA = certificate("2027-03-04"), certificate("2035-01-01", 1), certificate("2040-01-01", 2)
TLS = {b"tls.crt": LEAF, b"tls.key": key_pem()}
PASSWORD = {b"password": b"hunter2-hunter2-hunter2"}
ID_TOKEN = {b"id-token": token(exp=seconds("2027-09-09"))}
BOOTSTRAP = {b"token-id": b"abcdef", b"token-secret": b"0123456789abcdef", b"usage-bootstrap-authentication": b"true"}
CLIENT = {"client-certificate-data": text(LEAF), "client-key-data": text(key_pem())}
OTHER_CLIENT = {"client-certificate-data": text(CHAIN), "client-key-data": text(key_pem())}
CASES: dict[str, tuple[Data, str]] = {
    "a certificate with its key": (TLS, "2027-03-04"),
    "a chain that lives longer than its leaf": ({**TLS, b"tls.crt": LEAF + CHAIN, b"ca.crt": CA}, "2027-03-04"),
    "a chain in the other order": ({**TLS, b"tls.crt": CHAIN + LEAF}, "2027-03-04"),
    "key and certificate in one text": ({b"tls.pem": key_pem() + b"\n" + LEAF + CHAIN}, "2027-03-04"),
    "a certificate renewed under the same key": (
        {**TLS, b"old.crt": certificate("2025-03-04"), b"tls.crt": certificate("2028-02-01")},
        "2028-02-01",
    ),
    "two pairs: the later end": ({**TLS, b"b.crt": CHAIN, b"b.key": key_pem(1)}, "2035-01-01"),
    "an expired certificate": ({**TLS, b"tls.crt": certificate("2021-01-01")}, "2021-01-01"),
    "an expired certificate beside a password": (
        {**TLS, b"tls.crt": certificate("2021-01-01"), **PASSWORD},
        NONE_STATED,
    ),
    "a key without its certificate": ({b"tls.key": key_pem(), b"tls.crt": CHAIN}, NONE_STATED),
    "a key alone": ({b"ssh-privatekey": key_pem()}, NONE_STATED),
    "the key of a CA whose certificate is in ca.crt alone": ({b"ca.crt": CA, b"ca.key": key_pem(2)}, NONE_STATED),
    "a notAfter that states no end": ({**TLS, b"tls.crt": certificate("9999-12-31")}, NONE_STATED),
    "a bundle of certificates": ({b"ca.crt": CA, b"bundle.pem": b"# a comment\n" + CA + CHAIN}, NOTHING),
    "an empty Secret": ({}, NOTHING),
    "empty values": ({b"token": b"", b"password": b" \n"}, NOTHING),
    "ca.crt that is no certificate": ({b"ca.crt": b"whatever it holds", b"namespace": b"kube-system"}, NOTHING),
    "a legacy token beside ca.crt": (
        {b"ca.crt": CA, b"namespace": b"default", b"token": token(sub="system:serviceaccount:a:b")},
        NONE_STATED,
    ),
    "a bound token": ({b"ca.crt": CA, b"namespace": b"a", **ID_TOKEN}, "2027-09-09"),
    "an ID token beside a refresh token": ({**ID_TOKEN, b"refresh-token": b"Chlh9xN2_refresh_refresh"}, NONE_STATED),
    "a token with a line break": ({b"token": token(exp=seconds("2027-09-09")) + b"\n"}, "2027-09-09"),
    "a password": (PASSWORD, NONE_STATED),
    "a user name": ({b"username": b"admin"}, NONE_STATED),
    "a text around a certificate that may be anything": ({b"x.pem": b"password: y\n" + CA}, NONE_STATED),
    "a kubeconfig with a client certificate": ({b"value": kubeconfig(**CLIENT)}, "2027-03-04"),
    "a kubeconfig with a token": ({b"kubeconfig": kubeconfig(token=ID_TOKEN[b"id-token"].decode())}, "2027-09-09"),
    "a kubeconfig with a password": ({b"config": kubeconfig(username="a", password="b")}, NONE_STATED),
    "a kubeconfig whose key is another's": ({b"value": kubeconfig(**OTHER_CLIENT)}, NONE_STATED),
    "a kubeconfig with an authentication plugin": ({b"value": kubeconfig(exec={"command": "x"})}, NONE_STATED),
    "a kubeconfig of files elsewhere": ({b"value": kubeconfig(**{"client-key": "/a", "tokenFile": "/b"})}, NOTHING),
}


@pytest.mark.parametrize("case", CASES)
def test_cases(case: str) -> None:
    data, expected = CASES[case]
    assert valid_until(b"Opaque", list(data.items())) == expected
    assert valid_until(b"Opaque", list(reversed(data.items()))) == expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({b"expiration": b"2026-12-24T10:00:00Z"}, "2026-12-24"),
        ({b"expiration": b"2026-12-24T23:30:00-05:00"}, "2026-12-25"),
        ({}, NONE_STATED),
        ({b"expiration": b"soon"}, NONE_STATED),
        ({b"expiration": b"2026-12-24T10:00:00Z", b"password": b"x"}, NONE_STATED),
    ],
)
def test_bootstrap_tokens(more: Data, expected: str) -> None:
    assert valid_until(b"bootstrap.kubernetes.io/token", list({**BOOTSTRAP, **more}.items())) == expected


@pytest.mark.parametrize(
    "end", [True, None, "2027", -1, 1e300, float("nan"), float("inf"), {}, 253402300799, -(10**400), 10**400]
)
def test_a_token_whose_end_is_none(end: object) -> None:
    assert valid_until(b"", [(b"token", token(exp=end))]) == NONE_STATED


def test_rsa_keys_of_both_forms() -> None:
    private = rsa.generate_private_key(65537, 2048)
    leaf = x509.load_pem_x509_certificate(LEAF)
    own = (
        x509.CertificateBuilder()
        .subject_name(leaf.subject)
        .issuer_name(leaf.subject)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(leaf.not_valid_before_utc)
        .not_valid_after(leaf.not_valid_after_utc)
        .sign(key(9), leaf.signature_hash_algorithm)  # type: ignore[arg-type]
    )
    forms = [
        private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        for form in (serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL)
    ]
    der = private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    encoded = own.public_bytes(serialization.Encoding.PEM)
    for form in (*forms, der):
        assert valid_until(b"", [(b"tls.key", form), (b"tls.crt", encoded)]) == "2027-03-04"
    binary = own.public_bytes(serialization.Encoding.DER)
    assert valid_until(b"", [(b"key.der", der), (b"crt.der", binary)]) == "2027-03-04"
    locked = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    )
    assert valid_until(b"", [(b"tls.key", locked), (b"tls.crt", encoded)]) == NONE_STATED


@pytest.mark.parametrize(
    "value",
    [
        b"-----BEGIN CERTIFICATE-----\n" * 5000,
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        b"kind: Config\nusers: " + b"[" * 20_000,
        b"kind: Config\nusers: &a [*a, *a]",
        b"kind: Config\nusers: [{user: {token: [1]}}]",
        b"kind: Config\nusers: [{user: 3}]",
        b"kind: Config\nusers: !!python/object/apply:os.system [x]",
        b"{" * 5000 + b'"kind":"Config","users":1',
        b"eyJ" + b"A" * 100_000 + b".eyJ.x",
        b"eyJhbGciOiJub25lIn0." + b"W" * 4000 + b".",
        b"\x30\x82\xff\xff" + b"\0" * 100,
        b"\xff\xfe Config kind users",
    ],
)
def test_hostile_values_state_no_end(value: bytes) -> None:
    assert valid_until(b"Opaque", [(b"x", value)]) == NONE_STATED
    assert valid_until(b"bootstrap.kubernetes.io/token", [(b"expiration", value)]) == NONE_STATED


@given(st.binary(max_size=12), st.lists(st.tuples(st.binary(max_size=9), st.binary(max_size=200)), max_size=4))
def test_any_data_gives_a_day_or_a_word(type_: bytes, data: list[tuple[bytes, bytes]]) -> None:
    assert valid_until(type_, data) in {NONE_STATED, NOTHING}
