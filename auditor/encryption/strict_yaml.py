"""Strict reading of YAML and JSON files from untrusted hands: errors name a line or path, never a text of the file.

A file is read once, event by event, up to the first event that is not acceptable. LARGEST and MOST_EVENTS bound the
cost of a hostile file.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from auditor.errors import AuditorError

LARGEST = 1 << 20
MOST_EVENTS = 20_000
"""Scalars, and beginnings and ends of lists and objects: some 3,000 keys of an EncryptionConfiguration."""
DEEPEST = 32
NULL = "tag:yaml.org,2002:null"
NULLS = {"", "~", "null", "Null", "NULL"}


class ConfigurationError(AuditorError):
    """A file of the user's is not of its kind, such as an EncryptionConfiguration that kube-apiserver would accept.

    The message names a line or path, never a text of the file.
    """


class Reader:
    """The reader of one file. Every error names the file and a path or line in it, and nothing else.

    Args:
        name: printable name of the file.
        kind: kind of file that is expected.
        refused: end of the message on a field that such a file cannot have.
    """

    def __init__(
        self, name: str, kind: str = "EncryptionConfiguration", refused: str = "; kube-apiserver refuses it since 1.31"
    ) -> None:
        self.name = name
        self.kind = kind
        self.refused = refused

    def fail(self, path: str, reason: str) -> Any:
        """Raise ConfigurationError."""
        raise ConfigurationError(f"{self.name}: {path or 'the document'}: {reason}") from None

    def parse(self, raw: bytes) -> Any:
        """The one document in these bytes, of objects, lists and texts; None for null."""
        import yaml

        try:
            text = raw.decode("utf-8")
            if text.lstrip().startswith("{"):  # JSON may be indented with tabs, YAML may not; its strings hold none
                text = text.replace("\t", " ")
            return self._document(self._acceptable(yaml.parse(text, Loader=yaml.BaseLoader)))
        except yaml.MarkedYAMLError as error:
            where = _where(error.problem_mark or error.context_mark)
        except (yaml.YAMLError, RecursionError, ValueError, OverflowError):
            where = ""
        return self.fail(where, "neither YAML nor JSON")

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
            self.fail(path, f"a field that is none of {', '.join(sorted(fields))}{self.refused}")
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
        text: str = field
        return text

    def _acceptable(self, events: Iterator[Any]) -> Iterator[Any]:
        """The events of a file: at most MOST_EVENTS, and no anchors, a few of which can stand for gigabytes."""
        import yaml

        for number, event in enumerate(events):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                self.fail(_where(event.start_mark), "anchors and aliases are not accepted")
            if number > MOST_EVENTS:
                self.fail(_where(event.start_mark), f"too many parts: no {self.kind}")
            yield event

    def _document(self, events: Iterator[Any]) -> Any:
        """The only document of a stream."""
        import yaml

        next(events)  # the stream's beginning
        if isinstance(next(events), yaml.StreamEndEvent):
            self.fail("", "expected one document, found none")
        document = self._value(events, next(events), 0)
        next(events)  # the document's end
        if not isinstance(another := next(events), yaml.StreamEndEvent):
            self.fail(_where(another.start_mark), "expected one document, found another")
        return document

    def _value(self, events: Iterator[Any], event: Any, depth: int) -> Any:
        """The value that begins with this event."""
        import yaml

        where = _where(event.start_mark)
        if depth > DEEPEST:
            self.fail(where, f"nested deeper than {DEEPEST}")
        if isinstance(event, yaml.MappingStartEvent):
            fields: dict[str, Any] = {}
            while not isinstance(key := next(events), yaml.MappingEndEvent):
                if not isinstance(key, yaml.ScalarEvent) or key.value in fields:
                    self.fail(_where(key.start_mark), "a field that is no text, or that stands twice")
                fields[key.value] = self._value(events, next(events), depth + 1)
            return {name: value for name, value in fields.items() if value is not None}  # as Go: null is absent
        if isinstance(event, yaml.SequenceStartEvent):
            elements = []
            while not isinstance(element := next(events), yaml.SequenceEndEvent):
                elements.append(self._value(events, element, depth + 1))
            return elements
        if event.tag == NULL or (event.style is None and event.value in NULLS):
            return None
        return event.value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # as Go: pairs joined


def _where(mark: Any) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark else "the document"
