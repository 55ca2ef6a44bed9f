"""References of Kubernetes objects to Secrets: the fields that the API declares, in protobuf by columns and in trees.

What is read is declared in protos/auditor/protobuf/references.proto: by field numbers for protobuf, by names for JSON
and CBOR. Fields of other kinds that name a Secret are auditor/kubernetes/secret_names.py's.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.columns import Columns
from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.factorize import factorize
from auditor.kubernetes import secret_names
from auditor.kubernetes.trees import as_bytes
from auditor.kubernetes.wire_columns import Leaves, LeavesByField, Schema, schema, walk
from auditor.protobuf import references_pb2 as pb

MESSAGES = {
    "pods": "Pod", "podtemplates": "PodTemplate", "replicationcontrollers": "Workload", "deployments.apps": "Workload",
    "replicasets.apps": "Workload", "statefulsets.apps": "Workload", "daemonsets.apps": "DaemonSet",
    "jobs.batch": "Job", "cronjobs.batch": "CronJob", "serviceaccounts": "ServiceAccount",
    "ingresses.networking.k8s.io": "Ingress", "persistentvolumes": "PersistentVolume",
    "volumeattachments.storage.k8s.io": "VolumeAttachment", "storageclasses.storage.k8s.io": "StorageClass",
    "configmaps": "ConfigMap", "secretproviderclasses.secrets-store.csi.x-k8s.io": "SecretProviderClass",
    "gateways.gateway.networking.k8s.io": "Gateway",
}  # fmt: skip
"""Message that declares the references of each resource; `Object` for all others."""
NAMES, NAMESPACES = ("name", "secret_name"), ("namespace", "secret_namespace")
"""Fields of a Secret's name, and of its namespace."""
MAPS = {"Annotation": "annotations", "ConfigData": "data", "VolumeAttribute": "", "Parameter": ""}
"""Messages of entries of maps."""
ANY = b"*"
"""The namespace of a reference whose namespace is a template, such as `${pvc.namespace}`."""
LONGEST = 320
"""Bytes of the longest text that names a Secret: namespace, slash and name."""
PROVIDER_CLASS = b"secretProviderClass"
"""Attribute of a CSI volume that names a SecretProviderClass."""


class Through(Enum):
    """The way from an object to a Secret."""

    REFERENCE = "refers"
    """A field that the API declares as a reference."""
    NAME = "names"
    """A field that names a Secret without being declared as a reference."""
    PROVIDER_CLASS = "SecretProviderClass"
    """A SecretProviderClass, which names the Secrets that it creates."""
    CERTIFICATE = "Certificate"
    """A Certificate of cert-manager's, which names its Secret."""


class Reference(NamedTuple):
    """A reference of one object. Texts are bytes, as stored."""

    name: bytes
    """Name of the Secret, or of what `through` says."""
    namespace: bytes | None
    """Namespace; None for the object's own, ANY for every one."""
    through: Through


@dataclass(frozen=True, slots=True)
class References(Columns):
    """n references in protobuf: columns of shape (n,), int64."""

    row: Ints
    """Row of the object."""
    name_at: Ints
    name_size: Ints
    """Position and bytes of the Secret's name."""
    namespace_at: Ints
    namespace_size: Ints
    """Position and bytes of its namespace; size -1 for the object's own."""


@dataclass(frozen=True, slots=True)
class Owners(Columns):
    """n owner references with `controller`: columns of shape (n,), int64."""

    row: Ints
    """Row of the object."""
    kind_at: Ints
    kind_size: Ints
    name_at: Ints
    name_size: Ints
    group_at: Ints
    group_size: Ints
    """Position and bytes of the owner's kind, name and API version."""


class Extract(NamedTuple):
    """References and owners of n objects in protobuf."""

    references: References
    others: list[tuple[int, Reference]]
    """Row and reference, of the entries of maps: few."""
    owners: Owners
    malformed: Bools
    """Which of the objects are no protobuf of their kind, shape (n,)."""


def tables() -> Schema:
    """The declared fields."""
    return schema(pb)


def message_code(resource: str) -> int:
    """The code of the message that declares the references of a resource."""
    return tables().roots[MESSAGES.get(resource, "Object")]


