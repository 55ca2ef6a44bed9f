"""Texts that stand for other bytes which nobody decodes here: what they hold is not known.

Long runs of base64 and base32 (RFC 4648), uuencode (POSIX), Ascii85 and its kin, dumps of `xxd` and `hexdump`. Known
are certificates (DER, in PEM), keys and signatures (RFC 4253, OpenSSH's PROTOCOL.sshsig, RFC 9580), and texts that are
read in their turn.
"""

import re

from auditor.evidence import beginnings

LONG = 512
"""Letters of a run from which on it is no word, no digest and no token."""
FIRST = 1 << 12
"""Letters of a run that are decoded to tell what it is."""
_LINES = re.compile(rb"[A-Za-z0-9+/_-]{40,}(?:[ \t]{0,16}\r?\n[ \t]{0,16}[A-Za-z0-9+/_-]{40,})*")
_UU = re.compile(rb"(?:^|\n)begin [0-7]{3,4} [^\r\n]{1,255}\r?\nM|(?:(?:^|\n)M[ -`]{60}\r?(?=\n)){3}")
_DUMP = re.compile(rb"(?:(?:^|\n)[0-9a-fA-F]{4,16}:?[ \t]{1,8}(?:[0-9a-fA-F]{2,8}[ \t-]{1,8}){7}[^\n]*(?=\n)){2}")
_DENSE = re.compile(rb"(?:[!-~]{60,}\r?\n?){1,}")
_PUNCTUATION = bytes(set(range(33, 127)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"))
SIGNS = 20
"""Different signs of punctuation in a run of text without blanks, as no language has them and Ascii85 does."""
_KNOWN = re.compile(
    rb"\x30[\x80-\x84]|\0\0\0.(?:ssh-|ecdsa-|sk-)|openssh-key-v1\0|SSHSIG|[\x88\x89\xc2\x98\x99\xc6]", re.DOTALL
)
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\f\r")) + b"\x7f"


def holds_one(text: bytes) -> bool:
    """Whether a part of a text stands for bytes that are not known."""
    return (
        any(_is_unknown(run[0]) for run in _LINES.finditer(text) if len(run[0]) >= LONG)
        or _UU.search(text) is not None
        or _DUMP.search(text) is not None
        or any(_is_dense(run[0]) for run in _DENSE.finditer(text) if len(run[0]) >= LONG)
    )


def _is_unknown(run: bytes) -> bool:
    """Whether a run of letters is of bytes that are neither text nor known."""
    letters = run[:FIRST].translate(None, b" \t\r\n").translate(beginnings.URL_SAFE)
    content = beginnings.from_base64(letters[: len(letters) & ~3])
    if _KNOWN.match(content):
        return False
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start < len(content) - 3
    return len(content.translate(None, _CONTROLS)) < len(content)


def _is_dense(run: bytes) -> bool:
    part = run[:FIRST]
    return sum(sign in part for sign in _PUNCTUATION) >= SIGNS
