"""--kms azure: Microsoft's client against a vault of the tests' own, over HTTPS, with real RSA."""

import base64
import hashlib
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from azure.core.credentials import AccessToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from auditor import Options, scan
from auditor.encryption.kms import client as client_module
from auditor.encryption.kms.address import parse
from auditor.encryption.kms.azure import AUTHORITIES, Azure, key_hash
from auditor.encryption.kms.interface import Answer, KmsMismatch, WrappedKey
from auditor.errors import UsageError
from auditor.model.audit import Audit
from auditor.model.vocabulary import FindingKind
from auditor.protobuf.envelope_pb2 import EncryptedObject
from auditor.reports import keks
from tests.helpers.https_server import Request, serving
from tests.helpers.kms_secrecy import nothing_is_written, nothing_leaves
from tests.helpers.kms_store import Store
from tests.helpers.members import Authority

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
        self.purge: int | None = None
        self.authority: Authority | None = None
        self.disabled = self.leads = ""

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
            domain = urlsplit(self.address).netloc.partition(".")[2]
            challenge = f'Bearer authorization="https://login.invalid/t", resource="https://{domain}"'
            return 401, {"WWW-Authenticate": challenge}, {}
        if self.leads:
            return 307, {"Location": f"{self.leads}{request.path}"}, {}
        if path.endswith("/decrypt"):
            return self._decrypt(path.split("/")[3], json.loads(request.body))
        if path == "/deletedkeys/etcd" and self.purge is not None:
            key = {"kid": self.kid(NEW), "kty": "RSA"}
            return 200, {}, {"key": key, "attributes": {}, "scheduledPurgeDate": self.purge}
        if path.endswith("/versions") and self.listing:
            items = [
                {"kid": self.kid(version), "attributes": {"enabled": True, "created": 1_700_000_000 + number}}
                for number, version in enumerate(self.versions)
            ]
            return 200, {}, {"value": items}
        return 403, {}, {"error": {"code": "Forbidden", "message": "quotes-CANARY"}}

    def _decrypt(self, version: str, body: dict[str, str]) -> tuple[int, Mapping[str, str], Any]:
        headers = {"x-ms-request-id": f"request-{len(self.requests)}"}
        refusal = (403, "KeyDisabled") if version == self.disabled else self.refusal
        if refusal is not None:
            status, inner = refusal
            headers |= {"x-ms-retry-after-ms": "1"} if status == 429 else {}
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
    vault.authority = authority
    with serving(vault.respond, authority.issue("vault", "127.0.0.1")) as vault.address:
        yield vault


def audit(store: Store, folder: Path, *kms: str) -> Audit:
    return scan(store.save(folder / "a.db"), Options(kms=kms, kms_confirmed=True))


def outcomes(result: Audit) -> dict[str, int]:
    return dict(result.inventory["decrypted"].value_counts())


OLD, NEW = f"{1:032x}", f"{2:032x}"
ALGORITHM = {"algorithm.azure.akv.io": b"RSA-OAEP-256"}


def test_every_secret_of_v1_and_v2_opens(vault: Vault, tmp_path: Path) -> None:
    """Of v2 by the hash of its version, of v1 by the versions, of which the last that unwrapped is tried first."""
    store = Store()
    for version in (OLD, NEW):
        store.v1("old", vault.wrap(version, padding.PKCS1v15()), 20)
    for version, seed in ((OLD, True), (OLD, False), (NEW, True), (NEW, False)):
        store.v2("az", vault.wrap(version), 115, key_id=vault.key_id(version), annotations=ALGORITHM, seed=seed)
    url = f"*=azure:{vault.address}/keys/etcd"
    store.check(store.save(tmp_path / "truth.db"), url)
    vault.requests.clear()
    result = audit(store, tmp_path, url)
    assert outcomes(result) == {"yes": 500}
    assert result.complete
    assert {kind: count for kind, _, count in result.tally.findings}[FindingKind.STALE_KEK] == 250
    (calls,) = result.run.kms
    assert (calls.unwrapped, calls.principal, calls.outcomes) == (44, "client client-1", ())
    assert calls.answering == (vault.kid(OLD), vault.kid(NEW))
    assert all(request.startswith("request-") for request in calls.requests)
    asked = [json.loads(request.body)["alg"] for request in vault.requests if request.body]
    assert (asked.count("RSA-OAEP-256"), len(asked)) == (4, calls.calls)
    assert 40 < asked.count("RSA1_5") <= 80


