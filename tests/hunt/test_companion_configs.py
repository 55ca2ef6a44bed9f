"""Keys that travel with the backup that they protect, in the files that distributions make."""

import base64
import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import auditor
from auditor import Audit, Options, Severity
from auditor.model.vocabulary import FindingKind
from tests.helpers import packing
from tests.helpers.command import run
from tests.helpers.fixtures import MIGRATION
from tests.helpers.sweeps import sample

SNAPSHOT = MIGRATION / "5-defragmented.db"
CONFIG = SNAPSHOT.with_suffix(".encryption.json").read_bytes()
KEYS = [
    key["secret"].encode()
    for rule in json.loads(CONFIG)["resources"]
    for provider in rule["providers"]
    for key in provider.get("aescbc", {}).get("keys", [])
]
STAMP = "2026-11-24_030000"
OPENSHIFT = "static-pod-resources/kube-apiserver-pod-{}/secrets/encryption-config/encryption-config"
USED = Options(use_found_config=True)


def older(config: bytes) -> bytes:
    """The same with other keys."""
    for key in KEYS:
        config = config.replace(key, base64.b64encode(bytes(range(32))))
    return config.replace(b'"key1"', b'"old"')


def yaml(config: bytes) -> str:
    """The configuration as YAML, as RKE1 keeps it."""
    key = KEYS[0].decode()
    assert config == CONFIG
    return (
        "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources:\n  - secrets\n"
        f"  providers:\n  - aescbc:\n      keys:\n      - name: key1\n        secret: {key}\n  - identity: {{}}\n"
    )


def rkestate() -> bytes:
    return json.dumps({"desiredState": {"encryptionConfig": yaml(CONFIG)}, "currentState": {}}, indent=2).encode()


def openshift(folder: Path) -> Path:
    path = folder / f"snapshot_{STAMP}.db"
    shutil.copy(SNAPSHOT, path)
    files = {OPENSHIFT.format(7): CONFIG, OPENSHIFT.format(6): older(CONFIG), "static-pod-resources/x/pod.yaml": b"{}"}
    (folder / f"static_kuberesources_{STAMP}.tar.gz").write_bytes(gzip.compress(packing.tar(files)))
    return path


def k3s(folder: Path) -> Path:
    path = folder / "k3s.tgz"
    files = {
        "server/db/snapshots/etcd-snapshot-n-1700000000": SNAPSHOT.read_bytes(),
        "server/cred/encryption-config.json": CONFIG,
        "server/cred/passwd": b"x",
    }
    path.write_bytes(gzip.compress(packing.tar(files)))
    return path


def rke1(folder: Path) -> Path:
    path = folder / "nightly.zip"
    files = {"/backup/nightly": SNAPSHOT.read_bytes(), "/etc/kubernetes/nightly.rkestate": rkestate()}
    path.write_bytes(packing.zip_archive(files))
    return path


def kubeadm(folder: Path) -> Path:
    path = folder / "backup.tar"
    path.write_bytes(packing.tar({"etc/kubernetes/enc/enc.yaml": yaml(CONFIG).encode(), "a.db": SNAPSHOT.read_bytes()}))
    return path


def beside(folder: Path) -> Path:
    path = folder / "etcd-snapshot-n-1700000000"
    shutil.copy(SNAPSHOT, path)
    (folder / "encryption-config.json").write_bytes(CONFIG)
    (folder / "unrelated.json").write_bytes(older(CONFIG))
    return path


def packed_beside(folder: Path) -> Path:
    path = folder / "nightly.zip"
    path.write_bytes(packing.zip_archive({"nightly": SNAPSHOT.read_bytes()}))
    (folder / "nightly.rkestate").write_bytes(rkestate())
    return path


MAKERS = [openshift, k3s, rke1, kubeadm, beside, packed_beside]


def present(audit: Audit) -> list[dict[str, Any]]:
    rows: Any = audit.findings[audit.findings.finding == "key-present"].to_dict("records")
    found: list[dict[str, Any]] = rows
    return found


