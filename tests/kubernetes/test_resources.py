"""The table of paths against Kubernetes' own lists: every stored kind of every release, and OpenShift's paths."""

import json
from pathlib import Path

import pytest

from auditor.kubernetes import store
from auditor.kubernetes.resources import BUILT_IN, path_of
from tests.helpers.batches import batch
from tests.helpers.objects import envelope, field

KINDS = [
    line.split("\t")
    for line in (Path(__file__).parent / "kinds.tsv").read_text().splitlines()
    if not line.startswith("#")
]
PATHS = [
    line.split("\t")
    for line in (Path(__file__).parent / "storage_paths.tsv").read_text().splitlines()
    if not line.startswith("#")
]
EVENTS = ("events.k8s.io", "v1", "events")
"""Stored as core events."""


def resources(*pairs: tuple[bytes, bytes]) -> list[str]:
    """The resource of each record, in company that shows the storage prefixes."""
    company = [(b"/registry/pods/n/a", b"k8s\0x"), (b"/kubernetes.io/pods/n/a", b"k8s\0x")]
    company += [(b"/openshift.io/routes/n/a", b"k8s\0x")]
    classified = store.classify([batch([*company, *pairs])])
    (part,) = classified.parts
    return [classified.resources[code].name for code in part.resource.tolist()[len(company) :]]


def readable(group: str, version: str, kind: str) -> list[bytes]:
    """A small object as protobuf and as JSON."""
    api_version = f"{group}/{version}" if group else version
    raw = field(1, field(1, b"a") + field(3, b"n"))
    tree = {"kind": kind, "apiVersion": api_version, "metadata": {"name": "a", "namespace": "n"}}
    return [envelope(api_version.encode(), kind.encode(), raw), json.dumps(tree).encode()]


@pytest.mark.parametrize(("group", "version", "kind", "resource", "path"), KINDS, ids=lambda text: text or "core")
def test_every_kind_of_every_release(group: str, version: str, kind: str, resource: str, path: str) -> None:
    stored = readable(group, version, kind)
    key = f"/registry/{path}/n/a".encode()
    assert resources(*((key, value) for value in stored)) == [resource] * len(stored)
    # encrypted, the path alone says it: no readable object helps
    assert resources((key, b"k8s:enc:aescbc:v1:key1:" + bytes(48))) == [resource]
    assert BUILT_IN[path] == resource
    assert path_of(resource) in {path, *(each for each, name in BUILT_IN.items() if name == resource)}


@pytest.mark.parametrize(("group", "version", "resource", "key"), PATHS, ids=lambda text: text or "core")
def test_the_paths_of_kubernetes_and_openshift(group: str, version: str, resource: str, key: str) -> None:
    name = "events" if (group, version, resource) == EVENTS else f"{resource}.{group}" if group else resource
    assert resources((key.encode(), b"k8s:enc:aescbc:v1:key1:" + bytes(48))) == [name]


def test_the_lists_are_whole() -> None:
    """They are read, and no built-in resource of Kubernetes is missing from them but two that are not stored."""
    assert (len(KINDS), len(PATHS)) > (175, 120)
    listed = {resource for *_, resource, _ in KINDS} | {f"{each[2]}.{each[0]}".rstrip(".") for each in PATHS}
    assert sorted(name for name in set(BUILT_IN.values()) - listed if "openshift" not in name) == [
        "bindings",
        "componentstatuses",
    ]
