"""Time stamps beside lists of checksums: what an authority says of them, and when it said so (RFC 3161)."""

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.errors import MissingExtra, UsageError
from auditor.text import printable, shown
from auditor.verify.checks import Check, differs, note, same, unchecked

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

SUFFIX = ".tsr"
PACKAGE, EXTRA = "rfc3161_client", "timestamp"
LARGEST = 1 << 20
"""Bytes of a time stamp, or of the file of certificates."""


def check(listed: Path, roots: Path | None) -> Iterator[Check]:
    """The time stamp beside a list of checksums.

    Args:
        listed: The list.
        roots: Certificates in PEM that are trusted to say what time it was; None where whoever says so is only named.

    Raises:
        UsageError: The file of certificates cannot be read.
        MissingExtra: The library that checks it is not installed, and certificates are given.
    """
    stamp = listed.with_name(listed.name + SUFFIX)
    what = shown(stamp.name)
    trusted = _certificates(roots) if roots is not None else []
    if not stamp.is_file():
        if roots is not None:
            yield differs(what, f"there is no such file: {shown(listed.name)} has no time stamp")
        return
    try:
        from rfc3161_client import decode_timestamp_response
    except ImportError:
        if roots is not None:
            raise MissingExtra("--tsa-roots", PACKAGE, EXTRA) from None
        yield unchecked(what, f"{PACKAGE}, which the extra {EXTRA} brings, checks it")
        return
    content = listed.read_bytes()
    try:
        with stamp.open("rb") as file:
            answer = decode_timestamp_response(file.read(LARGEST))
        about = answer.tst_info
        imprint, time = about.message_imprint.message, about.gen_time.strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OSError, ValueError):
        yield differs(what, "it is no time stamp that was granted")
        return
    if imprint != hashlib.sha256(content).digest():
        yield differs(what, f"it is of something else than {shown(listed.name)} as it stands")
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of certificates that a later release of the library refuses
        who, proven = _authority(answer), bool(trusted) and _is_trusted(answer, content, trusted)
    if not trusted:
        yield note(what, f"it states {time} and names {who}; nothing of that is verified without --tsa-roots FILE")
    elif proven:
        yield same(what, f"{shown(listed.name)} existed at {time}, by the time stamp of {who}")
    else:
        yield differs(what, f"no authority under the certificates of --tsa-roots signed it; it names {who}")


def _is_trusted(answer: Any, content: bytes, roots: "Sequence[Certificate]") -> bool:
    """Whether an authority under the roots signed a time stamp of these bytes."""
    from rfc3161_client import VerifierBuilder

    builder = VerifierBuilder()
    for root in roots:
        builder = builder.add_root_certificate(root)
    try:
        return bool(builder.build().verify_message(answer, content))
    except Exception:  # noqa: BLE001 - what the libraries raise for a forged certificate is no closed list
        return False


def _authority(answer: Any) -> str:
    """The subject of the certificate that a time stamp names as its signer's, printable; it may be forged."""
    from cryptography import x509

    try:
        (signer,) = answer.signed_data.signer_infos
        certificates = [x509.load_der_x509_certificate(each) for each in answer.signed_data.certificates]
        named = (
            each.subject.rfc4514_string()
            for each in certificates
            if (each.issuer, each.serial_number) == (signer.issuer, signer.serial_number)
        )
        return printable(next(named, "an authority without a certificate in it").encode()[:200])
    except Exception:  # noqa: BLE001 - as in _is_trusted()
        return "an authority that cannot be read"


def _certificates(path: Path) -> "list[Certificate]":
    from cryptography import x509

    try:
        with path.open("rb") as file:
            return list(x509.load_pem_x509_certificates(file.read(LARGEST)))
    except (OSError, ValueError):
        raise UsageError(f"--tsa-roots {shown(path)}: no file of certificates in PEM") from None
