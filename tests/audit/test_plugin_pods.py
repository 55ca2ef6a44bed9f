"""KMS plugins by their own Pods: what they suggest is printed, and credentials in their arguments are findings."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from auditor import Options, scan
from auditor.encryption.kms.pods import recognise
from auditor.kubernetes.pod_containers import Container, containers
from auditor.model.kms import KmsService
from auditor.model.vocabulary import Encoding
from tests.helpers.command import run
from tests.helpers.kms_store import Store
from tests.helpers.objects import StoredObject, envelope, field
from tests.helpers.sealing import KEY, configuration, database, provider, seal
from tests.helpers.taint import Taint

TOKEN = "hvs.CANARY-91c0dd57e3a84b"
VAULT = (
    "-vault-address=https://vault.example:8200",
    "-transit-mount=transit/prod",
    "-transit-key",
    "etcd",
    "-vault-namespace=team",
    f"-token={TOKEN}",
)
KEY_OF_POD = b"/registry/pods/kube-system/vault-kms-cp1"


def protobuf(words: tuple[str, ...], environment: dict[str, str], *, command: bool = False) -> bytes:
    """A Pod whose second container has the words as arguments, or as its command."""
    own = [(3 if command else 4, word.encode()) for word in words]
    own += [(7, field(1, name.encode()) + field(2, value.encode())) for name, value in environment.items()]
    parts = [(1, b"plugin"), (2, b"registry/vault-kubernetes-kms:v1"), *own]
    container = b"".join(field(*part) for part in parts)
    spec = field(2, field(1, b"pause")) + field(2, container)
    meta = field(1, b"vault-kms-cp1") + field(3, b"kube-system")
    return envelope(b"v1", b"Pod", field(1, meta) + field(2, spec))


def tree(words: tuple[str, ...], environment: dict[str, str]) -> dict[str, Any]:
    entries: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in environment.items()]
    entries.append({"name": "ELSEWHERE", "valueFrom": {"secretKeyRef": {"name": "x", "key": "y"}}})
    container = {"name": "plugin", "image": "registry/vault-kubernetes-kms:v1", "args": list(words), "env": entries}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "vault-kms-cp1", "namespace": "kube-system"},
        "spec": {"containers": [{"name": "pause"}, container]},
    }


def test_containers_are_the_same_in_each_encoding() -> None:
    import cbor2

    words, environment = ("-a", "b c"), {"N": "v"}
    of_json = containers(json.dumps(tree(words, environment)).encode(), Encoding.JSON)
    of_cbor = containers(b"\xd9\xd9\xf7" + cbor2.dumps(tree(words, environment)), Encoding.CBOR)
    of_protobuf = containers(protobuf(words, environment), Encoding.PROTOBUF)
    assert of_json is not None
    assert of_cbor == of_json
    assert of_protobuf is not None
    assert [each._replace(environment=each.environment[:1]) for each in of_json] == of_protobuf
    assert (of_protobuf[1].words, of_protobuf[1].environment) == (words, (("N", "v"),))
    assert "b c" not in repr(of_protobuf)


@pytest.mark.parametrize(
    "raw", [b"k8s\0\x0a\xff", b"k8s\0\x12\x05\x12\xffabc", b"{", b'{"spec": 5}', b'{"spec": {"containers": [7]}}']
)
def test_damaged_pods_are_passed_over(raw: bytes) -> None:
    encoding = Encoding.JSON if raw.startswith(b"{") else Encoding.PROTOBUF
    assert containers(raw, encoding) is None


ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
CRYPTO_KEY = "projects/p/locations/europe-west3/keyRings/r/cryptoKeys/k"


@pytest.mark.parametrize(
    ("words", "environment", "service", "urls", "where"),
    [
        (
            ("/aws-encryption-provider", f"--key={ARN}", "--encryption-context=cluster=prod,a=b+c", "--listen=/x.sock"),
            {"AWS_SECRET_ACCESS_KEY": "s", "AWS_ACCESS_KEY_ID": "AKIA"},
            KmsService.AWS,
            ("aws:eu-central-1?context=cluster:prod&context=a:b%2Bc",),
            ("the variable AWS_SECRET_ACCESS_KEY",),
        ),
        (
            ("/aws-encryption-provider", "--key", "alias/etcd", "--region", "us-east-1"),
            {"AWS_SECRET_ACCESS_KEY": "$(FROM_ELSEWHERE)"},
            KmsService.AWS,
            ("aws:us-east-1",),
            (),
        ),
        ((f"--key-uri={CRYPTO_KEY}", "--key-suffix=blue"), {}, KmsService.GCP, (f"gcp:{CRYPTO_KEY}",), ()),
        (
            ("--keyvault-name=v1", "--key-name=etcd", "--key-version=abc123", "--managed-hsm=false"),
            {},
            KmsService.AZURE,
            ("azure:https://v1.vault.azure.net/keys/etcd/abc123",),
            (),
        ),
        (
            ("--keyvault-name=h", "--key-name=etcd", "--managed-hsm"),
            {"AZURE_CLIENT_SECRET": "x"},
            KmsService.AZURE,
            ("azure:https://h.managedhsm.azure.net/keys/etcd",),
            ("the variable AZURE_CLIENT_SECRET",),
        ),
        (
            VAULT,
            {},
            KmsService.TRANSIT,
            ("vault:https://vault.example:8200/transit/prod/etcd?namespace=team",),
            ("the argument -token",),
        ),
        (
            ("sh", "-c", "exec vault-kubernetes-kms -vault-address=https://v:1 -approle-secret-id '1f2e' -debug"),
            {},
            KmsService.TRANSIT,
            ("vault:https://v:1/transit/kms",),
            ("the argument -approle-secret-id",),
        ),
        (
            (),
            {"VAULT_KMS_VAULT_ADDR": "https://v", "VAULT_KMS_VAULT_TOKEN": "t", "VAULT_KMS_VAULT_TRANSIT_KEY": "k"},
            KmsService.TRANSIT,
            ("vault:https://v/transit/k",),
            ("the variable VAULT_KMS_VAULT_TOKEN",),
        ),
        (
            ("-vault-address=https://v", "-vault-key-path=m/x/keys/k"),
            {},
            KmsService.TRANSIT,
            ("vault:https://v/m/x/k",),
            (),
        ),
        (
            ("serve", "--p11-lib=/usr/lib/softhsm/libsofthsm2.so", "--p11-label=etcd", "--p11-pin=1234"),
            {},
            KmsService.AES_GCM,
            ("pkcs11:/usr/lib/softhsm/libsofthsm2.so?token=etcd",),
            ("the argument -p11-pin",),
        ),
    ],
)  # fmt: skip
def test_command_lines_of_the_plugins(
    words: tuple[str, ...],
    environment: dict[str, str],
    service: KmsService,
    urls: tuple[str, ...],
    where: tuple[str, ...],
) -> None:
    plugin = recognise(Container("plugin", "image", words, tuple(environment.items())))
    assert plugin is not None
    assert (plugin.service, plugin.urls, tuple(each.where for each in plugin.credentials)) == (service, urls, where)
    assert not any(each.text in repr(plugin) for each in plugin.credentials if len(each.text) > 3)


@pytest.mark.parametrize(
    "words",
    [
        ("-vault-address=https://v\x1b[31m/",),
        ("-vault-address=https://v", "-transit-key=a b;rm"),
        ("-vault-address=file:///etc/passwd",),
        ("--key-uri=projects/p/../x",),
        ("--keyvault-name=evil.example/", "--key-name=k"),
        ("--keyvault-name=v", "--key-name=$(reboot)"),
        ("--p11-lib=/lib x;y",),
    ],
)
def test_what_is_not_safe_to_print_is_no_suggestion(words: tuple[str, ...]) -> None:
    plugin = recognise(Container("plugin", "image", words, ()))
    assert plugin is not None
    assert all(url.isprintable() and not set(" ;$`'\"") & set(url) for url in plugin.urls)
    assert "evil" not in str(plugin.urls)


def test_other_containers_are_none() -> None:
    words = ("kube-apiserver", "--encryption-provider-config=/e", "--token-auth-file=/t", "--key=x")
    assert recognise(Container("kube-apiserver", "registry/kube-apiserver:v1", words, ())) is None


def evidence(folder: Path, pod: bytes, key: bytes = KEY_OF_POD) -> Path:
    store = Store()
    store.v2("cloud", lambda dek: b"vault:v2:" + b"QUFB" * 20, 2)
    return database(folder / "a.db", [*store.pairs, (key, pod)])


@pytest.mark.parametrize("form", ["protobuf", "json"])
def test_a_credential_is_a_finding_of_every_scan(tmp_path: Path, form: str) -> None:
    pod = protobuf(VAULT, {}) if form == "protobuf" else json.dumps(tree(VAULT, {})).encode()
    path = evidence(tmp_path, pod)
    result = scan(path, Options())
    (row,) = [each for each in result.findings.to_dict("records") if each["finding"] == "key-present"]
    assert (row["resource"], row["namespace"], row["name"]) == ("pods", "kube-system", "vault-kms-cp1")
    assert (row["severity"], row["place"], row["key"]) == ("critical", "latest", KEY_OF_POD.decode())
    raw = path.read_bytes()
    assert raw[row["offset"] : row["offset"] + row["size"]] == TOKEN.encode()
    assert "the argument -token in=spec.containers[1].args[5]" in row["detail"]
    assert not Taint([TOKEN.encode()]).within(repr(result.findings.to_dict("records")))


def test_an_encrypted_pod_is_read_with_its_key(tmp_path: Path) -> None:
    """The row is of the encrypted value."""
    thing = StoredObject(namespace=b"kube-system", name=b"vault-kms-cp1", kind=b"Pod")

    class Pod(StoredObject):
        key = KEY_OF_POD

        def protobuf(self) -> bytes:
            return protobuf(VAULT, {})

    sealed = seal("aescbc", "key1", KEY, Pod(thing.namespace, thing.name, kind=b"Pod"), random.Random(1))
    path = evidence(tmp_path, sealed)
    config = configuration(tmp_path / "c.json", provider("aescbc", ("key1", KEY)))
    assert "key-present" not in set(scan(path, Options()).findings["finding"])
    rows = scan(path, Options(encryption_configs=(str(config),))).findings.to_dict("records")
    (row,) = [each for each in rows if each["finding"] == "key-present"]
    assert "inside the decrypted value" in row["detail"]


def test_pods_of_other_namespaces_are_not_looked_at(tmp_path: Path) -> None:
    path = evidence(tmp_path, protobuf(VAULT, {}), b"/registry/pods/shop/vault-kms")
    assert "key-present" not in set(scan(path, Options()).findings["finding"])


def test_keys_prints_the_suggestion_and_uses_nothing(tmp_path: Path) -> None:
    path = evidence(tmp_path, protobuf(VAULT, {}))
    done = run("keys", path, "--json", tmp_path / "k.json")
    text = " ".join(done.stdout.split())
    assert "runs a plugin of Vault or OpenBao transit; its arguments suggest, and nothing here has used: --kms" in text
    assert "'cloud=vault:https://vault.example:8200/transit/prod/etcd?namespace=team'" in text
    assert "the argument -token is a credential in clear" in text
    (plugin,) = json.loads((tmp_path / "k.json").read_text())["plugins"]
    assert plugin["pod"] == "kube-system/vault-kms-cp1"
    assert (plugin["current"], plugin["credentials"]) == (True, ["the argument -token"])
    taint = Taint([TOKEN.encode()])
    assert not any(taint.within(each) for each in (done.stdout, done.stderr, (tmp_path / "k.json").read_text()))
    assert "decrypted: yes" not in text
