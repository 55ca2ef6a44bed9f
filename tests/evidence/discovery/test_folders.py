"""Folders and archives: each file is evidence, a companion, known to hold no values, or a gap with its name."""

import base64
import os
import shutil
from itertools import product
from pathlib import Path

import pytest

from auditor.evidence.containers.residue import holds_value
from auditor.evidence.discovery import bystanders
from auditor.evidence.discovery.arguments import resolve_arguments
from tests.evidence.etcd.test_wal import put
from tests.helpers import members_on_disk, packing
from tests.helpers.command import run
from tests.helpers.members_on_disk import CANARY, LEAK, WAL, data_directory, kine, leaking, snapshot, write
from tests.helpers.sweeps import sample

READABLE = LEAK.protobuf()
ARMOURED = b"-----BEGIN PGP MESSAGE-----\n\nhQEMA0aaaaaaaaaaAQ\n-----END PGP MESSAGE-----\n"
DUMP = (
    b"INSERT INTO kine VALUES(1,'/registry/secrets/default/leak',1,0,0,0,0,X'" + READABLE.hex().encode() + b"',NULL);\n"
)


def scan(path: Path, folder: Path, *options: str | Path) -> tuple[int, str]:
    done = run("scan", path, "--encryption-config", members_on_disk.configuration(folder), *options, cwd=folder)
    assert CANARY.decode() not in done.stdout + done.stderr
    assert base64.b64encode(CANARY).decode() not in done.stdout + done.stderr
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    """A folder with a snapshot that is in order."""
    return write(tmp_path / "backups" / "a.db", snapshot()).parent


GAPS = {
    "etcd-snapshot-2.db": b"",
    "empty": b"",
    "etcd-snapshot-3.db": bytes(65536),
    "zeros": bytes(512),
    "etcd-snapshot-4.db": base64.encodebytes(snapshot(leaking())),
    "notes.txt": base64.encodebytes(snapshot(leaking())),
    "one-line.txt": base64.b64encode(snapshot(leaking())),
    "hex.txt": snapshot(leaking()).hex().encode(),
    "etcd-snapshot-5.db.gpg": bytes(range(128, 256)) * 8,
    "unknown.bin": bytes(range(256)) * 8,
    "etcd-snapshot-7.db": b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>",
    "snapshot.db.part": snapshot()[:9000],
    "kine.sql": DUMP,
    "dump.txt": DUMP,
    "armoured.txt": ARMOURED,
    "latin.txt": b"caf\xe9\n",
    "wide.txt": "text".encode("utf-16"),
    "secrets.yaml": b"apiVersion: v1\nitems:\n- kind: Secret\n  data:\n    a: Yg==\n",
    "escaped.txt": b"k8s\\u0000\\n\\f\n",
}


@pytest.mark.parametrize("name", sample(list(GAPS), 10))
def test_what_cannot_be_read_is_a_gap_in_a_folder_a_tar_and_a_pattern(name: str, backups: Path) -> None:
    write(backups / name, GAPS[name])
    for argument in (backups, write(backups.parent / "b.tar", packing.tar({"a.db": snapshot(), name: GAPS[name]}))):
        code, text = scan(argument, backups.parent)
        assert code in {1, 3}, argument
        assert name in text


PAGES = {
    "page": b'<?xml version="1.0"?><Error><Code>SlowDown</Code></Error>',
    "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 20971552\n",
}
NAMED = [
    "backup-2026-01-01.tar.gz",
    "backup.zip",
    "velero-nightly.tgz",
    "2026-01-01.tar",
    "full.zst",
    "master-0.xz",
    "k3s.7z",
    "a.lz4",
    "a.bz2",
    "kine.dump.gz",
    "data.bin",
    "disk.img",
    "a.qcow2",
    "backup-2026-01-01",
    "static_kuberesources_2026-01-01_000000.tar.gz",
]


@pytest.mark.parametrize(("name", "page"), sample(list(product(NAMED, PAGES)), 12))
def test_a_text_in_place_of_a_backup_is_a_gap(name: str, page: str, backups: Path) -> None:
    """What a store or a tool leaves under a backup's name is no text that is known to hold no values."""
    write(backups / name, PAGES[page])
    for argument in (backups, write(backups.parent / "b.tar", packing.tar({"a.db": snapshot(), name: PAGES[page]}))):
        code, text = scan(argument, backups.parent)
        assert code == 3, argument
        assert name in text


