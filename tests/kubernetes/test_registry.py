"""Keys: storage prefixes found and given, the resource of every path, and keys that no one expects."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.kubernetes import registry
from auditor.kubernetes.resources import Resource
from auditor.text import printable
from tests.helpers.batches import batch


def classify_keys(
    *paths: bytes, prefixes: tuple[str, ...] = (), likely: bool = True
) -> tuple[list[Resource], list[str]]:
    """The resource of each key of one batch, and the storage prefixes."""
    stored = batch([(path, b"") for path in paths])
    known = registry.Registry(prefixes)
    (codes,) = known.classify([stored], [np.full(len(paths), likely)])
    return [known.resources[code] for code in codes.tolist()], known.storage_prefixes


def names(*paths: bytes, prefixes: tuple[str, ...] = ()) -> list[str]:
    return [entry.name for entry in classify_keys(*paths, prefixes=prefixes)[0]]


RESOURCES = {
    b"secrets/n/a": "secrets",
    b"configmaps/n/a": "configmaps",
    b"namespaces/n": "namespaces",
    b"pods/n/a": "pods",
    b"serviceaccounts/n/a": "serviceaccounts",
    b"events/n/a.17b": "events",
    b"deployments/n/a": "deployments.apps",
    b"controllerrevisions/n/a": "controllerrevisions.apps",
    b"cronjobs/n/a": "cronjobs.batch",
    b"horizontalpodautoscalers/n/a": "horizontalpodautoscalers.autoscaling",
    b"poddisruptionbudgets/n/a": "poddisruptionbudgets.policy",
    b"podsecuritypolicy/a": "podsecuritypolicies.policy",
    b"networkpolicies/n/a": "networkpolicies.networking.k8s.io",
    b"servicecidrs/a": "servicecidrs.networking.k8s.io",
    b"ingress/n/a": "ingresses.networking.k8s.io",
    b"ingressclasses/a": "ingressclasses.networking.k8s.io",
    b"clusterrolebindings/a": "clusterrolebindings.rbac.authorization.k8s.io",
    b"leases/n/a": "leases.coordination.k8s.io",
    b"storageclasses/a": "storageclasses.storage.k8s.io",
    b"certificatesigningrequests/a": "certificatesigningrequests.certificates.k8s.io",
    b"validatingwebhookconfigurations/a": "validatingwebhookconfigurations.admissionregistration.k8s.io",
    b"endpointslices/n/a": "endpointslices.discovery.k8s.io",
    b"flowschemas/a": "flowschemas.flowcontrol.apiserver.k8s.io",
    b"priorityclasses/a": "priorityclasses.scheduling.k8s.io",
    b"resourceclaims/n/a": "resourceclaims.resource.k8s.io",
    b"storageversionmigrations/a": "storageversionmigrations.storagemigration.k8s.io",
    b"controllers/n/a": "replicationcontrollers",
    b"minions/a": "nodes",
    b"services/specs/n/a": "services",
    b"services/endpoints/n/a": "endpoints",
    b"apiextensions.k8s.io/customresourcedefinitions/a.b.c": "customresourcedefinitions.apiextensions.k8s.io",
    b"apiregistration.k8s.io/apiservices/v1.apps": "apiservices.apiregistration.k8s.io",
    b"lab.example.com/widgets/n/a": "widgets.lab.example.com",
    b"lab.example.com/clusterwidgets/a": "clusterwidgets.lab.example.com",
    b"lab.example.com/secrets/n/a": "secrets.lab.example.com",
    b"routes/n/a": "routes.route.openshift.io",
    b"oauth/accesstokens/a": "oauthaccesstokens.oauth.openshift.io",
    b"oauth/authorizetokens/a": "oauthauthorizetokens.oauth.openshift.io",
    b"oauth/clients/a": "oauthclients.oauth.openshift.io",
    b"somethingnew/n/a": "somethingnew",
}


@pytest.mark.parametrize(("path", "name"), RESOURCES.items(), ids=[path.decode() for path in RESOURCES])
def test_resources(path: bytes, name: str) -> None:
    (found, _), _ = classify_keys(b"/registry/" + path, b"/registry/pods/n/a")
    assert found.name == name
    assert found.prefix == "/registry"
    assert not found.exempt
    depth = 4 if path.startswith((b"services/", b"oauth/")) or b"." in path.split(b"/")[0] else 3
    assert found.path == "/".join(f"/registry/{path.decode()}".split("/")[:depth])


@pytest.mark.parametrize("prefix", ["/registry", "/r", "/my/own", "/my/own/prefix", "/a/b/c/d", "/" + "long" * 20])
def test_prefixes_are_found_and_given(prefix: str) -> None:
    paths = [f"{prefix}/secrets/n/a".encode(), f"{prefix}/minions/m".encode(), f"{prefix}/x.io/secrets/n/a".encode()]
    expected = ["secrets", "nodes", "secrets.x.io"]
    assert names(*paths) == expected
    assert classify_keys(*paths)[1] == [prefix]
    for given_prefix in (prefix, prefix.strip("/"), f"{prefix}/"):
        assert names(*paths, prefixes=(given_prefix,)) == expected


def test_the_root_as_a_prefix() -> None:
    """kube-apiserver accepts --etcd-prefix=/ and then stores /secrets/n/a."""
    assert names(b"/secrets/n/a", b"/lab.example.com/widgets/n/a", prefixes=("/",)) == [
        "secrets",
        "widgets.lab.example.com",
    ]


def test_several_prefixes_in_one_database() -> None:
    """OpenShift's two API servers share an etcd."""
    found, prefixes = classify_keys(
        b"/kubernetes.io/secrets/n/a",
        b"/openshift.io/routes/n/a",
        b"/openshift.io/oauth/accesstokens/t",
        b"/kubernetes.io/secrets.example/things/n/a",
    )
    assert sorted(prefixes) == ["/kubernetes.io", "/openshift.io"]
    assert [(entry.prefix, entry.name) for entry in found] == [
        ("/kubernetes.io", "secrets"),
        ("/openshift.io", "routes.route.openshift.io"),
        ("/openshift.io", "oauthaccesstokens.oauth.openshift.io"),
        ("/kubernetes.io", "things.secrets.example"),
    ]


