"""Time stamps of the lists of checksums, of the authority that --timestamp names (RFC 3161; over HTTP, section 3.4).

The authority gets a hash and a random number, and nothing else. Its answer is kept as it came, beside the list.
"""

import hashlib
import http.client
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from auditor.errors import MissingExtra, UsageError, require
from auditor.text import shown

OPTION, PACKAGE, EXTRA = "--timestamp", "rfc3161_client", "timestamp"
LONGEST = 30
"""Seconds in which the authority must answer."""
LARGEST = 1 << 20
"""Bytes of an answer."""
_TYPES = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}


class _Staying(urllib.request.HTTPRedirectHandler):
    """Redirects are not followed: they lead to a host that nobody named."""

    def redirect_request(self, *_: Any) -> None:
        return None


def check(authority: str) -> None:
    """Refuse what is no authority's address, before the audit. Raises UsageError or MissingExtra."""
    parts = urlsplit(authority)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        raise UsageError(f"{OPTION} takes the URL of an authority, http:// or https://, without a user's name")
    require(OPTION, PACKAGE, EXTRA)


def stamp(authority: str, listed: Path) -> bytes:
    """The authority's answer about a list of checksums.

    Raises:
        UsageError: It gives none, or one about something else.
        MissingExtra: The library is not installed.
    """
    try:
        from rfc3161_client import HashAlgorithm, PKIStatus, TimestampRequestBuilder, decode_timestamp_response
    except ImportError:
        raise MissingExtra(OPTION, PACKAGE, EXTRA) from None
    content = listed.read_bytes()
    question = TimestampRequestBuilder().data(content).hash_algorithm(HashAlgorithm.SHA256).build()
    answer = _asked(authority, question.as_bytes(), listed)
    try:
        response = decode_timestamp_response(answer)
        if response.status != PKIStatus.GRANTED:  # with modifications, of which none was asked for, it is not verified
            raise _failed(listed, f"the authority grants none (status {response.status})")
        about = response.tst_info
        imprint, nonce = about.message_imprint.message, about.nonce
    except ValueError:
        raise _failed(listed, "the answer is no time stamp in DER, as RFC 3161 has it") from None
    if imprint != hashlib.sha256(content).digest() or nonce != question.nonce:
        raise _failed(listed, "the answer is about something else")
    return answer


def _asked(authority: str, question: bytes, listed: Path) -> bytes:
    request = urllib.request.Request(authority, question, _TYPES, method="POST")  # noqa: S310 - of check()
    try:
        with urllib.request.build_opener(_Staying).open(request, timeout=LONGEST) as response:
            answer: bytes = response.read(LARGEST + 1)
    except urllib.error.HTTPError as error:
        raise _failed(listed, f"the authority answers with status {error.code}") from None
    except (OSError, http.client.HTTPException) as error:
        raise _failed(listed, f"the authority is not reached ({type(error).__name__})") from None
    if len(answer) > LARGEST:
        raise _failed(listed, "the answer is too long for one")
    return answer


def _failed(listed: Path, why: str) -> UsageError:
    return UsageError(f"{shown(listed.name)} is written, and has no time stamp: {why}")
