"""Values whose etcd key is lost or names something else: of which resource they are, as far as their own bytes say."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from auditor.evidence.batch import RecordBatch
from auditor.kubernetes import objects, type_meta
from auditor.kubernetes.framing import LOST
from auditor.kubernetes.prefixes import Prefixes
from auditor.kubernetes.registry import OUTSIDE, SECRET_ELSEWHERE, Registry, match
from auditor.kubernetes.resources import Resource, of_kind
from auditor.kubernetes.type_meta import KINDS, LIST
from auditor.model.vocabulary import Encoding, Provider, State
from auditor.text import printable

UNENCRYPTED = frozenset({b"Endpoints", b"RangeAllocation"})
"""Kinds of what kube-apiserver writes without its transformers: masterleases, ranges. No key tells them apart here."""
_HEADS = [(kind, (b"%c%b" % (len(stated), stated))[:7]) for kind in KINDS for stated in (kind, kind + LIST, LIST)]
_KIND_WORDS = [
    (kind, np.uint64(int.from_bytes(head, "little")), np.uint64((1 << 8 * len(head)) - 1)) for kind, head in _HEADS
]
"""The first bytes of a kind's field, its length before it, and a mask of so many."""
UNIDENTIFIED = Resource("unknown", "", "")
"""The resource of a fragment, or of a damaged value under an unusual key, that does not say what it is."""


def attribute(
    batch: RecordBatch, prefixes: Prefixes, resource: NDArray[np.int32], registry: Registry
) -> tuple[Prefixes, NDArray[np.int32]]:
    """The same with the values without a key under a resource of their own: by kind, or UNIDENTIFIED.

    A readable object of a kind of no resource stays under none. What ends as a v1 Secret ends is readable.
    A plain object of KINDS under the key of another resource, or of none, is of its own: no key hides a Secret.
    A plain value that begins as an envelope and does not decode is UNIDENTIFIED, unless its key names one of KINDS;
    one in JSON or CBOR is malformed, where it does not say what it is.
    """
    headless = np.flatnonzero((batch.key_at < 0) & (batch.value_len > 0))
    foreign = _Foreign(batch, prefixes, resource, registry)
    strays = [*foreign.envelopes(), *foreign.trees()]
    if foreign.malformed:
        malformed = prefixes.malformed.copy()
        malformed[foreign.malformed] = True
        prefixes = replace(prefixes, malformed=malformed)
    if headless.size:
        prefixes = replace(prefixes, provider=prefixes.provider.copy(), encoding=prefixes.encoding.copy())
    if headless.size or strays:
        resource = resource.copy()
    for row, stray in strays:
        resource[row] = registry.code(stray)
    for row in headless.tolist():
        name = _resource(batch, prefixes, row)
        own = UNIDENTIFIED if name == UNIDENTIFIED.name else Resource(name, "", "")
        resource[row] = registry.code(own) if name else OUTSIDE
    return prefixes, resource


