"""--kms pkcs11: against SoftHSM: a real module, whose key does not leave it."""

import base64
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pkcs11
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from pkcs11.util.rsa import encode_rsa_public_key

from auditor import Options, scan
from auditor.encryption.kms.address import parse
from auditor.encryption.kms.services import connect
from auditor.errors import UsageError
from auditor.model.audit import Audit
from tests.encryption.kms.test_jwe import KEYSEALER, compact
from tests.encryption.kms.test_jwe import text as encoded
from tests.helpers import softhsm
from tests.helpers.command import run
from tests.helpers.kms_secrecy import nothing_is_written, nothing_leaves
from tests.helpers.kms_store import Store, damaged
from tests.helpers.taint import Taint

KEY, OTHER = "kek", "other"


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file with the PIN of a token with two keys."""
    assert softhsm.module(), "apt-get install softhsm2"
    folder = tmp_path_factory.mktemp("softhsm")
    os.environ[softhsm.ENVIRONMENT] = str(softhsm.configure(folder))
    with softhsm.session() as session:
        for label in (KEY, OTHER):
            session.generate_key(pkcs11.KeyType.AES, 256, label=label, store=True)
    pin = folder / "pin"
    pin.write_text(softhsm.PIN + "\n")
    yield pin
    del os.environ[softhsm.ENVIRONMENT]


def seal(session: Any, text: bytes, associated: bytes, nonce: bytes, label: str = KEY) -> bytes:
    (key,) = session.get_objects({pkcs11.Attribute.LABEL: label})
    parameters = pkcs11.GCMParams(nonce, associated or None, 128)
    return bytes(key.encrypt(text, mechanism=pkcs11.Mechanism.AES_GCM, mechanism_param=parameters))


def bound(session: Any, associated: bytes = b"", label: str = KEY) -> Callable[[bytes], bytes]:
    """As the mock of kubernetes/kms and kleidi do: nonce, ciphertext, tag."""

    def wrap(dek: bytes) -> bytes:
        nonce = os.urandom(12)
        return nonce + seal(session, dek, associated, nonce, label)

    return wrap


def jwe(session: Any) -> Callable[[bytes], bytes]:
    """As Thales' plugin does."""

    def text(raw: bytes) -> bytes:
        return base64.urlsafe_b64encode(raw).rstrip(b"=")

    def wrap(dek: bytes) -> bytes:
        header, nonce = text(json.dumps({"alg": "dir", "enc": "A256GCM"}).encode()), os.urandom(12)
        sealed = seal(session, dek, header, nonce)
        return b".".join((header, b"", text(nonce), text(sealed[:-16]), text(sealed[-16:])))

    return wrap


def url(pin: Path, *, token: str = softhsm.TOKEN, key: str = KEY) -> str:
    return f"*=pkcs11:{softhsm.module()}?token={token}&key={key}&pin-file={pin}"


def audit(store: Store, folder: Path, *kms: str, **more: Any) -> Audit:
    path = store.save(folder / f"{len(list(folder.iterdir()))}.db")
    return scan(path, Options(kms=kms, **{"kms_confirmed": True, **more}))


def outcomes(result: Audit) -> dict[str, int]:
    return dict(result.inventory["decrypted"].value_counts())


@pytest.fixture(scope="module")
def store(token: Path) -> Store:
    store = Store()
    with softhsm.session() as session:
        store.v1("old", bound(session), 40)
        store.v1("thales", jwe(session), 40)
        store.v2("mock", bound(session, b"kms-test"), 220, key_id="kms-test")
        store.v2(
            "kleidi", bound(session, b"kek"), 200, key_id="kek", annotations={"v2.kleidi.beezy.dev": b"1"}, seed=False
        )
    return store


def test_every_secret_of_v1_and_v2_opens(token: Path, store: Store, tmp_path: Path) -> None:
    store.check(store.save(tmp_path / "truth.db"), url(token))
    result = audit(store, tmp_path, url(token))
    assert outcomes(result) == {"yes": 500}
    assert result.complete
    (calls,) = result.run.kms
    assert (calls.calls, calls.key, calls.answering) == (82, "etcd/kek", ("etcd/kek",))


def test_a_rotated_kek_is_another_key_of_the_token(token: Path, tmp_path: Path) -> None:
    """Each is named, and what really unwrapped is told."""
    store = Store()
    with softhsm.session() as session:
        for label in (KEY, OTHER):
            store.v1("lab", bound(session, label=label), 3)
            store.v2("lab", bound(session, label.encode(), label), 3, key_id=label)
    both = f"{url(token)}&key={OTHER}"
    result = audit(store, tmp_path, both)
    assert outcomes(result) == {"yes": 12}
    assert result.run.kms[0].answering == ("etcd/kek", "etcd/other")
    assert {(each.kek_id, each.answered) for each in result.keys if each.kek_id} == {
        ("kek", ("etcd/kek",)),
        ("other", ("etcd/other",)),
    }
    store.check(store.save(tmp_path / "truth.db"), both)
    assert outcomes(audit(store, tmp_path, url(token))) == {"yes": 6, "failed": 6}
    assert outcomes(audit(store, tmp_path, f"{both}&key=absent")) == {"not tried": 12}


