"""etcdctl's dumps, made by real etcdctl of two versions: the same latest rows as the snapshot's, and no more."""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import auditor
from auditor import Audit, Options
from auditor.errors import UnreadableEvidence
from tests.helpers.ciphertexts import ciphertext
from tests.helpers.command import run
from tests.helpers.etcd import Etcd, binary
from tests.helpers.objects import StoredObject
from tests.helpers.sweeps import everything

CANARY = b"CANARY-dump-5a1c"
COLUMNS = ["key", "provider", "key_name", "encoding", "type", "data_keys", "create_revision", "mod_revision", "version"]
PROGRAMS = {"3.5": binary("etcdctl")}
if (installed := shutil.which("etcdctl")) is not None:
    PROGRAMS["installed"] = installed  # another version, where the machine has one


def secret(name: str) -> StoredObject:
    return StoredObject(name=name.encode(), data={b"password": CANARY + name.encode()})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a snapshot and a dump by each program in each form, of one etcd."""
    folder = tmp_path_factory.mktemp("dumps")
    with Etcd(folder / "data") as etcd:
        for number in range(30):
            thing = secret(f"s{number}")
            stored = thing.protobuf() if number % 3 else ciphertext("aescbc", b"key1", bytes(range(48)))
            etcd.put(thing.key, thing.json() if number == 7 else stored)
        for number in range(0, 30, 5):
            etcd.put(secret(f"s{number}").key, ciphertext("secretbox", b"box", bytes(range(100, 180))))
        etcd.delete(secret("s9").key)
        etcd.put(b"/registry/configmaps/default/big", b"k8s\0" + b"\xff\xfe" * 200_000)
        etcd.save(folder / "snapshot.db")
        for version, program in PROGRAMS.items():
            for form in ("json", "protobuf", "fields", "simple"):
                line = [program, "--endpoints", etcd.endpoint, "get", "--prefix", "/", "--write-out", form]
                done = subprocess.run(line, capture_output=True, check=True, env={"ETCDCTL_API": "3"})
                (folder / f"{version}.{form}").write_bytes(done.stdout)
            limited = [program, "--endpoints", etcd.endpoint, "get", "--prefix", "/", "--limit=5", "-w", "json"]
            done = subprocess.run(limited, capture_output=True, check=True, env={"ETCDCTL_API": "3"})
            (folder / f"{version}.limited").write_bytes(done.stdout)
    return folder


def rows(audit: Audit) -> pd.DataFrame:
    shown = audit.inventory[audit.inventory.place == "latest"]
    return shown.sort_values("key").reset_index(drop=True)


@pytest.mark.parametrize("version", PROGRAMS)
@pytest.mark.parametrize("form", ["json", "protobuf"])
def test_a_dump_has_the_latest_rows_of_the_snapshot(made: Path, version: str, form: str) -> None:
    every = Options(resources=("*",))
    snapshot, dump = auditor.scan(made / "snapshot.db", every), auditor.scan(made / f"{version}.{form}", every)
    pd.testing.assert_frame_equal(rows(snapshot)[COLUMNS], rows(dump)[COLUMNS])
    assert not dump.gaps
    assert dump.evidence.backend.revision == snapshot.evidence.backend.revision
    assert dump.evidence.backend.cluster_id is not None
    assert set(dump.inventory.place) == {"latest"}
    assert any("history" in part.what for part in dump.unexamined)


@pytest.mark.parametrize("form", ["json", "protobuf"])
def test_offsets_are_where_the_value_stands_in_the_dump(made: Path, form: str) -> None:
    snapshot, raw = (made / "snapshot.db").read_bytes(), (made / f"3.5.{form}").read_bytes()
    places = {row["key"]: row for row in rows(auditor.scan(made / "snapshot.db")).to_dict("records")}
    for row in rows(auditor.scan(made / f"3.5.{form}")).to_dict("records"):
        held = raw[row["offset"] : row["offset"] + row["size"]]
        value = base64.b64decode(held, validate=True) if form == "json" else held
        there = places[row["key"]]
        assert value == snapshot[there["offset"] : there["offset"] + there["size"]]
        assert ("encoded" in row["state"]) is (form == "json")


@pytest.mark.parametrize("version", PROGRAMS)
def test_a_limited_dump_is_not_complete(made: Path, version: str) -> None:
    audit = auditor.scan(made / f"{version}.limited", Options(resources=("*",)))
    assert not audit.complete
    assert any("--limit" in part.reason for part in audit.unexamined)


@pytest.mark.parametrize("form", ["fields", "simple"])
def test_other_forms_are_refused_with_the_way_out(made: Path, form: str) -> None:
    done = run("scan", made / f"3.5.{form}")
    assert done.returncode == 2
    assert "make the dump again with -w json" in done.stderr


def test_an_indented_dump_in_another_order_is_read_or_is_a_gap(made: Path, tmp_path: Path) -> None:
    told = json.loads((made / "3.5.json").read_text())
    (tmp_path / "indented.json").write_text(json.dumps(told, indent=2))
    again = auditor.scan(tmp_path / "indented.json")
    assert not again.gaps
    pd.testing.assert_frame_equal(rows(auditor.scan(made / "3.5.json"))[COLUMNS], rows(again)[COLUMNS])
    told["kvs"] = [dict(reversed(each.items())) for each in told["kvs"]]
    (tmp_path / "turned.json").write_text(json.dumps(told))
    assert not auditor.scan(tmp_path / "turned.json").complete


@pytest.mark.parametrize("form", ["json", "protobuf"])
@settings(max_examples=40 if everything() else 20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_cut_or_changed_dump_is_never_whole(made: Path, tmp_path: Path, form: str, data: st.DataObject) -> None:
    raw = (made / f"3.5.{form}").read_bytes()
    kept = data.draw(st.integers(1, len(raw) - 3))
    path = tmp_path / "cut"
    path.write_bytes(raw[:kept])
    try:
        audit = auditor.scan(path)
    except UnreadableEvidence:
        return
    assert not audit.complete
    assert audit.gaps or not len(audit.inventory)
    changed = bytearray(raw)
    changed[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(changed)
    try:
        auditor.scan(path)
    except UnreadableEvidence:
        return


def test_a_hunt_in_a_dump_names_the_copy_and_prints_no_value(tmp_path: Path) -> None:
    with Etcd(tmp_path / "data") as etcd:
        etcd.put(secret("a").key, secret("a").protobuf())
        copy = StoredObject(kind=b"ConfigMap", name=b"copy", labels={b"note": CANARY + b"a"})
        etcd.put(b"/registry/configmaps/default/copy", copy.protobuf())
        line = [PROGRAMS["3.5"], "--endpoints", etcd.endpoint, "get", "--prefix", "/", "-w", "json"]
        (tmp_path / "d.json").write_bytes(subprocess.run(line, capture_output=True, check=True).stdout)
    done = run("scan", tmp_path / "d.json", "--hunt", "--csv", tmp_path / "a.csv")
    assert done.returncode == 1, done.stderr
    table = pd.read_csv(tmp_path / "a.csv")
    (hit,) = table[table.finding == "copied-value"].to_dict("records")
    raw = (tmp_path / "d.json").read_bytes()
    assert CANARY + b"a" in base64.b64decode(raw[hit["offset"] : hit["offset"] + hit["size"]])
    text = done.stdout + done.stderr + (tmp_path / "a.csv").read_text()
    assert CANARY.decode() not in text
    assert base64.b64encode(CANARY).decode()[:16] not in text


def test_verify_finds_the_base64_where_the_report_says(made: Path, tmp_path: Path) -> None:
    (tmp_path / "d.json").write_bytes(raw := (made / "3.5.json").read_bytes())
    run("scan", tmp_path / "d.json", "--json", tmp_path / "report.json")
    done = run("verify", tmp_path / "report.json", tmp_path / "d.json")
    assert done.returncode == 0, done.stdout + done.stderr
    (tmp_path / "d.json").write_bytes(raw.replace(b"azhzA", b"BzhzA"))
    assert "expected" in run("verify", tmp_path / "report.json", tmp_path / "d.json").stdout
