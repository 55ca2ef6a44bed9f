"""Values as etcd's API sends them, held to the same policy as a scan's: key-value pairs -> Forms."""

from collections.abc import Sequence

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools
from auditor.evidence.batch import UNKNOWN, RecordBatch
from auditor.judgement import opening, selection
from auditor.judgement.criteria import Criteria
from auditor.judgement.selection import Selection
from auditor.kubernetes import prefixes
from auditor.kubernetes.resources import Resource
from auditor.model.vocabulary import FindingKind, Opened, Place, Provider
from auditor.text import encode, printable
from auditor.watch.tracker import StoredForm

NOT_OF_FORM = FindingKind.WEAK_PROVIDER | FindingKind.STALE_KEK
"""What keeps no value from being as wanted: a KEK is judged by the ledger, over all values and not over one answer."""

Pair = tuple[bytes, bytes, int]
"""Key, value, mod revision."""


def judge(pairs: Sequence[Pair], resource: Resource, given: Criteria) -> list[StoredForm]:
    """The form of each value of a resource."""
    if not pairs:
        return []
    batch = _batch(pairs)
    stored = prefixes.classify(batch)
    of = np.zeros(len(pairs), np.int32)
    made = selection.select(
        [(batch, stored, of)], (resource,), np.ones(1, np.bool_), main=True, plaintext=given.policy.plaintext
    )
    if given.keyring is not None:
        made = opening.open_all(made, given, given.keyring)
    bits = made.findings & ~np.uint16(NOT_OF_FORM)
    bits[_under_another_name(made, resource.name, given)] |= np.uint16(FindingKind.STALE_KEY)
    at, length = prefixes.kek_ids(made.batch, made.prefixes)
    keks = made.batch.data.slices(at, np.maximum(length, 0))
    found: dict[tuple[int, int, int, bytes], StoredForm] = {}
    forms = []
    for key in zip(made.key_label.tolist(), bits.tolist(), made.opened.tolist(), keks, strict=True):
        if key not in found:
            label, code, opened, kek = key
            provider, name = made.key_labels[label]
            findings = ";".join(finding.label for finding in FindingKind(code))
            found[key] = StoredForm(provider, name, printable(kek), findings, Opened(opened))
        forms.append(found[key])
    return forms


def _under_another_name(made: Selection, resource: str, given: Criteria) -> Bools:
    """Values that no key opened and that do not begin with the write key's whole prefix.

    Names may hold colons: of a few values alone it cannot be told where one ends, so what is asked is the beginning.
    """
    write = given.policy.write(resource)
    under = np.zeros(len(made), np.bool_)
    if write is None or not write[1] or write[0] not in prefixes.PREFIXES:
        return under
    provider, name, _ = write
    prefix = prefixes.ENCRYPTED + prefixes.PREFIXES[provider] + encode(name) + b":"
    rows = np.flatnonzero((made.prefixes.provider > Provider.IDENTITY) & (made.opened != Opened.YES))
    length = made.batch.value_len[rows].astype(np.int64)
    under[rows] = ~made.batch.data.starts_with(made.batch.value_at[rows], length, prefix)
    return under


def _batch(pairs: Sequence[Pair]) -> RecordBatch:
    count = len(pairs)
    key_len = np.array([len(key) for key, _, _ in pairs], np.int64)
    value_len = np.array([len(value) for _, value, _ in pairs], np.int64)
    ends = np.cumsum(key_len + value_len)
    unknown = np.full(count, UNKNOWN, np.int64)
    return RecordBatch(
        source="live",
        data=Buffer(b"".join([part for key, value, _ in pairs for part in (key, value)])),
        mapped=False,
        key_at=ends - value_len - key_len,
        key_len=key_len.astype(np.uint32),
        value_at=ends - value_len,
        value_len=value_len.astype(np.uint32),
        mod_revision=np.array([main for _, _, main in pairs], np.int64),
        sub_revision=unknown,
        create_revision=unknown,
        version=unknown,
        ordinal=unknown,
        page=unknown,
        place=np.full(count, Place.LATEST, np.uint8),
        state=np.zeros(count, np.uint8),
        extents={},
    )