class _Foreign:
    """Plain values that are something else than their keys name."""

    def __init__(self, batch: RecordBatch, prefixes: Prefixes, resource: NDArray[np.int32], registry: Registry) -> None:
        self._batch, self._encoding, self._resource, self._registry = batch, prefixes.encoding, resource, registry
        self._rows = np.flatnonzero((prefixes.provider == Provider.IDENTITY) & (batch.key_at >= 0))
        self._named = {kind: match(registry.resources, frozenset({name})) for kind, name in KINDS.items()}
        self.malformed: list[int] = []
        """Rows of JSON or CBOR that do not decode, of no kind that their leading part says."""

    def envelopes(self) -> Iterator[tuple[int, Resource]]:
        """Protobuf: columns pick what is of one of KINDS, and what Go would not have written so; few are decoded."""
        rows, batch = self._rows[self._encoding[self._rows] == Encoding.PROTOBUF], self._batch
        lost = (batch.state[rows] & LOST) != 0
        canonical, kind_at = type_meta.canonical(batch.data, batch.value_at[rows], batch.value_size[rows], lost)
        words = batch.data.words(kind_at)
        picked = ~canonical
        for kind, word, mask in _KIND_WORDS:
            picked |= ((words & mask) == word) & ~self._named[kind][self._resource[rows]]
        for row in rows[picked].tolist():
            stated = type_meta.of(batch.value(row), Encoding.PROTOBUF)
            if resource := self._stated(row, stated, Encoding.PROTOBUF):
                yield from self._stray(row, resource)
            elif not stated.whole and not batch.state[row] & LOST and not self._own(row):
                yield row, UNIDENTIFIED

    def trees(self) -> Iterator[tuple[int, Resource]]:
        """JSON and CBOR in any order, spacing and spelling: decoded where they may name one of KINDS at all."""
        rows = self._rows[np.isin(self._encoding[self._rows], (Encoding.JSON, Encoding.CBOR))]
        names = [(kind, named[self._resource[rows]].tolist()) for kind, named in self._named.items()]
        for number, row in enumerate(rows.tolist()):
            kinds = [kind for kind, own in names if not own[number]]
            value, encoding = self._batch.value(row), Encoding(int(self._encoding[row]))
            if not type_meta.may_say(value, encoding, kinds):
                continue
            stated = type_meta.of(value, encoding)
            if resource := self._stated(row, stated, encoding):
                yield from self._stray(row, resource)
            elif not stated.whole and not (stated.kind and self._batch.state[row] & LOST) and not self._own(row):
                self.malformed.append(row)
                if encoding is Encoding.CBOR and type_meta.names_secret(value):
                    yield row, UNIDENTIFIED

    def _stated(self, row: int, stated: type_meta.TypeMeta, encoding: Encoding) -> str:
        """The resource of KINDS that a row's value says it is of; empty for any other."""
        if stated.mixed and type_meta.lists_secret(self._batch.value(row), encoding):
            return KINDS[b"Secret"]
        return stated.resource

    def _stray(self, row: int, name: str) -> Iterator[tuple[int, Resource]]:
        """A row of one of KINDS with its resource, unless its key names that, or a Secret."""
        code = self._resource[row]
        if self._registry.resources[code].name != name and not self._own(row):
            yield row, _by_content(self._registry.resources[code], name, self._registry)

    def _own(self, row: int) -> bool:
        """Whether a row's key is that of a Secret, which is judged whatever its value is."""
        return bool(self._registry.resources[self._resource[row]].name == KINDS[b"Secret"])


def _by_content(named: Resource, name: str, registry: Registry) -> Resource:
    """A resource by what its objects say they are; their keys name another, or none."""
    if not named.prefix and not registry.detects:
        return SECRET_ELSEWHERE if name == "secrets" else named
    return replace(named, name=name, exempt=False, by_content=True, unlisted=False)


def _resource(batch: RecordBatch, prefixes: Prefixes, row: int) -> str:
    """The resource's name, empty for an object of another kind; a Secret's tail becomes readable protobuf."""
    if prefixes.provider[row] == Provider.IDENTITY:
        cut = bool(batch.state[row] & State.TAIL_LOST)
        decoded = objects.decode(batch.value(row), Encoding(int(prefixes.encoding[row])), cut=cut)
        if not decoded.kind.isalnum() or (cut and batch.value(row).endswith(decoded.kind)):
            return UNIDENTIFIED.name  # there is none, or it is cut, or its last bytes are overwritten
        if (kind := decoded.kind.removesuffix(LIST)) in KINDS and decoded.api_version in {b"", b"v1"}:
            return KINDS[kind]
        protobuf = prefixes.encoding[row] == Encoding.PROTOBUF
        if decoded.kind in UNENCRYPTED or not (decoded.name or protobuf):  # JSON without a name only refers to one
            return ""
        return of_kind(printable(decoded.api_version), printable(decoded.kind))
    if prefixes.provider[row] == Provider.UNKNOWN and objects.tail(batch.value(row)).kind:
        prefixes.provider[row], prefixes.encoding[row] = Provider.IDENTITY, Encoding.PROTOBUF
        return "secrets"
    return UNIDENTIFIED.name
