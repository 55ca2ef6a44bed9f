"""The objects to rewrite: those of findings that a rewrite mends, in groups of one key prefix in etcd.

A name reaches a command only if Kubernetes accepts it: RFC 1123 subdomains (k8s.io/apimachinery
pkg/util/validation), which hold nothing that a shell interprets.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from auditor.model.audit import Audit
from auditor.model.vocabulary import FindingKind, Place

_LABEL = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*")
NAMESPACE = re.compile(rf"(?=.{{1,63}}\Z){_LABEL}")
TREE = re.compile(r"/?([A-Za-z0-9._-]+/)+")
"""A key prefix that etcdctl's own reader of commands takes as one word."""
REWRITE_KINDS = (
    FindingKind.PLAINTEXT
    | FindingKind.STALE_PROVIDER
    | FindingKind.STALE_KEY
    | FindingKind.STALE_KEK
    | FindingKind.KNOWN_KEY
)


class ObjectReference(NamedTuple):
    """One object. Texts are printable."""

    resource: str
    namespace: str
    """Empty for cluster-scoped objects."""
    name: str
    key: str
    """Its etcd key."""

    @property
    def tail(self) -> str:
        """The end of its etcd key."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def valid(self) -> bool:
        """Whether Kubernetes accepts its names, and its key is made of them."""
        names = NAME.fullmatch(self.resource) and NAME.fullmatch(self.name)
        if not names or (self.namespace and not NAMESPACE.fullmatch(self.namespace)):
            return False
        return self.key.endswith(f"/{self.tail}") and bool(TREE.fullmatch(self.tree))

    @property
    def tree(self) -> str:
        """The etcd key up to the objects of the resource."""
        return self.key.removesuffix(self.tail)


@dataclass(frozen=True, slots=True)
class Group:
    """The objects of a resource in one namespace."""

    resource: str
    namespace: str
    """Empty for cluster-scoped objects."""
    tree: str
    """Beginning of the etcd keys of the resource."""
    form: str
    """Beginning of their values in the wanted form: forms.form()."""
    names: tuple[str, ...]
    """Names of the objects, sorted."""

    @property
    def root(self) -> str:
        """The etcd key up to the name."""
        return f"{self.tree}{self.namespace}/" if self.namespace else self.tree


def of(audit: Audit) -> list[ObjectReference]:
    """The objects whose current value has a finding that a rewrite mends."""
    columns = audit.rows.columns
    cells = zip(*(columns.get(name, ()) for name in ("place", "resource", "namespace", "name", "key")), strict=True)
    return [
        ObjectReference(str(resource), str(namespace), str(name), str(key))
        for (place, resource, namespace, name, key), findings in zip(cells, audit.rows.findings, strict=False)
        if place == Place.LATEST.label and any(finding.kind & REWRITE_KINDS for finding in findings)
    ]


def grouped(objects: Iterable[ObjectReference], forms: dict[str, str]) -> tuple[tuple[Group, ...], int]:
    """The objects with valid names, without duplicates, and the number of others.

    forms: the wanted form by resource.
    """
    distinct = set(objects)
    valid = sorted((each.resource, each.namespace, each.tree, each.name) for each in distinct if each.valid)
    groups = tuple(
        Group(resource, namespace, tree, forms[resource], tuple(name for *_, name in members))
        for (resource, namespace, tree), members in groupby(valid, key=lambda each: each[:3])
    )
    return groups, len(distinct) - len(valid)
