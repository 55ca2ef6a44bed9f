"""Open the selected values with what was supplied, and hold each to the object that its etcd key names."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from auditor.model import Encoding, Finding, Opened, Place, Provider
from auditor.rules import Rules
from auditor.selection import Selection
from auditor.storage import objects, values
from auditor.text import printable, restore

if TYPE_CHECKING:
    from auditor.encryption.keyring import Attempt, Candidate, Keyring

KINDS = {"secrets": b"Secret", "configmaps": b"ConfigMap", "pods": b"Pod", "namespaces": b"Namespace"}
"""Kinds that a resource's objects must be of; of others only namespace and name are held to the key."""


def open_all(each: Selection, rules: Rules, keyring: Keyring) -> Selection:
    """The selection with every encrypted value tried and judged."""
    bits, opened, label = each.bits.copy(), each.opened.copy(), each.label.copy()
    encoding = each.values.encoding.copy()
    labels = list(each.labels)
    numbers = {pair: number for number, pair in enumerate(labels)}
    found: dict[int, objects.Object] = {}
    reasons: dict[int, str] = {}
    encrypted = np.flatnonzero(each.values.provider > Provider.IDENTITY)
    batch = each.batch
    keys = batch.data.slices(batch.key_at[encrypted], batch.key_len[encrypted].astype(np.int64))
    stored = batch.data.slices(batch.value_at[encrypted], batch.value_len[encrypted].astype(np.int64))
    latest = batch.at(Place.LATEST)[encrypted].tolist()
    of = each.of[encrypted].tolist()
    for row, key, value, current, which in zip(encrypted.tolist(), keys, stored, latest, of, strict=True):
        resource = each.resource[which]
        attempt = keyring.open(resource.name, key, value)
        opened[row] = attempt.opened
        more = 0
        if attempt.by is not None:
            named = (attempt.by.provider, printable(attempt.by.name.encode("utf-8", "surrogateescape")))
            if named not in numbers:
                numbers[named] = len(labels)
                labels.append(named)
            label[row] = numbers[named]
        if attempt.plaintext is not None and attempt.by is not None:
            kind = _encoding(attempt.plaintext)
            said = objects.decode(attempt.plaintext, kind)
            more, reason = _hold(said, resource.name, key[len(restore(resource.path)) + 1 :])
            found[row], encoding[row] = said, kind
            if rules.policy.known(attempt.by):
                more |= Finding.KNOWN_KEY
        else:
            more = Finding.UNDECRYPTABLE if attempt.opened is Opened.FAILED else 0
            reason = attempt.reason
        if reason:
            reasons[row] = reason
        if current:
            more |= _stale(rules, keyring, resource.name, attempt, labels[label[row]], value)
        bits[row] |= np.uint16(more)
    for row in np.flatnonzero((each.values.provider == Provider.IDENTITY) & batch.at(Place.LATEST)).tolist():
        if not rules.policy.reads_plaintext(each.resource[each.of[row]].name):
            bits[row] |= np.uint16(Finding.ORPHANED)
    opened_by = replace(each.values, encoding=encoding)
    judged = replace(
        each,
        values=opened_by,
        bits=bits,
        opened=opened,
        label=label,
        labels=tuple(labels),
        found=found,
        reasons=reasons,
    )
    _stale_keks(judged, rules)
    return judged


def _hold(said: objects.Object, resource: str, rest: bytes) -> tuple[int, str]:
    """Whether an opened value is the object that the rest of its etcd key names."""
    if said.problem:
        return Finding.UNDECRYPTABLE, f"opens to nonsense: {said.problem}"
    namespace, slash, name = rest.partition(b"/")
    expected = (namespace, name) if slash else (b"", namespace)
    wanted = KINDS.get(resource)
    if (said.namespace, said.name) != expected or (wanted is not None and said.kind != wanted):
        where = b"/".join(part for part in (said.namespace, said.name) if part)
        return Finding.MISPLACED, f"opens as a different object: {printable(said.kind)} {printable(where)}"
    return 0, ""


def _stale(
    rules: Rules, keyring: Keyring, resource: str, attempt: Attempt, label: tuple[Provider, str], value: bytes
) -> int:
    """Findings of a current value that is not as the write provider would write it today."""
    if attempt.opened is Opened.NO_KEY and rules.policy.configured:
        candidates = keyring.rule(resource)
        if not any(value.startswith(each.prefix) for each in candidates):
            return Finding.ORPHANED
    return rules.policy.stale(resource, label, _secret(attempt.by) if attempt.opened is Opened.YES else None)


def _secret(candidate: Candidate | None) -> bytes | None:
    return candidate.secret if candidate is not None and candidate.secret else None


def _stale_keks(each: Selection, rules: Rules) -> None:
    """Mark current KMS v2 values whose KEK is not the one in force; where none is known, the newest is presumed."""
    at, length = values.kek_ids(each.batch, each.values)
    rows = np.flatnonzero((length >= 0) & each.batch.at(Place.LATEST))
    if not rules.policy.configured and not rules.current_keks:
        return
    ids = each.batch.data.slices(at[rows], length[rows])
    names = [each.labels[number][1] for number in each.label[rows].tolist()]
    newest: dict[str, tuple[int, bytes]] = {}
    for revision, name, kek in zip(each.batch.main[rows].tolist(), names, ids, strict=True):
        newest[name] = max(newest.get(name, (-1, b"")), (revision, kek))
    for row, name, kek in zip(rows.tolist(), names, ids, strict=True):
        current = rules.current_keks.get(name)
        wanted = current.encode("utf-8", "surrogateescape") if current is not None else newest[name][1]
        if kek != wanted:
            each.bits[row] |= np.uint16(Finding.STALE_KEK)
            presumed = "" if current is not None else ", presumed from the newest revision"
            each.reasons[row] = f"the KEK in force is {printable(wanted)}{presumed}"


def _encoding(plaintext: bytes) -> Encoding:
    if plaintext.startswith(values.PROTOBUF):
        return Encoding.PROTOBUF
    return Encoding.JSON if plaintext.startswith(b"{") else Encoding.CBOR
