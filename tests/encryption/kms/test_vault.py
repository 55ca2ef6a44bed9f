"""--kms vault: against a real OpenBao, through the whole audit."""

import base64
import hashlib
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import hvac
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from auditor import Options, scan
from auditor.encryption.kms import client as client_module
from auditor.errors import UsageError
from auditor.evidence.live.access import Access, endpoints
from auditor.model.audit import Audit
from auditor.model.vocabulary import FindingKind
from auditor.observer import SILENT, Observer
from auditor.watch.session import Session
from tests.helpers.command import run
from tests.helpers.etcd import Etcd, free_ports
from tests.helpers.https_server import Request, serving
from tests.helpers.kms_secrecy import nothing_is_written, nothing_leaves
from tests.helpers.kms_store import Store
from tests.helpers.openbao import DECRYPT_ONLY, MOUNT, OpenBao


@pytest.fixture
def token(bao: OpenBao) -> Path:
    """Of the least policy."""
    return bao.token(DECRYPT_ONLY)


def audit(store: Store, folder: Path, *kms: str, **more: Any) -> Audit:
    path = store.save(folder / f"{len(list(folder.iterdir()))}.db")
    return scan(path, Options(kms=kms, **{"kms_confirmed": True, **more}))


def outcomes(result: Audit) -> dict[str, int]:
    return dict(result.inventory["decrypted"].value_counts())


def details(result: Audit) -> str:
    return "\n".join([*result.inventory["detail"], *(f"{part.what} {part.reason}" for part in result.unexamined)])


def test_every_secret_of_v1_and_v2_opens(bao: OpenBao, token: Path, tmp_path: Path) -> None:
    """A store of 500: data keys and seeds, KEKs that were rotated between, by the least policy."""
    bao.make_key("every")
    store = Store()

    def wrap(dek: bytes) -> bytes:
        return bao.wrap("every", dek)

    store.v1("old", wrap, 60)
    store.v2("new", wrap, 200, key_id="1")
    store.v2("new", wrap, 100, key_id="1", seed=False)
    bao.root.secrets.transit.rotate_key("every", mount_point=MOUNT)
    store.v2("new", wrap, 140, key_id="2")
    url = f"*={bao.url('every', token_file=token)}"
    store.check(store.save(tmp_path / "truth.db"), url)
    result = audit(store, tmp_path, url)
    assert outcomes(result) == {"yes": 500}
    assert result.complete
    (calls,) = result.run.kms
    assert (calls.unwrapped, calls.calls, calls.outcomes) == (63, 1, ())
    assert (calls.key, len(calls.requests)) == (f"{MOUNT}/every", 1)
    assert calls.answering == (f"{MOUNT}/every, version 1", f"{MOUNT}/every, version 2")


def test_the_newest_version_is_known_where_the_policy_allows(bao: OpenBao, tmp_path: Path) -> None:
    bao.make_key("versions")
    store = Store()
    store.v1("old", lambda dek: bao.wrap("versions", dek), 3)
    bao.root.secrets.transit.rotate_key("versions", mount_point=MOUNT)
    store.v1("old", lambda dek: bao.wrap("versions", dek), 2)
    reader = bao.token(DECRYPT_ONLY, f'path "{MOUNT}/keys/*" {{ capabilities = ["read"] }}')
    result = audit(store, tmp_path, f"old={bao.url('versions', token_file=reader)}")
    stale = {kind: count for kind, _, count in result.tally.findings}
    assert (stale[FindingKind.STALE_KEK], outcomes(result)) == (3, {"yes": 5})


READ = f'path "{MOUNT}/keys/*" {{ capabilities = ["read"] }}'