def of_protobuf(buffer: Buffer, at: Ints, size: Ints, message: Ints) -> Extract:
    """The references of n objects.

    Args:
        buffer: The bytes.
        at: Positions of the objects, behind their envelopes.
        size: Their bytes.
        message: message_code() of each object's resource.
    """
    leaves, malformed = walk(buffer, at, size, message, tables())
    names = leaves.of((name for name in _messages() if name not in {*MAPS, "OwnerReference"}), NAMES)
    namespaces = _by_parent(leaves.of(_messages(), NAMESPACES), names.parent)
    kinds = _by_parent(leaves.of(["ObjectReference"], ["kind"]), names.parent)
    claims = leaves.of(["ClaimReference"], ["claim_namespace"])
    of_secret = (kinds.size < 1) | ((kinds.size == 6) & buffer.starts_with(kinds.at, kinds.size, b"Secret"))
    namespace_at, namespace_size = namespaces.at, np.where(namespaces.size > 0, namespaces.size, -1)
    if len(claims):
        at_row = np.full(malformed.size, -1, np.int64)
        at_row[claims.row] = np.arange(len(claims))
        claim = np.where(namespace_size < 0, at_row[names.row], -1)
        namespace_at = np.where(claim >= 0, claims.at[claim], namespace_at)
        namespace_size = np.where(claim >= 0, claims.size[claim], namespace_size)
    references = References(names.row, names.at, names.size, namespace_at, namespace_size).take(
        of_secret & (names.size > 0)
    )
    return Extract(references, list(_entries(buffer, leaves)), _owners(leaves), malformed)


def _messages() -> list[str]:
    return list(tables().roots)


def _by_parent(leaves: Leaves, parent: Ints) -> Leaves:
    """The last leaf in each parent message; size -1 where there is none."""
    if not len(leaves):
        zeros = np.zeros(parent.size, np.int64)
        return Leaves(parent, zeros.astype(np.int16), parent, zeros, zeros - 1)
    order = np.argsort(leaves.parent, kind="stable")
    place = np.searchsorted(leaves.parent[order], parent, side="right") - 1
    chosen = leaves.take(order[np.maximum(place, 0)])
    size = np.where((place >= 0) & (chosen.parent == parent), chosen.size, -1)
    return Leaves(chosen.row, chosen.field, parent, chosen.at, size)


def _owners(leaves: LeavesByField) -> Owners:
    controllers = leaves.of(["OwnerReference"], ["controller"])
    controllers = controllers.take(controllers.at != 0)
    kind, name, group = (
        _by_parent(leaves.of(["OwnerReference"], [field]), controllers.parent)
        for field in ("kind", "name", "api_version")
    )
    owners = Owners(controllers.row, kind.at, kind.size, name.at, name.size, group.at, group.size)
    return owners.take((kind.size > 0) & (name.size > 0))


def _entries(buffer: Buffer, leaves: LeavesByField) -> Iterator[tuple[int, Reference]]:
    """Row and reference of every entry of a map that names a Secret. Distinct keys are judged once."""
    parameters: dict[int, dict[bytes, bytes]] = {}
    for message in MAPS:
        keys = leaves.of([message], ["key"])
        keys = keys.take((keys.size > 0) & (keys.size <= LONGEST))
        codes, heads = factorize(buffer, keys.at, keys.size)
        names = buffer.slices(keys.at[heads], keys.size[heads])
        telling = np.array([_telling(message, name) for name in names], np.bool_)[codes]
        keys, codes = keys.take(telling), codes[telling]
        values = _by_parent(leaves.of([message], ["value"]), keys.parent)
        fit = (values.size > 0) & (values.size <= LONGEST)
        texts = buffer.slices(values.at[fit], values.size[fit])
        for row, code, text in zip(keys.row[fit].tolist(), codes[fit].tolist(), texts, strict=True):
            if message == "Parameter":
                parameters.setdefault(row, {})[names[code]] = text
            else:
                yield from ((row, reference) for reference in of_entry(message, names[code], text))
    for row, entries in parameters.items():
        yield from ((row, reference) for reference in _of_parameters(entries))


def _telling(message: str, key: bytes) -> bool:
    """Whether the entry of a key may refer to a Secret."""
    if message == "VolumeAttribute":
        return key == PROVIDER_CLASS
    return message == "Parameter" or secret_names.is_word(key) or key in secret_names.INJECTIONS


