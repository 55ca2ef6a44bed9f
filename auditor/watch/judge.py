"""Values from etcd's API, judged by the same policy as a scan's: key-value pairs -> StoredForms."""

from collections.abc import Callable, Sequence

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools
from auditor.evidence.batch import RecordBatch
from auditor.judgement import opening, selection, unwrapping
from auditor.judgement.criteria import Criteria
from auditor.judgement.selection import Selection
from auditor.kubernetes import prefixes
from auditor.kubernetes.resources import Resource
from auditor.kubernetes.store import Classified
from auditor.model.vocabulary import FindingKind, Opened, Place, Provider
from auditor.text import encode, printable
from auditor.watch.tracker import StoredForm

OTHER_FINDINGS = FindingKind.WEAK_PROVIDER | FindingKind.STALE_KEK
"""Findings that a form may have and conform: the tracker judges KEK ids, over all values instead of one answer's."""

Pair = tuple[bytes, bytes, int]
"""Key, value, mod revision."""


def selected(pairs: Sequence[Pair], resource: Resource, criteria: Criteria) -> Selection:
    """The values of a resource, one of them at least. Arguments: those of judge()."""
    batch = _batch(pairs)
    part = Classified(batch, prefixes.classify(batch), np.zeros(len(pairs), np.int32))
    return selection.select(
        [part], (resource,), np.ones(1, np.bool_), authoritative=True, plaintext=criteria.policy.plaintext
    )


def judge(
    pairs: Sequence[Pair],
    resource: Resource,
    criteria: Criteria,
    unwrap: Callable[[Sequence[Selection], Criteria], Criteria] | None = None,
) -> list[StoredForm]:
    """The form of each value of a resource.

    Args:
        pairs: Keys and values.
        resource: The resource of all of them.
        criteria: The policy and the keys.
        unwrap: The criteria with the data keys that --kms brings for some values.
    """
    if not pairs:
        return []
    values = selected(pairs, resource, criteria)
    if unwrap is not None:
        criteria = unwrap([values], criteria)
    if criteria.keyring is not None:
        values = opening.open_all(values, criteria, criteria.keyring)
    bits = values.findings & ~np.uint16(OTHER_FINDINGS)
    for _, rows in unwrapping.outdated(values, criteria) if criteria.clients else ():
        bits[rows] |= np.uint16(FindingKind.STALE_KEK)
    bits[_under_another_name(values, resource.name, criteria)] |= np.uint16(FindingKind.STALE_KEY)
    at, length = prefixes.kek_ids(values.batch, values.prefixes)
    keks = values.batch.data.slices(at, np.maximum(length, 0))
    forms_by_code: dict[tuple[int, int, int, bytes], StoredForm] = {}
    forms = []
    # equal (label, findings, opened, KEK id) share one form
    for key in zip(values.key_label.tolist(), bits.tolist(), values.opened.tolist(), keks, strict=True):
        if key not in forms_by_code:
            label, code, opened, kek = key
            provider, name = values.key_labels[label].pair
            findings = ";".join(finding.label for finding in FindingKind(code))
            forms_by_code[key] = StoredForm(provider, name, printable(kek), findings, Opened(opened))
        forms.append(forms_by_code[key])
    return forms


def _under_another_name(values: Selection, resource: str, criteria: Criteria) -> Bools:
    """Values that no key opened and that do not begin with the write key's whole prefix.

    Names may hold colons, and a few values do not tell where one ends: only the beginning is compared.
    """
    write = criteria.policy.write(resource)
    under = np.zeros(len(values), np.bool_)
    if write is None or not write[1] or write[0] not in prefixes.PREFIXES:
        return under
    provider, name, _ = write
    prefix = prefixes.ENCRYPTED + prefixes.PREFIXES[provider] + encode(name) + b":"
    rows = np.flatnonzero((values.prefixes.provider > Provider.IDENTITY) & (values.opened != Opened.YES))
    length = values.batch.value_size[rows]
    under[rows] = ~values.batch.data.starts_with(values.batch.value_at[rows], length, prefix)
    return under


def _batch(pairs: Sequence[Pair]) -> RecordBatch:
    key_len = np.array([len(key) for key, _, _ in pairs], np.int64)
    value_len = np.array([len(value) for _, value, _ in pairs], np.int64)
    ends = np.cumsum(key_len + value_len)
    return RecordBatch.of(
        "live",
        Buffer(b"".join([part for key, value, _ in pairs for part in (key, value)])),
        mapped=False,
        place=Place.LATEST,
        key_at=ends - value_len - key_len,
        key_len=key_len,
        value_at=ends - value_len,
        value_len=value_len,
        mod_revision=np.array([revision for _, _, revision in pairs], np.int64),
    )