@pytest.mark.parametrize("first", [True, False], ids=["v1", "v2"])
def test_watch_counts_what_an_older_version_wrapped(bao: OpenBao, tmp_path: Path, *, first: bool) -> None:
    """By the service's newest version: of KMS v1 nothing else says it; a version that is made meanwhile is known."""
    name = f"watched-{first}"
    bao.make_key(name)

    def add(store: Store, count: int) -> None:
        wrap = partial(bao.wrap, name)
        store.v1("lab", wrap, count) if first else store.v2("lab", wrap, count, key_id="constant")

    store = Store()
    add(store, 3)
    bao.root.secrets.transit.rotate_key(name, mount_point=MOUNT)
    add(store, 2)
    bao.root.secrets.transit.rotate_key(name, mount_point=MOUNT)
    url = bao.url(name, token_file=bao.token(DECRYPT_ONLY, READ))
    options = Options(kms=(f"lab={url}",), expect=f"kms-v{1 if first else 2}:lab", kms_confirmed=True)
    with Etcd(tmp_path / "data") as etcd:
        etcd.put_many(store.pairs)
        session = Session(Access(endpoints([etcd.url])), options, lambda _: None)
        session.unwrap(SILENT)
        with session:
            before = session.progress(name_all=True)
            assert (before.all.remaining, {each.why for each in before.remaining}) == (5, {"stale-kek"})
            session.follow()
            add(rewritten := Store(), 3)
            etcd.put_many(rewritten.pairs)
            while not session.step(10):
                pass
            assert session.progress().all.remaining == 2
            bao.root.secrets.transit.rotate_key(name, mount_point=MOUNT)
            add(later := Store(), 5)
            etcd.put_many(later.pairs)
            while session.progress().all.remaining:
                session.step(10)


def test_a_local_kek_that_the_service_wrapped(bao: OpenBao, token: Path, tmp_path: Path) -> None:
    """Asked for once, however many data keys are under it."""
    bao.make_key("remote")
    store, kek = Store(), bytes(range(100, 132))
    name = "encrypted-kek.reference.encryption.k8s.io"
    annotations = {name: bao.wrap("remote", kek), "remote.example.com": b"1"}

    def under(own: bytes) -> Callable[[bytes], bytes]:
        def wrap(dek: bytes) -> bytes:
            nonce = os.urandom(12)
            return nonce + AESGCM(own).encrypt(nonce, dek, None)

        return wrap

    for seed in (True, False, True):
        store.v2("lab", under(kek), 3, annotations=annotations, seed=seed)
    url = f"lab={bao.url('remote', token_file=token)}"
    result = audit(store, tmp_path, url)
    assert (outcomes(result), result.run.kms[0].unwrapped) == ({"yes": 9}, 1)
    store.check(store.save(tmp_path / "truth.db"), url)
    store.v2("lab", under(bytes(32)), 1, annotations=annotations)
    other = audit(store, tmp_path, url)
    assert (outcomes(other), "is not that of its data key" in details(other)) == ({"yes": 9, "failed": 1}, True)
    absent = {name: b"vault:v1:" + base64.b64encode(bytes(60))}
    lost = Store()
    lost.v2("lab", under(kek), 2, annotations=absent)
    assert outcomes(audit(lost, tmp_path, url)) == {"failed": 2}


def test_approle_and_namespace(bao: OpenBao, tmp_path: Path) -> None:
    bao.make_key("role")
    store = Store()
    store.v2("lab", lambda dek: bao.wrap("role", dek), 2)
    bao.root.sys.enable_auth_method("approle")
    bao.root.sys.create_or_update_policy("decrypt", DECRYPT_ONLY)
    bao.root.auth.approle.create_or_update_approle("auditor", token_policies=["decrypt"])
    role = bao.root.auth.approle.read_role_id("auditor")["data"]["role_id"]
    secret = bao.root.auth.approle.generate_secret_id("auditor")["data"]["secret_id"]
    file = tmp_path / "secret-id"
    file.write_text(secret)
    url = bao.url("role", role_id=role, secret_id_file=file)
    result = audit(store, tmp_path, f"lab={url}")
    assert outcomes(result) == {"yes": 2}
    assert result.run.kms[0].principal
    other = audit(store, tmp_path, f"lab={bao.url('role', token_file=bao.token(DECRYPT_ONLY), namespace='elsewhere')}")
    assert outcomes(other) == {"not tried": 2}
    assert not other.complete
    file.write_text("wrong")
    with pytest.raises(Exception, match="login with role-id and secret-id-file failed"):
        audit(store, tmp_path, f"lab={url}")