def test_keys_names_the_version_that_really_answered(vault: Vault, tmp_path: Path) -> None:
    """The evidence names none: its KEK id is a hash."""
    store = Store()
    store.v2("az", vault.wrap(OLD), 2, key_id=vault.key_id(OLD), annotations=ALGORITHM)
    result = audit(store, tmp_path, f"az=azure:{vault.address}/keys/etcd")
    (usage,) = [usage for usage in result.keys if usage.values]
    assert usage.kek is not None
    assert (usage.kek.key, usage.answered) == ("", (vault.kid(OLD),))
    assert f"data keys of kms v2/az were unwrapped by {vault.kid(OLD)}" in keks.sentences(result)


def test_v1_opens_by_the_version_in_the_url(vault: Vault, tmp_path: Path) -> None:
    store = Store()
    store.v1("az", vault.wrap(OLD, padding.PKCS1v15()), 50)
    result = audit(store, tmp_path, f"az=azure:{vault.address}/keys/etcd/{OLD}")
    assert outcomes(result) == {"yes": 50}
    assert [calls.calls for calls in result.run.kms] == [50]
    assert {json.loads(request.body)["alg"] for request in vault.requests if request.body} == {"RSA1_5"}
    del vault.versions[NEW]
    only = audit(store, tmp_path, f"az=azure:{vault.address}/keys/etcd")
    assert (outcomes(only), only.run.kms[0].calls) == ({"yes": 50}, 50)


def test_versions_of_v1_are_announced_bounded_and_told(vault: Vault, tmp_path: Path) -> None:
    store = Store()
    store.v1("az", vault.wrap(OLD, padding.PKCS1v15()), 6)
    url = f"az=azure:{vault.address}/keys/etcd"
    with pytest.raises(UsageError, match="6 calls, one more for each further version that is tried to Azure"):
        scan(store.save(tmp_path / "b.db"), Options(kms=(url,)))
    bounded = scan(store.save(tmp_path / "b.db"), Options(kms=(url,), kms_budget=3, kms_confirmed=True))
    assert (bounded.run.kms[0].calls, bounded.complete) == (3, False)
    other = Vault()
    strange = Store()
    strange.v1("az", other.wrap(OLD, padding.PKCS1v15()), 2)
    wrong = audit(strange, tmp_path, url)
    assert (outcomes(wrong), wrong.run.kms[0].calls) == ({"failed": 2}, 4)
    vault.disabled = OLD
    disabled = audit(store, tmp_path, url)
    assert outcomes(disabled) == {"not tried": 6}
    assert "disabled: an administrator can enable it" in disabled.inventory["detail"][0]


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
        (429, "", "not tried", "throttled: run again later"),
        (403, "ForbiddenByConnection", "not tried", "a private network alone"),
    ],
)
def test_each_refusal_has_its_reason(
    vault: Vault,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    inner: str,
    outcome: str,
    reason: str,
) -> None:
    monkeypatch.setattr(client_module, "FIRST_WAIT", 0.01)
    store = Store()
    store.v2("az", vault.wrap(NEW), 2, key_id=vault.key_id(NEW), annotations=ALGORITHM)
    vault.refusal = (status, inner)
    result = audit(store, tmp_path, f"az=azure:{vault.address}/keys/etcd")
    assert outcomes(result) == {outcome: 2}
    assert reason in result.inventory["detail"][0]
    assert "CANARY" not in str(result)


