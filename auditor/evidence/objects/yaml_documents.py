"""Objects in a text of YAML, as `kubectl get -o yaml` prints them: each as JSON, with the position of its text.

What would grow as it is read (anchors and aliases) is refused; a text is bounded, since all of it is held in memory.
"""

import json
from typing import Any

import yaml

from auditor.evidence.containers.residue import holds_value
from auditor.evidence.notation import Notation
from auditor.evidence.objects import keys
from auditor.evidence.objects.values import Value, Values

LARGEST = 256 << 20
"""Bytes of a text, at most."""
DEEPEST = 100
_LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_TRUE, _FALSE = ("true", "True", "TRUE", "yes", "on", "y"), ("false", "False", "FALSE", "no", "off", "n")


class _Unfit(Exception):
    """A document that is not read. No text of it."""


def read(values: Values, text: str) -> None:
    """Add every object of a text; gaps for documents that are none."""
    offsets = _Offsets(text)
    loader = _LOADER(text)
    done = 0
    try:
        while loader.check_node():
            node = loader.get_node()
            start, end = offsets.of(node.start_mark.index), offsets.of(node.end_mark.index)
            try:
                _check(node, set(), 0)
                _add(values, node, offsets)
            except _Unfit:
                values.gap(start, end, f"the YAML at offset {start:,} holds aliases, or is too deep: searched")
            done = end
    except yaml.YAMLError:
        values.gap(done, values.file.size, f"no YAML from offset {done:,} on: searched")
    finally:
        loader.dispose()


class _Offsets:
    """Offsets in the file of positions in its text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._same = text.isascii()
        self._last = (0, 0)

    def of(self, index: int) -> int:
        """The offset of a letter; cheap where they are asked for in their order."""
        if self._same:
            return index
        before, offset = self._last if self._last[0] <= index else (0, 0)
        offset += len(self._text[before:index].encode())
        self._last = (index, offset)
        return offset


def _check(node: Any, met: set[int], depth: int) -> None:
    """Raise _Unfit for a node that stands in the document twice, by an alias, or too deep."""
    if id(node) in met or depth > DEEPEST:
        raise _Unfit
    met.add(id(node))
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            _check(key, met, depth + 1)
            _check(value, met, depth + 1)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _check(value, met, depth + 1)


def _add(values: Values, node: Any, offsets: _Offsets) -> None:
    """Add an object, or the items of a list."""
    fields = {key.value: value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}
    items, kind = fields.get("items"), fields.get("kind")
    word = kind.value if isinstance(kind, yaml.ScalarNode) else ""
    if isinstance(items, yaml.SequenceNode) and word.endswith("List"):
        for item in items.value:
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
        return {str(key.value): _plain(value) for key, value in node.value}
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
    between = text[start:end]
    known = len(between) < 1 << 12 and not holds_value(between)
    if known:
        values.structure(start, end)
    return known
