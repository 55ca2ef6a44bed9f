"""Strict reading of YAML and JSON files from untrusted hands: errors name a line or path, never a text of the file.

A file is read once, up to the first event that is not acceptable. LARGEST and MOST_EVENTS bound its cost and aliases.

Source: k8s.io/apimachinery pkg/runtime/serializer/json/json.go (what begins with a brace is JSON, all else is YAML, of
which the first document counts), sigs.k8s.io/yaml goyaml.v2/decode.go (aliases, merge keys).
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from auditor.encryption import strict_json
from auditor.encryption.go_values import NULL, NULLS, TEXT, TYPED, Unquoted, joined, plain, tagged
from auditor.encryption.strict_json import DEEPEST, MOST_EVENTS
from auditor.errors import AuditorError

LARGEST = 1 << 20
MERGE = "<<"
REFUSES = "; kube-apiserver refuses it, so that another configuration is in force"
MOST_NOTES = 5


class ConfigurationError(AuditorError):
    """A file of the user's is not of its kind. The message names a line or path, never a text of the file."""


class Reader:
    """The reader of one file. Every error names the file and a path or line in it, nothing else.

    Args:
        name: printable name of the file.
        kind: kind of file that is expected.
        as_kubernetes: whether it is read as kube-apiserver does: with aliases, types, and the first of its documents.
    """

    def __init__(self, name: str, kind: str = "EncryptionConfiguration", *, as_kubernetes: bool = True) -> None:
        self.name = name
        self.kind = kind
        self.as_kubernetes = as_kubernetes
        self.notes: dict[str, None] = {}  # what not every kube-apiserver accepts, or what is not read

    def fail(self, path: str, reason: str) -> Any:
        """Raise ConfigurationError."""
        raise ConfigurationError(f"{self.name}: {path or 'the document'}: {reason}") from None

    def note(self, text: str) -> None:
        """Add a note: the first MOST_NOTES count."""
        if len(self.notes) < MOST_NOTES:
            self.notes[text] = None

    def parse(self, raw: bytes) -> Any:
        """The one document in these bytes, of objects, lists and texts; None for null."""
        import yaml

        loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # libyaml: kube-apiserver's go-yaml is a port of it
        try:
            wide = raw[:2] in {b"\xff\xfe", b"\xfe\xff"}
            text = raw.decode("utf-16" if wide else "utf-8")
            if not wide and text.lstrip().startswith("{"):
                return strict_json.document(text, self)
            return _Tree(self).document(yaml.parse(text, Loader=loader))
        except yaml.MarkedYAMLError as error:
            where = _where(error.problem_mark or error.context_mark)
        except json.JSONDecodeError as error:
            reason = "no JSON, which a file is that begins with a brace" + self._refuses
            return self.fail(f"line {error.lineno}, column {error.colno}", reason)
        except (yaml.YAMLError, RecursionError, ValueError, OverflowError):
            where = ""
        return self.fail(where, "neither YAML nor JSON")

    def repeat(self, path: str, *, ambiguous: bool = False) -> None:
        """Note a field that stands twice, or fail. ambiguous: whether the last alone is not what counts."""
        if ambiguous or not self.as_kubernetes:
            self.fail(path, "a field that stands twice")
        where = path or "the document"
        self.note(f"{where}: a field that stands twice: the last counts up to Kubernetes 1.30, refused since 1.31")

    @property
    def _refuses(self) -> str:
        return REFUSES if self.as_kubernetes else ""

    def mapping(self, value: Any, path: str, fields: set[str]) -> dict[str, Any]:
        """The value as an object.

        Args:
            value: of the document.
            path: of the value, for errors.
            fields: names that the object may have.
        """
        if not isinstance(value, dict):
            self.fail(path, "expected an object")
        if value.keys() - fields:
            unknown = (
                f"a field that is none of {', '.join(sorted(fields))}" if fields else "a field, where none belongs"
            )
            if not self.as_kubernetes:
                self.fail(path, unknown)
            self.note(f"{path or 'the document'}: {unknown}: ignored up to Kubernetes 1.30, refused since 1.31")
        mapping: dict[str, Any] = value
        return mapping

    def sequence(self, value: Mapping[str, Any], name: str, path: str) -> list[Any]:
        """A field as a list of at least one element.

        Args:
            value: an object of the document.
            name: of the field.
            path: of the object, for errors.
        """
        path = f"{path}.{name}" if path else name
        field = value.get(name)
        if not isinstance(field, list) or not field:
            self.fail(path, "expected a list of at least one")
        sequence: list[Any] = value[name]
        return sequence

    def text(self, value: Mapping[str, Any], name: str, path: str, default: str = "") -> str:
        """A field as a text.

        Args:
            value: an object of the document.
            name: of the field.
            path: of the object, for errors.
            default: text of an absent field.
        """
        field = value.get(name, default)
        if not isinstance(field, str):
            self.fail(f"{path}.{name}" if path else name, "expected text")
        if self.as_kubernetes and isinstance(field, Unquoted):
            self.fail(f"{path}.{name}" if path else name, "a number or a boolean, not a text in quotes" + REFUSES)
        text: str = field
        return text


