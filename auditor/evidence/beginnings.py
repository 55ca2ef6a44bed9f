"""Whether bytes hold the beginning of a value of Kubernetes', however a text writes it: one answer for all who ask.

The beginnings are the sweep's own (evidence/signatures.py), and a Secret's `kind` in YAML. Texts hold them in base64
(RFC 4648, of either alphabet, at any place in a group, in lines), in hex (with blanks, commas, colons or 0x between),
with escapes of JSON, SQL, Python, URLs, HTML and quoted-printable (RFC 2045), as lists of numbers, and one in another.
What looks like one is decoded, and searched again.
"""

import re
import zlib
from base64 import b64encode
from binascii import a2b_base64, unhexlify
from collections.abc import Iterator, Mapping
from contextlib import suppress

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.parallel import chunks
from auditor.evidence.signatures import KEYS, Form, Writing, lead, text_marks

DEEPEST = 4
"""Writings inside each other, at most."""
FEW = 4
"""Distinct letters of a run that stands for nothing: every writing of a value has more."""
AROUND = 1 << 13
"""Bytes on either side of what may be a beginning that are decoded."""
OPENING = 1 << 10
"""Bytes of text at the end of such a part that are decoded with the next one again."""
OVERLAP = 1 << 14
"""Bytes of a block that are searched with the next one again: a beginning in any writing is shorter."""
BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
URL_SAFE = bytes.maketrans(b"-_", b"+/")
_HEX = b"0123456789abcdef"
_BLANKS = b" \t\r\n\f\v\0"
_BETWEEN = b"".join((_BLANKS, b",:;-|[](){}\\\"'"))
"""What stands between the digits of hex: blanks, and what lists of numbers are made of."""
_AFFIXES = re.compile(rb"0?x(?=[0-9a-f]{2})")
_SINGLE = re.compile(rb"0x([0-9a-f])(?![0-9a-f])")
RUN = re.compile(rb"[A-Za-z0-9+/_-]{64,}(?:[ \t]{0,16}\r?\n[ \t]{0,16}[A-Za-z0-9+/_-]{4,}){0,}")
"""A run of letters of base64 that is no word, in one line or several."""
_MARKS = text_marks()


def _expression(forms: frozenset[Form]) -> re.Pattern[bytes]:
    plain = (mark for mark in _MARKS if mark.writing is Writing.PLAIN and mark.form in forms)
    return re.compile(b"|".join(mark.signature.pattern for mark in plain), re.DOTALL)


_READABLE = _expression(frozenset({Form.PROTOBUF, Form.JSON}))
_PLAIN = _expression(frozenset({Form.PROTOBUF, Form.JSON, Form.ENCRYPTED}))
_NEEDLES = (b"k8s", b"kind")
"""One of them stands in every match of _PLAIN and _KIND."""
_KIND = re.compile(
    # a key of JSON, YAML, or of another language's literal; blanks of any number; comments, a tag, an anchor or a block
    # in YAML
    rb"(?<![A-Za-z0-9_.-])kind[\"']{0,4}\s{0,4096}(?::|=>)\s{0,4096}(?:#[^\n]{0,1024}+\n\s{0,256}){0,4}"
    rb"(?:[!&][^\s\"']{0,64}\s{1,64}){0,3}"
    rb"(?:[>|][0-9+-]{0,2}\s{1,64})?[\"']{0,4}Secret(?:List)?(?![A-Za-z0-9_.-])"
)
_PROMISING = re.compile(rb"[kK]ind|k8s|107|6[bB]|\\|[A-Za-z0-9+/_-]{48}")
"""What stands in every text in which a value may begin."""
_GZIP, _ZLIB = b"\x1f\x8b", b"\x78"
_TYPE = b"\x12\x06Secret"
"""The kind in protobuf's TypeMeta, where the first bytes of its envelope are lost or in another order."""
TAG = b"\xd9\xd9\xf7"
"""The tag that an object in CBOR begins with."""
TAGGED = re.compile(re.escape(TAG) + rb".{0,64}(?:" + b"|".join(KEYS) + b")", re.DOTALL)
_CBOR = re.compile(rb"kind(?:[\x46\x66]|[\x58\x78]\x06)Secret|" + TAGGED.pattern, re.DOTALL)
_ESCAPED = re.compile(
    rb"(?<!\\)\\++(?:u00([0-9A-Fa-f]{2})|U000000([0-9A-Fa-f]{2})|x([0-9A-Fa-f]{2})|([0-3][0-7]{2})|([\"'/])|([nrtbf0\n]))"
    rb"|%([0-7][0-9A-Fa-f])|&#x0{0,4}([0-9A-Fa-f]{2});|&#0{0,4}([0-9]{1,3});|&(quot|apos|colon|nbsp);"
    rb"|=([0-7][0-9A-F])|=\r?\n"
)
_NAMES = {b"quot": b'"', b"apos": b"'", b"colon": b":", b"nbsp": b" "}
_CONTROLS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f", b"0": b"\0", b"\n": b""}
_HEXADECIMAL, _OCTAL, _QUOTE, _CONTROL, _DECIMAL, _NAME = (1, 2, 3, 7, 8, 11), 4, 5, 6, 9, 10
"""Groups of _ESCAPED."""
_ESCAPING = (b"\\", b"%", b"&", b"=")
_NUMBERS = re.compile(
    b"|".join(
        rb"(?<![0-9])" + rb"[^0-9]{1,6}".join(b"%d" % octet for octet in opening) + rb"(?![0-9])"
        for opening in (b"k8s\0\n", b"k8s:enc:", b'"kind"')
    )
)
"""Lists of the values of bytes."""


