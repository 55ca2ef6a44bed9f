"""Keys in other objects of the sources: whoever holds the bucket reads what they decrypt."""

import base64
import gzip
import hashlib
import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import auditor
from auditor.fleet.folder import DataSetFolder
from auditor.fleet.report import build
from auditor.fleet.report.context import Context, Questions
from auditor.hunt import neighbours
from auditor.options import Options
from tests.helpers import fleet
from tests.helpers.fixtures import MIGRATION

ROTATING, REWRITTEN = MIGRATION / "6-rotating.encryption.json", MIGRATION / "3-rewritten.encryption.json"
ENCRYPTED = MIGRATION / "5-defragmented.db"
"""Every value is under aescbc/key1."""
TOKEN = b"K10" + b"ab" * 32 + b"::server:a-password-of-the-server"


def packed(raw: bytes, name: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(raw)
        archive.addfile(member, io.BytesIO(raw))
    return out.getvalue()


def manifest(raw: bytes) -> bytes:
    """A Secret's manifest in which the configuration stands in base64."""
    return b"data:\n  encryption-config: " + base64.b64encode(raw) + b"\n"


def forms() -> dict[str, bytes]:
    raw = ROTATING.read_bytes()
    return {
        "anything.yaml": raw,
        "cluster.rkestate": json.dumps({"desiredState": {"encryptionConfig": raw.decode()}}).encode(),
        "static_kuberesources_2026-11-05_000000.tar.gz": packed(raw, "secrets/encryption-config/encryption-config"),
        "manifest.yaml": manifest(raw),
    }


@pytest.mark.parametrize("name", forms())
def test_a_key_is_read_in_every_form(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(forms()[name])
    assert "aescbc/key1" in neighbours.read(str(tmp_path / name)).labels


def test_what_holds_no_key_is_none(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"kind: EncryptionConfiguration\nresources: nothing of it\n")
    shutil.copy(ENCRYPTED, tmp_path / "b")
    (tmp_path / "c").write_bytes(b"\x1f\x8b" + bytes(400))
    (tmp_path / "d.tar.gz").write_bytes(packed(ROTATING.read_bytes(), "x")[:200])
    for path in tmp_path.iterdir():
        assert not neighbours.read(str(path))
    assert neighbours.read(str(tmp_path / "a")).text
    assert not neighbours.read(str(tmp_path / "b")).text


LIST = b'{"apiVersion":"v1","kind":"SecretList","items":[{"kind":"Secret","metadata":{"name":"a"}}]}'


WORDS = packed(b"words", "a")
ARCHIVES = {
    "a Pod": (packed(b'{"kind":"Pod","apiVersion":"v1"}', "pod.json"), True),
    "a configuration": (packed(ROTATING.read_bytes(), "encryption-config"), True),
    "a list of Secrets": (packed(LIST, "secrets.json"), False),
    "a snapshot": (packed(ENCRYPTED.read_bytes(), "etcd/snapshot.db"), False),
    "an archive": (packed(packed(LIST, "secrets.json"), "inner.tar.gz"), False),
    "no text": (packed(b"\0\1\2", "image"), False),
    "cut": (WORDS[:-9], False),
    "more behind it": (WORDS + b"more", False),
    "more behind its end": (gzip.compress(gzip.decompress(WORDS) + b"behind its end"), False),
    "no tar": (gzip.compress(b"words"), False),
    "nothing packed": (b"words", False),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_of_texts_alone_is_told_by_all_of_its_content(tmp_path: Path, name: str) -> None:
    archive, texts = ARCHIVES[name]
    (tmp_path / "a").write_bytes(archive)
    assert neighbours.read(str(tmp_path / "a")).archive == texts


def test_tokens_are_read(tmp_path: Path) -> None:
    for name, raw in {
        "token": TOKEN + b"\n",
        "server-token": b"a-password-of-the-server",
        "config.yaml": b'write-kubeconfig-mode: "0644"\ntoken: "a-password-of-the-server"\n',
        "k3s.env": b"K3S_TOKEN=" + TOKEN,
    }.items():
        (tmp_path / name).write_bytes(raw)
        assert b"a-password-of-the-server" in neighbours.read(str(tmp_path / name)).tokens


def test_what_a_neighbour_decrypts_is_known(tmp_path: Path) -> None:
    """Critical, with the object's name, and readable; a key of other values leaves no trace."""
    (tmp_path / "own.json").write_bytes(ROTATING.read_bytes())
    other = json.loads(ROTATING.read_text())
    for entry in other["resources"]:
        for provider in entry["providers"]:
            for key in provider.get("aescbc", {}).get("keys", ()):
                key["secret"] = base64.b64encode(hashlib.sha256(key["name"].encode()).digest()).decode()
    (tmp_path / "other.json").write_text(json.dumps(other))
    plain = auditor.scan(ENCRYPTED)
    audit = auditor.scan(ENCRYPTED, Options(neighbours=(str(tmp_path / "other.json"),)))
    assert audit.findings.equals(plain.findings)
    both = (str(tmp_path / "other.json"), str(tmp_path / "own.json"))
    rows = auditor.scan(ENCRYPTED, Options(neighbours=both)).findings
    known = rows[rows["finding"].str.contains("known-key")]
    assert len(known) == sum(count for *_, count, _ in plain.tally.places)
    assert set(known["severity"]) == {"critical"}
    assert all(f"with the key in {tmp_path / 'own.json'}" in detail for detail in known["detail"])


def test_a_key_under_another_name_is_tried_too(tmp_path: Path) -> None:
    text = ROTATING.read_text().replace('"key1"', '"former"')
    (tmp_path / "renamed.json").write_text(text)
    rows = auditor.scan(ENCRYPTED, Options(neighbours=(str(tmp_path / "renamed.json"),))).findings
    assert rows["finding"].str.contains("known-key").any()


def source(tmp_path: Path) -> Path:
    folder = tmp_path / "backups"
    (folder / "prod").mkdir(parents=True)
    (folder / "elsewhere" / "deep").mkdir(parents=True)
    shutil.copy(ENCRYPTED, folder / "prod" / fleet.name(5))
    shutil.copy(MIGRATION / "1-plaintext.db", folder / "prod" / fleet.name(1))
    return folder


def rows_of(dataset: Path) -> dict[str, dict[str, Any]]:
    return {Path(row["url"]).name: row for row in fleet.table(dataset, "backups")}


def test_a_fleet_tries_keys_of_its_sources(tmp_path: Path) -> None:
    """They come later, are tried on what is in already, and are tried no more when they are gone."""
    folder = source(tmp_path)
    scanned = fleet.request(folder, tmp_path / "set", fleet.key(tmp_path))
    fleet.run(scanned)
    assert rows_of(tmp_path / "set")[fleet.name(5)]["readable"] == 0
    holder = folder / "elsewhere" / "deep" / "notes-on-prod"
    shutil.copy(ROTATING, holder)
    _, again = fleet.run(scanned)
    assert [Path(row["url"]).name for row in again] == [fleet.name(5)]
    row = rows_of(tmp_path / "set")[fleet.name(5)]
    assert (row["readable"], row["readable_alone"], row["severity"]) == (row["values"], 0, "critical")
    assert row["known_keys"] == str(holder)
    assert row["readable_latest"] > 0
    assert row["unopened_latest"] == 0
    assert any(each["readable"] for each in fleet.table(tmp_path / "set", "values") if each["backup"] == row["backup"])
    assert fleet.run(scanned)[1] == []
    report = build.build(Context(DataSetFolder(str(tmp_path / "set")), Questions(as_of="2026-11-05T06:00:00Z")))
    grids = {grid.name: grid for section in report.sections for grid in section.grids}
    assert list(grids["beside"].rows) == [(str(holder), "aescbc/key1, aescbc/key2", 0, 1, "object")]
    columns = grids["restrict"].header
    (line,) = (line for line in grids["restrict"].rows if fleet.name(5) in str(line[1]))
    assert line[columns.index("readable in the file alone")] == 0
    secrets = [
        key["secret"]
        for entry in json.loads(ROTATING.read_text())["resources"]
        for provider in entry["providers"]
        for key in provider.get("aescbc", {}).get("keys", ())
    ]
    for path in fleet.files(tmp_path / "set"):
        raw = path.read_bytes()
        assert not [key for key in secrets if key.encode() in raw or base64.b64decode(key) in raw]
    holder.unlink()
    fleet.run(scanned)
    assert rows_of(tmp_path / "set")[fleet.name(5)]["readable"] == 0


def test_texts_beside_are_no_backups(tmp_path: Path) -> None:
    folder = source(tmp_path)
    (folder / "README.md").write_text("how backups are made")
    shutil.copy(REWRITTEN, folder / "elsewhere" / "etcd-config")
    summary, _ = fleet.run(fleet.request(folder, tmp_path / "set"))
    assert (summary.found, summary.states) == (2, {"examined": 2})


def test_a_token_decrypts_the_record_of_keys(tmp_path: Path) -> None:
    """k3s' record in one snapshot, the token in another object: its keys are known."""
    password, salt = TOKEN.rpartition(b":")[2], b"0123456789abcdef"
    configuration = base64.b64encode(ROTATING.read_bytes()).decode()
    derived = hashlib.pbkdf2_hmac("sha1", password, salt, 4096, 32)
    nonce = bytes(range(12))
    sealed = AESGCM(derived).encrypt(nonce, json.dumps({"EncryptionConfig": configuration}).encode(), None)
    value = salt + b":" + base64.b64encode(nonce + sealed)
    dump = _dump_with(value, f"/bootstrap/{hashlib.sha256(password).hexdigest()[:12]}")
    (tmp_path / "dump.json").write_bytes(dump)
    (tmp_path / "server-token").write_bytes(TOKEN)
    rows = auditor.scan(tmp_path / "dump.json", Options(neighbours=(str(tmp_path / "server-token"),))).findings
    known = rows[rows["finding"].str.contains("known-key")]
    assert len(known)
    assert all("which the token in" in detail for detail in known["detail"])


def _dump_with(value: bytes, name: str) -> bytes:
    """An etcdctl dump of the encrypted Secrets of a snapshot, and one more value."""
    from auditor.evidence.discovery import exhibits
    from auditor.evidence.readers import read

    with exhibits.opened(str(ENCRYPTED), Options()) as opened:
        ((_, opener),) = opened
        with opener() as files:
            batches = read(files, quick=True).batches
            pairs = [
                (batch.key(row), batch.value(row), int(batch.mod_revision[row]))
                for batch in batches
                for row in range(len(batch))
                if batch.key_at[row] >= 0 and batch.value_at[row] >= 0
            ]
    pairs.append((name.encode(), value, 1))
    kvs = [
        {
            "key": base64.b64encode(key).decode(),
            "create_revision": revision,
            "mod_revision": revision,
            "version": 1,
            "value": base64.b64encode(own).decode(),
        }
        for key, own, revision in pairs
    ]
    return json.dumps({"header": {"revision": 1000}, "kvs": kvs, "count": len(kvs)}).encode()