class _Tree:
    """The tree of a file's first document, made of its events."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._anchors: dict[str, tuple[Any, int, int]] = {}
        """Value of each anchor, and the parts and characters that it stands for."""
        self._parts = self._characters = 0
        """Parts and characters so far, those of aliases included."""

    def document(self, events: Iterator[Any]) -> Any:
        """The first document of a stream; the only one, unless it is read as kube-apiserver does."""
        import yaml

        events = self._bounded(events)
        next(events)  # the stream's beginning
        if isinstance(begin := next(events), yaml.StreamEndEvent):
            self._reader.fail("", "expected one document, found none")
        if self._reader.as_kubernetes and begin.version not in {None, (1, 1)}:
            self._reader.fail(_where(begin.start_mark), "a %YAML directive of another version than 1.1" + REFUSES)
        document = self._value(events, next(events), 0)
        next(events)  # the document's end
        if not self._reader.as_kubernetes:
            if not isinstance(another := next(events), yaml.StreamEndEvent):
                self._reader.fail(_where(another.start_mark), "expected one document, found another")
        elif document is not None and _more(events):
            self._reader.note("it holds more than one document, of which kube-apiserver and this audit read the first")
        return document

    def _bounded(self, events: Iterator[Any]) -> Iterator[Any]:
        """The events of a file, at most MOST_EVENTS, and no anchors where they are not accepted."""
        import yaml

        for number, event in enumerate(events):
            anchored = isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None)
            if anchored and not self._reader.as_kubernetes:
                self._reader.fail(_where(event.start_mark), "anchors and aliases are not accepted")
            if number > MOST_EVENTS:
                self._reader.fail(_where(event.start_mark), f"too many parts: no {self._reader.kind}")
            yield event

    def _value(self, events: Iterator[Any], event: Any, depth: int) -> Any:
        """The value that begins with this event."""
        import yaml

        if depth > DEEPEST:
            self._reader.fail(_where(event.start_mark), f"nested deeper than {DEEPEST}")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        parts, characters = self._parts, self._characters
        self._add(event, 1, len(event.value) if isinstance(event, yaml.ScalarEvent) else 0)
        value: Any
        if isinstance(event, yaml.MappingStartEvent):
            value = self._mapping(events, depth)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = []
            while not isinstance(element := next(events), yaml.SequenceEndEvent):
                value.append(self._value(events, element, depth + 1))
        else:
            value = self._scalar(event)
        if event.anchor:
            self._anchors[event.anchor] = value, self._parts - parts, self._characters - characters
        return value

    def _mapping(self, events: Iterator[Any], depth: int) -> dict[str, Any]:
        import yaml

        fields: dict[str, Any] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            merge = self._reader.as_kubernetes and getattr(event, "value", "") == MERGE and not event.style
            where = _where(event.start_mark)
            if not isinstance(event, yaml.ScalarEvent | yaml.AliasEvent):
                self._reader.fail(where, "a field that is no text")
            name = self._value(events, event, depth + 1) if isinstance(event, yaml.AliasEvent) else None
            if isinstance(event, yaml.ScalarEvent):
                name = self._text(event)
                self._add(event, 1, len(name))
                if event.anchor:
                    self._anchors[event.anchor] = name, 1, len(name)
            value = self._value(events, next(events), depth + 1)
            if merge:
                merged = value if isinstance(value, list) else [value]
                if not all(isinstance(part, dict) for part in merged):
                    self._reader.fail(where, "a merge of something that is no object")
                # of several the first counts (goyaml.v2/decode.go, merge())
                entries = [entry for part in reversed(merged) for entry in part.items()]
            else:
                entries = [(name, value)]
            for field, part in entries:
                if not isinstance(field, str):
                    self._reader.fail(where, "a field that is no text")
                if field in fields:
                    self._reader.repeat(where)
                fields[field] = part
        return {name: value for name, value in fields.items() if value is not None}  # as Go: null is absent

    def _alias(self, event: Any) -> Any:
        if event.anchor not in self._anchors:
            self._reader.fail(_where(event.start_mark), "an alias of nothing before it")
        value, parts, characters = self._anchors[event.anchor]
        self._add(event, parts, characters)
        return value

    def _add(self, event: Any, parts: int, characters: int) -> None:
        self._parts += parts
        self._characters += characters
        if self._parts > MOST_EVENTS or self._characters > LARGEST:
            self._reader.fail(_where(event.start_mark), f"its aliases stand for too much: no {self._reader.kind}")

    def _scalar(self, event: Any) -> str | None:
        if event.tag == NULL or (not event.style and event.value in NULLS and event.tag != TEXT):
            return None
        if event.tag in TYPED:
            return Unquoted(plain(event.value) or "")
        if not event.style and event.tag is None and isinstance(scalar := plain(event.value), Unquoted):
            return scalar if self._reader.as_kubernetes else joined(event.value)
        return self._text(event)

    def _text(self, event: Any) -> str:
        text = tagged(event.value, event.tag)
        return text if text is not None else str(self._reader.fail(_where(event.start_mark), "!!binary is no base64"))


def _more(events: Iterator[Any]) -> bool:
    """Whether anything but empty documents follows, be it a document or what is none."""
    import yaml

    try:
        for event in events:
            if isinstance(event, yaml.NodeEvent) and getattr(event, "value", None) != "":
                return True
    except (yaml.YAMLError, ConfigurationError, ValueError, OverflowError):
        return True
    return False


def _where(mark: Any) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark else "the document"
