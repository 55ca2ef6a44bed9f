"""How a value may stand elsewhere: as it is, in JSON's escapes, or inside base64 at any alignment and alphabet.

What is compiled for hyperscan is only eight bytes of each form, chosen so that the patterns of all needles end alike:
it looks at the end of a pattern first. What stands around a hit is then compared with the whole form.
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
STEP = 4
GROUP = 3
"""Bytes that STEP characters of base64 stand for."""
RAW, ESCAPED, BASE64 = "raw", "JSON-escaped", "base64"
URL = bytes.maketrans(b"+/", b"-_")
_UNESCAPED = re.compile(rb"[ !#-%'-;=?-\[\]-~]*")
_STANDARD = bytes.maketrans(b"-_", b"+/")
_ENDING = re.compile(rb"[A-Za-z0-9+/_-]*=*")
_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
LOOKED_AT = 192
"""Bytes of a form that its window is chosen from: a multiple of three."""
AT_ONCE = 1 << 14
_NEVER, _RATHER_NOT = 1 << 20, 1 << 17
_ORDER = np.random.default_rng(0x7A11).permutation(1 << 16).astype(np.int64)
"""A fixed order of all pairs of bytes: of a form the window is searched for that ends in its lowest pair."""


class NeedleForm(NamedTuple):
    """One way in which a needle may stand somewhere. lead: of base64, how many of the needle's bytes share a group
    with what stands before; escaped: of JSON, the text."""

    needle: Needle
    kind: str
    lead: int = 0
    escaped: bytes = b""

    @property
    def solid(self) -> int:
        """Bytes of the needle that fill whole groups of base64."""
        return (len(self.needle.text) - self.lead) // GROUP * GROUP

    @property
    def text(self) -> bytes:
        """What must stand there whatever stands around it."""
        if self.kind == BASE64:
            return base64.b64encode(self.needle.text[self.lead : self.lead + self.solid])
        return self.escaped or self.needle.text

    @property
    def beginning(self) -> bytes:
        """The first bytes of the text: as many as a window is chosen from."""
        if self.kind == BASE64:
            return base64.b64encode(self.needle.text[self.lead : self.lead + min(self.solid, LOOKED_AT)])
        return (self.escaped or self.needle.text)[:LOOKED_AT]


def forms(needles: Sequence[Needle]) -> list[NeedleForm]:
    """Every form of every needle; of base64 three, one for each place in a group that the value may begin at."""
    made = []
    for needle in needles:
        made.append(NeedleForm(needle, RAW))
        made += [NeedleForm(needle, ESCAPED, escaped=text) for text in escaped(needle.text)]
        made += [
            NeedleForm(needle, BASE64, lead) for lead in range(3) if len(needle.text) - lead >= WINDOW // STEP * GROUP
        ]
    return made


def windows(made: Sequence[NeedleForm]) -> Iterator[tuple[list[bytes], Ints, Ints]]:
    """Patterns, the number of the form of each, and where in its text the pattern begins; base64 in both alphabets."""
    for part in chunks(len(made), AT_ONCE):
        patterns, numbers, at = _windows(made[part])
        yield patterns, numbers + part.start, at


def _windows(made: Sequence[NeedleForm]) -> tuple[list[bytes], Ints, Ints]:
    texts = [form.beginning for form in made]
    lengths = np.array([len(text) for text in texts], np.int64)
    data = np.frombuffer(b"".join(texts), np.uint8)
    starts = np.cumsum(lengths) - lengths
    rank = np.full(data.size, _NEVER, np.int64)  # of the pair that ends here
    rank[1:] = _ORDER[data[:-1].astype(np.uint16) << 8 | data[1:]]
    rank[np.arange(data.size) - np.repeat(starts, lengths) < WINDOW - 1] = _NEVER
    base64ed = np.array([form.kind == BASE64 for form in made], np.bool_)
    rank[np.repeat(base64ed, lengths) & ((data == ord("+")) | (data == ord("/")))] += _RATHER_NOT
    end = np.minimum.reduceat(rank << 32 | np.arange(data.size), starts) & (1 << 32) - 1
    at = np.maximum(end - starts + 1 - WINDOW, 0)
    numbers = np.arange(len(made))
    patterns = [text[begin : begin + WINDOW] for text, begin in zip(texts, at.tolist(), strict=True)]
    urls = [
        (number, url)
        for number in np.flatnonzero(base64ed).tolist()
        for url in [patterns[number].translate(URL)]
        if url != patterns[number]
    ]
    more = np.array([number for number, _ in urls], np.int64)
    return [*patterns, *(url for _, url in urls)], np.append(numbers, more), np.append(at, at[more])


def extent(form: NeedleForm, buffer: Buffer, begin: int) -> tuple[int, int] | None:
    """Where the whole form lies whose text would begin at `begin`: start and length; None where it does not."""
    if begin < 0:
        return None
    text = form.text
    found = buffer.slice(begin, len(text))
    if form.kind != BASE64:
        return (begin, len(text)) if found == text else None
    if found.translate(_STANDARD) != text:
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
    """The three bytes of a group of base64; at the end of a text there may be fewer, padded or not."""
    text = text.translate(_STANDARD)
    kept = len(text) - len(text.lstrip(_LETTERS))
    if kept < 2:
        return None
    try:
        return base64.b64decode(text[:kept] + b"=" * (STEP - kept), validate=True)
    except ValueError:
        return None


def escaped(text: bytes) -> list[bytes]:
    """As it may stand inside a JSON text where that differs: by what must be escaped, and as Go writes it."""
    if _UNESCAPED.fullmatch(text):
        return []
    try:
        plain = text.decode()
    except UnicodeDecodeError:
        return []
    coded = go = json.dumps(plain, ensure_ascii=False)[1:-1]
    for mark in "<>&\u2028\u2029":  # encoding/json: HTMLEscape
        go = go.replace(mark, f"\\u{ord(mark):04x}")
    return sorted({coded.encode(), go.encode()} - {text})
