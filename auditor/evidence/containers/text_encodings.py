"""Binary files as text: base64 (RFC 4648) and hex, in lines of any length, plain or armoured (RFC 7468, uuencode -m).

A terminal and a clipboard pass nothing else on. The bytes of such a file are those that its text stands for.
"""

import binascii
import codecs
import re

BLANKS = b" \t\r\n\f\0"
"""What stands between characters that count; of UTF-16 the zeros."""
HEX = b"0123456789abcdefABCDEF"
BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
STANDARD = bytes.maketrans(b"-_", b"+/")
_BEGIN = re.compile(rb"(-----BEGIN [A-Z0-9 ]{1,64}-----|begin-base64 [0-7]{3,4} [^\r\n]{0,255})[ \t\r]*\n")
_FIELD = re.compile(rb"[A-Za-z][A-Za-z-]{0,63}: [^\r\n]{0,1024}\r?\n")
END = re.compile(rb"(\r?\n=[A-Za-z0-9+/]{4})?\r?\n(-----END [A-Z0-9 ]{1,64}-----|====)\s*\Z")
"""The end of an armoured text; OpenPGP's has a checksum before it."""
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
LONGEST_END = 128
"""Bytes of the longest end."""
LEAST, LONG = 64, 2048
"""Characters of the shortest text that is taken for one of these, as any word is base64: alone, and before others."""
_HEX_TEXT = re.compile(rb"[0-9a-fA-F \t\r\n\f\0]+")
_BASE64_TEXT = re.compile(rb"[A-Za-z0-9+/_ \t\r\n\f\0-]+[= \t\r\n\f\0]*")


def decoded_head(head: bytes) -> bytes:
    """The first bytes that a text stands for; empty where it is neither base64 nor hex.

    head: the first bytes of a file, or all of them. What follows a long text, such as a prompt, does not count.
    """
    body = head[start(head) :]
    if (end := END.search(body[-LONGEST_END:])) is not None:
        body = body[: len(body) - min(len(body), LONGEST_END) + end.start()]
    for pattern, hexadecimal in ((_HEX_TEXT, True), (_BASE64_TEXT, False)):
        text = pattern.match(body)
        if text is None:
            continue
        digits = text[0].translate(None, BLANKS)
        if len(digits) >= (LEAST if text.end() == len(body) else LONG):
            return _whole(digits, hexadecimal=hexadecimal)
    return b""


def is_hex(head: bytes) -> bool:
    """Whether a text that decoded_head() decodes is hex."""
    text = _HEX_TEXT.match(head, start(head))
    return text is not None and text.end() - text.start() >= min(len(head) - text.start(), LONG)


def unmarked(head: bytes) -> bytes:
    """The first bytes of a text with a byte order mark as UTF-8 without it; empty of any other file."""
    if not _mark(head):
        return b""
    codec = "utf-8" if head.startswith(codecs.BOM_UTF8) else "utf-16"
    text = codecs.getincrementaldecoder(codec)("replace").decode(head)
    return text.encode("utf-8", "replace").removeprefix(codecs.BOM_UTF8)


def preamble(head: bytes) -> bytes:
    """What stands before the text itself: the beginning of an armour and its fields."""
    return head[_mark(head) : start(head)]


def _whole(digits: bytes, *, hexadecimal: bool) -> bytes:
    if hexadecimal:
        return bytes.fromhex(digits[: len(digits) & ~1].decode("ascii"))
    unpadded = digits.rstrip(b"=")
    return binascii.a2b_base64(unpadded[: len(unpadded) & ~3].translate(STANDARD))


def start(head: bytes) -> int:
    """Bytes before the text itself: a byte order mark, the beginning of an armour and its fields."""
    at = _mark(head)
    if (begin := _BEGIN.match(head, at)) is not None:
        at = begin.end()
        while (field := _FIELD.match(head, at)) is not None:
            at = field.end()
    return at


def _mark(head: bytes) -> int:
    return next((len(mark) for mark in _MARKS if head.startswith(mark)), 0)