def test_a_key_in_a_namespace(bao: OpenBao, tmp_path: Path) -> None:
    bao.root.adapter.post("/v1/sys/namespaces/team", json={})
    inner = hvac.Client(bao.address, verify=bao.ca, token=bao.root.token, namespace="team", timeout=60)
    inner.sys.enable_secrets_engine("transit", path=MOUNT)
    inner.adapter.post(f"/v1/{MOUNT}/keys/own", json={})

    def wrap(dek: bytes) -> bytes:
        payload = {"plaintext": base64.b64encode(dek).decode()}
        return str(inner.adapter.post(f"/v1/{MOUNT}/encrypt/own", json=payload)["data"]["ciphertext"]).encode()

    inner.sys.create_or_update_policy("decrypt", DECRYPT_ONLY)
    token = tmp_path / "token"
    token.write_text(inner.auth.token.create(policies=["decrypt"], no_default_policy=True)["auth"]["client_token"])
    store = Store()
    store.v2("lab", wrap, 3)
    assert outcomes(audit(store, tmp_path, f"lab={bao.url('own', token_file=token, namespace='team')}")) == {"yes": 3}
    assert outcomes(audit(store, tmp_path, f"lab={bao.url('own', token_file=token)}")) == {"not tried": 3}


def test_each_refusal_has_its_reason(bao: OpenBao, token: Path, tmp_path: Path) -> None:
    for name in ("one", "other"):
        bao.make_key(name)
    bao.make_key("derived", derived=True)
    context = base64.b64encode(b"context").decode()
    store = Store()
    store.v2("lab", lambda dek: bao.wrap("one", dek), 2)
    derived = Store()
    derived.v2("lab", lambda dek: bao.wrap("derived", dek, context=context), 2)
    url = bao.url("one", token_file=token)
    wrong = audit(store, tmp_path, f"lab={bao.url('other', token_file=token)}")
    assert (outcomes(wrong), "another key wrapped it" in details(wrong)) == ({"failed": 2}, True)
    for parameters, name, reason in (
        ({"token_file": token}, "nowhere", "there is no key of this name"),
        ({"token_file": bao.token('path "x" { capabilities = ["read"] }')}, "one", "denied"),
        ({"token_file": token}, "derived", "give context=BASE64"),
    ):
        result = audit(derived if name == "derived" else store, tmp_path, f"lab={bao.url(name, **parameters)}")
        assert (outcomes(result), reason in details(result)) == ({"not tried": 2}, True), (name, details(result))
        assert not result.complete
    assert outcomes(audit(derived, tmp_path, f"lab={bao.url('derived', token_file=token, context=context)}")) == {
        "yes": 2
    }
    wide = bao.url("one", token_file=bao.token('path "*" { capabilities = ["update"] }'))
    absent = audit(store, tmp_path, f"lab={wide.replace(MOUNT, 'none')}")
    assert (absent.complete, "nothing is mounted there" in details(absent)) == (False, True)
    for _ in range(2):
        bao.root.secrets.transit.rotate_key("one", mount_point=MOUNT)
    bao.root.secrets.transit.update_key_configuration("one", min_decryption_version=3, mount_point=MOUNT)
    old = audit(store, tmp_path, f"lab={url}")
    assert (outcomes(old), "min_decryption_version" in details(old)) == ({"not tried": 2}, True)


