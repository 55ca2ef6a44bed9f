"""The keys command: k3s' and RKE2's record under a server token, and versions of KEKs that wrapped data keys name."""

import base64
import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.helpers import sealing
from tests.helpers.ciphertexts import ciphertext, kms_v1, kms_v2
from tests.helpers.command import run
from tests.helpers.objects import StoredObject
from tests.helpers.taint import Taint

TOKEN, KEY = b"exampletoken-of-a-test", b"thirty-two.bytes:of.a-key*of,it!"
SECRET = StoredObject(name=b"s", data={b"p": b"q" * 40})
COUNTS = (("values", 1), ("decrypted", 1), ("tried", True), ("named", True), ("tokenless", False))


def record(folder: Path, password: bytes) -> tuple[bytes, bytes]:
    """Etcd key and value as k3s writes them: pkg/cluster/storage.go and encrypt.go."""
    config = sealing.configuration(folder / "enc.json", sealing.provider("aescbc", ("aescbckey", KEY)))
    content = base64.b64encode(Path(config).read_bytes()).decode()
    plain = json.dumps({"EncryptionConfig": {"Timestamp": "", "Content": content}}).encode()
    salt, nonce = b"0011223344556677", bytes(12)
    key = hashlib.pbkdf2_hmac("sha1", password, salt, 4096, 32)
    name = hashlib.sha256(password).hexdigest()[:12].encode()
    return b"/bootstrap/" + name, salt + b":" + base64.b64encode(nonce + AESGCM(key).encrypt(nonce, plain, None))


def evidence(folder: Path, *records: tuple[bytes, bytes]) -> Path:
    sealed = sealing.seal("aescbc", "aescbckey", KEY, SECRET, random.Random(1))
    return sealing.database(folder / "k3s.db", [(SECRET.key, sealed), *records])


def keys(path: Path, *options: str | Path) -> tuple[int, str, dict[str, Any]]:
    """Exit code, what is said, and the document."""
    done = run("keys", path, *options, "--json", "-")
    assert not Taint([TOKEN, KEY]).within(done.stdout + done.stderr)
    return done.returncode, " ".join(done.stderr.split()), json.loads(done.stdout)


def token(folder: Path, password: bytes = TOKEN) -> Path:
    path = folder / "token"
    path.write_bytes(b"K10" + b"ab" * 32 + b"::server:" + password + b"\n")
    return path


def test_the_token_decrypts_the_record_and_its_keys_the_values(tmp_path: Path) -> None:
    code, said, document = keys(evidence(tmp_path, record(tmp_path, TOKEN)), "--k3s-token", token(tmp_path))
    assert code == 0
    assert "--k3s-token decrypts 1 of 1; encryption keys in it: aescbc/aescbckey." in said
    (each,) = document["bootstrap"]
    assert [each[name] for name, _ in COUNTS] == [value for _, value in COUNTS]
    (usage,) = document["keys"]
    assert (usage["key_name"], usage["decrypted"]) == ("aescbckey", 1)


def test_another_token(tmp_path: Path) -> None:
    path = evidence(tmp_path, record(tmp_path, TOKEN))
    code, said, _ = keys(path, "--k3s-token", token(tmp_path, b"another"))
    assert code == 1
    assert "decrypts none of them, another server token is needed" in said


def test_a_record_that_only_bears_the_tokens_name(tmp_path: Path) -> None:
    name, _ = record(tmp_path, TOKEN)
    _, value = record(tmp_path, b"another")
    code, said, _ = keys(evidence(tmp_path, (name, value)), "--k3s-token", token(tmp_path))
    assert code == 1
    assert "though its name is that of this token" in said


def test_an_older_record_of_another_token_is_no_failure(tmp_path: Path) -> None:
    path = evidence(tmp_path, record(tmp_path, TOKEN), record(tmp_path, b"the token before"))
    code, said, document = keys(path, "--k3s-token", token(tmp_path))
    assert code == 0
    assert "another server token is needed" in said
    assert sorted(each["decrypted"] for each in document["bootstrap"]) == [0, 1]


def test_without_a_token_the_record_is_named(tmp_path: Path) -> None:
    _, said, document = keys(evidence(tmp_path, record(tmp_path, TOKEN)))
    assert "a restore needs the server token that encrypts it, and --k3s-token was not given" in said
    assert not document["bootstrap"][0]["tried"]


def test_an_empty_token_is_none(tmp_path: Path) -> None:
    """Early k3s without a token: pkg/cluster/storage.go, e3b0c44298fc."""
    _, said, document = keys(evidence(tmp_path, record(tmp_path, b"")))
    assert "/bootstrap/e3b0c44298fc" in said
    assert "decrypted with an empty server token: anyone can; encryption keys in it: aescbc/aescbckey" in said
    assert document["bootstrap"][0]["tokenless"]


@pytest.mark.parametrize("name", [b"/bootstrap/1f00aa", b"/bootstrap/" + b"x" * 300, b"/bootstrap/\x1b[31m"])
def test_other_text_behind_the_prefix_is_not_quoted(name: bytes, tmp_path: Path) -> None:
    _, said, document = keys(evidence(tmp_path, (name, b"salt:!")))
    assert document["bootstrap"][0]["key"] == "/bootstrap/..."
    assert "\x1b" not in said


def test_no_record(tmp_path: Path) -> None:
    code, said, document = keys(evidence(tmp_path), "--k3s-token", token(tmp_path))
    assert (code, document["bootstrap"]) == (0, [])
    assert "no record of k3s or RKE2 under /bootstrap/" in said


def test_a_line_for_each_version_that_a_wrapped_key_names(tmp_path: Path) -> None:
    body = b"\xa0" * 64

    def wrapped(version: bytes) -> bytes:
        return b"vault:" + version + b":" + base64.b64encode(body)

    stored = [
        *(("kms v1", kms_v1(body, wrapped(version))) for version in (b"v1", b"v12", b"v12", b"vx", b"v" + b"9" * 40)),
        *(("kms v2", kms_v2(body, b"2", wrapped(version))) for version in (b"v2", b"v3", b"v2")),
        ("kms v1", kms_v1(body)),
    ]
    pairs = [
        (f"/registry/secrets/n/s{number}".encode(), ciphertext(provider, b"vault", payload))
        for number, (provider, payload) in enumerate(stored)
    ]
    _, said, document = keys(sealing.database(tmp_path / "vault.db", pairs))
    rows = {(use["provider"], use["kek_id"], use["kek_version"]): use["values"] for use in document["keys"]}
    assert rows == {
        ("kms v1", "", ""): 3,
        ("kms v1", "", "vault:v1"): 1,
        ("kms v1", "", "vault:v12"): 2,
        ("kms v2", "2", "vault:v2"): 2,
        ("kms v2", "2", "vault:v3"): 1,
    }
    assert "2, vault:v3" in said
