"""Current values that their KMS would wrap otherwise today: another KEK, another type of source."""

from collections.abc import Sequence

import numpy as np

from auditor.arrays.dtypes import Bools
from auditor.judgement.criteria import Criteria
from auditor.judgement.selection import Selection
from auditor.kubernetes import prefixes
from auditor.model.vocabulary import FindingKind, Opened, Place, Provider
from auditor.text import encode, printable


def _current(values: Selection) -> Bools:
    """The latest values of etcd keys that the API server reads."""
    current: Bools = values.served & values.batch.at(Place.LATEST)
    return current


def judge_keks(selections: Sequence[Selection], criteria: Criteria) -> None:
    """Mark current KMS v2 values under another KEK than the current one; by default that of the newest revision."""
    # per selection: rows, names of the KMS, ids of the KEKs; newest: by KMS the revision and KEK of its last value
    groups = []
    newest: dict[str, tuple[int, bytes]] = {}
    for values in selections:
        at, length = prefixes.kek_ids(values.batch, values.prefixes)
        rows = np.flatnonzero((length >= 0) & _current(values))
        ids = values.batch.data.slices(at[rows], length[rows])
        names = [values.key_labels[number].name for number in values.key_label[rows].tolist()]
        groups.append((values, rows.tolist(), names, ids))
        for revision, name, kek in zip(values.batch.mod_revision[rows].tolist(), names, ids, strict=True):
            newest[name] = max(newest.get(name, (-1, b"")), (revision, kek))
    for values, current, names, ids in groups:
        for row, name, kek in zip(current, names, ids, strict=True):
            supplied = criteria.current_keks.get(name)
            expected = encode(supplied) if supplied is not None else newest[name][1]
            if kek != expected:
                presumed = "" if supplied is not None else ", assumed from the newest revision"
                values.mark([row], FindingKind.STALE_KEK, f"the KEK in force is {printable(expected)}{presumed}")


def judge_forms(selections: Sequence[Selection]) -> None:
    """Mark current KMS v2 values with another type of source than that of the newest revision.

    k8s.io/apiserver .../encrypt/envelope/kmsv2/envelope.go (TransformFromStorage): another source type is stale.
    """
    groups = []
    newest: dict[str, tuple[int, str]] = {}
    for values in selections:
        for number, (provider, _, candidate) in enumerate(values.key_labels):
            if candidate is None or provider is not Provider.KMS_V2:
                continue
            rows = np.flatnonzero(_current(values) & (values.key_label == number) & (values.opened == Opened.YES))
            if rows.size:
                groups.append((values, candidate, rows))
                latest = (int(values.batch.mod_revision[rows].max()), candidate.form)
                newest[candidate.name] = max(newest.get(candidate.name, latest), latest)
    for values, candidate, rows in groups:
        form = newest[candidate.name][1]
        if candidate.form != form:
            reason = f"its KMS wraps a {candidate.form}, and a {form} in the newest revision: assumed stale"
            values.mark(rows, FindingKind.STALE_PROVIDER, reason)
