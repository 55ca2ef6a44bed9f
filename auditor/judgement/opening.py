"""Opening of the selected values with the supplied keys, and judgement of the outcome."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from auditor.arrays.dictionary import from_columns
from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.parallel import chunks, split_by, value_counts
from auditor.judgement import stale_keks, unwrapping
from auditor.judgement.criteria import Criteria
from auditor.judgement.selection import KeyLabel, Selection
from auditor.kubernetes import objects, prefixes
from auditor.model.vocabulary import FindingKind, Opened, Place, Provider, State
from auditor.text import object_name, printable, restore

if TYPE_CHECKING:
    from auditor.encryption.keyring import Attempt, Candidate, Keyring
    from auditor.kubernetes.resources import Resource

PORTION = 1 << 9
"""Values opened together, so few that they stay in the processor's cache from one step to the next."""
NAMESPACED = {"secrets", "configmaps", "pods"}
REMAINDER = "the supplied key does not decrypt it: a part of what a page left of it may have been written over"
"""Of a value in unallocated bytes, which nothing protects: no finding, as nothing of it can be read."""
KINDS = {"secrets": b"Secret", "configmaps": b"ConfigMap", "pods": b"Pod", "namespaces": b"Namespace"}
"""Kinds, of version v1, of some resources. Objects of other resources are compared by namespace and name alone."""


def open_every(
    selections: Sequence[Selection],
    criteria: Criteria,
    keyring: Keyring,
    *,
    keep: bool = False,
    contents: Container[bytes] | None = None,
    credentials: bool = False,
) -> list[Selection]:
    """The selections with every encrypted value tried and judged. Values without their key or a part are not tried.

    Args:
        selections: the values.
        criteria: policy and current KEKs.
        keyring: the keys.
        keep: whether the selections keep the plaintexts, for a hunt.
        contents: etcd keys of the objects whose contents are compared later; None for all.
        credentials: whether the objects say until when their credentials are valid.
    """
    opened = [
        open_all(values, criteria, keyring, keep=keep, contents=contents, credentials=credentials)
        for values in selections
    ]
    if criteria.clients:
        unwrapping.judge(opened, criteria)
    if criteria.policy.configured or criteria.current_keks:
        stale_keks.judge_keks(opened, criteria)
        stale_keks.judge_forms(opened)
    return opened


def open_all(
    values: Selection,
    criteria: Criteria,
    keyring: Keyring,
    *,
    keep: bool = False,
    contents: Container[bytes] | None = None,
    credentials: bool = False,
) -> Selection:
    """open_every() for one selection, without the judgement of KEKs and of forms, which needs all selections.

    Args:
        values: the selection.
        criteria: policy and current KEKs.
        keyring: the keys.
        keep: whether the selection keeps the plaintexts, for a hunt.
        contents: etcd keys of the objects whose contents are compared later; None for all.
        credentials: whether the objects say until when their credentials are valid.
    """
    batch = values.batch
    whole = values.identified & (batch.key_at >= 0) & ~batch.has(State.HEAD_LOST | State.TAIL_LOST)
    encrypted = values.prefixes.provider > Provider.IDENTITY
    trial = _Trial(values, keep=keep, contents=contents, credentials=credentials)
    trial.opened[encrypted & ~whole] = Opened.NOT_TRIED
    trial_rows = np.flatnonzero(encrypted & whole)
    if criteria.prove:
        rest = unwrapping.unproven(values, unwrapping.clients_of([values], criteria))
        trial.leave_out(rest, unwrapping.PROVEN)
        trial_rows = np.setdiff1d(trial_rows, rest)
    for resource, rows, keys, stored in portions(values, trial_rows):
        trial.record(resource, rows, keys, keyring.open(resource.name, batch.associated(rows), stored))
    trial.withdraw(trial_rows.size)
    opened = trial.selection()
    _judge_known(opened, criteria)
    _judge_keys(opened, criteria, keyring, np.flatnonzero(values.served & encrypted & whole))
    if not values.exported:
        keyed = batch.key_at >= 0  # what stands inside a value no API server reads
        _judge_unreadable(opened, criteria, values.served & values.identified & keyed & ~encrypted)
    return opened


