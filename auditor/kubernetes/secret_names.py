"""Fields and labels that name Secrets without being declared as references: by their words, and by known controllers.

Sources of the labels: argo-cd common/common.go (LabelKeySecretType), cert-manager pkg/apis/certmanager/v1 (types.go),
fluxcd/pkg runtime (reconcile.fluxcd.io/watch), istio pkg/kube/multicluster (MultiClusterSecretLabel), sealed-secrets
pkg/controller/keyregistry.go (SealedSecretsKeyLabel).
"""

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from auditor.kubernetes.trees import DEEPEST, as_bytes

_WORDS = re.compile(rb"secret|credential|auth|password", re.IGNORECASE)
INJECTIONS = {
    b"cert-manager.io/inject-ca-from-secret": "secret",
    b"cert-manager.io/inject-ca-from": "certificate",
}
"""Annotations of webhooks, APIServices and CustomResourceDefinitions, `NAMESPACE/NAME`, and what they name."""
SELECTED_BY: tuple[tuple[bytes, bytes, str], ...] = (
    (b"argocd.argoproj.io/secret-type", b"", "Argo CD"),
    (b"controller.cert-manager.io/fao", b"true", "cert-manager"),
    (b"cert-manager.io/next-private-key", b"true", "cert-manager"),
    (b"reconcile.fluxcd.io/watch", b"Enabled", "Flux"),
    (b"istio/multiCluster", b"true", "Istio"),
    (b"sealedsecrets.bitnami.com/sealed-secrets-key", b"", "sealed-secrets"),
)
"""Label, its value (empty for any), and the controller that selects Secrets by it."""
CLUSTER_NAMESPACES = {"clusterissuers.cert-manager.io": b"cert-manager"}
"""Namespace that cluster-scoped objects mean where they name none: the default of --cluster-resource-namespace."""
METADATA = "metadata"
"""Field of an object that says what it is, not what it uses; its annotations are entries of a map."""


def is_word(field: bytes) -> bool:
    """Whether the name of a field is one of a Secret's."""
    return _WORDS.search(field) is not None


@lru_cache(1 << 12)
def _is_named_so(field: Any) -> bool:
    """is_word() of a field of a tree."""
    return is_word(as_bytes(field))


def selectors(labels: Iterable[tuple[bytes, bytes]]) -> tuple[str, ...]:
    """Controllers that select a Secret by its labels, `NAME by label LABEL`, in the order of SELECTED_BY."""
    own = dict(labels)
    return tuple(
        f"{controller} by label {label.decode()}"
        for label, value, controller in SELECTED_BY
        if label in own and (not value or own[label] == value)
    )


def of_tree(tree: Mapping[str, Any], names: Container[bytes]) -> Iterator[tuple[bytes | None, bytes]]:
    """Namespace and name of every Secret that a field of an object names; None for the object's own namespace.

    Args:
        tree: the object.
        names: of Secrets; no other is given.

    Raises:
        RecursionError: The object is nested too deep.
    """
    for field, part in tree.items():
        if field != METADATA:
            yield from _of_field(field, part, tree, names, 0)


def _of_field(
    field: Any, part: Any, holder: Mapping[str, Any], names: Container[bytes], depth: int
) -> Iterator[tuple[bytes | None, bytes]]:
    """What one field names. holder: the object that holds it, with the namespace beside it."""
    if depth > DEEPEST:
        raise RecursionError
    word = _is_named_so(field)
    for value in part if isinstance(part, list) else (part,):
        if isinstance(value, dict):
            # `secretRef: {name: x}`, and `valuesFrom: [{kind: Secret, name: x}]`
            if word or as_bytes(value.get("kind")) == b"Secret":
                yield from _of_text(value.get("name"), value, names)
            for inner, rest in value.items():
                if isinstance(rest, (dict, list)) or _is_named_so(inner):  # most fields are texts of other names
                    yield from _of_field(inner, rest, value, names, depth + 1)
        elif isinstance(value, list):
            yield from _of_field(field, value, holder, names, depth + 1)
        elif word:
            yield from _of_text(value, holder, names, as_bytes(field))


def _of_text(
    value: Any, holder: Mapping[str, Any], names: Container[bytes], field: bytes = b""
) -> Iterator[tuple[bytes | None, bytes]]:
    text = as_bytes(value)
    if text in names:
        own = field.decode("utf-8", "replace").removesuffix("Name") + "Namespace"
        yield as_bytes(holder.get(own)) or as_bytes(holder.get("namespace")) or None, text
    namespace, slash, name = text.partition(b"/")
    if slash and name in names:
        yield namespace, name
