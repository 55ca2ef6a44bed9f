"""Forms of a needle: raw, with JSON's escapes, or in base64 at any alignment and of either alphabet.

Only eight bytes of each form, its window, are compiled for hyperscan, chosen so that the patterns of all needles end
alike: it looks at the end of a pattern first. The bytes around a hit are then compared with the whole form.
"""

import base64
import json
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Ints
from auditor.arrays.parallel import chunks
from auditor.hunt.needles import Needle

WINDOW = 8
"""Bytes of a form that are searched for."""
STEP = 4
"""Characters of a group of base64."""
GROUP = 3
"""Bytes of a group of base64."""
RAW, ESCAPED, BASE64 = "raw", "JSON-escaped", "base64"
URL = bytes.maketrans(b"+/", b"-_")
_UNESCAPED = re.compile(rb"[ !#-%'-;=?-\[\]-~]*")
_CODE_POINT = re.compile(r"(?<!\\)\\u([0-9a-f]{4})")
_STANDARD = bytes.maketrans(b"-_", b"+/")
_ENDING = re.compile(rb"[A-Za-z0-9+/_-]*=*")
_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
WINDOW_RANGE = 192
"""Bytes at the beginning of a form that its window is chosen from: a multiple of three."""
CHUNK = 1 << 14
"""Forms whose windows are chosen at once."""
_EXCLUDED, _PENALTY = 1 << 20, 1 << 17
"""Ranks of pairs that cannot end a window, and of characters that the URL alphabet of base64 writes otherwise."""
_ORDER = np.random.default_rng(0x7A11).permutation(1 << 16).astype(np.int64)
"""A fixed order of all pairs of bytes: the window of a form ends in its pair of the lowest rank."""


class NeedleForm(NamedTuple):
    """One form in which a needle may stand somewhere."""

    needle: Needle
    """The needle."""
    kind: str
    """RAW, ESCAPED or BASE64."""
    lead: int = 0
    """Bytes of the needle in base64 that share a group with the bytes before it."""
    escaped: bytes = b""
    """Text with JSON's escapes."""

    @property
    def solid(self) -> int:
        """Bytes of the needle that fill whole groups of base64."""
        return (len(self.needle.text) - self.lead) // GROUP * GROUP

    @property
    def text(self) -> bytes:
        """The bytes of the form that do not depend on the bytes around it."""
        if self.kind == BASE64:
            return base64.b64encode(self.needle.text[self.lead : self.lead + self.solid])
        return self.escaped or self.needle.text

    @property
    def beginning(self) -> bytes:
        """The first WINDOW_RANGE bytes of the text."""
        if self.kind == BASE64:
            return base64.b64encode(self.needle.text[self.lead : self.lead + min(self.solid, WINDOW_RANGE)])
        return (self.escaped or self.needle.text)[:WINDOW_RANGE]


def forms(needles: Sequence[Needle]) -> list[NeedleForm]:
    """Every form of every needle; in base64 three, one for each place in a group that the value may begin at."""
    needle_forms = []
    for needle in needles:
        needle_forms.append(NeedleForm(needle, RAW))
        needle_forms += [NeedleForm(needle, ESCAPED, escaped=text) for text in escaped(needle.text)]
        needle_forms += [
            NeedleForm(needle, BASE64, lead) for lead in range(3) if len(needle.text) - lead >= WINDOW // STEP * GROUP
        ]
    return needle_forms


def windows(needle_forms: Sequence[NeedleForm]) -> Iterator[tuple[list[bytes], Ints, Ints]]:
    """Patterns, the number of the form of each, and the pattern's start in its text; base64 in both alphabets."""
    for part in chunks(len(needle_forms), CHUNK):
        patterns, numbers, at = _windows(needle_forms[part])
        yield patterns, numbers + part.start, at


