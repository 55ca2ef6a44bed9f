"""The class of a credential, by type, labels and names."""

import pytest

from auditor.kubernetes.credential_classes import PASSWORD, REST, TLS, CredentialClass, class_of


@pytest.mark.parametrize(
    ("type_", "field", "fields", "expected"),
    [
        (b"kubernetes.io/tls", b"tls.key", [b"tls.crt", b"tls.key"], TLS),
        (b"kubernetes.io/tls", b"password", [b"tls.crt", b"password"], TLS),
        (b"Opaque", b"tls.key", [b"tls.crt", b"tls.key", b"password"], TLS),
        (b"Opaque", b"password", [b"tls.crt", b"tls.key", b"password"], PASSWORD),
        (b"Opaque", b"blob", [b"blob"], REST),
    ],
)
def test_a_value_beside_a_certificate(
    type_: bytes, field: bytes, fields: list[bytes], expected: CredentialClass
) -> None:
    assert class_of(type_, field, {}, fields) is expected
