"""Keys in the evidence: needles for their bytes, and the values that each opens.

A key is told by its bytes: OpenShift's three API servers each number their keys from 1.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np

from auditor.arrays.dtypes import Ints
from auditor.encryption.configuration import ProviderEntry
from auditor.encryption.keyring import Keyring
from auditor.hunt.hit import Hit, Opens
from auditor.hunt.needles import Needle
from auditor.judgement import opening
from auditor.judgement.selection import Selection
from auditor.model.vocabulary import FindingKind, Opened, Provider
from auditor.text import encode

KeyIdentity: TypeAlias = tuple[Provider, str, bytes]
"""Provider, name and bytes of a key."""


def identities(entry: ProviderEntry) -> list[KeyIdentity]:
    """The identity of each key of an entry."""
    return [(entry.provider, key.name, key.secret) for key in entry.keys]


def needles(entries: Iterable[ProviderEntry], number: int) -> tuple[list[Needle], dict[int, KeyIdentity]]:
    """Needles for every key, as bytes and as hex, and the key of each by its number; base64 is a form of the bytes.

    entries: the keys. number: of the needle before.
    """
    texts: dict[bytes, Needle] = {}
    key_of: dict[int, KeyIdentity] = {}
    for identity in (each for entry in entries for each in identities(entry)):
        provider, key_name, secret = identity
        name = encode(f"{provider.label}/{key_name}")
        for text in (secret, secret.hex().encode(), secret.hex().upper().encode()):
            if len(set(text)) > 2:  # the all-zero marker stands in every page
                number += 1
                key_of[number] = identity
                texts.setdefault(text, Needle(text, number, FindingKind.KEY_PRESENT, ((name, b""),), frozenset()))
    return list(texts.values()), key_of


def with_opened_values(
    pairs: Sequence[tuple[Hit, Sequence[KeyIdentity]]], entries: Sequence[ProviderEntry], opened: Sequence[Selection]
) -> list[Hit]:
    """The hits, those of keys with the number of values of this evidence that the key opens.

    Args:
        pairs: each hit, and its keys: several for a configuration, none for a copied value.
        entries: every key.
        opened: all values of the evidence.
    """
    present = any(hit.finding is FindingKind.KEY_PRESENT for hit, _ in pairs)
    counts = _counts(entries, opened) if present else Counter()
    return [
        hit
        if hit.finding is not FindingKind.KEY_PRESENT
        else hit._replace(opens=(hit.opens or Opens(0))._replace(values=sum(counts[key] for key in set(keys))))
        for hit, keys in pairs
    ]


def _counts(entries: Sequence[ProviderEntry], opened: Sequence[Selection]) -> Counter[KeyIdentity]:
    """The number of encrypted values that each key opens."""
    keyring = Keyring((), {}, tuple(dict.fromkeys(entries)))
    counts: Counter[KeyIdentity] = Counter()
    for values in opened:
        rows: Ints = np.flatnonzero(values.opened != Opened.NOT_TRIED)
        for resource, _, keys, stored in opening.portions(values, rows):
            for attempt in keyring.open(resource.name, keys, stored):
                if attempt.opened is Opened.YES and attempt.by is not None:
                    counts[attempt.by.provider, attempt.by.name, attempt.by.secret] += 1
    return counts
