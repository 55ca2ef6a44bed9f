"""API groups of resources that are in no table, by what their encrypted objects state once they are decrypted."""

from collections.abc import Iterator, Sequence

import numpy as np

from auditor.encryption.configuration import Configuration
from auditor.encryption.keyring import Keyring
from auditor.kubernetes import objects
from auditor.kubernetes.store import ASKED, Classified, Store, grouped
from auditor.model.vocabulary import Provider


def decrypted(store: Store, configurations: Sequence[Configuration]) -> Store:
    """The store, its resources of no table under the group of an object that a local key of any rule decrypts.

    No KMS is asked: which rule covers a resource is not worth a call.

    Args:
        store: All values of the evidence.
        configurations: Of the API servers.
    """
    keyring = Keyring(configurations, {})

    def versions(part: Classified, code: int) -> Iterator[bytes]:
        name = store.resources[code].name
        rows = np.flatnonzero((part.resource == code) & (part.prefixes.provider > Provider.IDENTITY))
        for row in rows[:ASKED].tolist():
            (attempt,) = keyring.open(name, [part.batch.key(row)], [part.batch.value(row)])
            yield objects.decode(attempt.plaintext, attempt.encoding, content=False).api_version

    return grouped(store, versions)
