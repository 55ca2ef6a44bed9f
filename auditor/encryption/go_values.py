"""Scalars as Go reads them: plain scalars of YAML, durations and URLs.

Sources: sigs.k8s.io/yaml goyaml.v2/resolve.go (resolve), Go time/format.go (ParseDuration), net/url/url.go (Parse).
"""

import base64
import math
import re

NULL, TEXT, BINARY = (f"tag:yaml.org,2002:{name}" for name in ("null", "str", "binary"))
TYPED = frozenset(f"tag:yaml.org,2002:{name}" for name in ("int", "float", "bool"))
"""Tags of scalars, as a document writes them with two exclamation marks."""
BOOLEANS = frozenset({"y", "Y", "n", "N"}) | {
    form for word in ("yes", "no", "true", "false", "on", "off") for form in (word, word.capitalize(), word.upper())
}
NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|([1-9][0-9]*|0))")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_DOTTED = re.compile(r"\.[0-9]+([eE][-+]?[0-9]+)?")
_BASES = (16, 2, 8, 10)

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
"""Nanoseconds of each unit; micro is U+00B5 or U+03BC."""
_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^0-9.]+)")
_LONGEST = (1 << 63) - 1

_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_USER = re.compile(rb"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*")
_HOST = re.compile(rb"(?:[A-Za-z0-9\-_.~!$&'()*+,;=:\[\]<>\"\x80-\xff]|%[89A-Fa-f][0-9A-Fa-f]|%25)*")
_PORT = re.compile(rb":[0-9]*")


class Unquoted(str):
    """A plain scalar that is no text but a number or a boolean, in the form in which it becomes JSON."""

    __slots__ = ()


def plain(text: str) -> str | None:
    """A plain scalar of YAML: None for null, Unquoted for a number or a boolean, else the text itself."""
    if text in NULLS:
        return None
    if text in BOOLEANS:
        return Unquoted(text)
    if _SPECIAL.fullmatch(text):
        return Unquoted(text)
    if text[0] == ".":
        return Unquoted(_number(float(text))) if _DOTTED.fullmatch(text) else text
    if text[0] not in "+-0123456789":
        return text
    digits = text.replace("_", "")
    if (match := _INTEGER.fullmatch(digits)) and len(digits) <= 70:
        sign, *forms = match.groups()
        value = next(int(sign + form, base) for form, base in zip(forms, _BASES, strict=True) if form is not None)
        if -(1 << 63) <= value < 1 << 64:
            return Unquoted(value)
    if _FLOAT.fullmatch(digits) and math.isfinite(number := float(digits)):
        return Unquoted(_number(number))
    return text


def octets(text: str) -> bytes | None:
    """The bytes of a text in base64, as Go's base64.StdEncoding reads it; None where it refuses the text."""
    text = text.replace("\r", "").replace("\n", "")
    if len(text) % 4 or text.count("=") > 2:  # Python passes over more of them, Go does not
        return None
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None


def joined(text: str) -> str:
    """The text as Go reads it: pairs of surrogates are one character, and a lone one is replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def tagged(text: str, tag: str | None) -> str | None:
    """The text of a scalar: of a binary one what its base64 stands for, or None where that is none."""
    if tag != BINARY:
        return joined(text)
    raw = octets(text)
    return None if raw is None else raw.decode("utf-8", "replace")


def _number(value: float) -> str:
    """The number as Go's encoding/json writes it, where that is a whole one."""
    return str(int(value)) if value.is_integer() and abs(value) < 1e21 else repr(value)


def nanoseconds(text: str) -> int | None:
    """The duration, as time.ParseDuration; None where it is none."""
    sign = -1 if text[:1] == "-" else 1
    rest = text[1:] if text[:1] in {"-", "+"} else text
    if rest == "0":
        return 0
    if not rest:
        return None
    total, at = 0, 0
    while at < len(rest):
        match = _PART.match(rest, at)
        if match is None or match[3] not in _UNITS or not (match[1] or match[2]):
            return None
        unit = _UNITS[match[3]]
        fraction = (match[2] or "")[:18]
        total += int((match[1] or "0")[-30:]) * unit
        if len(match[1].lstrip("0")) > 19:
            return None
        if fraction:
            total += int(int(fraction) * (unit / 10 ** len(fraction)))
        if total > _LONGEST:
            return None
        at = match.end()
    return sign * total


def scheme(text: str) -> str | None:
    """The scheme of a URL, in lower case, as url.Parse; None where the text is no URL, or has no scheme."""
    raw = text.encode("utf-8", "surrogatepass")
    if any(byte < 0x20 or byte == 0x7F for byte in raw):
        return None
    raw, _, fragment = raw.partition(b"#")
    match = re.match(rb"([A-Za-z][A-Za-z0-9+\-.]*):", raw)
    if match is None or _ESCAPE.search(fragment):
        return None
    rest = raw[match.end() :].partition(b"?")[0]
    name = match[1].decode().lower()
    if not rest.startswith(b"/"):
        return name  # opaque: nothing in it is unescaped
    if rest.startswith(b"//"):
        authority, _, path = rest[2:].partition(b"/")
        if not _is_authority(authority):
            return None
        rest = path
    return None if _ESCAPE.search(rest) else name


def _is_authority(authority: bytes) -> bool:
    """Whether the part between `//` and the path is acceptable (parseAuthority, parseHost)."""
    user, at, host = authority.rpartition(b"@")
    if at and (not _USER.fullmatch(user) or _ESCAPE.search(user)):
        return False
    if host.startswith(b"["):
        inner, bracket, port = host[1:].rpartition(b"]")
        return bool(bracket) and (not port or bool(_PORT.fullmatch(port))) and bool(_HOST.fullmatch(inner))
    _, colon, port = host.rpartition(b":")
    return (not colon or port.isdigit() or not port) and bool(_HOST.fullmatch(host))
