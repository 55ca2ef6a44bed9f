"""Encrypted values whose etcd key is lost: tried as any other, and judged as the object that they open to.

aescbc and secretbox are not bound to the etcd key; aesgcm and KMS are, and open with the one that their object names.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from auditor.arrays.dtypes import Bools, Ints
from auditor.judgement.selection import Selection
from auditor.kubernetes import objects
from auditor.kubernetes.objects import Object
from auditor.kubernetes.resources import of_kind
from auditor.model.vocabulary import Opened, Provider
from auditor.text import printable

if TYPE_CHECKING:
    from auditor.encryption.keyring import Attempt, Keyring

LOST_KEY = "its etcd key is lost; names are what the object says"
Judged = Callable[[str], bool]
"""Whether the values of a resource are judged."""


def keyless(values: Selection) -> Bools:
    """Which values are encrypted, and without their etcd key."""
    lost: Bools = (values.prefixes.provider > Provider.IDENTITY) & (values.batch.key_at < 0)
    return lost


def attempts(
    values: Selection,
    rows: Ints,
    keys: Sequence[bytes],
    stored: Sequence[bytes],
    keyring: "Keyring",
    *,
    credentials: bool,
) -> Iterator[tuple["Attempt", Object | None]]:
    """The outcome for each of some keyless values, and the object where one opens to an object with a name.

    A foreign key of aescbc opens one payload in 256, and a few of these begin as JSON does: they open nothing.

    Args:
        values: The selection.
        rows: The values.
        keys: What they are authenticated with, empty where it is lost.
        stored: Their bytes.
        keyring: The keys.
        credentials: Whether the objects say until when their credentials are valid.
    """
    from auditor.encryption import lost_keys  # loads ciphers

    candidates = lost_keys.candidates(values.resources)
    associated = [key or candidates for key in keys]
    resource = values.resources[values.resource[rows[0]]].name if rows.size else ""
    for row, key, outcome in zip(rows.tolist(), associated, keyring.open(resource, associated, stored), strict=True):
        attempt = outcome
        for longer in values.batch.with_zeros(row) if outcome.opened is Opened.FAILED else ():
            (again,) = keyring.open(resource, [key], [longer])
            attempt = again if again.opened is Opened.YES else attempt
        decoded = None
        if attempt.opened is Opened.YES:
            decoded = objects.decode(attempt.plaintext, attempt.encoding, credentials=credentials)
        if decoded is not None and (decoded.problem or not (decoded.kind and decoded.name)):
            attempt, decoded = attempt._replace(opened=Opened.FAILED, reason="decrypts to nonsense"), None
        yield attempt, decoded


def resource_of(decoded: Object) -> str:
    """The resource of an object by its kind; empty where none is known."""
    return of_kind(printable(decoded.api_version), printable(decoded.kind))


def of_any(name: str) -> bool:
    """Judged, where every resource is."""
    return bool(name)
