"""Private keys and the certificates that are theirs, and when these end. Nothing else of them leaves this module."""

import re
import warnings
from contextlib import suppress
from itertools import islice
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----.*?-----END \1-----", re.DOTALL)
_KEYS = frozenset({b"PRIVATE KEY", b"RSA PRIVATE KEY", b"EC PRIVATE KEY", b"DSA PRIVATE KEY"})
"""Labels of private keys in clear. An encrypted one, or one of OpenSSH's, is not understood."""
_CERTIFICATES = frozenset({b"CERTIFICATE", b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE"})
_PUBLIC = frozenset({
    b"PUBLIC KEY", b"RSA PUBLIC KEY", b"X509 CRL", b"CERTIFICATE REQUEST", b"NEW CERTIFICATE REQUEST", b"DH PARAMETERS",
    b"EC PARAMETERS",
})  # fmt: skip
_REFUSALS = (ValueError, TypeError, UnsupportedAlgorithm, OverflowError)


class Pairs:
    """The private keys and certificates of one Secret, or of one user of a kubeconfig."""

    def __init__(self) -> None:
        self._keys: list[Any] = []
        """The public keys of the private ones."""
        self._certificates: list[x509.Certificate] = []

    def add_pem(self, text: bytes) -> bool:
        """Add the blocks of a PEM text; whether all of the text is understood."""
        remainder, end = [], 0
        for block in _BLOCK.finditer(text):
            remainder.append(text[end : block.start()])
            end = block.end()
            label = block[1]
            if label in _KEYS:
                if not self._add_key(block[0], load_pem_private_key):
                    return False
            elif label in _CERTIFICATES:
                self._add_certificate(block[0])
            elif label not in _PUBLIC:
                return False
        # between blocks only comments: other text may be anything
        lines = b"\n".join([*remainder, text[end:]]).split(b"\n")
        return all(not line.strip() or line.lstrip().startswith(b"#") for line in lines)

    def add_der(self, value: bytes) -> bool:
        """Add a private key or a certificate as DER; whether it is one."""
        if self._add_key(value, load_der_private_key):
            return True
        count = len(self._certificates)
        self._add_certificate(value, der=True)
        return len(self._certificates) > count

    def ends(self) -> list[float] | None:
        """The notAfter of the certificates with their private key, in seconds since 1970; None where a key has none."""
        ends: list[float] = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a certificate does against the standards is not our matter
            for key in self._keys:
                own = [certificate for certificate in self._certificates if _is_of(certificate, key)]
                if not own:
                    return None
                try:
                    ends.extend(certificate.not_valid_after_utc.timestamp() for certificate in own)
                except _REFUSALS:
                    return None
        return ends

    def _add_key(self, raw: bytes, load: Any) -> bool:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                self._keys.append(load(raw, None, unsafe_skip_rsa_key_validation=True).public_key())
            except _REFUSALS:
                return False
        return True

    def _add_certificate(self, raw: bytes, *, der: bool = False) -> None:
        """Add a certificate. One that does not parse is public all the same, and the certificate of no key."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                load = x509.load_der_x509_certificate if der else x509.load_pem_x509_certificate
                self._certificates.append(load(raw))
            except _REFUSALS:
                return


def starts(text: bytes, most: int) -> list[int]:
    """The notBefore of the certificates in a PEM text, up to a number of them, in seconds since 1970."""
    blocks = [each[0] for each in islice(_BLOCK.finditer(text), most) if each[1] in _CERTIFICATES]
    seconds = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for block in blocks:
            with suppress(*_REFUSALS):
                seconds.append(int(x509.load_pem_x509_certificate(block).not_valid_before_utc.timestamp()))
    return seconds


def _is_of(certificate: x509.Certificate, key: Any) -> bool:
    try:
        return bool(certificate.public_key() == key)
    except _REFUSALS:
        return False