LEAST = 48
"""Bytes of a text from which on a value may begin in it, in any writing."""
DIGITS = 32
"""Digits of a text from which on it may be hex, or a list of numbers, of a value: its first 24 bytes have as many."""
_WEIGHTS = np.zeros(1 << 8, np.uint8)
_WEIGHTS[list(b"0123456789")] = 1
_WEIGHTS[list(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ\\%&=")] = DIGITS
"""By byte. Every beginning in JSON, YAML or base64 holds a capital letter; escapes hold a sign of theirs."""


def likely(buffer: Buffer, at: Ints, length: Ints) -> Bools:
    """In which texts a readable value may begin, by their letters: in few names of objects one may.

    Args:
        buffer: Holds the texts.
        at: Where they begin; shape (texts,).
        length: Their bytes.
    """
    likely = np.zeros(at.size, np.bool_)
    long = np.flatnonzero(length >= LEAST)
    for part in chunks(long.size, 1 << 12):
        rows = long[part]
        weight = np.zeros(rows.size, np.int64)
        for index, words, mask in buffer.strings(at[rows], length[rows]):
            weight[index] += _WEIGHTS[(words & mask).view(np.uint8)].sum(axis=1, dtype=np.int64)
        likely[rows] = weight >= DIGITS
    return likely


class TextSearch:
    """A search of a text that comes in blocks."""

    def __init__(self, *, readable: bool = False) -> None:
        """A new search. readable: as of in_text()."""
        self._readable = readable
        self._tail = b""

    def holds(self, block: bytes) -> bool:
        """Whether a value begins in the block, or in the ones before and ends in it."""
        text = self._tail + block
        self._tail = text[-OVERLAP:]
        return in_text(text, readable=self._readable)


def in_bytes(raw: bytes) -> bool:
    """Whether a value begins in bytes of any kind."""
    return TAG in raw or in_text(raw)


def in_value(raw: bytes) -> bool:
    """Whether a readable value begins in a stored one of no known encoding: a text, in any writing, or compressed."""
    unpacked = _unpacked(raw)
    return any(
        _PROMISING.search(part) is not None and in_text(part, 1, readable=True)
        for part in (raw, raw.replace(b"\0", b""), unpacked)
    )


def _unpacked(raw: bytes) -> bytes:
    """The first bytes that gzip's or zlib's stand for; empty for any other."""
    if raw[:2] != _GZIP and raw[:1] != _ZLIB:
        return b""
    with suppress(zlib.error):
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(raw, OVERLAP)
    return b""


def in_text(raw: bytes, depth: int = 0, *, readable: bool = False) -> bool:
    """Whether a value begins in a text, or in bytes that one stands for.

    Args:
        raw: The text.
        depth: Writings that were decoded to come to it.
        readable: Whether values that claim to be encrypted are passed over.
    """
    views = [raw]
    while len(views) <= DEEPEST and (text := unescaped(views[-1])) != views[-1]:
        views.append(text)
    if any(_plain(view, decoded=depth > 0, readable=readable) for view in views):
        return True
    if depth == DEEPEST:  # what is written once more is not known; a run of few letters stands for another such run
        return any(len(set(run[0])) > FEW for run in RUN.finditer(raw))
    return any(in_text(part, depth + 1, readable=readable) for view in {views[0], views[-1]} for part in _parts(view))


def _plain(raw: bytes, *, decoded: bool, readable: bool) -> bool:
    """Whether a value stands there as it is.

    Args:
        raw: The bytes.
        decoded: Whether they are what a text stands for.
        readable: As of in_text().
    """
    pattern = _READABLE if readable else _PLAIN
    if _TYPE in raw or (any(needle in raw for needle in _NEEDLES) and (pattern.search(raw) or _KIND.search(raw))):
        return True
    if b"107" in raw and _NUMBERS.search(raw):
        return True
    return decoded and (b"kind" in raw or TAG in raw) and _CBOR.search(raw) is not None


def unescaped(text: bytes) -> bytes:
    """The text with what escapes stand for in their place, once."""
    if not any(sign in text for sign in _ESCAPING):
        return text
    return _ESCAPED.sub(_octet, text)


def _octet(match: re.Match[bytes]) -> bytes:
    """The byte that an escape stands for."""
    group = match.lastindex
    if group is None:  # a soft line break
        return b""
    text = match[group]
    if group in _HEXADECIMAL:
        return bytes([int(text, 16)])
    if group == _OCTAL:
        return bytes([int(text, 8)])
    if group == _DECIMAL:
        return bytes([number]) if (number := int(text)) < 1 << 8 else b"?"
    return _CONTROLS[text] if group == _CONTROL else _NAMES[text] if group == _NAME else text


def _parts(text: bytes) -> Iterator[bytes]:
    """What base64 and hex in a text stand for: around whatever looks like a beginning, and long runs of letters."""
    joined = text.translate(None, _BLANKS).translate(URL_SAFE)
    yield from _decoded(joined, _LETTERS, BASE64, 4)
    digits = _AFFIXES.sub(b"", _SINGLE.sub(rb"0x0\1", text.lower()).translate(None, _BETWEEN))
    yield from _decoded(digits, _DIGITS, _HEX, 2)
    for run in RUN.finditer(text):
        letters = run[0].translate(None, _BLANKS).translate(URL_SAFE)
        yield from_base64(letters)
        head = letters[:AROUND]  # its first letters may be lost: a group may begin at any
        yield from (from_base64(head[lost:]) for lost in range(1, 4))
        if not letters.translate(None, _HEX + _HEX.upper()):
            yield unhexlify(letters[: len(letters) & ~1])
            yield unhexlify(head[1 : len(head) - 1 + len(head) % 2])


def _decoded(text: bytes, openings: Mapping[bytes, int], alphabet: bytes, group: int) -> Iterator[bytes]:
    """What letters stand for, around each opening in a text.

    Args:
        text: Letters, and what is none.
        openings: What is looked for, and how many letters before it its first group begins.
        alphabet: The letters.
        group: Letters of a group.
    """
    done = [0] * group  # by the place of the groups: text before a value may move it
    for opening, before in openings.items():
        at = text.find(opening)
        while at >= 0:
            place = (at - before) % group
            if at >= done[place]:
                ahead = text[max(at - AROUND, 0) : at]
                begin = at - len(ahead) + len(ahead.rstrip(alphabet))
                begin += (place - begin) % group
                behind = text[at : at + AROUND]
                stop = at + len(behind) - len(behind.lstrip(alphabet))
                done[place] = max(stop - OPENING, at + 1)
                yield from_base64(text[begin:stop]) if group > 2 else unhexlify(text[begin : stop - (stop - begin) % 2])
            at = text.find(opening, at + 1)


def from_base64(letters: bytes) -> bytes:
    """The bytes that letters of base64 stand for, without those that end a group too early."""
    letters = letters[: len(letters) - (len(letters) % 4 == 1)]
    return a2b_base64(letters + b"=" * (-len(letters) % 4))


def _letters() -> dict[bytes, int]:
    """The letters of base64 that the beginnings alone decide, and those of their group before them."""
    letters = {mark.signature.opening: lead(mark.before) for mark in _MARKS if mark.writing is Writing.BASE64}
    for before in range(3):
        last = (before + len(b"kind")) * 8 // 6
        letters[b64encode(bytes(before) + b"kind")[lead(before) : last]] = lead(before)
    return letters


_LETTERS = _letters()
_DIGITS = {word.hex().encode(): 0 for word in (b"k8s\0\n", b"k8s:enc:", b"kind")}