def test_until_when_a_deleted_key_can_be_recovered(vault: Vault, tmp_path: Path) -> None:
    store = Store()
    store.v2("az", vault.wrap(NEW), 2, key_id=vault.key_id(NEW), annotations=ALGORITHM)
    vault.refusal, vault.purge = (404, ""), 1_790_000_000
    result = audit(store, tmp_path, f"az=azure:{vault.address}/keys/etcd")
    assert outcomes(result) == {"not tried": 2}
    assert "until 2026-09-21T14:13:20Z an administrator can recover it" in result.inventory["detail"][0]


@pytest.mark.parametrize(
    ("host", "authority"),
    [
        ("v.vault.azure.net", None),
        ("v.vault.azure.cn", "login.chinacloudapi.cn"),
        ("v.vault.usgovcloudapi.net", "login.microsoftonline.us"),
        ("h.managedhsm.azure.net", None),
    ],
)
def test_each_cloud_has_its_own_login(monkeypatch: pytest.MonkeyPatch, host: str, authority: str | None) -> None:
    asked: list[object] = []

    class Identity:
        def __init__(self, authority: str | None = None) -> None:
            asked.append(authority)

    monkeypatch.setattr("azure.identity.DefaultAzureCredential", Identity)
    monkeypatch.delenv("AZURE_AUTHORITY_HOST", raising=False)
    Azure(parse(f"az=azure:https://{host}/keys/k"))._token()
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", "login.example")
    Azure(parse(f"az=azure:https://{host}/keys/k"))._token()
    assert asked == [authority, None]