@pytest.mark.parametrize(
    ("path", "prefix", "name"),
    [
        (b"/openshift.io/oauth/accesstokens/t", "/openshift.io", "oauthaccesstokens.oauth.openshift.io"),
        (b"/my/own/services/specs/n/a", "/my/own", "services"),
        (b"/openshift.io/registry/sdnnetworks/a", "/openshift.io", "clusternetworks.network.openshift.io"),
    ],
)
def test_a_prefix_is_seen_by_a_resource_of_two_segments_alone(path: bytes, prefix: str, name: str) -> None:
    (found,), prefixes = classify_keys(path)
    assert prefixes == [prefix]
    assert (found.prefix, found.name) == (prefix, name)


def test_the_same_resource_under_two_prefixes_stays_apart() -> None:
    found, _ = classify_keys(b"/registry/secrets/n/a", b"/old/secrets/n/a")
    assert [(entry.prefix, entry.name, entry.path) for entry in found] == [
        ("/registry", "secrets", "/registry/secrets"),
        ("/old", "secrets", "/old/secrets"),
    ]


def test_a_given_prefix_is_the_only_one() -> None:
    found, prefixes = classify_keys(b"/registry/secrets/n/a", b"/old/secrets/n/a", prefixes=("/old",))
    assert prefixes == ["/old"]
    assert found == [registry.NO_RESOURCE, Resource("secrets", "/old", "/old/secrets")]


def test_a_namespace_named_like_a_resource_makes_no_prefix() -> None:
    found, prefixes = classify_keys(b"/registry/pods/secrets/a", b"/registry/secrets/pods/configmaps")
    assert prefixes == ["/registry"]
    assert [entry.name for entry in found] == ["pods", "secrets"]


def test_keys_whose_values_are_no_objects_make_no_prefix() -> None:
    found, prefixes = classify_keys(b"/app/secrets/n/a", likely=False)
    assert (found, prefixes) == ([registry.NO_RESOURCE], [])


def test_a_prefix_seen_in_a_later_batch_holds_for_an_earlier() -> None:
    first, second = batch([(b"/deep/er/secrets/n/a", b"")]), batch([(b"/deep/er/pods/n/a", b"")])
    known = registry.Registry()
    codes = known.classify([first, second], [np.array([False]), np.array([True])])
    assert [known.resources[int(code[0])].name for code in codes] == ["secrets", "pods"]


EXEMPT = {
    b"/registry/masterleases/10.0.0.1": "masterleases",
    b"/registry/peerserverleases/id": "peerserverleases",
    b"/registry/ranges/serviceips": "ranges",
    b"/registry/ranges/servicenodeports": "ranges",
    b"/registry/health": "health",
    b"compact_rev_key": "",
    b"/bootstrap/8a2f": "",
}


