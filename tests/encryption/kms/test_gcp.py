"""--kms gcp: against a server of the tests' own with real AES, through google-auth's own way to a token."""

import base64
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from auditor import Options, scan
from auditor.encryption.kms.address import parse
from auditor.encryption.kms.services import connect
from auditor.errors import UsageError
from auditor.model.audit import Audit
from auditor.model.vocabulary import FindingKind
from tests.helpers.https_server import Request, serving
from tests.helpers.kms_store import Store
from tests.helpers.taint import Taint

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
        path = unquote(request.path)
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
    result = audit(store, tmp_path, f"*=gcp:{KEY}?endpoint={address}")
    assert outcomes(result) == {"yes": 500}
    assert {kind: count for kind, _, count in result.tally.findings}[FindingKind.STALE_KEK] == 300
    (calls,) = result.run.kms
    assert (calls.calls, calls.key, calls.principal) == (42, KEY, "auditor@p.example.com")


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
    ],
)
def test_each_refusal_has_its_reason(
    cloud: tuple[Cloud, str], tmp_path: Path, status: int, code: str, outcome: str, reason: str
) -> None:
    server, address = cloud
    store = Store()
    store.v2("new", server.wrap(), 2, key_id=f"{KEY}/cryptoKeyVersions/1")
    server.refusal = (status, code)
    result = audit(store, tmp_path, f"*=gcp:?endpoint={address}")
    assert outcomes(result) == {outcome: 2}
    assert reason in result.inventory["detail"][0]
    assert "CANARY" not in str(result)


def test_nothing_of_keys_and_tokens_leaves(
    cloud: tuple[Cloud, str], tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor with the debug logging that Google's libraries have of their own."""
    server, address = cloud
    monkeypatch.setenv("GOOGLE_SDK_PYTHON_LOGGING_SCOPE", "google")
    store = Store()
    store.v2("new", server.wrap(), 2, key_id=f"{KEY}/cryptoKeyVersions/1")
    taint = Taint([*store.deks, *store.canaries, TOKEN.encode()])
    with caplog.at_level("DEBUG"):
        result = audit(store, tmp_path, f"*=gcp:?endpoint={address}")
    assert outcomes(result) == {"yes": 2}
    assert not taint.within(caplog.text)
    assert not taint.within(repr(result))


def test_no_credentials_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "absent"))
    store = Store()
    store.v2("new", lambda dek: dek * 3, 2, key_id=f"{KEY}/cryptoKeyVersions/1")
    with pytest.raises(Exception, match="no credentials were found"):
        audit(store, tmp_path, "*=gcp:")
    for place in ("projects/p", "projects/p/locations/l/keyRings/r/cryptoKeys/../x", "https://evil"):
        with pytest.raises(UsageError, match="needs projects"):
            connect(parse(f"*=gcp:{place}"))
