"""--kms file: what transit exports, Barbican's payload, a local KEK; nothing is called."""

import base64
import json
import os
import random
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from auditor import Options, scan
from auditor.errors import UsageError
from auditor.model.audit import Audit
from tests.encryption.kms.test_jwe import compact
from tests.helpers import sealing
from tests.helpers.kms_secrecy import nothing_is_written, nothing_leaves
from tests.helpers.kms_store import Store
from tests.helpers.openbao import MOUNT, OpenBao

KEK, OTHER = bytes(range(32)), bytes(range(32, 64))


def audit(store: Store, folder: Path, place: object) -> Audit:
    path = store.save(folder / "a.db")
    return scan(path, Options(kms=(f"*=file:{place}",)))


def outcomes(result: Audit) -> dict[str, int]:
    return dict(result.inventory["decrypted"].value_counts())


def gcm(dek: bytes, associated: bytes = b"") -> bytes:
    nonce = os.urandom(12)
    return nonce + AESGCM(KEK).encrypt(nonce, dek, associated)


@pytest.mark.parametrize(
    "kind", ["aes256-gcm96", "aes128-gcm96", "chacha20-poly1305", "xchacha20-poly1305", "rsa-2048"]
)
def test_exported_transit_keys(bao: OpenBao, tmp_path: Path, kind: str) -> None:
    """With two versions: what `read transit/export/encryption-key/NAME` prints as JSON."""
    name = f"export-{kind}"
    bao.make_key(name, kind, exportable=True)
    store = Store()
    store.v1("old", lambda dek: bao.wrap(name, dek), 2)
    bao.root.secrets.transit.rotate_key(name, mount_point=MOUNT)
    store.v2("new", lambda dek: bao.wrap(name, dek), 2)
    exported = tmp_path / "key.json"
    exported.write_text(json.dumps(bao.root.secrets.transit.export_key(name, "encryption-key", mount_point=MOUNT)))
    result = audit(store, tmp_path, exported)
    assert outcomes(result) == {"yes": 4}
    assert [calls.calls for calls in result.run.kms] == [0]
    only = json.loads(exported.read_text())
    del only["data"]["keys"]["1"]
    exported.write_text(json.dumps(only))
    assert outcomes(audit(store, tmp_path, exported)) == {"yes": 2, "not tried": 2}


@pytest.mark.parametrize("write", [lambda raw: raw, base64.b64encode, lambda raw: raw.hex().encode() + b"\n"])
def test_a_key_alone(tmp_path: Path, write: "object") -> None:
    store, rng, file = Store(), random.Random(3), tmp_path / "kek"
    store.v1("barbican", lambda dek: sealing.cbc(KEK, dek, rng), 2)
    store.v2("hierarchy", gcm, 2, annotations={"encrypted-kek.reference.encryption.k8s.io": b"wrapped"})
    store.v2("mock", lambda dek: gcm(dek, b"kms-test"), 2, key_id="kms-test")
    assert callable(write)
    file.write_bytes(write(KEK))
    assert outcomes(audit(store, tmp_path, file)) == {"yes": 6}
    file.write_bytes(write(OTHER))
    assert outcomes(audit(store, tmp_path, file)) == {"failed": 6}


def test_every_secret_of_v1_and_v2_opens(tmp_path: Path) -> None:
    """A store of 500 under one KEK, as Barbican, the mocks, a hierarchy and Thales wrap."""
    store, rng, file = Store(), random.Random(4), tmp_path / "kek"
    file.write_bytes(base64.b64encode(KEK))
    store.v1("barbican", lambda dek: sealing.cbc(KEK, dek, rng), 60)
    store.v1("thales", lambda dek: compact({"alg": "dir", "enc": "A256GCM"}, b"", KEK, dek), 60)
    store.v2("mock", lambda dek: gcm(dek, b"kms-test"), 180, key_id="kms-test")
    store.v2("hierarchy", gcm, 200, annotations={"encrypted-kek.reference.encryption.k8s.io": b"wrapped"}, seed=False)
    assert outcomes(audit(store, tmp_path, file)) == {"yes": 500}
    store.check(tmp_path / "a.db", f"*=file:{file}")


def test_nothing_of_the_key_leaves(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nor of a file that holds something else."""
    store, file, other = Store(), tmp_path / "kek", tmp_path / "other"
    broken, key = tmp_path / "broken", os.urandom(32)
    file.write_bytes(coded := base64.b64encode(key))
    other.write_bytes(OTHER)
    broken.write_bytes(coded[:-7])

    def wrap(dek: bytes) -> bytes:
        return bytes(12) + AESGCM(key).encrypt(bytes(12), dek, None)

    store.v1("old", wrap, 2)
    store.v2("new", wrap, 2)
    urls = [f"*=file:{each}" for each in (file, other, broken)]
    assert nothing_leaves(store, tmp_path / "a.db", urls, [key], caplog) == ["yes", "failed", "UsageError"]
    assert nothing_is_written(store, tmp_path / "command", urls[0], [key]) == "yes"


def test_what_holds_no_key_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "kek"
    for raw in (b"", b"x" * 31, b'{"data": {}}', b"[", b"-----BEGIN PRIVATE KEY-----\nAAAA\n"):
        file.write_bytes(raw)
        with pytest.raises(UsageError, match="holds no key") as refusal:
            audit(Store(), tmp_path, file)
        assert b"AAAA" not in str(refusal.value).encode()
    with pytest.raises(UsageError, match="No such file"):
        audit(Store(), tmp_path, tmp_path / "absent")
