"""Keys that whoever holds the evidence reads in it: what its owner alone can decrypt is not looked into.

They lie in readable values, in values that published keys, keys of other objects or keys of the same evidence decrypt,
and in the record of k3s and RKE2 where a token of other objects decrypts it, or none is needed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from auditor.encryption.configuration import ProviderEntry
from auditor.encryption.keyring import Keyring
from auditor.encryption.published import PUBLISHED
from auditor.evidence.layout import Layout
from auditor.hunt import hunt, k3s, neighbours
from auditor.hunt.key_material import EvidenceKey
from auditor.judgement.criteria import Criteria
from auditor.judgement.policy import Policy
from auditor.kubernetes.store import Store
from auditor.model.evidence import PageMap
from auditor.model.vocabulary import LOCAL_PROVIDERS


@dataclass(frozen=True, slots=True)
class ExposedKeys:
    """The keys that whoever holds some evidence reads in it."""

    keys: tuple[EvidenceKey, ...] = field(default=(), repr=False)
    whole: bool = True
    """Whether every text that may hold one was looked at."""
    recorded: bool = False
    """Whether a record of k3s lies there, which another token may decrypt."""

    def __add__(self, other: "ExposedKeys") -> "ExposedKeys":
        """Those of several exhibits."""
        return ExposedKeys(
            (*self.keys, *other.keys), self.whole and other.whole, recorded=self.recorded or other.recorded
        )


def exposed_keys(
    criteria: Criteria, store: Store, pages: PageMap, serves: Callable[[str], bool], locations: Sequence[str]
) -> ExposedKeys:
    """The keys of judged evidence that others read in it.

    Args:
        criteria: What the evidence was judged with.
        store: All values of the evidence.
        pages: Its pages.
        serves: Whether the API server reads the latest values of a source.
        locations: Paths and URLs of the objects that lie with it, for their tokens.

    Raises:
        UnreadableEvidence: One of these objects cannot be read.
    """
    recorded = bool(k3s.records(store.batches, None))
    keys_of_records = _of_records(store, locations) if recorded else []
    entries = [*_of_others(criteria), *(key.entry for key in keys_of_records)]
    keyring = Keyring((), {}, tuple(entries)) if entries else None
    # nothing that the options supply: a configuration of the owner's opens no value for anybody else
    known = replace(criteria, keyring=keyring, policy=Policy(), configurations=(), plugins={}, clients=(), prove=False)
    selections = hunt.others(store, np.zeros(len(store.resources), np.bool_), serves)
    _, keys, whole = hunt.evidence_keys(known, selections, store, Layout(pages, frozenset()))
    local = tuple(key for key in (*keys_of_records, *keys) if key.entry.provider in LOCAL_PROVIDERS)
    return ExposedKeys(local, whole, recorded)


def _of_others(criteria: Criteria) -> list[ProviderEntry]:
    """The published keys, and those of other objects, that the evidence was judged with."""
    tentative = criteria.keyring.tentative if criteria.keyring is not None else ()
    return [
        ProviderEntry(entry.provider, (key,))
        for entry in (*criteria.entries, *tentative)
        for key in entry.keys
        if key.secret in PUBLISHED or key.secret in criteria.policy.neighbours
    ]


def _of_records(store: Store, locations: Sequence[str]) -> list[EvidenceKey]:
    """The keys in records of k3s that need no token, or one that lies in another object."""
    tokens = (token for location in locations for token in neighbours.read(location).tokens)
    passwords = [each for each in dict.fromkeys((b"", *tokens)) if k3s.is_recorded(store.batches, each)]
    return [key for password in passwords for key in k3s.keys(store.batches, password)[0]]
