"""What readers give up on and refuse: damage without end, names that promise something else, what cannot be had."""

import base64
import gzip
import os
import shutil
import tarfile
import zlib
from pathlib import Path
from random import Random

import pytest

import auditor
from auditor import Audit, Options
from auditor.errors import UnreadableEvidence
from auditor.evidence.file import EvidenceFile
from auditor.evidence.gaps import LISTED
from tests.evidence.gardener.test_backup import FIRST, SECOND, increment
from tests.helpers import bolt_builder, packing
from tests.helpers.ciphertexts import ciphertext
from tests.helpers.fixtures import MIGRATION, PLAINTEXT, REWRITTEN
from tests.helpers.kine_stages import STAGES, unpack
from tests.helpers.objects import StoredObject, field
from tests.helpers.packing import DATA_FILTER

ENCRYPTED = ciphertext("secretbox", b"box", bytes(range(60)))
EVERY = Options(resources=("*",))
HEADER = '{"header":{"cluster_id":1,"member_id":2,"revision":900,"raft_term":3}'


def record(number: int, key: str = "") -> str:
    key = key or base64.b64encode(b"/registry/secrets/n/s%d" % number).decode()
    value = base64.b64encode(ENCRYPTED).decode()
    return f'{{"key":"{key}","create_revision":{number + 1},"mod_revision":{number + 1},"version":1,"value":"{value}"}}'


def dump(records: list[str], end: str = "") -> bytes:
    return f'{HEADER},"kvs":[{",".join(records)}{end or f"],{chr(34)}count{chr(34)}:{len(records)}}}"}'.encode()


def scanned(folder: Path, data: bytes, name: str = "evidence") -> Audit:
    path = folder / name
    path.write_bytes(data)
    return auditor.scan(path, EVERY)


def told(audit: Audit) -> list[str]:
    return [gap.reason for gap in audit.gaps]


# etcdctl's dumps


def test_a_whole_dump_has_no_gap(tmp_path: Path) -> None:
    audit = scanned(tmp_path, dump([record(number) for number in range(3)]))
    assert not audit.gaps
    assert len(audit.inventory) == 3


@pytest.mark.parametrize("text", [f'{HEADER},"kvs":[],"count":0}}', f"{HEADER}}}"], ids=["a list", "none"])
def test_a_dump_of_nothing_is_whole(tmp_path: Path, text: str) -> None:
    audit = scanned(tmp_path, text.encode())
    assert not audit.gaps
    assert not len(audit.inventory)


def test_reading_ends_where_damaged_records_do_not(tmp_path: Path) -> None:
    damaged = ['{"key":"YQ==","mode":1}'] * (LISTED + 5)
    audit = scanned(tmp_path, dump([record(1), *damaged, record(2)]))
    assert [row["mod_revision"] for row in audit.inventory.to_dict("records")][:1] == [2]  # what follows is only swept
    assert sum("no record that etcd's tools write" in reason for reason in told(audit)) == LISTED + 1
    assert "too many damaged records" in told(audit)[LISTED + 1]
    last = audit.gaps[LISTED + 1]
    assert last.offset + last.length == audit.evidence.size


def test_a_list_that_is_cut_behind_a_record(tmp_path: Path) -> None:
    audit = scanned(tmp_path, dump([record(1), record(2)], " "))
    assert len(audit.inventory) == 2
    assert any("the list of records does not end" in reason for reason in told(audit))


def test_records_that_are_no_base64_are_listed_up_to_a_number(tmp_path: Path) -> None:
    broken = [record(number, "A===") for number in range(LISTED + 7)]
    audit = scanned(tmp_path, dump([*broken, record(500)]))
    assert sum("this is no base64" in reason for reason in told(audit)) == LISTED
    assert sum("7 more records that are no base64, not listed" in reason for reason in told(audit)) == 1
    assert audit.inventory.mod_revision.tolist()[-1] == 501


def message(records: int, damaged: int = 0, *, count: bool = True) -> bytes:
    header = field(1, b"\x08\x01\x10\x02\x18\x84\x07\x20\x03")
    stored = [
        field(2, field(1, b"/registry/secrets/n/s%d" % number) + b"\x10\x02\x18\x02\x20\x01" + field(5, ENCRYPTED))
        for number in range(records)
    ]
    return header + b"".join(stored) + field(2, b"\xff" * 5) * damaged + (b"\x20\x05" if count else b"")


def test_a_protobuf_dump_that_is_cut_before_its_count(tmp_path: Path) -> None:
    assert not scanned(tmp_path, message(5)).gaps
    audit = scanned(tmp_path, message(5, count=False))
    assert len(audit.inventory) == 5
    assert any("does not end in the number of its keys: cut" in reason for reason in told(audit))


def test_damaged_messages_are_listed_up_to_a_number(tmp_path: Path) -> None:
    audit = scanned(tmp_path, message(5, LISTED + 3))
    assert len(audit.inventory) == 5
    assert sum("is no KeyValue of etcd's" in reason for reason in told(audit)) == LISTED
    assert any("3 more records, not listed, are no KeyValue" in reason for reason in told(audit))