def portions(values: Selection, rows: Ints) -> Iterator[tuple[Resource, Ints, list[bytes], list[bytes]]]:
    """The rows by resource, in portions: resource, rows, etcd keys and stored values of each."""
    batch = values.batch
    for code, places in split_by(values.resource[rows].astype(np.int64)):
        for part in chunks(places.size, PORTION):
            portion = rows[places[part]]
            keys = batch.data.slices(batch.key_at[portion], batch.key_len[portion])
            stored = batch.data.slices(batch.value_at[portion], batch.value_len[portion])
            yield values.resources[code], portion, keys, stored


class _Trial:
    """The columns of a selection, changed by the attempts to open its values."""

    def __init__(self, values: Selection, *, keep: bool, contents: Container[bytes] | None, credentials: bool) -> None:
        claims = values.prefixes
        self.opened = values.opened.copy()
        self._values, self._keep, self._contents, self._credentials = values, keep, contents, credentials
        self._findings, self._encoding = values.findings.copy(), claims.encoding.copy()
        self._key_label = values.key_label.copy()
        self._labels: dict[Candidate, int] = {}
        self._objects: dict[int, objects.Object] = {}
        self._reasons: dict[int, str] = {}
        self._plaintexts: dict[int, bytes] = {}
        self._longer: dict[int, int] = {}
        """By row of a value that did not open: bytes by which its key name is longer than that of the tried key."""
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
                new = len(self._values.key_labels) + len(self._labels)
                self._key_label[row] = self._labels.setdefault(attempt.by, new)
            if attempt.opened is Opened.YES:
                self._encoding[row] = attempt.encoding
                if self._keep:
                    self._plaintexts[row] = attempt.plaintext
                content = self._contents is None or key in self._contents
                self._objects[row] = objects.decode(
                    attempt.plaintext, attempt.encoding, content=content, credentials=self._credentials
                )
                finding, reason = _compare_with_key(self._objects[row], resource.name, key[head:])
            elif self._values.batch.place[row] == Place.SLACK and attempt.opened is Opened.FAILED:
                reason = REMAINDER
            elif attempt.opened is Opened.FAILED and attempt.by is not None:
                finding = FindingKind.UNDECRYPTABLE
                self._longer[row] = int(self._prefix[row]) - len(attempt.by.prefix)
            if finding or reason:
                self._findings[row] |= np.uint16(finding)
                self._reasons[row] = reason

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


def _judge_known(values: Selection, criteria: Criteria) -> None:
    """Mark values that published or compromised keys open."""
    for number, label in enumerate(values.key_labels):
        if label.candidate is not None and (reason := criteria.policy.known(label.candidate)):
            opened = (values.key_label == number) & (values.opened == Opened.YES)
            values.mark(np.flatnonzero(opened), FindingKind.KNOWN_KEY, reason)


def _judge_keys(values: Selection, criteria: Criteria, keyring: Keyring, rows: Ints) -> None:
    """Mark current values that the API server cannot read, or that it would write otherwise today."""
    groups = from_columns(
        (values.resource[rows], values.key_label[rows], values.opened[rows]),
        (len(values.resources), len(values.key_labels), len(Opened)),
        lambda code, number, state: (values.resources[code].name, number, Opened(state)),
    )
    for group, places in split_by(groups.codes):
        resource, number, state = groups.values[group]
        label = values.key_labels[number]
        served = criteria.policy.serves(resource)
        if served and state is not Opened.FAILED and label.candidate not in keyring.rule(resource):
            values.mark(rows[places], FindingKind.ORPHANED)
            continue
        secret = label.secret if state is Opened.YES else b""
        values.mark(rows[places], criteria.policy.stale(resource, label.pair, secret))
        if label.candidate is not None and state is Opened.YES and label.candidate.aged:
            reason = "its body is AES-CBC: written as AES-GCM since 1.25"
            values.mark(rows[places], FindingKind.STALE_PROVIDER, reason)


def _judge_unreadable(values: Selection, criteria: Criteria, current: Bools) -> None:
    """Mark values under no known provider that no provider of the resource's rule reads: plain ones need identity."""
    batch = values.batch
    for code, _ in value_counts(values.resource[current].astype(np.int64)):
        unreadable = current & (values.resource == code)
        if criteria.policy.reads_plaintext(values.resources[code].name):
            claims = batch.data.starts_with(batch.value_at, batch.value_size, prefixes.ENCRYPTED)
            unreadable &= claims if criteria.policy.serves(values.resources[code].name) else False
        values.mark(np.flatnonzero(unreadable), FindingKind.ORPHANED)
