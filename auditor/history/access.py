"""Who refers to a Secret, and which service accounts may read it, as notes on its history."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from auditor.audit import used_by
from auditor.evidence.reading import Reading
from auditor.kubernetes import rbac
from auditor.kubernetes.store import Store
from auditor.text import printable, restore, unmarked

if TYPE_CHECKING:
    from auditor.encryption.keyring import Keyring

MOST = 100
"""Service accounts that are named."""


def notes(key: bytes, resource: str, store: Store, reading: Reading, keyring: "Keyring | None") -> Iterator[str]:
    """Notes on a Secret; none on an object of another resource.

    Args:
        key: its etcd key.
        resource: its resource.
        store: all values of the evidence.
        reading: says whether the API server reads the latest values of a source.
        keyring: opens encrypted objects; None for no keys.
    """
    if resource != "secrets":
        return
    paths = [restore(entry.path) + b"/" for entry in store.resources if entry.name == resource and entry.path]
    rest = next((key.removeprefix(path) for path in paths if key.startswith(path)), b"")
    namespace, _, name = rest.rpartition(b"/")
    if not name:
        return
    usage = used_by.find(store, reading, keyring, [(namespace, name)], leftovers=False)
    yield f"used by: {unmarked(usage.cell((namespace, name), -1))}"
    roles = rbac.read(store, reading)
    readers = [f"{printable(space)}/{printable(account)}" for space, account in roles.readers(namespace, name)]
    more = f" and {len(readers) - MOST:,} more" if len(readers) > MOST else ""
    unread = "; not all of RBAC was read" if roles.unread or not roles.roles else ""
    said = f"{', '.join(readers[:MOST])}{more}" if readers else "none"
    yield f"service accounts that RBAC here lets read it: {said}{unread}"
