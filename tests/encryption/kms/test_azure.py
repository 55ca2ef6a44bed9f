"""--kms azure: Microsoft's client against a vault of the tests' own, over HTTPS, with real RSA."""

import base64
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from auditor import Options, scan
from auditor.errors import UsageError
from auditor.model.audit import Audit
from auditor.model.vocabulary import FindingKind
from tests.helpers.https_server import Request, serving
from tests.helpers.kms_store import Store
from tests.helpers.members import Authority
from tests.helpers.taint import Taint

TOKEN = "token-CANARY-5b1de09c37aa"
OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)


def text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


class Vault:
    """One key, `etcd`, of several versions; `refusal`: status and inner code of every decryption."""

    def __init__(self) -> None:
        self.address = ""
        self.versions = {f"{number:032x}": rsa.generate_private_key(65537, 2048) for number in (1, 2)}
        self.refusal: tuple[int, str] | None = None
        self.requests: list[Request] = []
        self.listing = True

    def kid(self, version: str) -> str:
        return f"{self.address}/keys/etcd/{version}"

    def key_id(self, version: str) -> str:
        return hashlib.sha256(self.kid(version).encode()).hexdigest()

    def wrap(self, version: str, pad: padding.AsymmetricPadding = OAEP) -> Callable[[bytes], bytes]:
        """As the plugin does: base64url of 32 bytes goes in and is unpacked by the vault."""
        return lambda dek: text(self.versions[version].public_key().encrypt(dek, pad)).encode()

    def respond(self, request: Request) -> tuple[int, Mapping[str, str], Any]:
        self.requests.append(request)
        path = request.path.partition("?")[0]
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            # the client wants the resource to be a domain of the host
            port = self.address.rpartition(":")[2]
            challenge = f'Bearer authorization="https://login.invalid/t", resource="https://0.0.1:{port}"'
            return 401, {"WWW-Authenticate": challenge}, {}
        if path.endswith("/decrypt"):
            return self._decrypt(path.split("/")[3], json.loads(request.body))
        if path.endswith("/versions") and self.listing:
            items = [
                {"kid": self.kid(version), "attributes": {"enabled": True, "created": 1_700_000_000 + number}}
                for number, version in enumerate(self.versions)
            ]
            return 200, {}, {"value": items}
        return 403, {}, {"error": {"code": "Forbidden", "message": "quotes-CANARY"}}

    def _decrypt(self, version: str, body: dict[str, str]) -> tuple[int, Mapping[str, str], Any]:
        headers = {"x-ms-request-id": f"request-{len(self.requests)}"}
        if self.refusal is not None:
            status, inner = self.refusal
            error = {"code": "Error", "message": "quotes-CANARY", "innererror": {"code": inner}}
            return status, headers, {"error": error}
        raw = base64.urlsafe_b64decode(body["value"] + "==")
        try:
            plain = self.versions[version].decrypt(raw, OAEP if body["alg"] == "RSA-OAEP-256" else padding.PKCS1v15())
        except ValueError:
            return 400, headers, {"error": {"code": "BadParameter", "message": "quotes-CANARY"}}
        return 200, headers, {"kid": self.kid(version), "value": text(plain)}


class Credential:
    """What azure-identity would find."""

    def get_token(self, *_: str, **__: Any) -> AccessToken:
        return AccessToken(TOKEN, int(time.time()) + 3600)

    def close(self) -> None:
        pass


@pytest.fixture
def vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vault]:
    authority = Authority(tmp_path / "tls")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.cacert))
    monkeypatch.setenv("AZURE_CLIENT_ID", "client-1")
    monkeypatch.setattr("azure.identity.DefaultAzureCredential", Credential)
    vault = Vault()
    with serving(vault.respond, authority.issue("vault", "127.0.0.1")) as vault.address:
        yield vault


def audit(store: Store, folder: Path, *kms: str) -> Audit:
    return scan(store.save(folder / "a.db"), Options(kms=kms, kms_confirmed=True))


def outcomes(result: Audit) -> dict[str, int]:
    return dict(result.inventory["decrypted"].value_counts())


OLD, NEW = f"{1:032x}", f"{2:032x}"
ALGORITHM = {"algorithm.azure.akv.io": b"RSA-OAEP-256"}


