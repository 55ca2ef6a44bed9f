"""--kms gcp: against a server of the tests' own with real AES, through google-auth's own way to a token."""

import base64
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import requests
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from drongo.server import start_background

from auditor import Options, scan
from auditor.encryption.kms import client as client_module
from auditor.encryption.kms.address import parse
from auditor.encryption.kms.services import connect
from auditor.errors import UsageError
from auditor.model.audit import Audit
from auditor.model.vocabulary import FindingKind
from tests.helpers.etcd import free_ports
from tests.helpers.https_server import Request, serving
from tests.helpers.kms_secrecy import nothing_is_written, nothing_leaves
from tests.helpers.kms_store import Store

RING = "projects/p/locations/europe-west3/keyRings/r/cryptoKeys/"
KEY = f"{RING}k"
TOKEN = "token-CANARY-0c41d7e29b55"
HEAD = b"\x0a\x24\x00"


class Cloud:
    """Keys of several versions, of which the last is the primary one; `refusal`: status and code of each decryption."""

    def __init__(self) -> None:
        self.keys = {KEY: [os.urandom(32)]}
        self.refusal: tuple[int, str] | None = None
        self.decryptions: list[str] = []
        self.version: dict[str, str] | None = None
        """What is said of a version; None where that is not allowed."""

    def wrap(self, version: int = 1) -> Callable[[bytes], bytes]:
        return lambda dek: self._seal(version, dek)

    def _seal(self, version: int, dek: bytes) -> bytes:
        nonce = os.urandom(12)
        return HEAD + bytes([version]) + nonce + AESGCM(self.keys[KEY][version - 1]).encrypt(nonce, dek, None)

    def respond(self, request: Request) -> tuple[int, Mapping[str, str], Any]:
        if request.path == "/token":
            return 200, {}, {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"}
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _error(401, "UNAUTHENTICATED")
        path = unquote(request.path).partition("?")[0]
        if path.endswith(":encrypt"):
            dek = base64.b64decode(json.loads(request.body)["plaintext"], validate=True)
            newest = len(self.keys[KEY])
            sealed = base64.b64encode(self._seal(newest, dek)).decode()
            return 200, {}, {"name": f"{KEY}/cryptoKeyVersions/{newest}", "ciphertext": sealed}
        if request.method == "GET":
            return (200, {}, self.version) if self.version is not None else _error(403, "PERMISSION_DENIED")
        self.decryptions.append(path)
        if self.refusal is not None:
            return _error(*self.refusal)
        name = path.removeprefix("/v1/").removesuffix(":decrypt")
        if name not in self.keys:
            return _error(404, "NOT_FOUND")
        raw = base64.b64decode(json.loads(request.body)["ciphertext"], validate=True)
        try:
            key = self.keys[name][raw[3] - 1]
            dek = AESGCM(key).decrypt(raw[4:16], raw[16:], None)
        except (InvalidTag, IndexError):
            return _error(400, "INVALID_ARGUMENT")
        document: dict[str, Any] = {"plaintext": base64.b64encode(dek).decode(), "protectionLevel": "SOFTWARE"}
        if raw[3] == len(self.keys[name]):
            document["usedPrimary"] = True  # what is false is left out
        return 200, {}, document


def _error(status: int, code: str) -> tuple[int, Mapping[str, str], Any]:
    return status, {}, {"error": {"code": status, "message": "quotes-CANARY", "status": code}}


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Cloud, str]]:
    cloud = Cloud()
    with serving(cloud.respond) as address:
        key = rsa.generate_private_key(65537, 2048).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        account = {
            "type": "service_account",
            "client_email": "auditor@p.example.com",
            "private_key_id": "1",
            "private_key": key.decode(),
            "token_uri": f"{address}/token",
            "project_id": "p",
        }
        file = tmp_path / "account.json"
        file.write_text(json.dumps(account))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        yield cloud, address


def audit(store: Store, folder: Path, *kms: str) -> Audit:
    return scan(store.save(folder / "a.db"), Options(kms=kms, kms_confirmed=True))


def outcomes(result: Audit) -> dict[str, int]:
    return dict(result.inventory["decrypted"].value_counts())


def test_every_secret_of_v1_and_v2_opens(cloud: tuple[Cloud, str], tmp_path: Path) -> None:
    server, address = cloud
    server.keys[KEY].append(os.urandom(32))
    store = Store()
    store.v1("old", server.wrap(1), 40)
    store.v2("new", server.wrap(1), 260, key_id=f"{KEY}/cryptoKeyVersions/1")
    store.v2("new", server.wrap(2), 200, key_id=f"{KEY}/cryptoKeyVersions/2:blue", seed=False)
    store.check(store.save(tmp_path / "truth.db"), f"*=gcp:{KEY}?endpoint={address}")
    result = audit(store, tmp_path, f"*=gcp:{KEY}?endpoint={address}")
    assert outcomes(result) == {"yes": 500}
    assert {kind: count for kind, _, count in result.tally.findings}[FindingKind.STALE_KEK] == 300
    (calls,) = result.run.kms
    assert (calls.calls, calls.key, calls.principal) == (42, KEY, "auditor@p.example.com")
    assert calls.answering == (f"{KEY}, another than its primary version", f"{KEY}, its primary version")


