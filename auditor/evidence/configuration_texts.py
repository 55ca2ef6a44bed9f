"""Texts that hold an EncryptionConfiguration, however they write it: indented, in quotes, with escapes, in base64.

What an administrator keeps beside backups: a script with a here-document, cloud-init's and Ignition's files, a page in
Markdown, a line of a log. kube-apiserver reads none of these as they are.
"""

import codecs
import re
from base64 import b64encode
from collections.abc import Iterator

from auditor.evidence.beginnings import RUN, URL_SAFE, from_base64, unescaped

MARKS = (b"EncryptionConfiguration", b"EncryptionConfig")
"""The kinds of configurations: of Kubernetes 1.13 and later, and before."""
DEEPEST = 3
"""Writings inside each other, at most."""
MOST = 64
"""Statements of one text that are looked at."""
LARGEST = 1 << 20
"""Bytes of the largest configuration, on either side of its statement."""
_STATEMENT = re.compile(
    rb"kind[\"'\\]{0,8}\s{0,64}:\s{0,64}(?:#[^\n]{0,256}\n\s{0,64}){0,16}(?:[!&][^\s\"']{0,64}\s{1,64}){0,3}[\"'\\]{0,8}"
    rb"EncryptionConfig(?:uration)?(?![A-Za-z0-9])"
)
"""Where one states what it is: a text may speak of its kind, and be none."""
_KEY = re.compile(rb"secret[\"'\\]{0,8}\s{0,64}:\s{0,64}[\"'\\]{0,8}(?:[A-Za-z0-9+/]{4}){5,10}[A-Za-z0-9+/]{2,4}={0,2}")
"""A local key: 16, 24 or 32 bytes in base64."""
_LINE = re.compile(rb"[ \t#].*|-(?:[ \t].*)?|[\"']?[A-Za-z_][\w./-]*[\"']?[ \t]*:(?:[ \t].*)?|[][{}].*|")
"""A line of YAML's block style at the indentation of its document's first."""
_INDENT = re.compile(rb"[ \t]*")


def _letters(word: bytes) -> Iterator[bytes]:
    """The letters of base64 that a word alone decides, at each of its three alignments."""
    for before in range(3):
        yield b64encode(bytes(before) + word)[(before * 8 + 5) // 6 : (before + len(word)) * 8 // 6]


_LIKELY = re.compile(b"|".join([rb"ncryptionConfig", *map(re.escape, _letters(MARKS[1]))]))
"""One of these stands in every text that holds a configuration; the first letter may be an escape."""


def may_be(raw: bytes) -> bool:
    """Whether a text may hold a configuration."""
    return _LIKELY.search(as_utf8(raw)) is not None


def as_utf8(raw: bytes) -> bytes:
    """A text of UTF-16 with its mark in UTF-8, as kube-apiserver reads it; any other as it is."""
    if raw[:2] not in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
        return raw
    return raw.decode("utf-16", "replace").encode("utf-8", "replace")


def views(raw: bytes, depth: int = 0) -> Iterator[bytes]:
    """A text, and what parts of it stand for, where a configuration is stated in it."""
    text = as_utf8(raw) if not depth else raw
    if depth > DEEPEST or _LIKELY.search(text) is None:
        return
    if _STATEMENT.search(text) is not None:
        yield text
    if (plain := unescaped(text)) != text:
        yield from views(plain, depth + 1)
    for run in RUN.finditer(text):
        yield from views(from_base64(run[0].translate(None, b" \t\r\n").translate(URL_SAFE)), depth + 1)


def holds_key(text: bytes) -> bool:
    """Whether a key stands in one of views()."""
    return _KEY.search(text) is not None


def blocks(text: bytes) -> Iterator[bytes]:
    """The lines in YAML's block style around each statement of a text, without their common indentation."""
    for match in list(_STATEMENT.finditer(text))[:MOST]:
        start = text.rfind(b"\n", 0, match.start()) + 1
        indent = _INDENT.match(text, start)
        prefix = indent[0] if indent is not None else b""
        above = text[max(start - LARGEST, 0) : start].split(b"\n")[:-1]
        below = text[start : start + LARGEST].split(b"\n")
        lines = [*reversed(list(_while_block(reversed(above), prefix))), *_while_block(below, prefix)]
        yield b"\n".join(lines) + b"\n"


def _while_block(lines: Iterator[bytes] | list[bytes], prefix: bytes) -> Iterator[bytes]:
    """The first lines, as long as they are of one block that has this indentation."""
    for line in lines:
        line = line.rstrip(b"\r")
        if line.strip() and not line.startswith(prefix):
            return
        own = line[len(prefix) :]
        if _LINE.fullmatch(own) is None or own.startswith(b"---"):
            return
        yield own
