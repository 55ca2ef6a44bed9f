"""--kms vault: against a real OpenBao, through the whole audit."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from auditor import Options, scan
from auditor.errors import UsageError
from auditor.model.audit import Audit
from auditor.model.vocabulary import FindingKind
from auditor.observer import Observer
from tests.helpers.command import run
from tests.helpers.kms_store import Store
from tests.helpers.openbao import DECRYPT_ONLY, MOUNT, OpenBao
from tests.helpers.taint import Taint


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
    result = audit(store, tmp_path, f"*={bao.url('every', token_file=token)}")
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
    absent = audit(store, tmp_path, f"lab={url.replace(MOUNT, 'transit/none')}")
    assert not absent.complete
    for _ in range(2):
        bao.root.secrets.transit.rotate_key("one", mount_point=MOUNT)
    bao.root.secrets.transit.update_key_configuration("one", min_decryption_version=3, mount_point=MOUNT)
    old = audit(store, tmp_path, f"lab={url}")
    assert (outcomes(old), "min_decryption_version" in details(old)) == ({"not tried": 2}, True)


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


def test_nothing_of_keys_and_tokens_leaves(bao: OpenBao, token: Path, tmp_path: Path) -> None:
    """On any way out, whatever the outcome."""
    bao.make_key("taint")
    store = Store()
    store.v1("lab", lambda dek: bao.wrap("taint", dek), 3)
    store.v1("lab", lambda dek: bao.wrap("taint", dek)[:-6] + b"AAAA==", 1)
    path = store.save(tmp_path / "a.db")
    taint = Taint([*store.canaries, *store.deks, token.read_bytes().strip()])
    out = tmp_path / "out"
    out.mkdir()
    reports = [f"--{kind}={out / f'r.{kind}'}" for kind in ("csv", "json", "html", "sarif")]
    for url in (bao.url("taint", token_file=token), bao.url("nowhere", token_file=token)):
        done = run("scan", path, "--kms", f"lab={url}", "--yes", "-v", "--force", *reports)
        assert done.returncode in {1, 3}, done.stderr
        texts = [done.stdout, done.stderr, *(each.read_text() for each in out.iterdir())]
        assert [number for number, text in enumerate(texts) if taint.within(text)] == []
    refused = run("scan", path, "--kms", f"lab={url}")
    assert (refused.returncode, "Nothing was called" in refused.stderr) == (2, True)