def of_entry(message: str, key: bytes, text: bytes) -> Iterator[Reference]:
    """The reference of one entry of a map.

    Args:
        message: one of MAPS.
        key: of the entry.
        text: its value.
    """
    if message == "VolumeAttribute":
        if key == PROVIDER_CLASS:
            yield Reference(text, None, Through.PROVIDER_CLASS)
    elif key in secret_names.INJECTIONS:
        namespace, slash, name = text.partition(b"/")
        if slash:
            through = Through.REFERENCE if secret_names.INJECTIONS[key] == "secret" else Through.CERTIFICATE
            yield Reference(name, namespace, through)
    elif secret_names.is_word(key):
        namespace, slash, name = text.partition(b"/")
        yield Reference(name, namespace, Through.NAME) if slash else Reference(text, None, Through.NAME)


def _of_parameters(parameters: Mapping[bytes, bytes]) -> Iterator[Reference]:
    """The Secrets of a StorageClass: `PREFIXsecret-name` or `PREFIXSecretName`, and the namespace beside it."""
    for key, text in parameters.items():
        for name, namespace in ((b"secret-name", b"secret-namespace"), (b"ecretName", b"ecretNamespace")):
            if key.endswith(name) and b"${" not in text:
                own = parameters.get(key.removesuffix(name) + namespace, b"")
                yield Reference(text, ANY if b"${" in own or not own else own, Through.REFERENCE)


def of_tree(tree: Mapping[str, Any], resource: str) -> Iterator[Reference]:
    """The declared references of an object in JSON or CBOR. Raises RecursionError."""
    message = pb.DESCRIPTOR.message_types_by_name[MESSAGES.get(resource, "Object")]
    claim = tree.get("spec")
    claim = claim.get("claimRef") if isinstance(claim, Mapping) else None
    claimed = as_bytes(claim.get("namespace")) if isinstance(claim, Mapping) else b""
    for reference in _declared(tree, message):
        fallback = claimed if resource == "persistentvolumes" and claimed else reference.namespace
        yield reference if reference.namespace is not None else reference._replace(namespace=fallback)


def _declared(tree: Mapping[str, Any], message: Any) -> Iterator[Reference]:
    cells = {name: tree[own] for name, own in _own_names(message) if own in tree}
    name = next((as_bytes(cells[field]) for field in NAMES if field in cells), b"")
    if name and message.name != "OwnerReference" and as_bytes(cells.get("kind")) in {b"", b"Secret"}:
        namespace = next((as_bytes(cells[field]) for field in NAMESPACES if field in cells), b"")
        yield Reference(name, namespace or None, Through.REFERENCE)
    for field in message.fields:
        if field.message_type is None or not (field.name == "inline" or field.name in cells):
            continue
        inner = tree if field.name == "inline" else cells[field.name]
        if field.message_type.name in MAPS:
            entries = {as_bytes(key): as_bytes(text) for key, text in _pairs(inner)}
            if field.message_type.name == "Parameter":
                yield from _of_parameters(entries)
            for key, text in entries.items() if field.message_type.name != "Parameter" else ():
                yield from of_entry(field.message_type.name, key, text)
            continue
        for part in inner if isinstance(inner, list) else [inner]:
            if isinstance(part, dict):
                yield from _declared(part, field.message_type)


@cache
def _own_names(message: Any) -> list[tuple[str, str]]:
    """The name of each field of a message, and that in a tree."""
    return [(field.name, field.json_name) for field in message.fields]


def _pairs(entries: Any) -> Iterable[tuple[Any, Any]]:
    return entries.items() if isinstance(entries, Mapping) else ()


def owner_of(tree: Mapping[str, Any]) -> tuple[bytes, bytes, bytes] | None:
    """API version, kind and name of the controller of an object in JSON or CBOR; None where it has none."""
    meta = tree.get("metadata")
    owners = meta.get("ownerReferences") if isinstance(meta, Mapping) else None
    for owner in owners if isinstance(owners, list) else ():
        if isinstance(owner, Mapping) and owner.get("controller") is True:
            return as_bytes(owner.get("apiVersion")), as_bytes(owner.get("kind")), as_bytes(owner.get("name"))
    return None