def test_a_key_that_is_soft_deleted_or_gone(bao: OpenBao, token: Path, tmp_path: Path) -> None:
    """What an administrator can still do, and that nothing is lost before the key is deleted."""
    bao.make_key("soft")
    store = Store()
    store.v1("old", lambda dek: bao.wrap("soft", dek), 2)
    store.v2("new", lambda dek: bao.wrap("soft", dek), 2)
    url, path = f"*={bao.url('soft', token_file=token)}", f"/v1/{MOUNT}/keys/soft"
    bao.root.adapter.delete(f"{path}/soft-delete")
    soft = audit(store, tmp_path, url)
    assert (outcomes(soft), soft.complete) == ({"not tried": 4}, False)
    assert all("soft-deleted: an administrator can restore it" in text for text in soft.inventory["detail"])
    bao.root.adapter.post(f"{path}/soft-delete-restore")
    assert outcomes(audit(store, tmp_path, url)) == {"yes": 4}
    bao.root.adapter.post(f"{path}/config", json={"deletion_allowed": True})
    bao.root.adapter.delete(path)
    gone = audit(store, tmp_path, url)
    assert (outcomes(gone), "or it is deleted" in details(gone)) == ({"not tried": 4}, True)


def test_a_server_that_throttles_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, then after all others; what it never answers is not tried. OpenBao's quotas answer so."""
    monkeypatch.setattr(client_module, "FIRST_WAIT", 0.01)
    monkeypatch.setattr("urllib3.util.Retry.get_backoff_time", lambda _: 0)
    store, token = Store(), tmp_path / "token"
    token.write_text("t")
    store.v2("lab", lambda dek: b"vault:v1:" + base64.b64encode(dek * 2), 3)
    asked: list[str] = []
    patience = [0]

    def respond(request: Request) -> tuple[int, dict[str, str], object]:
        if request.method == "GET":
            return 403, {}, {}
        asked.append(request.path)
        if len(asked) <= patience[-1]:
            return 429, {}, {"errors": [store.deks[0].hex()]}
        return 200, {}, {"data": {"batch_results": [{"plaintext": base64.b64encode(store.deks[0]).decode()}]}}

    with serving(respond) as address:
        url = f"lab=vault:{address}/transit/key?token-file={token}"
        for refusals, outcome, calls in ((2, "yes", 1), (7, "yes", 2), (100, "not tried", 3)):
            asked.clear()
            patience.append(refusals)
            result = audit(store, tmp_path, url)
            assert (outcomes(result), result.run.kms[0].calls) == ({outcome: 3}, calls)
        assert "throttled: run again later" in details(result)


def test_a_sealed_server_is_said(tmp_path: Path) -> None:
    """One of its own, which is sealed for good."""
    folder = tmp_path / "bao"
    folder.mkdir()
    with OpenBao(folder) as own:
        own.make_key("one")
        store = Store()
        store.v2("lab", lambda dek: own.wrap("one", dek), 2)
        url = f"lab={own.url('one', token_file=own.token(DECRYPT_ONLY))}"
        own.root.sys.seal()
        result = audit(store, tmp_path, url)
    assert (outcomes(result), "the server is sealed" in details(result)) == ({"not tried": 2}, True)


def test_one_that_is_damaged_does_not_spoil_the_batch(bao: OpenBao, token: Path, tmp_path: Path) -> None:
    bao.make_key("batch")
    store = Store()
    store.v1("lab", lambda dek: bao.wrap("batch", dek), 5)
    store.v1("lab", lambda dek: bao.wrap("batch", dek)[:-6] + b"AAAA==", 1)
    result = audit(store, tmp_path, f"lab={bao.url('batch', token_file=token)}")
    assert outcomes(result) == {"yes": 5, "failed": 1}
    assert result.run.kms[0].calls == 1