def test_a_broken_object_of_gardener_s_name_stops_no_other(backups: Path) -> None:
    write(backups / "a.db", snapshot(leaking()))
    write(backups / "Full-00000000-00001000-1700000000.gz", PAGES["page"])
    code, text = scan(backups, backups.parent)
    assert code == 1
    assert "Full-00000000-00001000-1700000000.gz" in text


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (".metadata/etcd-snapshot-node1-1700000000.zip", b'{"provisioning-cluster-spec": "abc"}'),
        ("control/etcd-cluster-created", b""),
        ("control/etcd-cluster-created", b'{"timestamp": "1700000000"}\n'),
        ("control/etcd-cluster-spec", b'{"memberCount": 3, "etcdVersion": "3.5.9"}'),
        ("etcd-backup.timer", b"[Timer]\nOnCalendar=daily\n"),
        ("etcd-backup.py", b"print(1)\n"),
        ("SHA256SUMS", f"{'0123456789abcdef' * 4}  a.db\n".encode()),
        ("a.db.sha256", b"0123456789abcdef" * 4 + b"\n"),
        ("etcd-backup.log", b"2026-02-11 09:12:44 snapshot saved \xe2\x9c\x93\n"),
        ("_etcd_backup.meta", b"{}"),
        ("joined-10.0.0.1", b""),
    ],
)
def test_texts_without_values_and_honest_folders_pass(name: str, content: bytes, backups: Path) -> None:
    write(backups / name, content)
    assert scan(backups, backups.parent)[0] == 0
    assert (
        scan(write(backups.parent / "b.tar", packing.tar({"a.db": snapshot(), name: content})), backups.parent)[0] == 0
    )


def test_our_own_reports_beside_the_evidence_pass(backups: Path) -> None:
    reports: list[str | Path] = [
        "--csv",
        backups / "audit.csv",
        "--json",
        backups / "audit.json",
        "--html",
        backups / "audit.html",
    ]
    assert scan(backups / "a.db", backups.parent, *reports)[0] == 0
    assert scan(backups, backups.parent)[0] == 0


def test_lines_may_break_an_encoded_value_anywhere() -> None:
    encoded = base64.b64encode(b"a text and then " + READABLE)
    for width in range(3, 80):
        lines = b"\n".join(encoded[at : at + width] for at in range(0, len(encoded), width))
        assert not bystanders.is_text([b"a note, and:\n" + lines])
    for at in range(1, len(encoded)):
        assert not bystanders.is_text([b"a note: " + encoded[:at], encoded[at:]])
    assert bystanders.is_text([b"a note, and nothing else: caf\xc3", b"\xa9\n"])
    assert not bystanders.is_text([b"a note, and nothing else: caf\xc3"])
    assert not bystanders.is_text([])


def damaged() -> bytes:
    """A database with a readable Secret whose metas are overwritten."""
    raw = bytearray(snapshot(leaking()))
    for page in (0, 4096):
        raw[page + 16 : page + 20] = b"XXXX"
    return bytes(raw)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (WAL, members_on_disk.log(put(LEAK.key, READABLE))),
        ("b.db", damaged()),
        ("data.bin", damaged()),
        ("static_kuberesources_old.db", snapshot(leaking())),
        ("enc.yaml", snapshot(leaking())),
        ("cluster.rkestate", packing.tar({"b.db": snapshot(leaking())})),
        ("secret.bin", READABLE),
    ],
)
def test_a_readable_secret_in_any_file_is_met_or_the_file_is_a_gap(name: str, content: bytes, backups: Path) -> None:
    write(backups / "below" / name, content)
    code, text = scan(backups, backups.parent)
    assert code in {1, 3}
    assert name in text
    packed = packing.tar({"a.db": snapshot(), f"below/{name}": content})
    code, text = scan(write(backups.parent / "b.tar", packed), backups.parent)
    assert code in {1, 3}
    assert name in text


