"""What the sweep searches for: the beginnings of what Kubernetes stores, as data for evidence/sweep.py.

k8s.io/apimachinery pkg/runtime/serializer/protobuf (magic `k8s\\0`, then field 1 of runtime.Unknown), cbor (tag 55799);
k8s.io/apiserver pkg/server/options/encryptionconfig/config.go (`k8s:enc:`). JSON has no magic: it is met at the `kind`
that names an object which must be encrypted, wherever that stands in the object. Texts hold the same as base64 at three
alignments, as hex, and with the escapes of JSON and SQL.
"""

import re
from base64 import b64encode
from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

BLANKS = rb"[ \t\r\n]{0,16}"
QUOTE = rb"\\{0,3}\"{1,2}"
"""A quotation mark, also as it stands in JSON inside JSON, or doubled in CSV."""
_QUOTE_LONGEST, _BLANKS_LONGEST = 5, 16
KEYS = (b"kind", b"apiVersion")
"""One of them stands within NEAR bytes of the tag in an object's CBOR; three bytes alone stand there by chance."""
NEAR = 64
LONGEST_KIND = 63
"""Bytes of a kind: a DNS label, in a CustomResourceDefinition."""
SECRET = rb"Secret"
ANY_KIND = rb"[A-Z][A-Za-z0-9]{0,62}"
_BREAKS = rb"[ \t\r\n]{0,12}"
"""What may stand between two letters of base64 or hex: lines are wrapped, and indented in YAML."""
_BREAKS_LONGEST = 12
_LEAD = (0, 2, 3)
"""Letters of a group of base64 before the first one that belongs to a value alone, by the value's place in three."""
_BITS_OF_LETTER = 6


class Form(IntEnum):
    """What a value begins with."""

    PROTOBUF = 0
    ENCRYPTED = 1
    JSON = 2
    CBOR = 3


class Writing(IntEnum):
    """How a text holds a value."""

    PLAIN = 0
    BASE64 = 1
    HEX = 2
    ESCAPED = 3


class Signature(NamedTuple):
    """The beginning of a readable value."""

    pattern: bytes
    """An expression of hyperscan's, in which `.` matches every byte; `re` reads it alike."""
    opening: bytes
    """Bytes near the beginning of every match, from which its value can be located."""
    longest: int
    """The most bytes that a match has; windows overlap by one less."""
    caseless: bool = False
    """Whether letters of either case match."""
    apart: bool = False
    """Whether it is searched in an engine of its own, which is for what slows the others down."""
    behind: bytes = b""
    """What must stand behind `pattern`, as the end of the signature: bytes that are common, such as zeros, slow down an
    engine that searches them. They are looked at where the rest has matched."""

    @property
    def whole(self) -> "Signature":
        """The same signature with what must stand behind as part of its expression."""
        # not by re.escape(), which leaves a zero as it is: an expression of hyperscan's ends there
        return self._replace(pattern=self.pattern + b"".join(b"\\x%02x" % octet for octet in self.behind), behind=b"")


class Mark(NamedTuple):
    """A signature, and what it is the beginning of."""

    signature: Signature
    form: Form
    writing: Writing = Writing.PLAIN
    letters: int = 0
    """Letters of base64 or hex without blanks, bytes of a plain one of fixed length; 0 where the length varies."""
    before: int = 0
    """Bytes of a group of three before the value, in base64."""
    whole: bytes = b""
    """What must stand where a text that is decoded begins so: an expression, of JSON."""

    @property
    def opens_row(self) -> bool:
        """Whether a stored value may begin so: with it `letters` bytes before its end."""
        return self.letters > 0 and self.form is not Form.JSON and not self.before and self.writing < Writing.HEX


OPENINGS = {Form.PROTOBUF: b"k8s\0\n", Form.ENCRYPTED: b"k8s:enc:", Form.JSON: b'"kind'}
_ESCAPES = rb"k8s\\{1,4}(?:u0000|x00|0{1,3})(?:\\{1,4}(?:n|u000[aA]|x0[aA]|012)|\n)"