def test_the_associated_data_of_openbaos_plugin(bao: OpenBao, token: Path, tmp_path: Path) -> None:
    """Compact JSON in the plugin's order; cluster and instance stand in no annotation."""

    def digest(text: str) -> str:
        return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")

    bao.make_key("bound")
    key_id = "obk2." + digest("id")
    hashes = {
        "transit_mount_hash": digest(MOUNT),
        "transit_key_hash": digest("bound"),
        "key_id_hash": digest(key_id),
        "key_version": "1",
    }
    data = {
        "aad_version": "v1",
        "purpose": "kubernetes-etcd-kms-v2",
        "provider": "openbao-transit",
        "provider_name": "lab",
        "cluster_id_hash": digest("c1"),
        "openbao_instance_hash": digest("i1"),
        **hashes,
    }
    aad = base64.b64encode(json.dumps(data, separators=(",", ":")).encode()).decode()
    names = ("transit-mount-hash", "transit-key-hash", "key-id-hash", "transit-key-version")
    annotations = {
        f"{name}.kms.openbao.org": value.encode() for name, value in zip(names, hashes.values(), strict=True)
    }
    store = Store()
    store.v2(
        "lab",
        lambda dek: bao.wrap("bound", dek, associated_data=aad),
        3,
        key_id=key_id,
        annotations=annotations,
    )
    url = bao.url("bound", token_file=token, cluster_id="c1", instance_id="i1")
    assert outcomes(audit(store, tmp_path, f"lab={url}")) == {"yes": 3}
    assert outcomes(audit(store, tmp_path, f"lab={bao.url('bound', token_file=token)}")) == {"failed": 3}


def test_calls_are_counted_bounded_and_confirmed(bao: OpenBao, token: Path, tmp_path: Path) -> None:
    bao.make_key("count")
    store = Store()
    for number in range(3):
        store.v2("lab", lambda dek: bao.wrap("count", dek), 20, key_id=str(number))
    url = f"lab={bao.url('count', token_file=token)}"
    with pytest.raises(UsageError, match="Nothing was called") as refusal:
        audit(store, tmp_path, url, kms_confirmed=False)
    assert f"1 call to Vault or OpenBao transit, {MOUNT}/count, for 3 wrapped keys" in str(refusal.value)

    class Consent(Observer):
        done: tuple[int, int] = (0, 0)

        def confirm(self, text: str) -> bool:
            return "can read every Secret" in text

        def unwrapped(self, done: int, total: int) -> None:
            self.done = done, total

    consent = Consent()
    path = store.save(tmp_path / "confirmed.db")
    assert outcomes(scan(path, Options(kms=(url,)), observer=consent)) == {"yes": 60}
    assert consent.done == (3, 3)
    prove = audit(store, tmp_path, url, kms_prove=True)
    assert outcomes(prove) == {"yes": 3, "not tried": 57}
    assert not prove.complete
    assert "no pass for the others" in "\n".join(prove.notes)


def test_nothing_of_keys_and_tokens_leaves(
    bao: OpenBao, token: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """On any way out, whatever the outcome: hvac puts the answer to a batch into its exception's text."""
    bao.make_key("taint")
    store = Store()
    store.v1("old", lambda dek: bao.wrap("taint", dek), 3)
    store.v2("new", lambda dek: bao.wrap("taint", dek), 2)
    store.v1("old", lambda dek: bao.wrap("taint", dek)[:-6] + b"AAAA==", 1)
    secret = tmp_path / "secret-id"
    secret.write_text("wrong-CANARY-9d0c7b1e55")
    (closed,) = free_ports(1)
    urls = [
        f"*={url}"
        for url in (
            bao.url("taint", token_file=token),
            bao.url("nowhere", token_file=token),
            bao.url("taint", token_file=bao.token('path "x" { capabilities = ["read"] }')),
            bao.url("taint", token_file=token).replace(str(bao.port), str(closed)),
            bao.url("taint", role_id="r", secret_id_file=secret),
        )
    ]
    secrets = [token.read_bytes().strip(), secret.read_bytes()]
    outcomes = nothing_leaves(store, tmp_path / "a.db", urls, secrets, caplog)
    assert outcomes == ["failed, yes", "not tried", "not tried", "not tried", "KmsUntried"]
    assert nothing_is_written(store, tmp_path / "command", urls[0], secrets) == "failed, yes"
    assert nothing_is_written(store, tmp_path / "denied", urls[2], secrets) == "not tried"
    refused = run("scan", tmp_path / "a.db", "--kms", urls[0])
    assert (refused.returncode, "Nothing was called" in refused.stderr) == (2, True)