def test_what_lies_beside_a_packed_data_directory_is_told(tmp_path: Path) -> None:
    top = data_directory(tmp_path / "data")
    files = {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}
    assert scan(write(tmp_path / "a.zip", packing.zip_archive(files)), tmp_path)[0] == 0
    files["member/secret.bin"] = READABLE
    code, text = scan(write(tmp_path / "b.zip", packing.zip_archive(files)), tmp_path)
    assert code == 1
    assert "secret.bin" in text


def test_pipes_and_links_do_not_hold_up_a_folder(backups: Path) -> None:
    os.mkfifo(backups / "b.db")
    (backups / "nowhere").symlink_to("gone")
    code, text = scan(backups, backups.parent)
    assert code == 3
    assert "b.db" in text
    assert "nowhere" in text


def test_links_to_folders_lead_to_what_is_not_met_otherwise(backups: Path) -> None:
    (backups / "again").symlink_to(".", target_is_directory=True)
    assert resolve_arguments([str(backups)]) == [str(backups / "a.db")]
    data_directory(backups.parent / "elsewhere", put(LEAK.key, READABLE))
    (backups / "other").symlink_to(backups.parent / "elsewhere", target_is_directory=True)
    assert scan(backups, backups.parent)[0] == 1


def test_a_companion_that_cannot_be_read_does_not_end_the_run(backups: Path) -> None:
    write(backups / "enc.yaml", b"")
    code, text = scan(backups / "a.db", backups.parent)
    assert code == 0
    assert "enc.yaml is empty" in text
    (backups / "enc.yaml").write_bytes(packing.tar({"b.db": snapshot(leaking())}))
    code, text = scan(backups / "a.db", backups.parent)
    assert code == 3
    assert "enc.yaml" in text


def test_the_folder_of_k3s_after_its_migration(tmp_path: Path) -> None:
    database = tmp_path / "db"
    kine(database / "state.db").close()
    write(database / "joined-10.0.0.1", b"")
    assert scan(database, tmp_path)[0] == 0
    data_directory(database / "etcd")
    assert scan(database, tmp_path)[0] == 0
    write(database / "snapshots" / "on-demand-1", snapshot(leaking()))
    code, text = scan(database, tmp_path)
    assert code == 1
    assert all(name in text for name in ("state.db", "etcd", "on-demand-1"))
    (database / "state.db").unlink()
    assert scan(database, tmp_path)[0] == 1
    shutil.move(database, tmp_path / "server" / "db")
    assert scan(tmp_path / "server", tmp_path)[0] == 1


def test_a_configuration_in_a_folder_of_kine_s(tmp_path: Path) -> None:
    kine(tmp_path / "db" / "state.db").close()
    shutil.copy(members_on_disk.configuration(tmp_path), tmp_path / "db" / "encryption-config.json")
    code, text = scan(tmp_path / "db", tmp_path)
    assert code in {0, 1}  # a key that lies beside the evidence is a finding of its own
    assert "nothing that etcd writes" not in text


def test_a_rollback_journal_is_a_gap_and_is_swept(tmp_path: Path) -> None:
    connection = kine(tmp_path / "state.db")
    members_on_disk.row(connection, LEAK.key, READABLE)
    connection.execute("PRAGMA secure_delete=ON")
    connection.execute("PRAGMA journal_mode=PERSIST")
    update = "UPDATE kine SET value = ? WHERE name = ?"
    connection.execute(update, (members_on_disk.sealed(b"leak")[1], LEAK.key.decode()))
    connection.close()
    code, text = scan(tmp_path / "state.db", tmp_path)
    assert code == 1
    assert "state.db-journal" in text
    write(tmp_path / "state.db-journal", b"")
    assert scan(tmp_path / "state.db", tmp_path)[0] == 0
    packed = {"state.db": (tmp_path / "state.db").read_bytes(), "state.db-journal": bytes.fromhex("d9d505f920a163d7")}
    assert scan(write(tmp_path / "b.tar", packing.tar(packed)), tmp_path)[0] == 3