def test_googles_own_client_speaks_with_the_same_server(cloud: tuple[Cloud, str], tmp_path: Path) -> None:
    """It wraps, as the plugin does, and what it is answered is what we are: server and reader have Google's words."""
    kms = pytest.importorskip("google.cloud.kms_v1", reason="google-cloud-kms is not among the oldest versions")
    from google.api_core.exceptions import GoogleAPICallError
    from google.cloud.kms_v1.services.key_management_service.transports import rest
    from google.oauth2.credentials import Credentials

    server, address = cloud
    host = address.removeprefix("http://")
    transport = rest.KeyManagementServiceRestTransport(host=host, url_scheme="http", credentials=Credentials(TOKEN))
    client = kms.KeyManagementServiceClient(transport=transport)
    store = Store()
    names: list[str] = []

    def wrap(dek: bytes) -> bytes:
        answer = client.encrypt(name=KEY, plaintext=dek)
        names.append(answer.name)
        return bytes(answer.ciphertext)

    store.v1("old", wrap, 20)
    store.v2("new", wrap, 100, key_id=f"{KEY}/cryptoKeyVersions/1")
    server.keys[KEY].append(os.urandom(32))
    store.v2("new", wrap, 180, key_id=f"{KEY}/cryptoKeyVersions/2")
    store.v2("new", wrap, 200, key_id=f"{KEY}/cryptoKeyVersions/2:blue", seed=False)
    assert names == [f"{KEY}/cryptoKeyVersions/{number}" for number in [1] * 21 + [2] * 2]
    for key, dek in zip(store.wrapped, store.deks, strict=True):
        answer = client.decrypt(name=KEY, ciphertext=key)
        assert (answer.plaintext, answer.used_primary) == (dek, key in store.wrapped[-2:])
    url = f"*=gcp:{KEY}?endpoint={address}"
    assert outcomes(audit(store, tmp_path, url)) == {"yes": 500}
    store.check(tmp_path / "a.db", url)
    for refusal in ((403, "PERMISSION_DENIED"), (404, "NOT_FOUND"), (400, "FAILED_PRECONDITION")):
        server.refusal = refusal
        with pytest.raises(GoogleAPICallError) as failure:
            client.decrypt(name=KEY, ciphertext=store.wrapped[0])
        assert failure.value.code == refusal[0]
    transport.close()


def test_v2_names_its_key_itself(cloud: tuple[Cloud, str], tmp_path: Path) -> None:
    """The path of the call comes of the evidence, its host never does."""
    server, address = cloud
    store = Store()
    store.v1("old", server.wrap(), 2)
    store.v2("new", server.wrap(), 3, key_id=f"{KEY}/cryptoKeyVersions/1")
    store.v2("new", server.wrap(), 1, key_id="projects/../locations/l/keyRings/r/cryptoKeys/k@evil/cryptoKeyVersions/1")
    result = audit(store, tmp_path, f"*=gcp:?endpoint={address}")
    assert outcomes(result) == {"yes": 3, "not tried": 3}
    assert server.decryptions == [f"/v1/{KEY}:decrypt"]
    assert not result.complete


@pytest.mark.parametrize(
    ("status", "code", "outcome", "reason"),
    [
        (400, "INVALID_ARGUMENT", "failed", "another key wrapped it"),
        (404, "NOT_FOUND", "not tried", "no such key"),
        (403, "PERMISSION_DENIED", "not tried", "useToDecrypt is needed"),
        (400, "FAILED_PRECONDITION", "not tried", "until the date of its destruction"),
        (418, "", "not tried", "decrypt fails"),
        (429, "RESOURCE_EXHAUSTED", "not tried", "throttled: run again later"),
        (503, "UNAVAILABLE", "not tried", "not available: run again later"),
        (401, "UNAUTHENTICATED", "not tried", "credentials are not valid"),
    ],
)
def test_each_refusal_has_its_reason(
    cloud: tuple[Cloud, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    code: str,
    outcome: str,
    reason: str,
) -> None:
    monkeypatch.setattr(client_module, "FIRST_WAIT", 0.01)
    server, address = cloud
    store = Store()
    store.v2("new", server.wrap(), 2, key_id=f"{KEY}/cryptoKeyVersions/1")
    server.refusal = (status, code)
    result = audit(store, tmp_path, f"*=gcp:?endpoint={address}")
    assert outcomes(result) == {outcome: 2}
    assert reason in result.inventory["detail"][0]
    assert "CANARY" not in str(result)


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ({"state": "DESTROY_SCHEDULED", "destroyTime": "2026-12-24T08:00:00Z"}, "until 2026-12-24T08:00:00Z an admin"),
        ({"state": "DESTROY_SCHEDULED", "destroyTime": "\x1b[31m"}, "until the time of its destruction"),
        ({"state": "DESTROYED"}, "what it wrapped is lost"),
        ({"state": "DISABLED"}, "can enable it, and nothing is lost"),
        ({"state": "ENABLED"}, "until the date of its destruction"),
        (None, "until the date of its destruction"),
    ],
)
def test_until_when_the_data_can_be_saved(
    cloud: tuple[Cloud, str], tmp_path: Path, version: dict[str, str] | None, reason: str
) -> None:
    server, address = cloud
    server.refusal, server.version = (400, "FAILED_PRECONDITION"), version
    store = Store()
    store.v2("new", server.wrap(), 2, key_id=f"{KEY}/cryptoKeyVersions/1")
    result = audit(store, tmp_path, f"*=gcp:?endpoint={address}")
    assert (outcomes(result), reason in result.inventory["detail"][0]) == ({"not tried": 2}, True)