def test_every_secret_of_v2_opens_by_the_hash_of_its_version(vault: Vault, tmp_path: Path) -> None:
    store = Store()
    for version, seed in ((OLD, True), (NEW, True), (NEW, False)):
        store.v2("az", vault.wrap(version), 150, key_id=vault.key_id(version), annotations=ALGORITHM, seed=seed)
    result = audit(store, tmp_path, f"az=azure:{vault.address}/keys/etcd")
    assert outcomes(result) == {"yes": 450}
    assert {kind: count for kind, _, count in result.tally.findings}[FindingKind.STALE_KEK] == 150
    (calls,) = result.run.kms
    assert (calls.calls, calls.principal) == (3, "client client-1")
    assert calls.answering == (vault.kid(OLD), vault.kid(NEW))
    assert all(request.startswith("request-") for request in calls.requests)
    assert [json.loads(request.body)["alg"] for request in vault.requests if request.body] == ["RSA-OAEP-256"] * 3


def test_v1_opens_by_the_version_in_the_url(vault: Vault, tmp_path: Path) -> None:
    store = Store()
    store.v1("az", vault.wrap(OLD, padding.PKCS1v15()), 50)
    result = audit(store, tmp_path, f"az=azure:{vault.address}/keys/etcd/{OLD}")
    assert outcomes(result) == {"yes": 50}
    assert {json.loads(request.body)["alg"] for request in vault.requests if request.body} == {"RSA1_5"}
    without = audit(store, tmp_path, f"az=azure:{vault.address}/keys/etcd")
    assert outcomes(without) == {"not tried": 50}
    assert "write /keys/NAME/VERSION" in without.inventory["detail"][0]


def test_a_wrong_key_of_v1_answers_garbage(vault: Vault, tmp_path: Path) -> None:
    """RSA1_5 under another key is random bytes, where OpenSSL rejects implicitly."""
    store = Store()
    store.v1("az", vault.wrap(OLD, padding.PKCS1v15()), 3)
    assert outcomes(audit(store, tmp_path, f"az=azure:{vault.address}/keys/etcd/{NEW}")) == {"failed": 3}


@pytest.mark.parametrize(
    ("status", "inner", "outcome", "reason"),
    [
        (403, "KeyDisabled", "not tried", "disabled: an administrator can enable it"),
        (403, "ForbiddenByRbac", "not tried", "the permission keys/decrypt is needed"),
        (403, "ForbiddenByFirewall", "not tried", "firewall"),
        (404, "", "not tried", "recover it until its purge date"),
        (400, "", "failed", "another key wrapped it"),
    ],
)
def test_each_refusal_has_its_reason(
    vault: Vault, tmp_path: Path, status: int, inner: str, outcome: str, reason: str
) -> None:
    store = Store()
    store.v2("az", vault.wrap(NEW), 2, key_id=vault.key_id(NEW), annotations=ALGORITHM)
    vault.refusal = (status, inner)
    result = audit(store, tmp_path, f"az=azure:{vault.address}/keys/etcd")
    assert outcomes(result) == {outcome: 2}
    assert reason in result.inventory["detail"][0]
    assert "CANARY" not in str(result)


def test_evidence_that_asks_for_something_else_is_not_obeyed(vault: Vault, tmp_path: Path) -> None:
    store = Store()
    store.v2("az", vault.wrap(NEW), 1, key_id="0" * 64, annotations=ALGORITHM)
    store.v2("az", vault.wrap(NEW), 1, key_id=vault.key_id(NEW), annotations={"algorithm.azure.akv.io": b"none"})
    store.v2("az", lambda dek: dek, 1, key_id="https://192.0.2.1/keys/a/b")
    result = audit(store, tmp_path, f"az=azure:{vault.address}/keys/etcd")
    assert outcomes(result) == {"failed": 3}
    assert not [request for request in vault.requests if request.method == "POST" and request.body]
    vault.listing = False
    denied = audit(store, tmp_path, f"az=azure:{vault.address}/keys/etcd")
    assert any("keys/list" in text for text in denied.inventory["detail"])


def test_nothing_of_keys_and_tokens_leaves(vault: Vault, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Store()
    store.v2("az", vault.wrap(NEW), 2, key_id=vault.key_id(NEW), annotations=ALGORITHM)
    taint = Taint([*store.deks, *store.canaries, TOKEN.encode()])
    with caplog.at_level("DEBUG"):
        result = audit(store, tmp_path, f"az=azure:{vault.address}/keys/etcd")
    assert outcomes(result) == {"yes": 2}
    assert not taint.within(caplog.text)
    assert not taint.within(repr(result))


@pytest.mark.parametrize("place", ["http://127.0.0.1:1/keys/a", "https://v.vault.azure.net/secrets/a", "v"])
def test_other_urls_are_refused(place: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs https"):
        audit(Store(), tmp_path, f"az=azure:{place}")