def test_a_log_that_is_empty_or_put_aside_is_a_gap(tmp_path: Path) -> None:
    top, other = data_directory(tmp_path / "data"), data_directory(tmp_path / "other")
    assert scan(top, tmp_path)[0] == 0
    code, text = scan(top, tmp_path, "--wal-dir", other / "member" / "wal")
    assert code == 3
    assert f"member/wal/{WAL}" in text
    assert scan(top, tmp_path, "--wal-dir", top / "member" / "wal")[0] == 0
    (top / "member" / "wal" / WAL).unlink()
    code, text = scan(top, tmp_path)
    assert code == 3
    assert "no segment" in text
    assert scan(top, tmp_path, "--wal-dir", other / "member" / "wal")[0] == 0


OWN = {
    "name": b"node1-1a2b3c4d",
    "config": b"advertise-client-urls: https://10.0.0.1:2379\nname: node1-1a2b3c4d\nclient-transport:\n  ca: /a\n",
    "revision.json": b'{"clusterId":1,"raftIndex":{"https://10.0.0.1:2379":12},"maxRaftIndex":12,"created":"2026-01-01"}',
    "member_id": b"8e9e05c52164694d\n",
    "joined-10.0.0.1": b"",
    "tombstone": b"",
    "new_member_envs": b'export ETCD_NAME="etcd-1"\nexport ETCD_INITIAL_CLUSTER_STATE="existing"\n',
    "member_removal.log": b"Member 3ce1b97bd94102ac removed from cluster ef37ad9dc622a7c4\n",
    "safe_guard": b"shoot--foo--bar",
}


def test_files_of_distributions_in_a_data_directory(tmp_path: Path) -> None:
    top = data_directory(tmp_path / "data")
    for name, content in OWN.items():
        write(top / name, content)
    (top / "lost+found").mkdir()
    code, text = scan(top, tmp_path)
    assert code == 0
    assert "config is k3s's own" in text


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *((name, READABLE) for name in OWN),
        *((name, LEAK.json()) for name in OWN),
        ("name", b"node1"),
        ("config", b"a: " + base64.b64encode(LEAK.json()) + b"\n"),
        ("config", b"a: " + LEAK.json().replace(b'"Secret"', b'"\\u0053ecret"') + b"\n"),
        ("member_removal.log", b"removed " + base64.b64encode(LEAK.json()) + b"\n"),
        ("safe_guard", b"a text of several words"),
        ("name2", OWN["name"]),
        ("config", b"a: " + base64.b64encode(READABLE) + b"\n"),
        ("revision.json", b'{"clusterId":1,"more":"x"}'),
        ("revision.json", b"[]"),
        ("member_id", b"8e9e05c52164694d8e9e05c52164694d"),
        ("lost+found", b""),
        ("lost+found/#12", READABLE),
    ],
)
def test_their_names_alone_are_not_enough(name: str, content: bytes, tmp_path: Path) -> None:
    top = data_directory(tmp_path / "data")
    write(top / name, content)
    code, text = scan(top, tmp_path)
    # files are swept, folders are not; a value that is escaped is met, and is no row
    assert code in ({1, 3} if "/" not in name and holds_value(content) else {3})
    assert name.partition("/")[0] in text


@pytest.mark.parametrize("txids", [(3, 4), (4, 3)])
def test_in_a_data_directory_the_database_has_no_trailer_to_miss(txids: tuple[int, int], tmp_path: Path) -> None:
    top = data_directory(tmp_path / "data", txids=txids)
    code, text = scan(top, tmp_path)
    assert code == 0
    assert "raw database file" in text
    code, text = scan(top / "member" / "snap" / "db", tmp_path)
    assert code == (3 if txids == (4, 3) else 0)
    if code:
        assert "raw database" in text


def test_files_that_hold_no_values_are_counted_and_all_listed_on_demand(backups: Path) -> None:
    names = [f"note-{number:02}.txt" for number in range(12)]
    for name in names:
        write(backups / name, b"a text\n")
    code, text = scan(backups, backups.parent)
    assert code == 0
    text = " ".join(text.split())
    assert "12 other files are texts or reports in which no value begins" in text
    assert "note-07.txt and 4 more" in text
    assert names[-1] not in text
    text = " ".join(scan(backups, backups.parent, "-v")[1].split())
    assert all(name in text for name in names)