@pytest.mark.parametrize(("path", "name"), EXEMPT.items())
def test_what_kubernetes_never_encrypts(path: bytes, name: str) -> None:
    (found, other), _ = classify_keys(path, b"/registry/pods/n/a")
    assert found.exempt
    assert found.name == name
    assert not other.exempt


def test_exempt_ones_are_never_selected() -> None:
    stored = batch([(path, b"") for path in [*EXEMPT, b"/registry/pods/n/a", b"elsewhere"]])
    known = registry.Registry()
    (codes,) = known.classify([stored], [np.ones(len(stored), np.bool_)])
    matching = registry.match(known.resources, frozenset({"*", "ranges", "masterleases"}))
    assert [known.resources[code].name for code in codes.tolist() if matching[code]] == ["pods"]


@pytest.mark.parametrize(
    "path", [b"", b"/", b"//", b"a", b"registry/secrets/n/a", b"/elsewhere/thing/x", b"/" * 40, b"\0", b"/registry"]
)
def test_keys_under_no_prefix(path: bytes) -> None:
    (found, other), prefixes = classify_keys(path, b"/registry/pods/n/a")
    assert found == registry.NO_RESOURCE
    assert other.name == "pods"
    assert prefixes == ["/registry"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (b"/registry/secrets", "secrets"),
        (b"/registry/secrets/", "secrets"),
        (b"/registry/secrets//a", "secrets"),
        (b"/registry/secrets/n/a/b/c/d/e/f", "secrets"),
        (b"/registry/secrets/n/\xff\xfe", "secrets"),
        (b"/registry/secrets/n/\\x41\n\x1b[31m", "secrets"),
        (b"/registry/secrets/n/" + b"x" * 10_000, "secrets"),
        (b"/registry/secrets/" + b"n" * 63 + b"/" + b"x" * 253, "secrets"),
        (b"/registry/\xff/a", "\\xff"),
        (b"/registry/a\\b/c", "a\\\\b"),
        (b"/registry/\x1b[31m/c", "\\x1b[31m"),
        (b"/registry/" + b"x" * 300 + b".io/widgets/n/a", "widgets." + "x" * 300 + ".io"),
        (b"/registry/lab.example.com/" + b"w" * 200 + b"/a", "w" * 200 + ".lab.example.com"),
    ],
)
def test_hostile_keys(path: bytes, name: str) -> None:
    (found, _), _ = classify_keys(path, b"/registry/pods/n/a")
    assert found.name == name
    assert found.name.isprintable()
    assert printable(path).startswith(found.path)


def test_hostile_prefixes() -> None:
    found, prefixes = classify_keys(b"/\xff\n\\/secrets/n/a")
    assert prefixes == ["/\\xff\\x0a\\\\"]
    assert found[0].name == "secrets"


def test_a_given_prefix_wins_over_what_is_exempt_elsewhere() -> None:
    """`/bootstrap` is k3s's own record, unless someone says that a kube-apiserver stores there."""
    assert names(b"/bootstrap/secrets/n/a", prefixes=("/bootstrap",)) == ["secrets"]


SEGMENTS = st.lists(
    st.one_of(st.sampled_from([b"registry", b"secrets", b"pods", b"services", b"specs", b"x.io", b"ranges", b""]),
              st.binary(max_size=40)),
    min_size=1, max_size=9,
)  # fmt: skip


@given(st.lists(SEGMENTS.map(b"/".join), min_size=1, max_size=12))
def test_any_keys(paths: list[bytes]) -> None:
    """Nothing raises; no key is lost; what is called a resource lies under its path, and under a known prefix."""
    found, prefixes = classify_keys(*paths)
    assert len(found) == len(paths)
    for path, entry in zip(paths, found, strict=True):
        assert entry.name.isprintable()
        assert not entry.prefix or entry.prefix in prefixes
        assert printable(path).startswith(entry.path)


@given(st.lists(SEGMENTS.map(b"/".join), min_size=1, max_size=12))
@settings(max_examples=60)
def test_keys_say_the_same_in_any_company(paths: list[bytes]) -> None:
    """With the prefix given, a key's resource depends on nothing but the key."""
    together = classify_keys(*paths, prefixes=("/registry",))[0]
    assert together == [classify_keys(path, prefixes=("/registry",))[0][0] for path in paths]


@given(st.lists(st.binary(max_size=12), min_size=1, max_size=20), st.binary(max_size=12))
def test_find_key(paths: list[bytes], key: bytes) -> None:
    paths.append(key)
    expected = [row for row, path in enumerate(paths) if path == key]
    assert registry.find_key(batch([(path, b"") for path in paths]), key).tolist() == expected
