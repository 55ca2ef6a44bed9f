"""Objects in a text of JSON: one, several behind each other, a list of the API's, or an array; each with its position.

The text is looked at as Latin-1, a letter a byte, so that positions in it are offsets in the file.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from auditor.evidence.containers.residue import holds_value
from auditor.evidence.objects import keys
from auditor.evidence.objects.values import Value, Values

LARGEST_REST = 1 << 16
"""Bytes of what a list says beside its items, at most."""
TAIL = 4096
"""Bytes in which a list states its kind behind its items."""
_KIND_BEHIND = re.compile(r'"kind"\s*:\s*"(\w{0,63}List)"')
_BLANK = re.compile(r"[ \t\r\n]*")
_AROUND = frozenset({"apiVersion", "kind", "metadata"})
"""Fields of a list beside its items (apimachinery pkg/apis/meta/v1, List)."""
_DECODER = json.JSONDecoder()


def read(values: Values, text: str) -> None:
    """Add every object of a text; gaps for what is none."""
    at = _blank(text, 0)
    while at < len(text):
        stop = _document(values, text, at, "")
        if stop <= at:
            values.gap(at, len(text), f"nothing is read from offset {at:,} on, where no JSON stands: searched")
            return
        end = _blank(text, stop)
        values.structure(stop, end)
        at = end


def _blank(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match is not None else at


def _document(values: Values, text: str, at: int, kind: str) -> int:
    """Add what begins at a position; the position behind it, the same one where it is no JSON.

    Args:
        values: Where objects are added.
        text: The text.
        at: Where it begins.
        kind: The kind of an object that states none.
    """
    if text.startswith("[", at):
        return _elements(values, text, at, kind)
    if not text.startswith("{", at):
        return at
    kinds = _list_kind(text, at)
    return _list(values, text, at, kinds) if kinds is not None else _object(values, text, at, kind)


def _list_kind(text: str, at: int) -> str | None:
    """The kind of a list's items, empty where they state their own; None of an object that is no list."""
    stated: dict[str, str] = {}

    def field(name: str, begin: int) -> int:
        if name == "items" and text.startswith("[", begin):
            stated[name] = ""
            return -1
        value, stop = _value(text, begin)
        if name == "kind" and isinstance(value, str):
            stated[name] = value
        return stop

    _fields(text, at, field)
    if "items" not in stated:
        return None
    # kubectl sorts the fields: the kind stands behind the items
    behind = _KIND_BEHIND.search(text, max(len(text) - TAIL, at))
    kind = stated.get("kind") or (behind[1] if behind is not None else "List")
    return kind.removesuffix("List") if kind.endswith("List") else None


def _fields(text: str, at: int, field: Callable[[str, int], int]) -> int:
    """Call `field` with name and position of each value of an object; the position behind it, -1 where it stopped."""
    at = _blank(text, at + 1)
    if text.startswith("}", at):
        return at + 1
    while True:
        if not text.startswith('"', at):
            return -1
        name, at = _value(text, at)
        if at < 0:
            return -1
        at = _blank(text, at)
        if not text.startswith(":", at):
            return -1
        at = field(name, _blank(text, at + 1))
        if at < 0:
            return -1
        at = _blank(text, at)
        if text.startswith("}", at):
            return at + 1
        if not text.startswith(",", at):
            return -1
        at = _blank(text, at + 1)


def _value(text: str, at: int) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError):
        return None, -1


def _object(values: Values, text: str, at: int, kind: str) -> int:
    """Add the object at a position."""
    document, stop = _value(text, at)
    if stop < 0:
        return at
    key = keys.of_object(_text(document), kind) if isinstance(document, dict) else None
    if key is None:
        values.gap(at, stop, f"the JSON at offset {at:,} is no object with a kind and a name: searched")
    else:
        values.add(Value(key, text[at:stop].encode("latin-1"), at, stop - at))
    return stop


def _text(document: dict[str, Any]) -> dict[str, Any]:
    """What makes an object's key, as the text that its bytes are."""
    metadata = document.get("metadata")
    if not isinstance(metadata, dict):
        return document
    names = {name: _utf8(metadata.get(name)) for name in ("name", "namespace")}
    return {**document, "metadata": names}


def _utf8(text: Any) -> Any:
    try:
        return text.encode("latin-1").decode("utf-8", "surrogateescape") if isinstance(text, str) else text
    except UnicodeEncodeError:  # escapes of JSON may stand for any letter
        return text


def _elements(values: Values, text: str, at: int, kind: str) -> int:
    """Add the elements of an array; the position behind it."""
    begin, at = at, _blank(text, at + 1)
    values.structure(begin, at)
    if text.startswith("]", at):
        values.structure(at, at + 1)
        return at + 1
    while True:
        stop = _object(values, text, at, kind) if text.startswith("{", at) else at
        if stop <= at:
            return max(begin, at)
        begin, at = stop, _blank(text, stop)
        if text.startswith("]", at):
            values.structure(begin, at + 1)
            return at + 1
        if not text.startswith(",", at):
            return at
        at = _blank(text, at + 1)
        values.structure(begin, at)


def _list(values: Values, text: str, at: int, kind: str) -> int:
    """Add the items of a list; what it says beside them is a gap where a value begins in it."""
    done = [at]

    def field(name: str, begin: int) -> int:
        if name == "items" and text.startswith("[", begin):
            _structure(values, text, done[0], begin)
            stop = _elements(values, text, begin, kind)
            if stop > begin and text[stop - 1] == "]":
                done[0] = stop
                return stop
            done[0] = max(stop, begin)
            return -1
        _, stop = _value(text, begin)
        if stop >= 0 and name not in _AROUND:
            values.gap(begin, stop, f"a field at offset {begin:,} is none of a list's: searched")
        return stop

    stop = _fields(text, at, field)
    if stop < 0:
        return done[0]
    _structure(values, text, done[0], stop)
    return stop


def _structure(values: Values, text: str, start: int, end: int) -> None:
    if end - start > LARGEST_REST or holds_value(text[start:end].encode("latin-1")):
        values.gap(start, end, f"what stands beside the items at offset {start:,} is more than a list says: searched")
    else:
        values.structure(start, end)
