"""Plain values out of a YAML or JSON file that nobody vouches for: every complaint names a place, never a text.

Read once, event by event, and only as far as it stays acceptable: what a hostile file could cost is bounded by
LARGEST and MOST_EVENTS.
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
    """A file that a user gave is not what it must be, such as an EncryptionConfiguration that kube-apiserver would
    accept; says where, never what stands there.
    """


class Reader:
    """One file. Every complaint names it and a path or a line in it, and nothing else.

    kind: what the file is to be; refused: what is to be said of a field that it cannot have.
    """

    def __init__(
        self, name: str, kind: str = "EncryptionConfiguration", refused: str = "; kube-apiserver refuses it since 1.31"
    ) -> None:
        self.name = name
        self.kind = kind
        self.refused = refused

    def fail(self, path: str, why: str) -> Any:
        raise ConfigurationError(f"{self.name}: {path or 'the document'}: {why}") from None

    def parse(self, raw: bytes) -> Any:
        """The one document that these bytes are: objects, lists and texts; None is absent."""
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
        if not isinstance(value, dict):
            self.fail(path, "expected an object")
        if value.keys() - fields:
            self.fail(path, f"a field that is none of {', '.join(sorted(fields))}{self.refused}")
        made: dict[str, Any] = value
        return made

    def sequence(self, value: Mapping[str, Any], name: str, path: str) -> list[Any]:
        path = f"{path}.{name}" if path else name
        found = value.get(name)
        if not isinstance(found, list) or not found:
            self.fail(path, "expected a list of at least one")
        made: list[Any] = value[name]
        return made

    def text(self, value: Mapping[str, Any], name: str, path: str, default: str = "") -> str:
        found = value.get(name, default)
        if not isinstance(found, str):
            self.fail(f"{path}.{name}" if path else name, "expected text")
        made: str = found
        return made

    def _acceptable(self, events: Iterator[Any]) -> Iterator[Any]:
        """The events of a file of no more than MOST_EVENTS, without anchors: a few of those can stand for gigabytes."""
        import yaml

        for number, event in enumerate(events):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                self.fail(_where(event.start_mark), "anchors and aliases are not accepted")
            if number > MOST_EVENTS:
                self.fail(_where(event.start_mark), f"too many parts: no {self.kind}")
            yield event

    def _document(self, events: Iterator[Any]) -> Any:
        import yaml

        next(events)  # the stream's beginning
        if isinstance(next(events), yaml.StreamEndEvent):
            self.fail("", "expected one document, found none")
        made = self._value(events, next(events), 0)
        next(events)  # the document's end
        if not isinstance(another := next(events), yaml.StreamEndEvent):
            self.fail(_where(another.start_mark), "expected one document, found another")
        return made

    def _value(self, events: Iterator[Any], event: Any, depth: int) -> Any:
        """What begins with this event."""
        import yaml

        where = _where(event.start_mark)
        if depth > DEEPEST:
            self.fail(where, f"nested deeper than {DEEPEST}")
        if isinstance(event, yaml.MappingStartEvent):
            made: dict[str, Any] = {}
            while not isinstance(key := next(events), yaml.MappingEndEvent):
                if not isinstance(key, yaml.ScalarEvent) or key.value in made:
                    self.fail(_where(key.start_mark), "a field that is no text, or that stands twice")
                made[key.value] = self._value(events, next(events), depth + 1)
            return {name: each for name, each in made.items() if each is not None}  # as Go: null is absent
        if isinstance(event, yaml.SequenceStartEvent):
            listed = []
            while not isinstance(each := next(events), yaml.SequenceEndEvent):
                listed.append(self._value(events, each, depth + 1))
            return listed
        if event.tag == NULL or (event.style is None and event.value in NULLS):
            return None
        return event.value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # as Go: pairs joined


def _where(mark: Any) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark else "the document"
