"""Keys that lie in a backup: they are tried on the other backups of the sources, and on itself as they ever were."""

import base64
import hashlib
import json
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import auditor
from auditor.fleet import key_backups
from auditor.fleet.folder import DataSetFolder
from auditor.fleet.report import build
from auditor.fleet.report.context import Context, Questions
from auditor.fleet.scan import FleetScan, scan
from auditor.model.vocabulary import Severity
from auditor.options import Options
from tests.helpers import fleet, kine_stages, management
from tests.helpers.bolt_builder import record
from tests.helpers.fixtures import MIGRATION
from tests.helpers.objects import StoredObject
from tests.helpers.sealing import KEY, configuration, provider, seal
from tests.helpers.taint import Taint

ROTATING = MIGRATION / "6-rotating.encryption.json"
CONFIGURATION = ROTATING.read_bytes()
ENCRYPTED = MIGRATION / "5-defragmented.db"
"""Every value is under aescbc/key1, which ROTATING has."""
AS_OF = "2026-11-05T06:00:00Z"
PASSWORD = b"a-password-of-the-server"


def keys_of(configuration: bytes) -> list[bytes]:
    return [
        base64.b64decode(key["secret"])
        for entry in json.loads(configuration)["resources"]
        for provider in entry["providers"]
        for own in provider.values()
        for key in own.get("keys", ())
    ]


def rows_of(dataset: Path) -> dict[str, dict[str, Any]]:
    return {Path(row["url"]).name: row for row in fleet.table(dataset, "backups")}


