"""Texts that hold an EncryptionConfiguration, however they write it: indented, in quotes, with escapes, in base64.

What an administrator keeps beside backups: a script with a here-document, cloud-init's and Ignition's files, a page in
Markdown, a line of a log. kube-apiserver reads none of these as they are. discovery/ tells by it which files are
companions, before anything of encryption/ is imported: that room reads what stands in them.
"""

import codecs
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from itertools import islice

from auditor.evidence.beginnings import RUN, URL_SAFE, from_base64, unescaped

KIND = b"EncryptionConfig"
"""The kind of configurations before Kubernetes 1.13, and the beginning of the later one, EncryptionConfiguration."""
DEEPEST = 3
"""Writings inside each other, at most."""
MOST_STATEMENTS = 64
"""Statements of one text that are looked at."""
MOST_VIEWS = 64
"""Views of one text."""
LARGEST = 1 << 20
"""Bytes of the largest configuration, on either side of its statement."""
_BLANKS = b" \t\r\n"
_STATEMENT = re.compile(
    rb"kind[\"'\\]{0,8}\s{0,4096}:\s{0,4096}(?:#[^\n]{0,1024}+\n\s{0,64}){0,4}(?:[!&][^\s\"']{0,64}\s{1,64}){0,3}"
    rb"(?:[>|][0-9+-]{0,2}\s{1,64})?[\"'\\]{0,8}EncryptionConfig(?:uration)?(?![A-Za-z0-9])"
)
"""Where one states what it is: a text may speak of its kind, and be none."""
_KEY = re.compile(
    rb"secret[\"'\\]{0,8}\s{0,64}:\s{0,64}[\"'\\]{0,8}((?:[A-Za-z0-9+/]{4}){5,10}[A-Za-z0-9+/]{2,4}={0,2})"
)
"""A local key: 16, 24 or 32 bytes in base64."""
_LINE = re.compile(rb"[ \t#].*|-(?:[ \t].*)?|[\"']?[A-Za-z_][\w./-]*[\"']?[ \t]*:(?:[ \t].*)?|[][{}].*|")
"""A line of YAML's block style at the indentation of its document's first."""
_INDENT = re.compile(rb"[ \t]*")
_PLAIN = KIND[1:]
"""What stands in every statement; the letter before it may be an escape."""


def _letters(word: bytes) -> Iterator[bytes]:
    """The letters of base64 that a word alone decides, at each of its three alignments."""
    for before in range(3):
        yield b64encode(bytes(before) + word)[(before * 8 + 5) // 6 : (before + len(word)) * 8 // 6]


_CODED = re.compile(b"|".join(map(re.escape, _letters(KIND))))


def may_hold_configuration(raw: bytes) -> bool:
    """Whether a text may hold a configuration, as it stands or in base64, which may be wrapped into lines."""
    text = as_utf8(raw)
    return _PLAIN in text or _CODED.search(text.translate(None, _BLANKS)) is not None


def as_utf8(raw: bytes) -> bytes:
    """A text of UTF-16 with its mark in UTF-8, as kube-apiserver reads it; any other as it is."""
    if raw[:2] not in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
        return raw
    return raw.decode("utf-16", "replace").encode("utf-8", "replace")


def views(raw: bytes) -> Iterator[bytes]:
    """A text, and what parts of it stand for, where a configuration is stated in it: the first MOST_VIEWS."""
    return islice(_views(as_utf8(raw), 0), MOST_VIEWS)


def _views(text: bytes, depth: int) -> Iterator[bytes]:
    if depth > DEEPEST or not may_hold_configuration(text):
        return
    if _PLAIN in text:
        if _STATEMENT.search(text) is not None:
            yield text
        if (plain := unescaped(text)) != text:
            yield from _views(plain, depth + 1)
    if _CODED.search(text.translate(None, _BLANKS)) is not None:
        for run in RUN.finditer(text):
            yield from _views(from_base64(run[0].translate(None, _BLANKS).translate(URL_SAFE)), depth + 1)


def local_keys(text: bytes) -> set[bytes]:
    """The local keys that stand in one of views(), by their base64 without its padding."""
    return {match.rstrip(b"=") for match in _KEY.findall(text)}


def blocks(text: bytes) -> Iterator[bytes]:
    """The lines in YAML's block style around each statement of a text, without their common indentation."""
    done = 0
    for match in islice(_STATEMENT.finditer(text), MOST_STATEMENTS):
        if match.start() < done:
            continue
        start = text.rfind(b"\n", 0, match.start()) + 1
        indent = _INDENT.match(text, start)
        prefix = indent[0] if indent is not None else b""
        above = text[max(start - LARGEST, done) : start].split(b"\n")[:-1]
        below = text[start : start + LARGEST].split(b"\n")
        lines = list(_while_block(below, prefix))
        done = start + sum(len(line) + 1 for line in below[: len(lines)])
        before = list(_while_block(reversed(above), prefix))
        yield b"\n".join([*reversed(before), *lines]) + b"\n"


def _while_block(lines: Iterable[bytes], prefix: bytes) -> Iterator[bytes]:
    """The first lines, as long as they are of one block that has this indentation."""
    for line in lines:
        line = line.rstrip(b"\r")
        if line.strip() and not line.startswith(prefix):
            return
        own = line[len(prefix) :]
        if _LINE.fullmatch(own) is None or own.startswith(b"---"):
            return
        yield own
