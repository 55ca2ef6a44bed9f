"""The containers of a Pod: what their command lines and environments say.

Field numbers: k8s.io/api core/v1 generated.proto (Pod, PodSpec, Container, EnvVar); JSON and CBOR name the same fields.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from auditor.evidence.protobuf_wire import BYTES, WireError, fields
from auditor.kubernetes import trees
from auditor.model.vocabulary import Encoding
from auditor.text import decode

ENVELOPE = 4
_OBJECT, _SPEC = 2, 2
"""Fields: the object in its envelope, the spec in a Pod."""
_CONTAINERS = frozenset({2, 20})
"""Fields of a PodSpec: containers and initContainers."""
_NAME, _IMAGE, _COMMAND, _ARGS, _ENV = 1, 2, 3, 4, 7
_VALUE = 2


class Container(NamedTuple):
    """One container. Its texts are those of the evidence: any may hold a credential."""

    name: str
    image: str
    words: tuple[str, ...]
    """Command and arguments."""
    environment: tuple[tuple[str, str], ...]
    """Names and values that stand there; not those that are taken from elsewhere."""

    def __repr__(self) -> str:
        return "Container(...)"


def containers(value: bytes, encoding: Encoding) -> list[Container] | None:
    """The containers of a Pod; None where it does not decode.

    Args:
        value: the stored or opened value.
        encoding: of the value.
    """
    try:
        if encoding is Encoding.PROTOBUF:
            return list(_protobuf(value))
        return list(_tree(trees.parse(value, encoding)))
    except (WireError, ValueError, RecursionError, TypeError, AttributeError, KeyError, OverflowError, EOFError):
        return None


def _protobuf(value: bytes) -> Iterator[Container]:
    for _, start, end in _contents(value, ENVELOPE, len(value), _OBJECT):
        for _, first, last in _contents(value, start, end, _SPEC):
            for _, at, stop in _contents(value, first, last, *_CONTAINERS):
                yield _container(value, at, stop)


def _contents(value: bytes, start: int, end: int, *numbers: int) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of some length-delimited fields of a message. Raises WireError."""
    for number, form, first, last in fields(value, start, end):
        if number in numbers and form == BYTES:
            yield number, first, last


def _container(value: bytes, start: int, end: int) -> Container:
    texts: dict[int, list[str]] = {_NAME: [""], _IMAGE: [""], _COMMAND: [], _ARGS: []}
    environment = []
    for number, first, last in _contents(value, start, end, *texts, _ENV):
        if number in texts:
            texts[number].append(decode(value[first:last]))
            continue
        entry = {own: decode(value[at:stop]) for own, at, stop in _contents(value, first, last, _NAME, _VALUE)}
        environment.append((entry.get(_NAME, ""), entry.get(_VALUE, "")))
    words = (*texts[_COMMAND], *texts[_ARGS])
    return Container(texts[_NAME][-1], texts[_IMAGE][-1], words, tuple(environment))


def _tree(tree: Any) -> Iterator[Container]:
    spec = tree.get("spec") or {}
    for each in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        words = (*(each.get("command") or ()), *(each.get("args") or ()))
        environment = tuple((_text(entry.get("name")), _text(entry.get("value"))) for entry in each.get("env") or ())
        yield Container(_text(each.get("name")), _text(each.get("image")), tuple(map(_text, words)), environment)


def _text(part: Any) -> str:
    return part if isinstance(part, str) else ""
