"""The etcd key that an object would have, by its group, kind, namespace and name.

Paths: k8s.io/kubernetes pkg/kubeapiserver/default_storage_factory_builder.go (specialDefaultResourcePrefixes), and
apiextensions-apiserver (`/` group `/` plural). A plural is guessed as apimachinery pkg/api/meta/restmapper.go does.
"""

import re
from collections.abc import Mapping
from typing import Any, TypeGuard

PREFIX = "/registry"
"""kube-apiserver's own --etcd-prefix: what is no store has none."""
_PATHS = {
    "replicationcontrollers": "controllers",
    "nodes": "minions",
    "ingresses": "ingress",
    "services": "services/specs",
    "endpoints": "services/endpoints",
    "podsecuritypolicies": "podsecuritypolicy",
}
_OWN_GROUPS = frozenset(
    {
        "apps",
        "autoscaling",
        "batch",
        "extensions",
        "policy",
        *(
            f"{name}.k8s.io"
            for name in (
                *("admissionregistration", "certificates", "coordination", "discovery", "events", "networking", "node"),
                *("flowcontrol.apiserver", "internal.apiserver", "rbac.authorization", "resource", "scheduling"),
                *("storage", "storagemigration"),
            )
        ),
    }
)
"""Groups of kube-apiserver's own, whose paths do not name them."""
LONGEST = 253
"""Characters of a namespace or name."""
NO_NAME = "(no name)"
"""What stands for a name that none is: names are shown, and damage may have made one of a value."""
_DNS = re.compile(r"[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?")
"""A namespace, or a name by DNS (k8s.io/apimachinery pkg/util/validation, IsDNS1123Subdomain)."""
_BY_DNS = frozenset({"Secret", "ConfigMap"})
"""Kinds whose names are names by DNS; those of others may be any segment of a path."""


def of_resource(plural: str, group: str, namespace: str, name: str) -> bytes:
    """The key of an object whose resource is known."""
    own = not group or group in _OWN_GROUPS
    path = _PATHS.get(plural, plural) if own else f"{group}/{plural}"
    parts = (PREFIX, path, namespace, name) if namespace else (PREFIX, path, name)
    return "/".join(parts).encode("utf-8", "surrogatepass")


def of_object(document: Mapping[str, Any], kind: str = "") -> bytes | None:
    """The key of an object; None where it lacks a kind or a name.

    Args:
        document: The object.
        kind: Its kind, where the list around it says so and the object does not.
    """
    metadata = document.get("metadata")
    kind = document.get("kind") or kind
    version = document.get("apiVersion") or "v1"
    if not isinstance(metadata, Mapping) or not isinstance(kind, str) or not isinstance(version, str) or not kind:
        return None
    name, namespace = metadata.get("name"), metadata.get("namespace") or ""
    if not _is_name(name) or (namespace and not _is_name(namespace)):
        return None
    if kind in _BY_DNS and _DNS.fullmatch(name) is None:
        name = NO_NAME
    if namespace and _DNS.fullmatch(namespace) is None:
        namespace = NO_NAME
    return of_resource(_plural(kind.lower()), version.rpartition("/")[0], namespace, name)


def _is_name(text: Any) -> TypeGuard[str]:
    return isinstance(text, str) and 0 < len(text) <= LONGEST and "/" not in text


def _plural(singular: str) -> str:
    if singular == "endpoints":
        return singular
    if singular.endswith("s"):
        return f"{singular}es"
    return f"{singular[:-1]}ies" if singular.endswith("y") else f"{singular}s"
