"""What is dialled: nothing that the command did not name, whatever the evidence and a configuration say."""

import base64
import json
import socket
import sys
from pathlib import Path

import pytest
from google.auth.credentials import AnonymousCredentials

from auditor import Options, scan
from auditor.encryption.kms.address import parse
from auditor.encryption.kms.services import SERVICES, connect
from auditor.errors import MissingExtra, UsageError
from auditor.evidence.live.access import Access, endpoints
from auditor.observer import SILENT
from auditor.verify.again import Repetition, _missing
from auditor.watch.session import Session
from tests.helpers.command import run
from tests.helpers.etcd import Etcd
from tests.helpers.https_server import Request, serving
from tests.helpers.kms_store import Store
from tests.helpers.sealing import configuration

ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every address that any socket of the process is connected to, and every name that is looked up."""
    addresses: list[object] = []
    connect_of = socket.socket.connect

    def watch(self: socket.socket, address: object) -> None:
        addresses.append(address)
        connect_of(self, address)  # type: ignore[arg-type]

    def look_up(*arguments: object, **_: object) -> list[object]:
        addresses.append(arguments)
        return []

    monkeypatch.setattr(socket.socket, "connect", watch)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return addresses


def test_nothing_without_the_option(dialled: list[object], tmp_path: Path) -> None:
    """Evidence that names services, and a configuration with an endpoint."""
    store = Store()
    store.v1("cloud", lambda dek: b"vault:v2:" + base64.b64encode(dek * 2), 3)
    store.v2("aws", lambda dek: b"1\x01\x02\x02\x00\x78" + dek, 3, key_id=ARN)
    store.v2("gcp", lambda dek: dek * 3, 3, key_id="projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1")
    config = tmp_path / "config.json"
    kms = {"apiVersion": "v2", "name": "aws", "endpoint": f"unix://{tmp_path}/kms.sock"}
    rules = [{"resources": ["secrets"], "providers": [{"kms": kms}]}]
    config.write_text(
        json.dumps({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration", "resources": rules})
    )
    path = store.save(tmp_path / "a.db")
    result = scan(path, Options(encryption_configs=(str(config),)))
    assert dict(result.inventory["decrypted"].value_counts()) == {"no key": 9}
    assert [key.kek.service.value for key in result.keys if key.kek is not None] == [
        "Vault or OpenBao transit",
        "AWS KMS",
        "Google Cloud KMS",
    ]
    assert dialled == []


@pytest.mark.parametrize("command", ["scan", "keys", "show", "find", "diff", "fleet scan"])
def test_no_command_dials_what_only_evidence_and_configurations_name(command: str, tmp_path: Path) -> None:
    """Servers that count who comes: a plugin's socket, an address in a Pod's arguments, an annotation, a KEK id."""
    with socket.socket(socket.AF_UNIX) as plugin, socket.socket() as service:
        plugin.bind(str(tmp_path / "kms.sock"))
        service.bind(("127.0.0.1", 0))
        for each in (plugin, service):
            each.listen()
            each.setblocking(False)
        address = f"http://127.0.0.1:{service.getsockname()[1]}"
        store = Store()
        key_id, annotations = f"{address}/keys/a/b", {"url.example.com": address.encode()}
        store.v2(
            "cloud", lambda dek: b"vault:v2:" + base64.b64encode(dek * 2), 2, key_id=key_id, annotations=annotations
        )
        args = [f"-vault-address={address}", "-transit-key=k"]
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "p", "namespace": "kube-system"},
            "spec": {"containers": [{"name": "c", "args": args}]},
        }
        store.pairs.append((b"/registry/pods/kube-system/p", json.dumps(pod).encode()))
        path, value = store.save(tmp_path / "a.db"), tmp_path / "value"
        value.write_text("something-to-look-for")
        kms = {"apiVersion": "v2", "name": "cloud", "endpoint": f"unix://{tmp_path}/kms.sock"}
        config = configuration(tmp_path / "c.json", {"kms": kms})
        clusters = tmp_path / "clusters.toml"
        clusters.write_text(f'[cluster.one]\npaths = ["**"]\nencryption-config = ["{config}"]\n')
        fleet: list[str | Path] = ["--dataset", tmp_path / "set", "--no-compare", "--jobs", "1", "--clusters", clusters]
        others: dict[str, list[str | Path]] = {
            "show": ["shop/s0"],
            "find": ["--value-file", value],
            "diff": [path],
            "fleet scan": fleet,
        }
        keys = [] if command == "fleet scan" else ["--encryption-config", config]
        done = run(*command.split(), path, *others.get(command, []), *keys)
        assert done.returncode in {0, 1, 3}, done.stderr
        if command == "keys":
            assert address in done.stdout  # a suggestion for the reader
        for each in (plugin, service):
            with pytest.raises(BlockingIOError):
                each.accept()


def test_the_watch_sees_what_is_dialled(dialled: list[object], tmp_path: Path) -> None:
    """And before the calls are confirmed only who calls is asked."""
    store, token = Store(), tmp_path / "token"
    token.write_text("t")
    store.v2("cloud", lambda dek: b"vault:v2:" + base64.b64encode(dek * 2), 3)
    path = store.save(tmp_path / "a.db")
    url = f"cloud=vault:http://127.0.0.1:9/transit/key?token-file={token}"
    with pytest.raises(UsageError, match="Nothing was called"):
        scan(path, Options(kms=(url,)))
    assert len(dialled) == 1


@pytest.mark.parametrize("status", [302, 307])
def test_redirects_are_not_followed(status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a standby, a proxy or somebody else: they lead to a host that nobody named. (test_azure.py has Azure's.)"""
    token, store = tmp_path / "token", Store()
    token.write_text("t")
    key = "projects/p/locations/l/keyRings/r/cryptoKeys/k"
    store.v2("vault", lambda dek: b"vault:v2:" + base64.b64encode(dek * 2), 1)
    store.v2("aws", lambda dek: b"1\x01\x02\x02\x00\x78" + dek, 1, key_id=ARN)
    store.v2("gcp", lambda dek: dek * 3, 1, key_id=f"{key}/cryptoKeyVersions/1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setattr("google.auth.default", lambda **_: (AnonymousCredentials(), ""))
    met: list[Request] = []

    def elsewhere(request: Request) -> tuple[int, dict[str, str], object]:
        met.append(request)
        return 200, {}, {}

    asked: list[str] = []

    def leading(request: Request) -> tuple[int, dict[str, str], object]:
        asked.append(request.path)
        return status, {"Location": f"{other}{request.path}"}, {}

    with serving(elsewhere) as other, serving(leading) as address:
        urls = (
            f"vault=vault:{address}/transit/key?token-file={token}",
            f"aws=aws:eu-central-1?endpoint={address}",
            f"gcp=gcp:?endpoint={address}",
        )
        result = scan(store.save(tmp_path / "a.db"), Options(kms=urls, kms_confirmed=True))
    assert dict(result.inventory["decrypted"].value_counts()) == {"not tried": 3}
    assert (met, {"/", f"/v1/{key}:decrypt", "/v1/transit/decrypt/key"} <= set(asked)) == ([], True)


def test_watch_dials_the_etcd_alone(tmp_path: Path) -> None:
    """Whatever its values name, and the configuration."""
    with socket.socket(socket.AF_UNIX) as plugin, socket.socket() as service, Etcd(tmp_path / "data") as etcd:
        plugin.bind(str(tmp_path / "kms.sock"))
        service.bind(("127.0.0.1", 0))
        for each in (plugin, service):
            each.listen()
            each.setblocking(False)
        store = Store()
        key_id = f"http://127.0.0.1:{service.getsockname()[1]}/keys/a/b"
        store.v2("cloud", lambda dek: b"vault:v2:" + base64.b64encode(dek * 2), 2, key_id=key_id)
        etcd.put_many(store.pairs)
        kms = {"apiVersion": "v2", "name": "cloud", "endpoint": f"unix://{tmp_path}/kms.sock"}
        config = configuration(tmp_path / "c.json", {"kms": kms})
        options = Options(encryption_configs=(str(config),))
        session = Session(Access(endpoints([etcd.url])), options, lambda _: None)
        session.unwrap(SILENT)
        with session:
            assert session.progress().unopened == 2
        for each in (plugin, service):
            with pytest.raises(BlockingIOError):
                each.accept()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("cloud", "write NAME=URL"),
        ("cloud=https", "write NAME=URL"),
        ("cloud=ftp://x", "none of"),
        ("cloud=vault:http://192.0.2.1/transit/key", "takes http to this machine alone"),
        ("cloud=vault:https://user:pass@host/transit/key", "takes no credentials in the URL"),
        ("cloud=vault:https://host/transit/key?token=s.abcdef", "has no parameter token"),
        ("cloud=vault:https://host/key", "needs https://HOST/MOUNT/KEY"),
        ("cloud=vault:https://host/transit/key?ca=a&ca=b", "give it once"),
        ("cloud=file:", "needs the path of a file"),
    ],
)
def test_urls_that_are_refused(url: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as refusal:
        connect(parse(url))
    assert "abcdef" not in str(refusal.value)
    assert "pass@" not in str(refusal.value)


@pytest.mark.parametrize(
    ("place", "library", "extra"),
    [
        ("aws:eu-central-1", "botocore.session", "aws"),
        ("gcp:", "google.auth.transport.requests", "gcp"),
        ("azure:https://v.vault.azure.net", "azure.keyvault.keys.crypto", "azure"),
        ("azure:https://v.vault.azure.net", "azure.identity", "azure"),
        ("vault:https://host/transit/key", "hvac", "vault"),
        ("pkcs11:/bin/sh?key=k", "pkcs11", "pkcs11"),
    ],
)
def test_a_missing_library_is_told_with_its_extra(
    place: str, library: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=rf"--kms cloud={extra}: needs .* pip install 'etcd-auditor\[{extra}\]'"):
        connect(parse(f"cloud={place}"))


def test_a_report_does_not_decide_what_is_called(dialled: list[object], tmp_path: Path) -> None:
    """verify --again audits with the options of a report, which anybody may have sealed: but not with its --kms."""
    store, token = Store(), tmp_path / "token"
    token.write_text("t")
    store.v2("cloud", lambda dek: b"vault:v2:" + base64.b64encode(dek * 2), 3)
    path = store.save(tmp_path / "a.db")
    recorded = Options(kms=(f"cloud=vault:http://127.0.0.1:9/transit/key?token-file={token}",))
    repetition = Repetition([str(path)], Options(), SILENT)
    result = repetition._audit(recorded)
    assert dict(result.inventory["decrypted"].value_counts()) == {"no key": 3}
    assert dialled == []
    assert any("--kms" in text and "is not given" in text for text in _missing(recorded, Options()))


def test_every_service_is_a_row() -> None:
    assert list(SERVICES) == ["aws", "azure", "gcp", "vault", "pkcs11", "file"]