def names(rows: list[dict[str, Any]]) -> list[str]:
    return [Path(row["url"]).name for row in rows]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with an encrypted backup of one cluster."""
    folder = tmp_path / "backups"
    (folder / "workload").mkdir(parents=True)
    shutil.copy(ENCRYPTED, folder / "workload" / fleet.name(5))
    return folder


@pytest.fixture
def scanned(source: Path, tmp_path: Path) -> FleetScan:
    return fleet.request(source, tmp_path / "set", fleet.key(tmp_path))


def holder_in(source: Path, day: int = 1, **more: Any) -> Path:
    return management.snapshot(source / "management" / f"m-{fleet.name(day)}", CONFIGURATION, **more)


@pytest.mark.parametrize("kind", [b"ConfigMap", b"Secret"])
def test_a_key_in_a_backup_opens_another_backup(kind: bytes, source: Path, tmp_path: Path, scanned: FleetScan) -> None:
    """As one in a small object does; and nothing of it is kept."""
    holder = holder_in(source, kind=kind)
    _, rows = fleet.run(scanned)
    assert sorted(names(rows)) == sorted([holder.name, fleet.name(5), fleet.name(5)])
    row = rows_of(tmp_path / "set")[fleet.name(5)]
    assert (row["readable"], row["readable_alone"], row["severity"]) == (row["values"], 0, "critical")
    assert (row["known_keys"], row["unopened_latest"]) == (str(holder), 0)
    known = [each for each in fleet.table(tmp_path / "set", "findings") if each["backup"] == row["backup"]]
    assert {each["finding"] for each in known if each["severity"] == "critical"} == {"known-key"}
    assert any(f"decrypts with the key in {holder}" in each["detail"] for each in known)
    with duckdb.connect() as connection:
        held = connection.execute(f"SELECT * FROM '{tmp_path}/set/key-objects.parquet' ORDER BY ALL").fetchall()
    assert held == [(str(holder), "aescbc", "key1", 0, True), (str(holder), "aescbc", "key2", 0, True)]
    taint = Taint(keys_of(CONFIGURATION))
    for path in fleet.files(tmp_path / "set"):
        assert not taint.within(path.read_bytes().decode("latin-1"))
    for table in ("backups", "findings", "inventory", "keys"):
        assert not any(taint.within(repr(each)) for each in fleet.table(tmp_path / "set", table))
    assert not taint.within(repr(rows))
    assert fleet.run(scanned)[1] == []


def test_a_report_names_the_backup_that_holds_keys(source: Path, tmp_path: Path, scanned: FleetScan) -> None:
    holder = holder_in(source)
    fleet.run(scanned)
    report = build.build(Context(DataSetFolder(str(tmp_path / "set")), Questions(as_of=AS_OF)))
    grids = {grid.name: grid for section in report.sections for grid in section.grids}
    assert list(grids["beside"].rows) == [(str(holder), "aescbc/key1, aescbc/key2", 0, 1, "backup")]


def test_keys_that_come_later_and_go(source: Path, tmp_path: Path, scanned: FleetScan) -> None:
    """Earlier backups are examined again; of many backups with the same object one is read; when all go, so does it."""
    fleet.run(scanned)
    assert rows_of(tmp_path / "set")[fleet.name(5)]["readable"] == 0
    first = holder_in(source, 1)
    _, rows = fleet.run(scanned)
    assert names(rows) == [first.name, fleet.name(5)]
    assert rows[-1]["known_keys"] == str(first)
    second = holder_in(source, 2)  # the same object at the same revision
    assert names(fleet.run(scanned)[1]) == [second.name]
    first.unlink()  # the object that a finding names is gone: another holds the key
    _, rows = fleet.run(scanned)
    assert [(Path(row["url"]).name, row["known_keys"]) for row in rows] == [(fleet.name(5), str(second))]
    second.unlink()
    _, rows = fleet.run(scanned)
    assert [(Path(row["url"]).name, row["readable"], row["known_keys"]) for row in rows] == [(fleet.name(5), 0, None)]
    assert fleet.run(scanned)[1] == []
    assert not (tmp_path / "set" / "key-objects.parquet").exists()


def test_another_revision_of_the_object_is_tried_too(source: Path, tmp_path: Path, scanned: FleetScan) -> None:
    """What lies there may be another key of the same name."""
    other = CONFIGURATION
    for key in keys_of(CONFIGURATION):
        other = other.replace(base64.b64encode(key), base64.b64encode(hashlib.sha256(key).digest()))
    management.snapshot(source / "management" / f"m-{fleet.name(1)}", other)
    fleet.run(scanned)
    assert rows_of(tmp_path / "set")[fleet.name(5)]["readable"] == 0
    holder = holder_in(source, 2, revision=6)
    fleet.run(scanned)
    row = rows_of(tmp_path / "set")[fleet.name(5)]
    assert (row["known_keys"], row["readable"]) == (str(holder), row["values"])
    assert len(row["tried_from"].split()) == 2


def test_keys_of_other_names_are_not_read_again(source: Path, tmp_path: Path, scanned: FleetScan) -> None:
    text = CONFIGURATION.replace(b'"key1"', b'"key7"').replace(b'"key2"', b'"key8"')
    holder = management.snapshot(source / "management" / f"m-{fleet.name(1)}", text)
    assert sorted(names(fleet.run(scanned)[1])) == sorted([holder.name, fleet.name(5)])


def test_the_keys_of_an_encrypted_backup_are_its_owners(source: Path, tmp_path: Path) -> None:
    """Though the options decrypt it: whoever holds the files does not have that configuration."""
    own = configuration(tmp_path / "own.json", provider("aescbc", ("own", KEY)))
    holder_in(source, kind=b"Secret", stored=lambda thing: seal("aescbc", "own", KEY, thing, random.Random(7)))
    options = Options(encryption_configs=(own,))
    _, rows = fleet.run(fleet.request(source, tmp_path / "set", options=options))
    assert sorted(names(rows)) == sorted([fleet.name(5), f"m-{fleet.name(1)}"])
    by_name = rows_of(tmp_path / "set")
    assert by_name[f"m-{fleet.name(1)}"]["unopened_latest"] == 0
    assert by_name[fleet.name(5)]["readable"] == 0
    assert not (tmp_path / "set" / "key-objects.parquet").exists()
    shutil.copy(own, source / "own.json")  # now the bucket has it, and what it decrypts
    fleet.run(fleet.request(source, tmp_path / "set", options=options))
    row = rows_of(tmp_path / "set")[fleet.name(5)]
    assert row["readable"] == row["values"]


@pytest.mark.parametrize("hunt", [False, True])
def test_a_backup_is_not_tried_with_its_own_keys(hunt: bool, source: Path, tmp_path: Path) -> None:
    """They keep what a lone scan says of them: `key-present` with --hunt. Nor is it with the same object elsewhere."""
    thing = StoredObject(data={b"password": b"correct horse battery"})
    sealed = record(9, thing.key, seal("aescbc", "key1", keys_of(CONFIGURATION)[1], thing, random.Random(7)))
    options = Options(hunt=hunt)
    for day in (1, 2):
        holder_in(source, day, others=[sealed])
    fleet.run(fleet.request(source, tmp_path / "set", options=options))
    for name, row in rows_of(tmp_path / "set").items():
        if name.startswith("m-"):
            alone = auditor.scan(row["url"], options)
            assert (row["readable"], row["readable_alone"], row["tried_from"]) == (0, 0, "")
            found = [each for each in fleet.table(tmp_path / "set", "findings") if each["backup"] == row["backup"]]
            assert sorted(each["detail"] for each in found) == sorted(alone.findings["detail"])
            assert any(each["finding"] == "key-present" for each in found) is hunt


def test_a_key_that_another_backup_opens_is_no_pass(source: Path, tmp_path: Path, scanned: FleetScan) -> None:
    """A management cluster of management clusters: the keys in what its keys decrypt are tried no further."""
    own = Path(configuration(tmp_path / "own.json", provider("aescbc", ("own", KEY))))
    management.snapshot(source / "garden" / f"g-{fleet.name(1)}", own.read_bytes())
    holder_in(source, kind=b"Secret", stored=lambda thing: seal("aescbc", "own", KEY, thing, random.Random(7)))
    summary, _ = fleet.run(scanned)
    row = rows_of(tmp_path / "set")[f"m-{fleet.name(1)}"]
    assert (row["readable"], row["complete"], row["gaps"]) == (1, False, 1)
    (gap,) = fleet.table(tmp_path / "set", "gaps")
    assert gap["reason"] == (
        "aescbc/key1, aescbc/key2: encryption keys in values that another backup's key decrypts, which were tried on "
        "no backup"
    )
    assert summary.incomplete >= 1
    assert fleet.run(scanned)[1] == []


def test_too_many_texts_are_a_gap(source: Path, tmp_path: Path, scanned: FleetScan) -> None:
    """What holds more texts than are looked into may hold another key."""
    texts = [
        record(main, b"/registry/configmaps/clusters/c%d" % main, StoredObject(kind=b"ConfigMap", data=data).protobuf())
        for main in range(10, 1040)
        for data in ({b"encryption.yaml": b"kind: EncryptionConfiguration\n"},)
    ]
    holder_in(source, others=texts)
    fleet.run(scanned)
    row = rows_of(tmp_path / "set")[f"m-{fleet.name(1)}"]
    assert (row["complete"], row["gaps"]) == (False, 1)


def test_a_key_backup_that_vanishes_is_no_pass(source: Path, tmp_path: Path, scanned: FleetScan) -> None:
    holder = holder_in(source)
    passes: list[int] = []

    def begun(_: object) -> None:
        passes.append(1)
        if len(passes) == 2:
            holder.unlink()

    summary = scan(scanned, begun, lambda _: None)
    assert summary.exit_code(Severity.MEDIUM) == 3
    row = rows_of(tmp_path / "set")[fleet.name(5)]
    assert row["state"] == "unreachable"
    assert f"{holder} holds keys and cannot be read again" in row["reason"]
    report = build.build(Context(DataSetFolder(str(tmp_path / "set")), Questions(as_of=AS_OF)))
    assert any("1 backup failed" in sentence for section in report.sections for sentence in section.sentences)
    holder_in(source)
    fleet.run(scanned)
    assert rows_of(tmp_path / "set")[fleet.name(5)]["known_keys"] == str(holder)


def test_keys_that_are_no_longer_there_are_no_pass(source: Path, tmp_path: Path, scanned: FleetScan) -> None:
    holder = holder_in(source)
    passes: list[int] = []

    def begun(_: object) -> None:
        passes.append(1)
        if len(passes) == 2:
            management.snapshot(holder, b"nothing")

    scan(scanned, begun, lambda _: None)
    row = rows_of(tmp_path / "set")[fleet.name(5)]
    assert row["state"] == "unreachable"
    assert "held keys that are not read there again: aescbc/key1" in row["reason"]


def test_a_run_that_is_stopped_before_its_second_pass_is_no_pass(
    source: Path, tmp_path: Path, scanned: FleetScan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    holder = holder_in(source)
    with monkeypatch.context() as patch:
        patch.setattr(key_backups, "due", stopped)
        with pytest.raises(KeyboardInterrupt):
            fleet.run(scanned)
    report = build.build(Context(DataSetFolder(str(tmp_path / "set")), Questions(as_of=AS_OF)))
    stated = [sentence for section in report.sections for sentence in section.sentences]
    assert any("before keys that lie in backups were tried on the others" in sentence for sentence in stated)
    assert names(fleet.run(scanned)[1]) == [fleet.name(5)]
    assert rows_of(tmp_path / "set")[fleet.name(5)]["known_keys"] == str(holder)
    report = build.build(Context(DataSetFolder(str(tmp_path / "set")), Questions(as_of=AS_OF)))
    stated = [sentence for section in report.sections for sentence in section.sentences]
    assert not any("before keys that lie in backups" in sentence for sentence in stated)


@pytest.mark.parametrize("password", [PASSWORD, b""])
def test_a_record_of_k3s_opens_another_backup(password: bytes, tmp_path: Path) -> None:
    """With the token that lies in the bucket, or where none is needed; names of keys hold colons."""
    stage = next(each for each in kine_stages.STAGES if kine_stages.name_of(each) == "k3s-like/8-rotated")
    folder = tmp_path / "backups"
    (folder / "servers").mkdir(parents=True)
    shutil.copy(f"{stage}.raw.tar.gz", folder / "k3s.tar.gz")
    record_in(folder / "servers" / "state.db", Path(kine_stages.configuration(stage)).read_bytes(), password)
    scanned = fleet.request(folder, tmp_path / "set", fleet.key(tmp_path))
    fleet.run(scanned)
    if password:
        assert rows_of(tmp_path / "set")["k3s.tar.gz"]["known_keys"] is None
        (folder / "server-token").write_bytes(b"K10" + b"ab" * 32 + b"::server:" + password)
        fleet.run(scanned)
    row = rows_of(tmp_path / "set")["k3s.tar.gz"]
    assert row["known_keys"] == str(folder / "servers")
    assert row["readable"] > row["readable_alone"]
    assert row["unopened_latest"] == 0


def record_in(path: Path, configuration: bytes, password: bytes) -> None:
    """A database of kine with nothing but k3s' record of keys, sealed as k3s does."""
    salt, nonce = b"0123456789abcdef", bytes(range(12))
    derived = hashlib.pbkdf2_hmac("sha1", password, salt, 4096, 32)
    plain = json.dumps({"EncryptionConfig": base64.b64encode(configuration).decode()}).encode()
    value = salt + b":" + base64.b64encode(nonce + AESGCM(derived).encrypt(nonce, plain, None))
    name = f"/bootstrap/{hashlib.sha256(password).hexdigest()[:12]}"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "CREATE TABLE kine (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, created INTEGER, deleted INTEGER,"
            " create_revision INTEGER, prev_revision INTEGER, lease INTEGER, value BLOB, old_value BLOB)"
        )
        connection.execute("INSERT INTO kine VALUES (1, ?, 1, 0, 0, 0, 0, ?, ?)", (name, value, b""))
        connection.commit()