def test_a_second_opinion(cloud: tuple[Cloud, str], tmp_path: Path) -> None:
    """Of drongo: URLs, JSON and errors that are not ours."""
    _, tokens = cloud
    server, thread = start_background("127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.server_port}"

    def post(path: str, **body: str) -> dict[str, Any]:
        answer = requests.post(f"{address}/v1/{path}", json=body, timeout=60)
        return dict(answer.json())

    try:
        ring = KEY.partition("/cryptoKeys/")[0]
        post(f"{ring.rpartition('/')[0]}?keyRingId=r")
        post(f"{ring}/cryptoKeys?cryptoKeyId=k", purpose="ENCRYPT_DECRYPT")

        def wrap(dek: bytes) -> bytes:
            answer = post(f"{KEY}:encrypt", plaintext=base64.b64encode(dek).decode())
            return base64.b64decode(answer["ciphertext"])

        store = Store()
        store.v2("new", wrap, 3, key_id=f"{KEY}/cryptoKeyVersions/1")
        assert outcomes(audit(store, tmp_path, f"*=gcp:?endpoint={address}")) == {"yes": 3}
        other = audit(store, tmp_path, f"*=gcp:{RING}absent?endpoint={address}")
        assert (outcomes(other), "no such key" in other.inventory["detail"][0]) == ({"not tried": 3}, True)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert tokens


def test_nothing_of_keys_and_tokens_leaves(
    cloud: tuple[Cloud, str], tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor with the debug logging that Google's libraries have of their own."""
    server, address = cloud
    monkeypatch.setenv("GOOGLE_SDK_PYTHON_LOGGING_SCOPE", "google")
    store = Store()
    store.v1("old", server.wrap(), 2)
    store.v2("new", server.wrap(), 2, key_id=f"{KEY}/cryptoKeyVersions/1")
    account = json.loads((tmp_path / "account.json").read_text())["private_key"]
    secrets = [TOKEN.encode(), "".join(account.splitlines()[1:-1]).encode()]
    (closed,) = free_ports(1)
    urls = [f"*=gcp:{KEY}?endpoint={address}", f"*=gcp:{RING}absent?endpoint={address}"]
    with serving(lambda _: (200, {}, {"plaintext": base64.b64encode(store.deks[0] * 2).decode()})) as garbage:
        urls += [f"*=gcp:{KEY}?endpoint={garbage}", f"*=gcp:{KEY}?endpoint=http://127.0.0.1:{closed}"]
        outcomes = nothing_leaves(store, tmp_path / "a.db", urls, secrets, caplog)
    assert outcomes == ["yes", "not tried", "failed", "not tried"]
    assert nothing_is_written(store, tmp_path / "command", urls[0], secrets) == "yes"
    server.refusal = (403, store.deks[0].hex())
    assert nothing_leaves(store, tmp_path / "a.db", urls[:1], secrets, caplog) == ["not tried"]
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "broken"))
    (tmp_path / "broken").write_text(json.dumps({"type": "service_account", "private_key": account}))
    assert nothing_leaves(store, tmp_path / "a.db", urls[:1], secrets, caplog) == ["KmsUntried"]


def test_no_credentials_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "absent"))
    store = Store()
    store.v2("new", lambda dek: dek * 3, 2, key_id=f"{KEY}/cryptoKeyVersions/1")
    with pytest.raises(Exception, match="no credentials were found"):
        audit(store, tmp_path, "*=gcp:")
    for place in ("projects/p", "projects/p/locations/l/keyRings/r/cryptoKeys/../x", "https://evil"):
        with pytest.raises(UsageError, match="needs projects"):
            connect(parse(f"*=gcp:{place}"))
