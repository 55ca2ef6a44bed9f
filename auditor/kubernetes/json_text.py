"""JSON as Go reads it, where Python's decoder does not: encoding/json; k8s.io/apimachinery runtime/serializer/json.

Bytes that are no UTF-8 become replacement characters, numbers are as long as they are, and objects nest as deep as they
do. Of a name that stands twice the last counts, unless it is null; in an object's type its case does not.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

NAMES = ("apiVersion", "kind")
"""What an object says of its type."""
DEEPEST = 200
"""Levels of which the tree is made where Python's scanner refuses a text: below them is null."""
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|["\[\]{}]', re.DOTALL)
_COLON = re.compile(r"[ \t\r\n]*+:[ \t\r\n]*+")
_LENGTHS = frozenset(map(len, NAMES))


def parse(value: bytes) -> Any:
    """The tree of a document. Raises ValueError, RecursionError."""
    text = value.decode("utf-8", "replace")
    try:
        tree = json.loads(text)
    except json.JSONDecodeError:
        raise
    except (ValueError, RecursionError):  # digits, or levels
        text = _shallow(text)
        tree = json.loads(text, parse_int=_number)
    if isinstance(tree, dict) and _ambiguous(tree):
        tree.update(_last(json.loads(text, parse_int=_number, object_pairs_hook=_Pairs)))
    return tree


def is_deep(value: bytes) -> bool:
    """Whether a document nests deeper than the tree that parse() may make of it."""
    if value.count(b"{") + value.count(b"[") <= DEEPEST:
        return False
    return any(depth > DEEPEST for depth, *_ in _tokens(value.decode("utf-8", "replace")))


def leading(value: bytes) -> dict[str, str]:
    """What a document that does not decode says of its type, as far as it goes: what stands on its first level."""
    pairs: list[tuple[str, str]] = []
    text = value.decode("utf-8", "replace")
    for depth, lexeme, start, end in _tokens(text):
        if lexeme == '"' or (depth == 0 and start > 0):
            break  # a text without its end, or the end of the document
        if depth != 1 or len(lexeme) < 2:
            continue
        if (colon := _COLON.match(text, end)) and (content := _TOKEN.match(text, colon.end())) and len(content[0]) > 1:
            pairs.append((_text(lexeme), _text(content[0])))
    return _last(pairs)


class _Pairs(list[tuple[str, Any]]):
    """The members of an object, in their order."""


def _ambiguous(tree: dict[str, Any]) -> bool:
    """Whether members in other cases, or a null, may stand for what the tree says of its type."""
    if any(name in tree and tree[name] is None for name in NAMES):
        return True
    return any(len(name) in _LENGTHS and name not in NAMES and _folded(name) for name in tree)


def _folded(name: str) -> str:
    """The name of which Go takes this one to be; empty for none."""
    return next((known for known in NAMES if name.casefold() == known.casefold()), "")


def _last(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    return {known: content for name, content in pairs if content is not None and (known := _folded(name))}


def _text(lexeme: str) -> str:
    try:
        return str(json.loads(lexeme, strict=False))
    except ValueError:
        return ""


def _number(digits: str) -> int | str:
    """An integer; one longer than Python reads stays a text."""
    try:
        return int(digits)
    except ValueError:
        return digits


def _shallow(text: str) -> str:
    """The document with null in place of what lies deeper than DEEPEST."""
    parts, begin, deep = [], 0, False
    for depth, lexeme, start, end in _tokens(text):
        if lexeme in ("[", "{") and depth == DEEPEST + 1:
            parts.append(text[begin:start])
            deep = True
        elif lexeme in ("]", "}") and depth == DEEPEST and deep:
            parts.append("null")
            begin, deep = end, False
    return "".join(parts) + ("" if deep else text[begin:])


def _tokens(text: str) -> Iterator[tuple[int, str, int, int]]:
    """Level, token, begin and end of every text and bracket; brackets on the level that they make."""
    depth = 0
    for token in _TOKEN.finditer(text):
        if token[0] in ("[", "{"):
            depth += 1
        elif token[0] in ("]", "}"):
            depth -= 1
        yield depth, token[0], token.start(), token.end()