def kinds(resources: Iterable[str]) -> bytes:
    """An expression of the kinds of these resources, as an EncryptionConfiguration names them: any for a wildcard.

    Kinds are compared without regard to case: a resource's name does not say where its capitals stand.
    """
    names = sorted({name.partition(".")[0] for name in resources} | {"secrets"})
    if "*" in names:
        return ANY_KIND
    if names == ["secrets"]:
        return SECRET
    singulars = {name: None for plural in names for name in _singulars(plural)}
    return b"(?i:" + b"|".join(re.escape(name).encode() for name in singulars if name) + b")"


def _singulars(plural: str) -> Iterable[str]:
    """The lower-case kinds that a resource's name may be the plural of (apimachinery pkg/api/meta/restmapper.go)."""
    yield plural
    yield plural.removesuffix("s")
    if plural.endswith("es"):
        yield plural.removesuffix("es")
    if plural.endswith("ies"):
        yield f"{plural.removesuffix('ies')}y"


def marks(kind: bytes = SECRET) -> tuple[Mark, ...]:
    """The signatures for every medium. Expressions that begin with fixed bytes cost half of others."""
    longest_kind = len(SECRET) if kind == SECRET else LONGEST_KIND
    longest = len(b'"kind:') + 2 * (_QUOTE_LONGEST + _BLANKS_LONGEST) + longest_kind + 1
    return (
        Mark(Signature(rb"k8s\x00\x0a", b"k8s\0", 5), Form.PROTOBUF, letters=5),
        Mark(Signature(rb"k8s:enc:", b"k8s:enc:", 8), Form.ENCRYPTED, letters=8),
        Mark(Signature(_json(kind), b"kind", longest), Form.JSON),
        Mark(Signature(rb"\xd9\xd9\xf7", b"\xd9\xd9\xf7", 3), Form.CBOR, letters=3),
    )


def text_marks(kind: bytes = SECRET) -> tuple[Mark, ...]:
    """The signatures for a medium that is a text: those for every medium, then what texts write in their stead."""
    longest = len(b"k8s\\\\\\\\u0000\\\\\\\\u000a")
    escaped = Mark(Signature(_ESCAPES, b"k8s\\", longest), Form.PROTOBUF, Writing.ESCAPED, whole=rb"k8s\x00\n")
    return (
        *marks(kind),
        escaped,
        *(_base64(form, kind, before) for form in OPENINGS for before in range(3)),
        *(_hex(form, kind) for form in OPENINGS),
    )


def _base64(form: Form, kind: bytes, before: int) -> Mark:
    """The letters that the bytes of a beginning alone decide, where `before` bytes stand before it."""
    opening = OPENINGS[form]
    last = (before + len(opening)) * 8 // _BITS_OF_LETTER
    letters = b64encode(bytes(before) + opening)[_LEAD[before] : last]
    return _letters(letters, form, Writing.BASE64, kind, before)


def _hex(form: Form, kind: bytes) -> Mark:
    return _letters(OPENINGS[form].hex().encode(), form, Writing.HEX, kind)


def _letters(letters: bytes, form: Form, writing: Writing, kind: bytes, before: int = 0) -> Mark:
    pattern = _BREAKS.join(re.escape(letters[at : at + 1]) for at in range(len(letters)))
    longest = len(letters) + (len(letters) - 1) * _BREAKS_LONGEST
    signature = Signature(pattern, letters, longest, caseless=writing is Writing.HEX)
    whole = _json(kind) if form is Form.JSON else re.escape(OPENINGS[form])
    return Mark(signature, form, writing, len(letters), before, whole)


def _json(kind: bytes) -> bytes:
    """The `kind` of a JSON object, up to the end of its name."""
    return rb"\"kind" + QUOTE + BLANKS + rb":" + BLANKS + QUOTE + kind + rb"[\"\\]"


def lead(before: int) -> int:
    """Letters of a group of base64 before those of a mark with so many bytes before its value."""
    return _LEAD[before]


SIGNATURES = tuple(mark.signature for mark in marks())
"""In the order of Form."""
