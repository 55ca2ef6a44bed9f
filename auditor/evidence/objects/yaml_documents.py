"""Objects in a text of YAML, as `kubectl get -o yaml` prints them: each as JSON, with the position of its text.

Aliases and merge keys are resolved as kubectl does, up to a bound: a few lines of them may stand for terabytes. A text
is bounded too, since all of it is held in memory.
"""

import json
from typing import Any

import yaml

from auditor.evidence.containers.residue import holds_value
from auditor.evidence.notation import Notation
from auditor.evidence.objects import keys
from auditor.evidence.objects.values import Value, Values

DEEPEST = 100
LARGEST_EXPANSION = 16 << 20
"""Letters and nodes by which the aliases of a document may lengthen it, at most."""
_LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_MERGE = "tag:yaml.org,2002:merge"
_TRUE, _FALSE = ("true", "True", "TRUE", "yes", "on", "y"), ("false", "False", "FALSE", "no", "off", "n")


class _Unfit(Exception):
    """A document that is not read. No text of it."""


def read(values: Values, text: str, begin: int) -> None:
    """Add every object of a text that begins at an offset of the file; gaps for documents that are none."""
    offsets = _Offsets(text, begin)
    loader = _LOADER(text)
    done = begin
    try:
        while loader.check_node():
            node = loader.get_node()
            start, end = offsets.of(node.start_mark.index), offsets.of(node.end_mark.index)
            try:
                _check(node, 0, end - start + LARGEST_EXPANSION)
                _add(values, node, offsets)
            except _Unfit:
                reason = f"the YAML at offset {start:,} is too deep, or its aliases stand for too much: searched"
                values.gap(start, end, reason)
            done = end
    except yaml.YAMLError:
        values.gap(done, values.file.size, f"no YAML from offset {done:,} on: searched")
    finally:
        loader.dispose()


class _Offsets:
    """Offsets in the file of positions in its text."""

    def __init__(self, text: str, begin: int) -> None:
        self._text = text
        self._begin = begin
        self._same = text.isascii()
        self._last = (0, 0)

    def of(self, index: int) -> int:
        """The offset of a letter; cheap where they are asked for in their order."""
        if self._same:
            return self._begin + index
        before, offset = self._last if self._last[0] <= index else (0, 0)
        offset += len(self._text[before:index].encode())
        self._last = (index, offset)
        return self._begin + offset


def _check(node: Any, depth: int, left: int) -> int:
    """What is left of a number of letters and nodes behind a node.

    A node counts wherever an alias names it; one that holds itself is too deep. Raises _Unfit where nothing is left,
    for a node that is too deep, and for a key that is no text.
    """
    left -= 1
    if isinstance(node, yaml.ScalarNode):
        left -= len(node.value)
    if left < 0 or depth > DEEPEST:
        raise _Unfit
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _Unfit
            left = _check(value, depth + 1, _check(key, depth + 1, left))
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            left = _check(value, depth + 1, left)
    return left


def _fields(node: Any) -> dict[str, Any]:
    """The fields of a mapping; those of merge keys where they are not its own (goyaml.v2 decode.go, merge)."""
    own: dict[str, Any] = {}
    merged: dict[str, Any] = {}
    for key, value in node.value:
        if key.tag != _MERGE:
            own[key.value] = value
            continue
        for each in value.value if isinstance(value, yaml.SequenceNode) else [value]:
            if isinstance(each, yaml.MappingNode):
                merged = _fields(each) | merged
    return merged | own


def _add(values: Values, node: Any, offsets: _Offsets) -> None:
    """Add an object, or the items of a list."""
    fields = _fields(node) if isinstance(node, yaml.MappingNode) else {}
    items, kind = fields.get("items"), fields.get("kind")
    word = kind.value if isinstance(kind, yaml.ScalarNode) else ""
    if isinstance(items, yaml.SequenceNode) and word.endswith("List"):
        # an item may stand there twice, by an alias
        for item in {id(item): item for item in items.value}.values():
            _object(values, item, offsets, word.removesuffix("List"))
        return
    _object(values, node, offsets, "")


def _object(values: Values, node: Any, offsets: _Offsets, kind: str) -> None:
    start, end = offsets.of(node.start_mark.index), offsets.of(node.end_mark.index)
    document = _plain(node)
    key = keys.of_object(document, kind) if isinstance(document, dict) else None
    if key is None:
        if document is not None:
            values.gap(start, end, f"the YAML at offset {start:,} is no object with a kind and a name: searched")
        return
    raw = values.file.map[start:end]
    content = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
    values.add(Value(key, content, start, len(raw.rstrip(b" \n-")), Notation.YAML))


def _plain(node: Any) -> Any:
    """The content of a node, as JSON has it: numbers, truth and null where YAML says so, else text."""
    if isinstance(node, yaml.MappingNode):
        return {name: _plain(value) for name, value in _fields(node).items()}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(value) for value in node.value]
    if node.tag == "tag:yaml.org,2002:null":
        return None
    if node.tag == "tag:yaml.org,2002:bool":
        return True if node.value in _TRUE else False if node.value in _FALSE else node.value
    if node.tag in _NUMBERS and len(node.value) < 32:
        try:
            return int(node.value) if node.tag == _NUMBERS[0] else float(node.value)
        except ValueError:
            return node.value
    return node.value


def rest(values: Values, text: bytes, start: int, end: int) -> bool:
    """Whether what stands between objects is what a list says around its items; it is accounted for then."""
    if start >= end:  # an alias: the item stands elsewhere
        return True
    between = text[start:end]
    known = len(between) < 1 << 12 and not holds_value(between)
    if known:
        values.structure(start, end)
    return known
