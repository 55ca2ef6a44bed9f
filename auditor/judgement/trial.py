"""The outcome of opening the values of a selection: its columns, changed attempt by attempt."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from auditor.arrays.dtypes import Ints
from auditor.arrays.parallel import split_by
from auditor.judgement import keyless, policy
from auditor.judgement.selection import KeyLabel, Selection
from auditor.kubernetes import objects
from auditor.kubernetes.resources import Resource
from auditor.model.vocabulary import FindingKind, Opened, Place, State
from auditor.text import object_name, printable, restore

if TYPE_CHECKING:
    from auditor.encryption.keyring import Attempt, Candidate

NAMESPACED = {"secrets", "configmaps", "pods"}
REMAINDER = "the supplied key does not decrypt it: a part of what a page left of it may have been written over"
"""Of a value in unallocated bytes, which nothing protects: no finding, as nothing of it can be read."""
KINDS = {"secrets": b"Secret", "configmaps": b"ConfigMap", "pods": b"Pod", "namespaces": b"Namespace"}
"""Kinds, of version v1, of some resources. Objects of other resources are compared by namespace and name alone."""


class Trial:
    """The columns of a selection, changed by the attempts to open its values."""

    def __init__(self, values: Selection, *, keep: bool, contents: Container[bytes] | None, credentials: bool) -> None:
        claims = values.prefixes
        self.opened = values.opened.copy()
        self._values, self._keep, self._contents, self._credentials = values, keep, contents, credentials
        self._findings, self._encoding = values.findings.copy(), claims.encoding.copy()
        self._key_label, self._resource = values.key_label.copy(), values.resource.copy()
        self._resources = list(values.resources)
        self._labels: dict[Candidate, int] = {}
        self._objects: dict[int, objects.Object] = {}
        self._reasons: dict[int, str] = {}
        self._plaintexts: dict[int, bytes] = {}
        self._longer: dict[int, int] = {}
        """By row of a value that did not open: bytes by which its key name is longer than that of the tried key."""
        self._remains = values.batch.at(Place.SLACK) | values.batch.has(State.HEAD_LOST)
        # bytes of each prefix, key name and colon included
        self._prefix = np.where(claims.malformed, 0, claims.name_at + claims.name_len + 1 - values.batch.value_at)

    def record(self, resource: Resource, rows: Ints, keys: Sequence[bytes], attempts: Sequence[Attempt]) -> None:
        """Add the attempts at some values of one resource.

        Args:
            resource: of the values.
            rows: of the values.
            keys: etcd key of each value.
            attempts: outcome for each value.
        """
        head = len(restore(resource.path)) + 1
        self.opened[rows] = [attempt.opened for attempt in attempts]
        for row, key, attempt in zip(rows.tolist(), keys, attempts, strict=True):
            finding, reason = 0, attempt.reason
            if attempt.by is not None:
                self._key_label[row] = self._label(attempt.by)
            if attempt.opened is Opened.YES:
                self._encoding[row] = attempt.encoding
                if self._keep:
                    self._plaintexts[row] = attempt.plaintext
                content = self._contents is None or key in self._contents
                self._objects[row] = objects.decode(
                    attempt.plaintext, attempt.encoding, content=content, credentials=self._credentials
                )
                finding, reason = _compare_with_key(self._objects[row], resource.name, key[head:])
            elif self._remains[row] and attempt.opened is Opened.FAILED:
                reason = REMAINDER
            elif attempt.opened is Opened.FAILED and attempt.by is not None:
                finding = FindingKind.UNDECRYPTABLE
                self._longer[row] = int(self._prefix[row]) - len(attempt.by.prefix)
            if finding or reason:
                self._findings[row] |= np.uint16(finding)
                self._reasons[row] = reason

    def record_keyless(
        self,
        rows: Ints,
        outcomes: Iterator[tuple[Attempt, objects.Object | None]],
        judged: keyless.Judged,
        *,
        plaintext: bool,
    ) -> None:
        """Add the attempts at some values without their etcd key. What opens says itself of which resource it is.

        Args:
            rows: of the values.
            outcomes: attempt at each, and the object where it opened.
            judged: whether the values of a resource are judged.
            plaintext: whether the policy expects readable values.
        """
        claims = self._values.prefixes
        for row, (attempt, decoded) in zip(rows.tolist(), outcomes, strict=True):
            self.opened[row] = attempt.opened
            if decoded is None or attempt.by is None:
                self._reasons.update({row: attempt.reason} if attempt.reason else {})
                continue
            self._key_label[row] = self._label(attempt.by)
            self._encoding[row], self._objects[row], self._reasons[row] = attempt.encoding, decoded, keyless.LOST_KEY
            if self._keep:
                self._plaintexts[row] = attempt.plaintext
            if judged(name := keyless.resource_of(decoded)):
                self._resource[row] = self._code(Resource(name, "", ""))
                self._findings[row] = policy.judge(
                    claims.provider[[row]], claims.malformed[[row]], plaintext=plaintext
                )[0]

    def _code(self, resource: Resource) -> int:
        """The index of a resource; a new one is added."""
        if resource not in self._resources:
            self._resources.append(resource)
        return self._resources.index(resource)

    def _label(self, candidate: Candidate) -> int:
        """The index of a tried key's label; a new one is added."""
        return self._labels.setdefault(candidate, len(self._values.key_labels) + len(self._labels))

    def leave_out(self, rows: Ints, reason: str) -> None:
        """Not to try some values, and why."""
        self.opened[rows] = Opened.NOT_TRIED
        self._reasons.update(dict.fromkeys(rows.tolist(), reason))

    def withdraw(self, count: int) -> None:
        """Take back failures of keys whose name is the beginning of the value's. count: of all values tried."""
        for row in self._under_other_names(count):
            self.opened[row], self._key_label[row] = Opened.NO_KEY, self._values.key_label[row]
            self._findings[row] &= ~np.uint16(FindingKind.UNDECRYPTABLE)
            del self._reasons[row]

    def _under_other_names(self, count: int) -> Iterator[int]:
        """The rows that did not open and have a longer key name than the tried key, by the shapes of their payloads.

        A nonce may begin like the rest of a name: only a number of rows that chance does not explain counts.
        """
        rows = np.array([row for row, more in self._longer.items() if more > 0], np.int64)
        for _, places in split_by(self._values.key_label[rows]):
            group = rows[places].tolist()
            if len(group) > 1 + 8 * count / 256 ** self._longer[group[0]]:
                yield from group

    def selection(self) -> Selection:
        """The selection with the changed columns."""
        labels = [
            KeyLabel(key.provider, printable(key.name.encode("utf-8", "surrogateescape")), key) for key in self._labels
        ]
        return replace(
            self._values,
            prefixes=replace(self._values.prefixes, encoding=self._encoding),
            resources=tuple(self._resources),
            resource=self._resource,
            findings=self._findings,
            opened=self.opened,
            key_label=self._key_label,
            key_labels=(*self._values.key_labels, *labels),
            objects=self._objects,
            reasons=self._reasons,
            plaintexts=self._plaintexts,
        )


def _compare_with_key(decoded: objects.Object, resource: str, rest: bytes) -> tuple[int, str]:
    """Finding and reason where an opened value is not the object that the rest of its etcd key names."""
    if decoded.problem:
        return FindingKind.UNDECRYPTABLE, f"decrypts to nonsense: {decoded.problem}"
    *before, name = rest.split(b"/")
    # kcp stores an object under its logical cluster: CLUSTER/NAMESPACE/NAME, or CLUSTER/NAME where it has no namespace
    if len(before) == 2 or (before and not decoded.namespace and resource not in NAMESPACED):
        before = before[1:]
    expected = (b"/".join(before), name)
    kind = KINDS.get(resource)
    same_name = (decoded.namespace, decoded.name) == expected
    if same_name and (kind is None or (decoded.api_version, decoded.kind) == (b"v1", kind)):
        return 0, ""
    type_ = b" ".join(part for part in (decoded.api_version, decoded.kind) if part)
    where = object_name(decoded.namespace, decoded.name)
    return FindingKind.MISPLACED, f"opens as a different object: {printable(type_)} {where}"
