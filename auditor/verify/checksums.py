"""Lists of SHA-256 sums in the form that coreutils' sha256sum writes and checks."""

import re
from pathlib import Path

SUFFIX = ".SHA256SUMS"
_MARK = b"\xef\xbb\xbf"
"""The byte order mark that editors put before a list."""
_BSD = re.compile(rb"SHA256 \((.+)\) = ([0-9a-f]{64})", re.DOTALL)
"""A line as BSD's and macOS' programs write it, and `sha256sum --tag`."""
_LINE = re.compile(rb"(\\?)([0-9a-f]{64}) [ *](.+)", re.DOTALL)
_ESCAPED = {b"\\\\": b"\\", b"\\n": b"\n", b"\\r": b"\r"}


def digest(path: Path) -> str:
    import hashlib  # loads OpenSSL, which the parsing process does not need

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def line(sha256: str, name: bytes) -> bytes:
    r"""One line as coreutils writes it: a backslash before it where the name has escapes (\\, \n, \r)."""
    escaped = name
    for text, raw in _ESCAPED.items():
        escaped = escaped.replace(raw, text)
    return (b"\\" if escaped != name else b"") + sha256.encode() + b"  " + escaped + b"\n"


def parse(raw: bytes) -> tuple[list[tuple[str, bytes]], list[int]]:
    """(hash, name) of each line, and the numbers of malformed lines."""
    sums, malformed = [], []
    for number, ended in enumerate(raw.removeprefix(_MARK).split(b"\n"), 1):
        text = ended.removesuffix(b"\r")  # a list that went through a mail; a name's own is escaped
        if not text:
            continue
        if bsd := _BSD.fullmatch(text):
            sums.append((bsd[2].decode(), bsd[1]))
            continue
        match = _LINE.fullmatch(text)
        if match is None:
            malformed.append(number)
            continue
        name = match[3]
        if match[1]:
            name = re.sub(rb"\\[\\nr]", lambda escape: _ESCAPED[escape[0]], name)
        sums.append((match[2].decode(), name))
    return sums, malformed
