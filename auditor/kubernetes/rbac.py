"""RBAC of the evidence: which service accounts may read a Secret, and which may do anything.

Sources: k8s.io/api rbac/v1 (types.go, generated.proto); k8s.io/kubernetes
plugin/pkg/auth/authorizer/rbac/rbac.go (RuleAllows), pkg/registry/rbac/validation (groups of service accounts).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError

from auditor.evidence.reading import Reading
from auditor.kubernetes import trees
from auditor.kubernetes.objects import ENVELOPE
from auditor.kubernetes.store import Store
from auditor.kubernetes.trees import as_bytes
from auditor.model.vocabulary import Encoding, Place, Provider
from auditor.protobuf import kubernetes_pb2, rbac_pb2
from auditor.text import restore

GROUP = ".rbac.authorization.k8s.io"
KINDS = {f"{kind}{GROUP}": kind for kind in ("roles", "clusterroles", "rolebindings", "clusterrolebindings")}
READS = frozenset({b"get", b"list", b"watch", b"*"})
RISES = {b"escalate": "escalate", b"bind": "bind", b"impersonate": "impersonate"}
"""Verbs that give whoever has them any other."""
ACCOUNTS, EVERYONE = b"system:serviceaccounts", b"system:authenticated"
_REFUSALS = (DecodeError, ValueError, RecursionError, TypeError, AttributeError, KeyError, OverflowError, EOFError)


class Rule(NamedTuple):
    """A rule of a role."""

    verbs: tuple[bytes, ...]
    groups: tuple[bytes, ...]
    resources: tuple[bytes, ...]
    names: tuple[bytes, ...]

    def allows(self, verbs: frozenset[bytes], resource: bytes, name: bytes = b"") -> bool:
        """Whether one of the verbs is allowed on a resource of the core group; without a name on all its objects."""
        return (
            not verbs.isdisjoint(self.verbs)
            and not {b"", b"*"}.isdisjoint(self.groups)
            and not {resource, b"*"}.isdisjoint(self.resources)
            and (not self.names or (bool(name) and name in self.names))
        )


class Binding(NamedTuple):
    """A binding of a role to subjects: kind, namespace and name of each."""

    namespace: bytes
    """Empty for a ClusterRoleBinding."""
    name: bytes
    role: tuple[bytes, bytes]
    """Namespace, empty for a ClusterRole, and name."""
    subjects: tuple[tuple[bytes, bytes, bytes], ...]

    def binds(self, account: tuple[bytes, bytes]) -> bool:
        """Whether a service account (namespace, name) is among the subjects."""
        namespace, name = account
        groups = {ACCOUNTS, ACCOUNTS + b":" + namespace, EVERYONE}
        user = b"system:serviceaccount:" + namespace + b":" + name
        return any(
            (kind == b"ServiceAccount" and (space, subject) == account)
            or (kind == b"Group" and subject in groups)
            or (kind == b"User" and subject == user)
            for kind, space, subject in self.subjects
        )


@dataclass
class Rbac:
    """Roles, bindings and service accounts."""

    roles: dict[tuple[bytes, bytes], tuple[Rule, ...]] = field(default_factory=dict)
    bindings: list[Binding] = field(default_factory=list)
    accounts: list[tuple[bytes, bytes]] = field(default_factory=list)
    unread: bool = False
    """Whether a role or a binding was not read."""

    def readers(self, namespace: bytes, name: bytes) -> list[tuple[bytes, bytes]]:
        """The service accounts that may read a Secret."""
        granting = [
            binding
            for binding in self.bindings
            if binding.namespace in {b"", namespace}
            and any(rule.allows(READS, b"secrets", name) for rule in self.roles.get(binding.role, ()))
        ]
        return [account for account in self.accounts if any(binding.binds(account) for binding in granting)]

    def reach(self, account: tuple[bytes, bytes]) -> list[tuple[str, Binding]]:
        """What makes a service account one that may do anything, and the binding that gives it."""
        found: list[tuple[str, Binding]] = []
        for binding in self.bindings:
            if not binding.binds(account) or binding.namespace:
                continue
            rules = self.roles.get(binding.role, ())
            if any(b"*" in rule.verbs and b"*" in rule.groups and b"*" in rule.resources for rule in rules):
                found.append(("may do everything", binding))
                continue
            if any(rule.allows(READS, b"secrets") for rule in rules):
                found.append(("reads the Secrets of all namespaces", binding))
            verbs = [text for verb, text in RISES.items() if any(verb in rule.verbs for rule in rules)]
            if verbs:
                found.append((f"may {', '.join(verbs)}", binding))
        return found


def read(store: Store, reading: Reading) -> Rbac:
    """The RBAC of the current objects that are readable."""
    rbac = Rbac()
    for part in store.parts:
        batch = part.batch
        current = batch.at(Place.LATEST) & part.stores & reading.serves(batch.source) & (batch.key_at >= 0)
        for code, resource in enumerate(store.resources):
            kind = KINDS.get(resource.name, "")
            if not kind and resource.name != "serviceaccounts":
                continue
            for row in np.flatnonzero(current & (part.resource == code)).tolist():
                namespace, _, name = batch.key(row)[len(restore(resource.path)) + 1 :].rpartition(b"/")
                if not kind:
                    rbac.accounts.append((namespace, name))
                elif part.prefixes.provider[row] != Provider.IDENTITY or not _add(
                    rbac, kind, (namespace, name), batch.value(row), Encoding(int(part.prefixes.encoding[row]))
                ):
                    rbac.unread = True
    rbac.accounts.sort()
    return rbac


def _add(rbac: Rbac, kind: str, own: tuple[bytes, bytes], value: bytes, encoding: Encoding) -> bool:
    """Add one object; whether it decodes."""
    try:
        if encoding is Encoding.PROTOBUF:
            raw = kubernetes_pb2.Unknown.FromString(value[ENVELOPE:]).raw
            if kind.endswith("roles"):
                rbac.roles[own] = tuple(
                    Rule(tuple(rule.verbs), tuple(rule.api_groups), tuple(rule.resources), tuple(rule.resource_names))
                    for rule in rbac_pb2.Role.FromString(raw).rules
                )
                return True
            bound = rbac_pb2.Binding.FromString(raw)
            subjects = tuple((each.kind, each.namespace, each.name) for each in bound.subjects)
            role = (own[0] if bound.role_ref.kind == b"Role" else b"", bound.role_ref.name)
        else:
            tree = trees.parse(value, encoding)
            if kind.endswith("roles"):
                rbac.roles[own] = tuple(_rules(tree.get("rules")))
                return True
            named = tree["roleRef"]
            role = (own[0] if as_bytes(named["kind"]) == b"Role" else b"", as_bytes(named["name"]))
            subjects = tuple(
                (as_bytes(each.get("kind")), as_bytes(each.get("namespace")), as_bytes(each.get("name")))
                for each in tree.get("subjects") or ()
            )
    except _REFUSALS:
        return False
    rbac.bindings.append(Binding(*own, role, subjects))
    return True


def _rules(rules: Sequence[Mapping[str, Any]] | None) -> Iterator[Rule]:
    for rule in rules or ():
        texts = (rule.get(name) or () for name in ("verbs", "apiGroups", "resources", "resourceNames"))
        yield Rule(*(tuple(map(as_bytes, part)) for part in texts))
