"""API groups of resources that are in no table, by what their encrypted objects state once they are decrypted."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from auditor.encryption.configuration import Configuration
from auditor.encryption.keyring import Keyring
from auditor.kubernetes import objects
from auditor.kubernetes.resources import Resource
from auditor.kubernetes.store import ASKED, Classified, Store, of_group
from auditor.model.vocabulary import Provider


def stated(store: Store, configurations: Sequence[Configuration]) -> Store:
    """The store, its resources of no table under the group of an object that a local key of any rule decrypts.

    No KMS is asked: which rule covers a resource is not worth a call.

    Args:
        store: All values of the evidence.
        configurations: Of the API servers.
    """
    codes = [code for code, resource in enumerate(store.resources) if resource.unlisted]
    if not codes or not configurations:
        return store
    keyring, named = Keyring(configurations, {}), list[Resource](store.resources)
    for code in codes:
        version = next(filter(None, (_api_version(part, code, named[code].name, keyring) for part in store.parts)), b"")
        named[code] = of_group(named[code], version)
    return replace(store, resources=tuple(named))


def _api_version(part: Classified, code: int, name: str, keyring: Keyring) -> bytes:
    """What the first of some encrypted objects of a resource says; empty where none is decrypted."""
    rows = np.flatnonzero((part.resource == code) & (part.prefixes.provider > Provider.IDENTITY))[:ASKED].tolist()
    return next(filter(None, _versions(part, rows, name, keyring)), b"")


def _versions(part: Classified, rows: Sequence[int], name: str, keyring: Keyring) -> Iterator[bytes]:
    for row in rows:
        (attempt,) = keyring.open(name, [part.batch.key(row)], [part.batch.value(row)])
        if attempt.plaintext:
            yield objects.decode(attempt.plaintext, attempt.encoding, content=False).api_version