def test_keysealers_rsa_and_cbc(token: Path, tmp_path: Path) -> None:
    """With SHA-1 as RFC 7518 means RSA-OAEP; SoftHSM knows no SHA-256 there, which is no wrong key."""
    with softhsm.session() as session:
        public, _ = session.generate_keypair(pkcs11.KeyType.RSA, 2048, label="rsa", store=True)
        exported = serialization.load_der_public_key(encode_rsa_public_key(public))
        session.generate_key(pkcs11.KeyType.AES, 256, label="cbc", store=True)
    assert isinstance(exported, rsa.RSAPublicKey)

    def wrapping(algorithm: str, hashing: hashes.HashAlgorithm) -> Callable[[bytes], bytes]:
        def wrap(dek: bytes) -> bytes:
            cek = os.urandom(32)
            wrapped = exported.encrypt(cek, padding.OAEP(padding.MGF1(hashing), hashing, None))
            return compact({"alg": algorithm, "enc": "A256GCM"}, wrapped, cek, dek)

        return wrap

    store, other = Store(), Store()
    store.v1("old", wrapping("RSA-OAEP", hashes.SHA1()), 2)
    store.v2("new", wrapping("RSA-OAEP", hashes.SHA1()), 2, annotations=KEYSEALER)
    assert outcomes(audit(store, tmp_path, url(token, key="rsa"))) == {"yes": 4}
    assert outcomes(audit(store, tmp_path, url(token))) == {"failed": 4}
    other.v2("new", wrapping("RSA-OAEP-256", hashes.SHA256()), 2, annotations=KEYSEALER)
    unknown = audit(other, tmp_path, url(token, key="rsa"))
    assert (outcomes(unknown), unknown.complete) == ({"not tried": 2}, False)
    assert "does not know this cipher, or not with this hash" in unknown.inventory["detail"][0]
    cbc = Store()
    with softhsm.session() as session:
        (key,) = session.get_objects({pkcs11.Attribute.LABEL: "cbc"})

        def seal_cbc(dek: bytes) -> bytes:
            iv = os.urandom(16)
            sealed = bytes(key.encrypt(dek, mechanism=pkcs11.Mechanism.AES_CBC, mechanism_param=iv)) + bytes(16)
            header = encoded(json.dumps({"alg": "dir", "enc": "A256CBC"}).encode())
            return b".".join((header, b"", encoded(iv), encoded(sealed), encoded(bytes(32))))

        cbc.v1("old", seal_cbc, 2)
        cbc.v2("new", seal_cbc, 2)
    assert outcomes(audit(cbc, tmp_path, url(token, key="cbc"))) == {"yes": 4}
    assert outcomes(audit(cbc, tmp_path, url(token))) == {"failed": 4}
    assert outcomes(audit(cbc, tmp_path, f"{url(token)}&key=cbc")) == {"not tried": 4}


def test_another_key_and_damage_are_undecryptable(token: Path, store: Store, tmp_path: Path) -> None:
    result = audit(store, tmp_path, url(token, key=OTHER))
    assert outcomes(result) == {"failed": 500}
    store = Store()
    with softhsm.session() as session:
        store.v2("mock", lambda dek: damaged(bound(session)(dek)), 2)
    assert outcomes(audit(store, tmp_path, url(token))) == {"failed": 2}


def test_a_wrong_pin_is_tried_once(token: Path, store: Store, tmp_path: Path) -> None:
    wrong = tmp_path / "pin"
    wrong.write_text("0000")
    result = audit(store, tmp_path, url(wrong))
    assert outcomes(result) == {"not tried": 500}
    assert not result.complete
    assert "the PIN is not this token's" in result.inventory["detail"][0]
    assert outcomes(audit(store, tmp_path, url(token))) == {"yes": 500}


@pytest.mark.parametrize(
    ("more", "reason"), [({"token": "absent"}, "no token of this label"), ({"key": "absent"}, "no key of this label")]
)
def test_what_is_not_there_has_its_reason(
    token: Path, store: Store, tmp_path: Path, more: dict[str, str], reason: str
) -> None:
    result = audit(store, tmp_path, url(token, **more))
    assert outcomes(result) == {"not tried": 500}
    assert reason in result.inventory["detail"][0]


def test_urls_that_are_refused(token: Path) -> None:
    for place, reason in (
        ("", "needs the path of the module"),
        ("/no/such.so?key=k", "no such file"),
        (softhsm.module(), "needs key=LABEL"),
        (f"{softhsm.module()}?key=k&pin=1234", "has no parameter pin"),
    ):
        with pytest.raises(UsageError, match=reason) as refusal:
            connect(parse(f"*=pkcs11:{place}"))
        assert "1234" not in str(refusal.value)


def test_nothing_of_keys_and_pins_leaves(token: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Opened, another key, no such key, a wrong PIN: in logs at every level, reports, errors and traces."""
    store, wrong, guess = Store(), tmp_path / "pin", "1234-CANARY-aa01bb02"
    wrong.write_text(guess)
    with softhsm.session() as session:
        store.v1("old", bound(session), 2)
        store.v2("thales", jwe(session), 2)
    secrets = [softhsm.PIN.encode(), guess.encode()]
    urls = [url(token), url(token, key=OTHER), url(token, key="absent"), url(wrong)]
    outcomes = nothing_leaves(store, tmp_path / "a.db", urls, secrets, caplog)
    assert outcomes == ["yes", "failed", "not tried", "not tried"]
    assert nothing_is_written(store, tmp_path / "command", url(token), secrets) == "yes"


def test_the_command_writes_neither_keys_nor_the_pin(token: Path, store: Store, tmp_path: Path) -> None:
    path = store.save(tmp_path / "a.db")
    refused = run("keys", path, "--kms", url(token))
    assert (refused.returncode, "82 calls to PKCS#11, etcd/kek" in refused.stderr) == (2, True)
    done = run("keys", path, "--kms", url(token), "--yes", "--json", tmp_path / "k.json")
    assert done.returncode == 0, done.stderr
    taint = Taint([*store.deks, *store.canaries, softhsm.PIN.encode()])
    texts = (done.stdout, done.stderr, refused.stderr, (tmp_path / "k.json").read_text())
    assert not any(taint.within(text) for text in texts)
    assert sum(each["decrypted"] for each in json.loads(texts[-1])["keys"]) == 500
