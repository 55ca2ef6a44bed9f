"""What is no etcd database, out of containers: kine's SQLite with its log, etcdctl's dumps, Gardener's increments."""

import subprocess
import tarfile
import zipfile
from pathlib import Path

import pandas as pd
import pytest

import auditor
from auditor import Audit, Options
from tests.evidence.gardener.test_backup import FIRST, increment
from tests.helpers.command import run
from tests.helpers.etcd import Etcd, binary
from tests.helpers.kine_stages import STAGES, configuration, name_of, unpack
from tests.helpers.objects import StoredObject

SAME = ["place", "finding", "resource", "key", "provider", "key_name", "offset", "size", "same_as_latest", "decrypted"]
SECRET = StoredObject(namespace=b"prod", name=b"db", data={b"password": b"CANARY-stores-91"})


def rows(audit: Audit) -> pd.DataFrame:
    """Without the names of files: a container's stand before them."""
    return audit.inventory[SAME].sort_values(SAME[::-1]).reset_index(drop=True)


def packed(folder: Path, *files: Path) -> Path:
    with tarfile.open(folder / "backup.tar.gz", "w:gz") as archive:
        for each in files:
            archive.add(each, f"backup/{each.name}")
    return folder / "backup.tar.gz"


@pytest.mark.parametrize("stage", STAGES[:2], ids=name_of)
def test_a_database_of_kine_with_its_log(stage: Path, tmp_path: Path) -> None:
    folder = unpack(stage, tmp_path / "plain")
    options = Options(encryption_configs=(configuration(stage),))
    plain = auditor.scan(folder, options)
    audit = auditor.scan(packed(tmp_path, *sorted(folder.glob("state.db*"))), options)
    pd.testing.assert_frame_equal(rows(audit), rows(plain))
    assert {each.name.rpartition("/")[2] for each in audit.evidence.sources} >= {"state.db", "state.db-wal"}
    assert audit.tally.readable == plain.tally.readable > 0


def test_without_its_log_the_conclusion_stays_open(tmp_path: Path) -> None:
    folder = unpack(STAGES[0], tmp_path / "plain")
    audit = auditor.scan(packed(tmp_path, folder / "state.db"))
    assert any("state.db-wal" in part.reason for part in audit.unexamined)
    assert not audit.complete


def test_a_dump_in_a_zip(tmp_path: Path) -> None:
    with Etcd(tmp_path / "data") as etcd:
        etcd.put(SECRET.key, SECRET.protobuf())
        line = [binary("etcdctl"), "--endpoints", etcd.endpoint, "get", "--prefix", "/", "-w", "json"]
        dump = subprocess.run(line, capture_output=True, check=True, env={"ETCDCTL_API": "3"}).stdout
        simple = subprocess.run(
            [*line[:-1], "simple"], capture_output=True, check=True, env={"ETCDCTL_API": "3"}
        ).stdout
    (tmp_path / "dump.json").write_bytes(dump)
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("etcd/keys.json", dump)
    audit = auditor.scan(tmp_path / "b.zip")
    pd.testing.assert_frame_equal(rows(audit), rows(auditor.scan(tmp_path / "dump.json")))
    (row,) = audit.findings.to_dict("records")
    assert (row["key"], row["place"], row["state"]) == (SECRET.key.decode(), "latest", "encoded")
    with zipfile.ZipFile(tmp_path / "simple.zip", "w") as archive:
        archive.writestr("keys.txt", simple)
    done = run("scan", tmp_path / "simple.zip")
    assert done.returncode == 2
    assert "-w json" in done.stderr
    assert "CANARY" not in done.stdout + done.stderr


def test_an_increment_in_a_tar(tmp_path: Path) -> None:
    (tmp_path / "Incr-00000005-00000007-1700000000").write_bytes(increment(*FIRST))
    audit = auditor.scan(packed(tmp_path, tmp_path / "Incr-00000005-00000007-1700000000"))
    assert audit.tally.readable == 1
    plain = audit.findings[audit.findings.finding == "plaintext"]
    assert set(plain.key) == {"/registry/secrets/default/d"}


def test_a_folder_of_kine_s_is_one_piece(tmp_path: Path) -> None:
    folder = unpack(STAGES[0], tmp_path / "plain")
    done = run("scan", folder, "--encryption-config", configuration(STAGES[0]))
    assert "kine's SQLite database" in done.stdout
    assert done.returncode == 1