# Gardener's objects

FULL = "Full-00000000-00000155-1700000000"
INCREMENT = "Incr-00000005-00000007-1700000100"


def backup(folder: Path, **objects: bytes) -> Path:
    made = folder / "backup"
    made.mkdir()
    for name, data in objects.items():
        (made / name).write_bytes(data)
    return made


def damaged_zlib() -> bytes:
    packed = bytearray(zlib.compress(Random(1).randbytes(50_000), 0))
    packed[0x4000] ^= 0xFF  # a stored block whose bytes differ from the checksum's
    return bytes(packed)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        (f"{INCREMENT}.zlib", b"\x78\x9c" + b"\xff" * 40, "does not hold together"),
        (f"{INCREMENT}.gz", damaged_zlib(), "does not hold together"),
        (f"{INCREMENT}.gz", gzip.compress(b"x" * 300) + b"more", "4 bytes behind the gzip data are something else"),
        (INCREMENT, b"\0\x5b\xec\x02", "is not a readable etcd database"),
        (f"{INCREMENT}.Z", b"", "is empty"),
    ],
    ids=["no stream", "damaged", "something behind", "not packed", "empty"],
)
def test_an_object_that_does_not_unpack_is_a_gap(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    audit = auditor.scan(backup(tmp_path, **{FULL: REWRITTEN.read_bytes(), name: data}))
    assert any(said in gap.reason for gap in audit.gaps if gap.source.startswith(name))
    assert not audit.complete
    assert len(audit.inventory)


def test_an_object_for_which_there_is_no_room_is_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = os.statvfs

    def full(path: int | Path) -> os.statvfs_result:
        said = list(asked(path))
        said[4] = 100
        return os.statvfs_result(said)

    name = f"{INCREMENT}.gz"
    folder = backup(tmp_path, **{FULL: REWRITTEN.read_bytes(), name: gzip.compress(increment(*FIRST))})
    monkeypatch.setattr(os, "statvfs", full)
    audit = auditor.scan(folder)
    assert any(gap.source == name and "room" in gap.reason for gap in audit.gaps)
    assert not audit.complete


def test_a_backup_of_which_nothing_unpacks_is_refused(tmp_path: Path) -> None:
    folder = backup(tmp_path, **{f"{FULL}.gz": b"\x1f\x8bnothing", f"{INCREMENT}.zlib": b"\x78\x9c" + b"\xff" * 40})
    with pytest.raises(UnreadableEvidence, match="none of its 2 objects can be read"):
        auditor.scan(folder)


def test_a_backup_of_which_nothing_is_etcds_is_refused(tmp_path: Path) -> None:
    folder = backup(tmp_path, **{FULL: b"no database" * 1000, f"{FULL[:-1]}1": b"nor this" * 1000})
    with pytest.raises(UnreadableEvidence, match="nothing of this backup can be read"):
        auditor.scan(folder)


def test_a_full_snapshot_that_is_none_is_a_gap_beside_increments(tmp_path: Path) -> None:
    audit = auditor.scan(backup(tmp_path, **{FULL: b"no database" * 1000, INCREMENT: increment(*FIRST)}), EVERY)
    assert any(gap.source == FULL for gap in audit.gaps)
    assert len(audit.inventory) == 2


def test_events_of_revisions_that_the_name_does_not_hold(tmp_path: Path) -> None:
    audit = auditor.scan(backup(tmp_path, **{FULL: PLAINTEXT.read_bytes(), INCREMENT: increment(*FIRST, *SECOND)}))
    assert any("2 events are not of the revisions 5 to 7" in reason for reason in told(audit))
    assert not audit.complete


def test_an_object_that_cannot_be_opened_is_a_message(tmp_path: Path) -> None:
    path = tmp_path / f"{INCREMENT}.gz"
    path.symlink_to(path)
    with pytest.raises(UnreadableEvidence, match="cannot be opened"):
        auditor.scan(path)


# kine's folder


def test_two_databases_in_one_folder_are_two_pieces(tmp_path: Path) -> None:
    folder = unpack(STAGES[0], tmp_path / "kine")
    shutil.copy(folder / "state.db", folder / "other.db")
    with pytest.raises(UnreadableEvidence, match=r"several SQLite databases \(other\.db, state\.db\): give one"):
        auditor.scan(folder)


def test_what_cannot_be_opened_beside_a_database_is_a_gap(tmp_path: Path) -> None:
    folder = unpack(STAGES[0], tmp_path / "kine")
    for name in ("state.db-wal", "a.db"):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(folder / name)
    os.mkfifo(folder / "state.db-shm") if not (folder / "state.db-shm").exists() else None
    audit = auditor.scan(folder)
    assert any(reason.startswith("state.db-wal: ") for reason in told(audit))
    assert any("a.db is nothing that etcd writes" in reason for reason in told(audit))
    assert not audit.complete


def test_a_pipe_where_a_log_should_be_is_a_gap(tmp_path: Path) -> None:
    folder = unpack(STAGES[0], tmp_path / "kine")
    (folder / "state.db-wal").unlink(missing_ok=True)
    os.mkfifo(folder / "state.db-wal")
    audit = auditor.scan(folder)
    assert any("state.db-wal is not a regular file" in reason for reason in told(audit))
    assert not audit.complete


# data directories

SEGMENT = "0000000000000000-0000000000000000.wal"


def directory(folder: Path) -> Path:
    member = folder / "etcd" / "member"
    for name in ("snap", "wal"):
        (member / name).mkdir(parents=True)
    return member


def test_a_directory_without_a_file_of_etcds_is_refused(tmp_path: Path) -> None:
    (directory(tmp_path) / "snap" / "notes.txt").write_bytes(b"x")
    with pytest.raises(UnreadableEvidence, match="holds no file of etcd's"):
        auditor.scan(tmp_path / "etcd")


def test_a_database_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    member = directory(tmp_path)
    (member / "snap" / "db").symlink_to(member / "snap" / "db")
    with pytest.raises(UnreadableEvidence, match=r"member/snap/db: Too many levels of symbolic links"):
        auditor.scan(tmp_path / "etcd")


def test_what_a_restart_left_of_a_log_is_read(tmp_path: Path) -> None:
    """etcd makes a new log in wal.tmp and renames it; what a crash leaves lies there, or in wal."""
    with tarfile.open(MIGRATION / "data-dir.tar.gz") as archive:
        archive.extractall(tmp_path, **DATA_FILTER)
    (member,) = tmp_path.glob("*/member")
    (log,) = (member / "wal").glob("*.wal")
    for name in ("wal.tmp", "wal/wal.tmp"):
        (member / name).mkdir()
        shutil.copy(log, member / name / SEGMENT)
    (member / "wal.tmp" / "folder").mkdir()
    (member / "unknown").mkdir()
    audit = auditor.scan(member.parent)
    kinds = {each.name: each.kind for each in audit.evidence.sources}
    assert {f"member/wal.tmp/{SEGMENT}", f"member/wal/wal.tmp/{SEGMENT}"} < set(kinds)
    assert sum("is nothing that etcd writes: not read" in reason for reason in told(audit)) == 2


def test_what_etcd_does_not_write_in_a_packed_directory_is_a_gap(tmp_path: Path) -> None:
    files = {
        "etcd/member/snap/db": REWRITTEN.read_bytes()[:-32],
        "etcd/member/snap/notes.txt": b"x",
        "etcd/member/wal/0000000000000000-0000000000000000.wal": b"",
    }
    audit = scanned(tmp_path, packing.tar(files), "etcd.tar")
    assert any("notes.txt is nothing that etcd writes" in reason for reason in told(audit))
    assert any(note.endswith(".wal is empty") for note in audit.notes)
    assert not audit.complete


# files


def test_a_hash_that_fails_is_no_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        def update(self, _: bytes) -> None:
            raise OSError("no memory for it")

    monkeypatch.setattr("auditor.evidence.hashing.hashlib.sha256", Failing)
    with EvidenceFile.open(REWRITTEN, hashed=True) as file, pytest.raises(OSError, match="no memory"):
        file.hashing.result()


# the database's own facts


@pytest.mark.parametrize(
    ("member", "value"),
    [(b"8e9e05c52164694d", b"{"), (b"8e9e05c52164694d", b"[" * 100_000), (b"no number", b"[]")],
    ids=["cut", "nested without end", "no member"],
)
def test_members_that_are_none_have_no_name_and_do_no_harm(tmp_path: Path, member: bytes, value: bytes) -> None:
    buckets = bolt_builder.store([bolt_builder.record(5, StoredObject().key, ENCRYPTED)]) | {
        b"members": [(member, value)]
    }
    audit = scanned(tmp_path, bolt_builder.Builder(buckets).build().seal())
    assert audit.inventory.place.tolist() == ["latest", "slack"]  # what is no member is carved
    shown = "no id (9 bytes)" if member == b"no number" else member.decode()  # what is no id is no text of ours
    assert audit.evidence.backend.members == ((shown, ""),)
    assert (audit.evidence.backend.cluster_id is None) == (member == b"no number")
    assert not audit.gaps


def test_numbers_that_are_too_short_are_unknown(tmp_path: Path) -> None:
    buckets = bolt_builder.store([bolt_builder.record(5, StoredObject().key, ENCRYPTED)]) | {
        b"meta": [(b"consistent_index", b"123")]
    }
    audit = scanned(tmp_path, bolt_builder.Builder(buckets).build().seal())
    assert audit.evidence.backend.consistent_index is None
    assert audit.inventory.place.tolist() == ["latest", "slack"]  # what is no index is carved


def test_a_bucket_without_room_for_its_header_is_a_gap(tmp_path: Path) -> None:
    database = bolt_builder.backend([bolt_builder.record(5, StoredObject().key, ENCRYPTED)], inline=())
    count = database.look(database.at(database.root) + 10, "H")
    at = database.element(database.root, count - 1)
    database.patch(at + 12, "I", 7)
    audit = scanned(tmp_path, database.seal())
    assert any("a bucket header needs 16 bytes, found 7" in reason for reason in told(audit))