@pytest.mark.parametrize(
    "host",
    ["v.vault.azure.net", "v.vault.azure.cn", "h.managedhsm.azure.net", "h.managedhsm.usgovcloudapi.net"],
)
def test_vaults_and_managed_hsms_by_their_own_names(
    host: str, vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What differs is the host, the resource that tokens are asked for, and where one logs in."""
    scopes: list[str] = []

    class Recording(Credential):
        def __init__(self, authority: str | None = None) -> None:
            assert authority == AUTHORITIES.get(f".{host.partition('.')[2]}")

        def get_token(self, *asked: str, **more: Any) -> AccessToken:
            scopes.extend(asked)
            return super().get_token(*asked, **more)

    whole = socket.getaddrinfo

    def resolved(name: Any, *more: Any, **words: Any) -> Any:
        return whole("127.0.0.1" if name == host else name, *more, **words)

    monkeypatch.setattr("azure.identity.DefaultAzureCredential", Recording)
    monkeypatch.delenv("AZURE_AUTHORITY_HOST", raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    assert vault.authority is not None
    named = Vault()
    with serving(named.respond, vault.authority.issue("named", host)) as address:
        named.address = f"https://{host}:{urlsplit(address).port}"
        store = Store()
        store.v1("old", named.wrap(OLD, padding.PKCS1v15()), 2)
        store.v2("az", named.wrap(NEW), 3, key_id=named.key_id(NEW), annotations=ALGORITHM, seed=True)
        result = audit(store, tmp_path, f"*=azure:{named.address}/keys/etcd")
    assert outcomes(result) == {"yes": 5}
    assert result.run.kms[0].answering == (named.kid(OLD), named.kid(NEW))
    assert {urlsplit(scope).hostname for scope in scopes} == {host.partition(".")[2]}


def test_the_hash_of_the_plugin() -> None:
    """The vector of the plugin's own test."""
    digest = "567d783db3043fe298fe0d9eeedb0029a3815cdd4fe4b059d018c91e6acffe3b"
    assert key_hash("https://example.vault.azure.net/keys/mykey/ABCD") == digest


def test_a_version_that_is_made_during_a_watch_is_found(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Versions are listed again, not at once, for a hash that none had."""
    newest = rsa.generate_private_key(65537, 2048)
    store, third = Store(), f"{3:032x}"
    vault.versions[third] = newest
    store.v2("az", vault.wrap(third), 1, key_id=vault.key_id(third), annotations=ALGORITHM)
    (wrapped,) = _wrapped(store)
    del vault.versions[third]
    service = Azure(parse(f"az=azure:{vault.address}/keys/etcd"))
    (answer,) = service.decrypt([wrapped])
    assert isinstance(answer, KmsMismatch)
    vault.versions[third] = newest
    assert isinstance(service.decrypt([wrapped])[0], KmsMismatch)
    monkeypatch.setattr("auditor.encryption.kms.azure.LIST_AGAIN", -1.0)
    (answer,) = service.decrypt([wrapped])
    assert isinstance(answer, Answer)
    assert (answer.plaintext, answer.current) == (store.deks[0], True)
    service.close()


def _wrapped(store: Store) -> Iterator[WrappedKey]:
    for _, value in store.pairs:
        envelope = EncryptedObject.FromString(value.split(b":", 5)[5])
        key_id = envelope.key_id.decode()
        yield WrappedKey(envelope.encrypted_dek_source, key_id, frozenset(envelope.annotations.items()))


def test_redirects_are_not_followed(vault: Vault, tmp_path: Path) -> None:
    """They would lead to a host that nobody named, with the token."""
    store, met = Store(), []
    store.v2("az", vault.wrap(NEW), 2, key_id=vault.key_id(NEW), annotations=ALGORITHM)

    def elsewhere(request: Request) -> tuple[int, Mapping[str, str], Any]:
        met.append(request)
        return vault.respond(request)

    assert vault.authority is not None
    with serving(elsewhere, vault.authority.issue("other", "127.0.0.1")) as other:
        vault.leads = other
        for place in ("", f"/{NEW}"):
            result = audit(store, tmp_path, f"az=azure:{vault.address}/keys/etcd{place}")
            assert outcomes(result) == {"not tried": 2}
    assert met == []


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
    """Opened, refused, another version, garbage: in logs at every level, reports, errors and traces."""
    store, secrets = Store(), [TOKEN.encode()]
    store.v1("old", vault.wrap(OLD, padding.PKCS1v15()), 2)
    store.v2("az", vault.wrap(OLD), 2, key_id=vault.key_id(OLD), annotations=ALGORITHM)
    key = f"*=azure:{vault.address}/keys/etcd"
    outcomes = nothing_leaves(store, tmp_path / "a.db", [key, f"{key}/{NEW}"], secrets, caplog)
    assert outcomes == ["yes", "failed"]
    vault.refusal = (403, store.deks[0].hex())
    assert nothing_leaves(store, tmp_path / "a.db", [key], secrets, caplog) == ["not tried"]
    vault.listing = False
    assert nothing_leaves(store, tmp_path / "a.db", [key], secrets, caplog) == ["not tried"]


def test_nothing_is_written_by_the_command(vault: Vault, tmp_path: Path) -> None:
    """The real DefaultAzureCredential in a process of its own: it logs in as a managed identity."""
    store, header, logins = Store(), "header-CANARY-77c1f0a2", list[Request]()
    store.v1("old", vault.wrap(OLD, padding.PKCS1v15()), 2)
    store.v2("az", vault.wrap(OLD), 2, key_id=vault.key_id(OLD), annotations=ALGORITHM)

    def log_in(request: Request) -> tuple[int, Mapping[str, str], Any]:
        logins.append(request)
        expiry = str(int(time.time()) + 3600)
        return 200, {}, {"access_token": TOKEN, "expires_on": expiry, "resource": "r", "token_type": "Bearer"}

    secrets, url = [TOKEN.encode(), header.encode()], f"*=azure:{vault.address}/keys/etcd"
    with serving(log_in) as login:
        identity = {"IDENTITY_ENDPOINT": f"{login}/token", "IDENTITY_HEADER": header}
        assert nothing_is_written(store, tmp_path / "opened", url, secrets, **identity) == "yes"
        vault.refusal = (403, store.deks[0].hex())
        assert nothing_is_written(store, tmp_path / "refused", url, secrets, **identity) == "not tried"
    assert {request.headers["X-Identity-Header"] for request in logins} == {header}


@pytest.mark.parametrize("place", ["http://127.0.0.1:1/keys/a", "https://v.vault.azure.net/secrets/a", "v"])
def test_other_urls_are_refused(place: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs https"):
        audit(Store(), tmp_path, f"az=azure:{place}")