FOREIGN = {
    "k3s.dump": (b"PGDMP\x01\x0e\x00" + bytes(range(200)), "an archive of pg_dump, cut, or without its tables"),
    "secrets.json": (
        b'{"apiVersion": "v1", "items": [{"apiVersion": "v1", "kind": "Secret"}], "kind": "List"}',
        "begins as objects of Kubernetes do",
    ),
    "all.yaml": (
        b"apiVersion: v1\nitems:\n- data:\n    a: Yg==\n  kind: Secret\nkind: List\n",
        "begins as objects of Kubernetes do",
    ),
    "a.db.age": (b"age-encryption.org/v1\n-> X25519 abc\n" + bytes(range(256)), "age-encrypted"),
    "a.db.gpg": (b"\x85\x02\x0c\x03" + bytes(range(256)), "encrypted by OpenPGP"),
    "dump.hexdump": (b"00000000: 0000 0000 0000 0000  ........\n" * 40, "a hex dump"),
    "snapshot.db": (b'{"kind":"Status","apiVersion":"v1","status":"Failure","code":403}', "a Status of an API server"),
    "0000000000000000-0000000000000000.wal": (bytes(8) + b"\x04" * 600, "give the directory"),
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("below", ["", "a/b/"])
def test_what_is_no_store_is_named_for_what_it_is(name: str, below: str, backups: Path) -> None:
    content, words = FOREIGN[name]
    write(backups / below / name, content)
    code, text = scan(backups, backups.parent)
    assert code == 3
    assert words in " ".join(text.split())


def test_a_configuration_is_told_by_its_content_and_read_with_the_evidence_of_the_folder(backups: Path) -> None:
    configuration = Path(members_on_disk.configuration(backups.parent)).read_bytes()
    for name in ("my-keys.yaml", "enc.yaml", "other.rkestate"):
        write(backups / name, configuration)
        done = run("scan", backups, cwd=backups.parent)
        assert done.returncode == 1, name
        assert "key-present" in done.stdout
        (backups / name).unlink()
    for name in ("my-keys.yaml", "enc.yaml"):
        write(backups / "old" / name, configuration)
        code, text = scan(backups, backups.parent)
        assert code == 1
        assert "key-present" in text
        given = run("scan", backups, "--encryption-config", backups / "old" / name, cwd=backups.parent)
        assert given.returncode == 0, given.stdout
        assert f"{name} lies in the folder that was named: whoever has the folder has its keys" in given.stdout
        (backups / "old" / name).unlink()


def test_a_configuration_of_several_items_in_a_folder_is_one_finding(tmp_path: Path) -> None:
    """As in k3s' server/: db/ has the data directory and snapshots, cred/ the key. --use-found-config reads it."""
    data_directory(tmp_path / "server" / "db" / "etcd")
    write(tmp_path / "server" / "db" / "snapshots" / "on-demand-1700000000", snapshot())
    key = Path(members_on_disk.configuration(tmp_path)).read_bytes()
    write(tmp_path / "server" / "cred" / "encryption-config.json", key)
    for option in ((), ("--use-found-config",)):
        done = run("scan", tmp_path / "server", *option, "--csv", "-", cwd=tmp_path)
        assert done.returncode == 1
        (row,) = [line for line in done.stdout.splitlines() if "key-present" in line]
        assert ",encryption-config.json," in row
        assert "(etcd)" in row  # what it decrypts in each
        assert "(on-demand-1700000000)" in row


@pytest.mark.parametrize("name", ["k0s.yaml", "other.rkestate", "enc.yaml", "notes.txt"])
@pytest.mark.parametrize("below", ["", "old/"])
def test_no_name_hides_a_secret_in_a_configuration(name: str, below: str, backups: Path) -> None:
    write(backups / below / name, b'{"kind": "EncryptionConfiguration", "items": [' + LEAK.json() + b"]}")
    code, text = scan(backups, backups.parent)
    assert code in {1, 3}
    assert code == 1 or name in text  # a row names its file in the reports


def test_a_report_of_ours_that_quotes_a_secret_is_no_bystander(backups: Path) -> None:
    case = "case of " + LEAK.json().decode()
    assert run("scan", backups / "a.db", "--case", case, "--json", backups / "audit.json").returncode == 0
    code, text = scan(backups, backups.parent)
    assert code in {1, 3}
    assert "audit.json" in text
