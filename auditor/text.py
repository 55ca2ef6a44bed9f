"""Names from evidence as text that is safe to print and can be turned back into the bytes that were stored."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from os import PathLike, fspath

YEAR_10000 = 253402300800
_ESCAPE = re.compile(r"\\(?:\\|x([0-9a-f]{2}))")


def encode(text: str) -> bytes:
    """The bytes of a text: UTF-8, and for a surrogate the byte that decode() made it of."""
    return text.encode("utf-8", "surrogateescape")


def decode(raw: bytes) -> str:
    """The text of some bytes: UTF-8, and a surrogate for each byte that is none."""
    return raw.decode("utf-8", "surrogateescape")


def printable(raw: bytes) -> str:
    r"""UTF-8, with a backslash doubled and every unprintable or undecodable byte as \xNN.

    Control characters, terminal escapes and marks of writing direction are unprintable.
    """
    if raw.isascii() and b"\\" not in raw and (text := raw.decode("ascii")).isprintable():
        return text
    out = []
    for character in decode(raw):
        if character == "\\":
            out.append("\\\\")
        elif character.isprintable():
            out.append(character)
        else:
            out.extend(f"\\x{octet:02x}" for octet in encode(character))
    return "".join(out)


def printables(raw: list[bytes]) -> list[str]:
    """printable() of each. Where all are plain, as nearly always, they are looked at as one text."""
    whole = b"\n".join(raw)
    if whole.isascii() and b"\\" not in whole and whole.count(b"\n") == len(raw) - 1:
        text = whole.decode("ascii")
        if text.replace("\n", "").isprintable():
            return text.split("\n")
    return [printable(each) for each in raw]


def shown(text: str | PathLike[str]) -> str:
    """printable() of a path or of what the command line or a configuration holds."""
    return printable(encode(fspath(text)))


def restore(text: str) -> bytes:
    """The bytes that printable() made `text` from."""
    out, end = [], 0
    for found in _ESCAPE.finditer(text):
        out.append(text[end : found.start()].encode())
        out.append(bytes.fromhex(found[1]) if found[1] else b"\\")
        end = found.end()
    return b"".join([*out, text[end:].encode()])


def hex_id(number: int) -> str:
    """The id of an etcd cluster or member: 64 bits, with leading zeros, however its source spells it."""
    return f"{number:016x}"


def moments(seconds: Sequence[float | None]) -> list[str]:
    """moment() of each."""
    import numpy as np  # hashing begins before it is loaded, and this module is needed before that

    known = np.array([each if each is not None and 0 <= each < YEAR_10000 else -1 for each in seconds], np.int64)
    texts = np.datetime_as_string(known.astype("datetime64[s]"), unit="s").tolist()
    return [f"{text}Z" if second >= 0 else "" for text, second in zip(texts, known.tolist(), strict=True)]


def moment(seconds: float | None) -> str:
    """Seconds since 1970 as ISO 8601 in UTC; empty for None and for years that no calendar of ours reaches."""
    if seconds is None or not 0 <= seconds < YEAR_10000:
        return ""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def instant(nanoseconds: int) -> str:
    """moment() to the nanosecond, as file systems keep time; empty for years before 1970."""
    whole = moment(nanoseconds // 10**9)
    return f"{whole[:-1]}.{nanoseconds % 10**9:09d}Z" if whole else ""


NAMESPACE, NAME, KEY = "n", "o", "k"
"""What a marked text is: a namespace, an object's name, an etcd key."""
_MARKED = re.compile("\x0e([nok])([^\x0e\x0f]*)\x0f")


def marked(text: str, kind: str) -> str:
    """A name of an object inside a sentence, so that it can be told from the sentence until the run is over.

    The marks are control characters, which printable text never holds; no report may be made before unmarked().
    """
    return f"\x0e{kind}{text}\x0f"


def object_name(namespace: bytes, name: bytes) -> str:
    """NAMESPACE/NAME, marked."""
    parts = ((namespace, NAMESPACE), (name, NAME))
    return "/".join(marked(printable(text), kind) for text, kind in parts if text)


def unmarked(text: str, instead: Callable[[str, str], str] | None = None) -> str:
    """The text with each marked name as it is, or as `instead`(kind, name) calls it."""
    if "\x0e" not in text:
        return text
    return _MARKED.sub(lambda found: found[2] if instead is None else instead(found[1], found[2]), text)