@pytest.mark.parametrize("make", MAKERS)
def test_the_keys_are_findings_with_their_place(tmp_path: Path, make: Any) -> None:
    path = make(tmp_path)
    audit = auditor.scan(path)
    rows = [row for row in present(audit) if "/old " not in row["detail"]]
    assert {row["severity"] for row in rows} == {"critical"}
    (row,) = (row for row in rows if "aescbc/key1" in row["detail"])
    assert "it decrypts 34 values of this evidence" in row["detail"]
    assert (row["place"], row["provider"], row["key"]) == ("", "", "")
    kept = {each.name: each for each in audit.evidence.sources}
    assert row["evidence"] == kept[row["source"]].sha256
    assert row["size"] == len(KEYS[0])
    assert any(row["source"] in note and "not used" in note for note in audit.notes)
    assert audit.exit_code(Severity.CRITICAL) == 1


@pytest.mark.parametrize("make", MAKERS)
def test_what_was_found_can_be_used(tmp_path: Path, make: Any) -> None:
    path = make(tmp_path)
    alone = auditor.scan(SNAPSHOT, Options(encryption_configs=(str(SNAPSHOT.with_suffix(".encryption.json")),)))
    audit = auditor.scan(path, USED)
    assert audit.tally.places == alone.tally.places
    assert [
        mark for mark in audit.tally.findings if mark[0] not in {FindingKind.KEY_PRESENT, FindingKind.CONFIGURATION}
    ] == [mark for mark in alone.tally.findings if mark[0] is not FindingKind.CONFIGURATION]
    (used,) = (each for each in audit.keys if each.key_name == "key1")
    assert used.opened == 34
    assert any("came with the evidence" in note and "; used" in note for note in audit.notes)
    assert auditor.scan(path).tally.places != alone.tally.places


def test_the_offset_is_where_the_key_stands(tmp_path: Path) -> None:
    beside(tmp_path)
    (row,) = present(auditor.scan(tmp_path / "etcd-snapshot-n-1700000000"))
    assert CONFIG[row["offset"] : row["offset"] + row["size"]] == KEYS[0]


def test_older_revisions_are_found_and_do_not_judge(tmp_path: Path) -> None:
    audit = auditor.scan(openshift(tmp_path), USED)
    assert {row["source"].split("kube-apiserver-pod-")[1][0] for row in present(audit)} == {"6", "7"}
    (old,) = (row for row in present(audit) if "/old" in row["detail"])
    assert "it decrypts 0 values" in old["detail"]
    assert "write key aescbc/key1" in audit.policy
    assert "pod-6" not in audit.policy


def test_a_configuration_that_the_user_names_is_his_own(tmp_path: Path) -> None:
    path = beside(tmp_path)
    audit = auditor.scan(path, Options(encryption_configs=(str(tmp_path / "encryption-config.json"),)))
    assert not present(audit)
    assert [each.name for each in audit.evidence.sources] == [path.name]


def test_another_stamp_is_another_backup(tmp_path: Path) -> None:
    path = openshift(tmp_path)
    other = path.rename(tmp_path / "snapshot_2026-11-23_030000.db")
    assert not present(auditor.scan(other))


def test_files_without_keys_are_no_findings(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    shutil.copy(SNAPSHOT, path)
    (tmp_path / "encryption-config.json").write_text('{"kind": "EncryptionConfiguration"')
    (tmp_path / "k0s.yaml").write_text("kind: ClusterConfig\n")
    (tmp_path / "enc.yaml").mkdir()
    audit = auditor.scan(path)
    assert not present(audit)


@pytest.mark.parametrize("make", sample(list(MAKERS), 3))
def test_no_key_leaves_and_the_report_verifies(tmp_path: Path, make: Any) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    out.mkdir()
    path = make(folder)
    done = run(
        "scan", path, "--use-found-config", "--json", out / "a.json", "--csv", out / "a.csv", "--html", out / "a.html",
        "--inventory", out / "i.csv", "-v",
    )  # fmt: skip
    assert done.returncode == 1
    said = done.stdout + done.stderr + "".join(each.read_text() for each in out.iterdir())
    for key in KEYS:
        raw = base64.b64decode(key)
        assert key.decode() not in said
        assert raw.hex() not in said
    checked = run("verify", out / "a.json", path)
    assert checked.returncode == 0, checked.stdout