def _windows(needle_forms: Sequence[NeedleForm]) -> tuple[list[bytes], Ints, Ints]:
    texts = [form.beginning for form in needle_forms]
    # all texts end to end: where each begins, and of each of their bytes the rank of the pair that ends there
    lengths = np.array([len(text) for text in texts], np.int64)
    data = np.frombuffer(b"".join(texts), np.uint8)
    starts = np.cumsum(lengths) - lengths
    rank = np.full(data.size, _EXCLUDED, np.int64)
    rank[1:] = _ORDER[data[:-1].astype(np.uint16) << 8 | data[1:]]
    rank[np.arange(data.size) - np.repeat(starts, lengths) < WINDOW - 1] = _EXCLUDED
    in_base64 = np.array([form.kind == BASE64 for form in needle_forms], np.bool_)
    rank[np.repeat(in_base64, lengths) & ((data == ord("+")) | (data == ord("/")))] += _PENALTY
    # the lowest rank of each text, with the index of its byte in the lower half of the number
    end = np.minimum.reduceat(rank << 32 | np.arange(data.size), starts) & (1 << 32) - 1
    at = np.maximum(end - starts + 1 - WINDOW, 0)
    numbers = np.arange(len(needle_forms))
    patterns = [text[begin : begin + WINDOW] for text, begin in zip(texts, at.tolist(), strict=True)]
    urls = [
        (number, url)
        for number in np.flatnonzero(in_base64).tolist()
        for url in [patterns[number].translate(URL)]
        if url != patterns[number]
    ]
    more = np.array([number for number, _ in urls], np.int64)
    return [*patterns, *(url for _, url in urls)], np.append(numbers, more), np.append(at, at[more])


def extent(form: NeedleForm, buffer: Buffer, begin: int) -> tuple[int, int] | None:
    """Start and length of a whole form in a buffer; None where it does not stand there.

    Args:
        form: of a needle.
        buffer: the bytes that were searched.
        begin: start of the form's text.
    """
    if begin < 0:
        return None
    text = form.text
    octets = buffer.slice(begin, len(text))
    if form.kind != BASE64:
        return (begin, len(text)) if octets == text else None
    if octets.translate(_STANDARD) != text:
        return None
    start, end = begin, begin + len(text)
    lead, trail = form.needle.text[: form.lead], form.needle.text[form.lead + form.solid :]
    if lead:
        group = _group(buffer.slice(begin - STEP, STEP)) if begin >= STEP else None
        if group is None or len(group) < GROUP or group[-len(lead) :] != lead:
            return None
        start -= STEP
    if trail:
        after = buffer.slice(end, STEP)
        group = _group(after)
        if group is None or group[: len(trail)] != trail:
            return None
        end += len(_ENDING.findall(after)[0])
    return start, end - start


def _group(text: bytes) -> bytes | None:
    """The three bytes of a group of base64; at the end of a text there may be fewer, with padding or without."""
    text = text.translate(_STANDARD)
    length = len(text) - len(text.lstrip(_LETTERS))
    if length < 2:
        return None
    try:
        return base64.b64decode(text[:length] + b"=" * (STEP - length), validate=True)
    except ValueError:
        return None


def escaped(text: bytes) -> list[bytes]:
    """Spellings inside a JSON text that differ from the text: with the escapes that JSON requires, with Go's, or in
    ASCII alone; and inside a JSON text in another, as kubectl's last-applied-configuration is.
    """
    if _UNESCAPED.fullmatch(text):
        return []
    try:
        plain = text.decode()
    except UnicodeDecodeError:
        return []
    once = set(_spellings(plain))
    return sorted({each.encode() for each in once.union(*map(_spellings, once))} - {text})


def _spellings(text: str) -> Iterator[str]:
    """A text as programs write it inside the quotation marks of JSON."""
    required = go = json.dumps(text, ensure_ascii=False)[1:-1]
    for mark in "<>&\u2028\u2029":  # encoding/json: HTMLEscape
        go = go.replace(mark, f"\\u{ord(mark):04x}")
    ascii_ = json.dumps(text)[1:-1]
    yield from (required, go, ascii_, _CODE_POINT.sub(lambda match: f"\\u{match[1].upper()}", ascii_))
