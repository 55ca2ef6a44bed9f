"""Etcd keys that are lost, by what the object itself says: aesgcm and KMS authenticate the key beside the value.

What a payload decrypts to is looked at before it is authenticated; nothing is said of it unless one of its keys fits.
"""

from collections.abc import Callable, Iterator, Sequence

from auditor.encryption.transformers import encoding
from auditor.kubernetes import objects
from auditor.kubernetes.resources import Resource, of_kind, path_of
from auditor.text import encode, printable, restore

USUAL = "/registry"
"""Storage prefix of kube-apiserver where nothing else is said."""


def candidates(resources: Sequence[Resource]) -> Callable[[bytes], Iterator[bytes]]:
    """The etcd keys that the object of a plaintext may have, under each storage prefix of some resources."""
    prefixes = dict.fromkeys([*(resource.prefix for resource in resources if resource.prefix), USUAL])

    def keys(plaintext: bytes) -> Iterator[bytes]:
        decoded = objects.decode(plaintext, encoding(plaintext), content=False)
        name = of_kind(printable(decoded.api_version), printable(decoded.kind))
        if decoded.problem or not (name and decoded.name):
            return
        for prefix in prefixes:
            parts = (restore(prefix), encode(path_of(name)), decoded.namespace, decoded.name)
            yield b"/".join(part for part in parts if part)

    return keys
