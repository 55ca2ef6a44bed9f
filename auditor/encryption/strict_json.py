"""Strict reading of JSON files from untrusted hands: no part of a file is in an error."""

import json
from typing import Any, Protocol

from auditor.encryption.go_values import Unquoted, joined

MOST_EVENTS = 20_000
"""Scalars, and beginnings and ends of lists and objects: some 3,000 keys of an EncryptionConfiguration."""
DEEPEST = 32


class Listener(Protocol):
    """Who is told what is not acceptable."""

    kind: str

    def fail(self, path: str, reason: str) -> Any:
        """Raise the error of a file that is not read."""

    def repeat(self, path: str, *, ambiguous: bool) -> None:
        """Note a field that stands twice, or fail. ambiguous: whether the last alone is not what counts."""


def document(text: str, listener: Listener) -> Any:
    """The document of a JSON text, of objects, lists and texts; None for null.

    Raises:
        ValueError: It is no JSON.
        RecursionError: It is nested too deep.
    """

    def constant(_: str) -> None:
        raise ValueError

    def fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for name, value in pairs:
            if name in mapping:
                # Go reads an object into what the one before it left (encoding/json, indirect())
                listener.repeat("", ambiguous=isinstance(value, dict) and isinstance(mapping[name], dict))
            mapping[name] = value
        return mapping

    parsed = json.loads(
        text, parse_int=Unquoted, parse_float=Unquoted, parse_constant=constant, object_pairs_hook=fields
    )
    return _Bounded(listener).value(parsed, 0)


class _Bounded:
    """The parts of a document as texts, lists and objects, up to MOST_EVENTS."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._left = MOST_EVENTS

    def value(self, part: Any, depth: int) -> Any:
        self._left -= 1
        if self._left < 0:
            self._listener.fail("", f"too many parts: no {self._listener.kind}")
        if depth > DEEPEST:
            self._listener.fail("", f"nested deeper than {DEEPEST}")
        if isinstance(part, dict):
            self._left -= len(part) + 1
            return {joined(name): self.value(inner, depth + 1) for name, inner in part.items() if inner is not None}
        if isinstance(part, list):
            self._left -= 1
            return [self.value(inner, depth + 1) for inner in part]
        if isinstance(part, bool):
            return Unquoted("true" if part else "false")
        return part if part is None or isinstance(part, Unquoted) else joined(part)
