"""Configurations that others wrap: Secrets, ConfigMaps, RKE's state; and what is none."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from auditor.encryption.configuration import load, parse
from auditor.encryption.strict_yaml import ConfigurationError
from tests.encryption.test_configuration import MARKER, document, entry

CASES = Path(__file__).parents[2] / "fixtures/cases/config-wrapped-by-others"
TEXT = json.dumps(document())
CODED = base64.b64encode(TEXT.encode()).decode()
SECRET = {"apiVersion": "v1", "kind": "Secret", "data": {"any": CODED}}
STATE = {"desiredState": {"encryptionConfig": TEXT}, "currentState": {"encryptionConfig": TEXT}}


@pytest.mark.parametrize("path", sorted(CASES.iterdir()), ids=lambda path: path.name)
def test_cases(path: Path) -> None:
    (rule,) = load(path).rules
    assert rule.resources == ("secrets",)


@pytest.mark.parametrize(
    "wrapper",
    [
        {"apiVersion": "v1", "kind": "Secret", "data": {"any": CODED, "other": "AAAA"}},
        {"apiVersion": "v1", "kind": "Secret", "stringData": {"any": TEXT}},
        {"apiVersion": "v1", "kind": "ConfigMap", "data": {"any": TEXT, "other": "text"}},
        {"apiVersion": "v1", "kind": "ConfigMap", "data": {"README": "of the EncryptionConfiguration", "any": TEXT}},
        {"apiVersion": "v1", "kind": "ConfigMap", "data": {"full-cluster-state": json.dumps(STATE)}},
        STATE,
        {"desiredState": {"encryptionConfig": TEXT}, "currentState": {}},
    ],
)
def test_unwrapped(wrapper: dict[str, Any]) -> None:
    configuration = parse(json.dumps(wrapper).encode(), "enc")
    assert configuration.rules[0].resources == ("secrets",)
    assert not configuration.notes


@pytest.mark.parametrize(
    "listing",
    [
        {"apiVersion": "v1", "kind": "List", "items": [SECRET]},
        {"apiVersion": "v1", "kind": "List", "items": [{"kind": "Secret"}, SECRET, SECRET, MARKER]},
        {"apiVersion": "v1", "kind": "SecretList", "items": [{"data": SECRET["data"]}, {}]},
        {"apiVersion": "v1", "kind": "ConfigMapList", "items": [{"data": {"any": TEXT}}]},
    ],
)
def test_an_object_of_a_list(listing: dict[str, Any]) -> None:
    configuration = parse(json.dumps(listing).encode(), "enc")
    assert configuration.rules[0].resources == ("secrets",)
    assert configuration.notes == ("it holds objects, one of which is or holds the EncryptionConfiguration",)


def test_a_list_of_several_configurations_is_refused() -> None:
    other = {"kind": "ConfigMap", "data": {"a": json.dumps(document(entry("pods")))}}
    with pytest.raises(ConfigurationError, match="several objects that hold EncryptionConfigurations"):
        parse(json.dumps({"kind": "List", "items": [SECRET, other]}).encode(), "enc")


@pytest.mark.parametrize("enabled", [True, False, None])
def test_the_configuration_of_rkes_cluster(enabled: bool | None) -> None:
    settings = {"enabled": enabled, "custom_config": document()}
    wrapper = {"services": {"kube-api": {"secrets_encryption_config": settings}}}
    configuration = parse(yaml.safe_dump(wrapper).encode(), "cluster.yml")
    assert configuration.rules[0].resources == ("secrets",)
    assert "custom_config" in configuration.notes[0]
    assert ("RKE does not use" in configuration.notes[0]) is not enabled


def test_of_two_states_the_current_one_is_read() -> None:
    other = json.dumps(document(entry("configmaps")))
    configuration = parse(json.dumps(STATE | {"desiredState": {"encryptionConfig": other}}).encode(), "enc")
    assert configuration.rules[0].resources == ("secrets",)
    assert "the current one is read" in configuration.notes[0]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"apiVersion": "v1", "kind": "ConfigMap", "data": {MARKER: MARKER}}, "a v1 ConfigMap, and no field"),
        ({"apiVersion": "v1", "kind": "Secret", "data": {"a": MARKER}}, "a v1 Secret, and no field"),
        ({"apiVersion": "v1", "kind": "Pod"}, "a v1 Pod: expected"),
        ({"apiVersion": "v1", "kind": MARKER}, "an object of another kind: expected"),
        ({"apiVersion": MARKER, "kind": "MachineConfig"}, "a MachineConfig of another version: expected"),
        ({"apiVersion": MARKER, "kind": "KubeadmControlPlane"}, "a KubeadmControlPlane of another version: expected"),
        ({"apiVersion": MARKER, "kind": "EncryptionConfiguration"}, "an EncryptionConfiguration of another version"),
        ({MARKER: MARKER}, "a document without a kind"),
        ({"currentState": {}, "desiredState": {}}, "an RKE state, and neither"),
        ({"apiVersion": "v1", "kind": "List", "items": [{"kind": "Secret"}, MARKER]}, "a v1 List: expected"),
        ({"apiVersion": "v1", "kind": "SecretList", "items": MARKER}, "a v1 SecretList: expected"),
        (
            {"kind": "ConfigMap", "data": {"a": TEXT, "b": json.dumps(document(entry("pods")))}},
            "several EncryptionConfigurations",
        ),
    ],
)
def test_what_is_none_is_named_by_its_kind(content: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason) as caught:
        parse(json.dumps(content).encode(), "enc")
    assert MARKER not in str(caught.value)


KEY, OLDER = bytes(range(32)), bytes(range(32, 64))
TALOS = {
    "machine": {"type": "controlplane", "token": "t"},
    "cluster": {
        "secretboxEncryptionSecret": base64.b64encode(KEY).decode(),
        "aescbcEncryptionSecret": base64.b64encode(OLDER).decode(),
    },
}


@pytest.mark.parametrize(
    ("content", "keys"),
    [
        (TALOS, [("secretbox", "key2", KEY), ("aescbc", "key1", OLDER)]),
        (
            {"secrets": {"bootstraptoken": "b", "aescbcencryptionsecret": base64.b64encode(KEY).decode()}},
            [("aescbc", "key1", KEY)],
        ),
    ],
    ids=["machine configuration", "secrets.yaml"],
)
def test_what_talos_makes(content: dict[str, Any], keys: list[tuple[str, str, bytes]]) -> None:
    """k8stemplates/apiserver.go; a machine configuration has further documents since 1.5."""
    further = "---\napiVersion: v1alpha1\nkind: HostnameConfig\nhostname: h\n"
    for text in (json.dumps(content), yaml.safe_dump(content), f"---\n{yaml.safe_dump(content)}{further}"):
        configuration = parse(text.encode(), "controlplane.yaml")
        (rule,) = configuration.rules
        assert rule.resources == ("secrets",)
        found = [(entry.provider.label, key.name, key.secret) for entry in rule.providers for key in entry.keys]
        assert found == keys
        assert rule.providers[-1].provider.label == "identity"
        assert any("Talos" in note for note in configuration.notes)


def hosted(kind: str = "HostedCluster", **encryption: Any) -> dict[str, Any]:
    return {"apiVersion": "hypershift.openshift.io/v1beta1", "kind": kind, "spec": {"secretEncryption": encryption}}


def key_secret(name: str, key: bytes) -> dict[str, Any]:
    data = {"key": base64.b64encode(key).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}


@pytest.mark.parametrize("form", ["documents", "list", "list in JSON"])
@pytest.mark.parametrize("kind", ["HostedCluster", "HostedControlPlane"])
def test_what_hypershift_makes(form: str, kind: str) -> None:
    """kas/aescbc.go: `key-` and the FNV-1 hash of the key; here of 0, 1, ... 31."""
    encryption = {"type": "aescbc", "aescbc": {"activeKey": {"name": "now"}, "backupKey": {"name": "then"}}}
    objects = [
        key_secret("other", bytes(32)),
        hosted(kind, **encryption),
        key_secret("then", OLDER),
        key_secret("now", KEY),
    ]
    listed = {"apiVersion": "v1", "kind": "List", "items": objects}
    text = {
        "documents": yaml.safe_dump_all(objects),
        "list": yaml.safe_dump(listed),
        "list in JSON": json.dumps(listed),
    }[form]
    configuration = parse(text.encode(), "hosted.yaml")
    (entry, _) = configuration.rules[0].providers
    assert [key.secret for key in entry.keys] == [KEY, OLDER]
    assert [key.name for key in entry.keys] == [f"key-{fnv1(KEY)}", f"key-{fnv1(OLDER)}"]
    assert fnv1(b"a") == 0x050C5D7E  # of the authors' own vectors


def fnv1(raw: bytes) -> int:
    digest = 2166136261
    for byte in raw:
        digest = (digest * 16777619) % 2**32 ^ byte
    return digest


@pytest.mark.parametrize(
    ("objects", "reason"),
    [
        ([hosted(type="aescbc", aescbc={"activeKey": {"name": "now"}})], "which this file does not hold"),
        ([hosted(type="aescbc", aescbc={"activeKey": {"name": "now"}}), key_secret("x", KEY)], "which this file does"),
        ([hosted(type="kms", kms={})], "a HostedCluster without AES-CBC keys"),
        ([{"kind": "HostedCluster"}], "a HostedCluster without AES-CBC keys"),
        ([{"machine": {}, "cluster": {"id": MARKER}}], "a document without a kind"),
    ],
)
def test_what_neither_can_make(objects: list[dict[str, Any]], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason) as caught:
        parse(yaml.safe_dump_all(objects).encode(), "hosted.yaml")
    assert MARKER not in str(caught.value)


def test_one_of_several_objects_holds_it() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "data": {"any": CODED}}
    others = [{"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"}}, {"apiVersion": "v1", "kind": "Pod"}]
    for objects in ([*others, secret], [others[0], document(), others[1]]):
        configuration = parse(yaml.safe_dump_all(objects).encode(), "all.yaml")
        assert configuration.rules[0].resources == ("secrets",)
        assert any("it holds objects" in note for note in configuration.notes)
    with pytest.raises(ConfigurationError, match="several objects that hold"):
        parse(yaml.safe_dump_all([others[0], secret, document(entry("pods"))]).encode(), "all.yaml")
