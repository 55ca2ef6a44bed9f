"""Opening of the selected values with the supplied keys, and judgement of the outcome."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from auditor.arrays.dictionary import from_columns
from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.parallel import chunks, split_by, value_counts
from auditor.judgement import keyless, stale_keks, unwrapping
from auditor.judgement.criteria import Criteria
from auditor.judgement.selection import Selection
from auditor.judgement.trial import Trial
from auditor.kubernetes import prefixes
from auditor.kubernetes.resources import Resource
from auditor.model.vocabulary import FindingKind, Opened, Provider, State

if TYPE_CHECKING:
    from auditor.encryption.keyring import Keyring

PORTION = 1 << 9
"""Values opened together, so few that they stay in the processor's cache from one step to the next."""


def open_every(
    selections: Sequence[Selection],
    criteria: Criteria,
    keyring: Keyring,
    *,
    keep: bool = False,
    contents: Container[bytes] | None = None,
    credentials: bool = False,
    judged: keyless.Judged = keyless.of_any,
) -> list[Selection]:
    """The selections with every encrypted value tried and judged. Values without a part are not tried.

    Args:
        selections: the values.
        criteria: policy and current KEKs.
        keyring: the keys.
        keep: whether the selections keep the plaintexts, for a hunt.
        contents: etcd keys of the objects whose contents are compared later; None for all.
        credentials: whether the objects say until when their credentials are valid.
        judged: whether values are judged that turn out to be of a resource once they are opened.
    """
    opened = [
        open_all(values, criteria, keyring, keep=keep, contents=contents, credentials=credentials, judged=judged)
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
    judged: keyless.Judged = keyless.of_any,
) -> Selection:
    """open_every() for one selection, without the judgement of KEKs and of forms, which needs all selections.

    Args:
        values: the selection.
        criteria: policy and current KEKs.
        keyring: the keys.
        keep: whether the selection keeps the plaintexts, for a hunt.
        contents: etcd keys of the objects whose contents are compared later; None for all.
        credentials: whether the objects say until when their credentials are valid.
        judged: whether values are judged that turn out to be of a resource once they are opened.
    """
    batch = values.batch
    whole = values.identified & (batch.key_at >= 0) & ~batch.has(State.TAIL_LOST)
    encrypted = values.prefixes.provider > Provider.IDENTITY
    trial = Trial(values, keep=keep, contents=contents, credentials=credentials)
    lost = [row for row in np.flatnonzero(encrypted & ~whole).tolist() if keyring.knows(batch.value(row))]
    trial.opened[lost] = Opened.NOT_TRIED  # of others no key is at hand, whatever is left of them
    trial_rows = np.flatnonzero(encrypted & whole)
    if criteria.prove:
        rest = unwrapping.unproven(values, unwrapping.clients_of([values], criteria))
        trial.leave_out(rest, unwrapping.PROVEN)
        trial_rows = np.setdiff1d(trial_rows, rest)
    for resource, rows, keys, stored in portions(values, trial_rows):
        trial.record(resource, rows, keys, keyring.open(resource.name, batch.associated(rows), stored))
    trial.withdraw(trial_rows.size)
    for _, rows, keys, stored in portions(values, np.flatnonzero(keyless.keyless(values))):
        outcomes = keyless.attempts(values, rows, keys, stored, keyring, credentials=credentials)
        trial.record_keyless(rows, outcomes, judged, plaintext=criteria.policy.plaintext)
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


def _judge_known(values: Selection, criteria: Criteria) -> None:
    """Mark values that published or compromised keys open."""
    for number, label in enumerate(values.key_labels):
        if label.candidate is not None and (reason := criteria.policy.known(label.candidate)):
            opened = (values.key_label == number) & (values.opened == Opened.YES) & values.identified
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
    """Mark values under no known provider that no provider of the resource's rule reads: plain ones need identity.

    The rule is that of the resource which the etcd key names: a Secret under the key of a ConfigMap is read as one.
    Under a key that names none nothing is said.
    """
    batch = values.batch
    for code, _ in value_counts(values.resource[current].astype(np.int64)):
        unreadable = current & (values.resource == code)
        resource = values.resources[code].stored_as
        if not resource:
            continue
        if criteria.policy.reads_plaintext(resource):
            claims = batch.data.starts_with(batch.value_at, batch.value_size, prefixes.ENCRYPTED)
            unreadable &= claims if criteria.policy.serves(resource) else False
        values.mark(np.flatnonzero(unreadable), FindingKind.ORPHANED)
