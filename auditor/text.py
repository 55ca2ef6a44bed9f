"""Names from evidence as text that is safe to print and can be turned back into the stored bytes."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from os import PathLike, fspath

YEAR_10000 = 253402300800
_ESCAPE = re.compile(r"\\(?:\\|x([0-9a-f]{2}))")


def encode(text: str) -> bytes:
    """The bytes of a text: UTF-8, and for a surrogate the byte that decode() turned into it."""
    return text.encode("utf-8", "surrogateescape")


def decode(raw: bytes) -> str:
    """The text of some bytes: UTF-8, and a surrogate for each byte outside it."""
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
    """printable() of each string. Plain strings, which nearly all are, are examined as one text."""
    whole = b"\n".join(raw)
    if whole.isascii() and b"\\" not in whole and whole.count(b"\n") == len(raw) - 1:
        text = whole.decode("ascii")
        if text.replace("\n", "").isprintable():
            return text.split("\n")
    return [printable(each) for each in raw]


def shown(text: str | PathLike[str]) -> str:
    """printable() of a path, or of a text from the command line or a configuration."""
    return printable(encode(fspath(text)))


def escaped(text: str) -> str:
    r"""A text with every unprintable character as \xNN. Backslashes stay: names in it may be printable() already."""
    if text.isprintable():
        return text
    out = []
    for character in text:
        if character.isprintable():
            out.append(character)
        else:  # a surrogate that stands for no byte is nobody's: it is written as its code
            handler = "surrogateescape" if "\udc80" <= character <= "\udcff" else "surrogatepass"
            out.extend(f"\\x{octet:02x}" for octet in character.encode("utf-8", handler))
    return "".join(out)


def restore(text: str) -> bytes:
    """The bytes of a printable() text."""
    out, end = [], 0
    for escape in _ESCAPE.finditer(text):
        out.append(text[end : escape.start()].encode())
        out.append(bytes.fromhex(escape[1]) if escape[1] else b"\\")
        end = escape.end()
    return b"".join([*out, text[end:].encode()])


def hex_id(number: int) -> str:
    """The id of an etcd cluster or member: 64 bits, with leading zeros, however its source spells it."""
    return f"{number:016x}"


def moments(seconds: Sequence[float | None]) -> list[str]:
    """moment() of each number of seconds."""
    import numpy as np  # slow to load: hashing begins before, and needs this module

    valid = np.array([each if each is not None and 0 <= each < YEAR_10000 else -1 for each in seconds], np.int64)
    texts = np.datetime_as_string(valid.astype("datetime64[s]"), unit="s").tolist()
    return [f"{text}Z" if second >= 0 else "" for text, second in zip(texts, valid.tolist(), strict=True)]


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
"""Kinds of marked text: a namespace, an object's name, an etcd key."""
_MARKED = re.compile("\x0e([nok])([^\x0e\x0f]*)\x0f")


def marked(text: str, kind: str) -> str:
    """A name of an object, marked inside a sentence: redaction replaces the marked names when the run ends.

    The marks are control characters, which printable text never holds; no report may be written before unmarked().
    """
    return f"\x0e{kind}{text}\x0f"


def object_name(namespace: bytes, name: bytes) -> str:
    """NAMESPACE/NAME, marked."""
    parts = ((namespace, NAMESPACE), (name, NAME))
    return "/".join(marked(printable(text), kind) for text, kind in parts if text)


def object_names(objects: Sequence[tuple[bytes, bytes]]) -> list[str]:
    """object_name() of each object, all of which have a namespace and a name."""
    pairs = zip(printables([space for space, _ in objects]), printables([name for _, name in objects]), strict=True)
    return [f"\x0e{NAMESPACE}{space}\x0f/\x0e{NAME}{name}\x0f" for space, name in pairs]


def unmarked(text: str, instead: Callable[[str, str], str] | None = None) -> str:
    """The text without marks: each marked name as it is, or replaced by `instead(kind, name)`."""
    if "\x0e" not in text:
        return text
    return _MARKED.sub(lambda mark: mark[2] if instead is None else instead(mark[1], mark[2]), text)


def plural(count: int, one: str, many: str = "") -> str:
    """A number and its noun; many: the plural where it is not the noun and an s."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def shorten(text: str, length: int) -> str:
    """The text, or its beginning and its end with an ellipsis between them: at most `length` characters."""
    if len(text) <= length:
        return text
    end = (length - 1) // 2
    return f"{text[: length - 1 - end]}\u2026{text[len(text) - end :]}"
