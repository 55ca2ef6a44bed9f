"""Backups of a management cluster, which holds what other clusters encrypt with: Cluster API, Rancher, HyperShift."""

from collections.abc import Callable, Sequence
from pathlib import Path

from tests.helpers.bolt_builder import Pair, backend, record
from tests.helpers.objects import StoredObject

UID = b"6f0f5f1c-0000-4000-8000-00000000000a"
NAMESPACE = StoredObject(namespace=b"", name=b"kube-system", kind=b"Namespace", uid=UID)


def snapshot(
    path: Path,
    configuration: bytes,
    kind: bytes = b"ConfigMap",
    revision: int = 5,
    stored: Callable[[StoredObject], bytes] = StoredObject.protobuf,
    others: Sequence[Pair] = (),
) -> Path:
    """A snapshot with one object that holds an EncryptionConfiguration.

    Args:
        path: Where it is written.
        configuration: The EncryptionConfiguration.
        kind: ConfigMap or Secret.
        revision: Mod revision of the object.
        stored: Of the object the value; readable as it stands.
        others: Records of further objects.
    """
    holder = StoredObject(name=b"workload", namespace=b"clusters", kind=kind, data={b"encryption.yaml": configuration})
    key = b"/registry/" + kind.lower() + b"s/clusters/workload"
    records = [
        record(2, b"/registry/namespaces/kube-system", NAMESPACE.protobuf()),
        record(revision, key, stored(holder)),
        *others,
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(backend(records).seal())
    return path
