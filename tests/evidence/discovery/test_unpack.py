"""Containers as evidence: what is in them is audited as if it had come plain, and what is wrong with them is said."""

import gzip
import hashlib
import os
import random
import signal
import stat
import struct
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from backports import zstd

import auditor
from auditor import Audit, Options, Severity
from auditor.errors import UnreadableEvidence, UsageError
from auditor.evidence.containers.extracted import Extractor
from auditor.evidence.containers.limits import Limits, Refused
from auditor.evidence.discovery.unpack import unpack
from auditor.evidence.file import EvidenceFile
from auditor.model.vocabulary import Trailer
from tests.helpers import packing
from tests.helpers.command import run
from tests.helpers.fixtures import DEFRAGMENTED, MIGRATION, PLAINTEXT, REWRITTEN, SNAPSHOTS, canaries, name_of
from tests.helpers.packing import DATA_FILTER
from tests.helpers.sweeps import everything

WAYS = packing.ways()


def options(snapshot: Path) -> Options:
    file = snapshot.with_suffix(".encryption.json")
    return Options(encryption_configs=(str(file),) if file.exists() else ())


def write(folder: Path, raw: bytes, name: str = "backup.bin") -> Path:
    path = folder / name
    path.write_bytes(raw)
    return path


def unnamed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(columns="source")


@pytest.fixture(scope="module")
def plain() -> dict[Path, Audit]:
    return {snapshot: auditor.scan(snapshot, options(snapshot)) for snapshot in SNAPSHOTS}


# the same findings


def test_there_are_ten_snapshots_and_many_ways() -> None:
    assert len(SNAPSHOTS) == 10
    assert len(WAYS) > 20


# each way and each snapshot several times; at night all pairs
PAIRS = [
    (snapshot, way)
    for number, snapshot in enumerate(SNAPSHOTS)
    for place, way in enumerate(WAYS)
    if everything() or (number + place) % 3 == 0
]


@pytest.mark.parametrize(("snapshot", "way"), PAIRS, ids=lambda part: name_of(part) if isinstance(part, Path) else part)
def test_a_packed_snapshot_gives_the_findings_of_the_plain_one(
    tmp_path: Path, plain: dict[Path, Audit], snapshot: Path, way: str
) -> None:
    raw = snapshot.read_bytes()
    packed, path = WAYS[way](snapshot.name, raw)
    audit = auditor.scan(write(tmp_path, packed), options(snapshot))
    expected = plain[snapshot]
    assert {**audit.rows.columns, "source": None} == {**expected.rows.columns, "source": None}
    assert audit.rows.findings == expected.rows.findings
    named = {snapshot.name: f"backup.bin{path}"}
    assert audit.rows.columns["source"] == [named.get(str(each), each) for each in expected.rows.columns["source"]]
    assert audit.evidence.name == f"backup.bin{path}"
    assert audit.evidence.sha256 == hashlib.sha256(raw).hexdigest()
    assert audit.evidence.trailer == Trailer.MATCHES
    (container,) = audit.evidence.containers
    assert (container.name, container.sha256) == ("backup.bin", hashlib.sha256(packed).hexdigest())
    assert container.size == len(packed)
    assert audit.gaps == expected.gaps
    assert audit.exit_code(Severity.MEDIUM) == expected.exit_code(Severity.MEDIUM)


def test_the_name_of_a_file_does_not_matter(tmp_path: Path) -> None:
    audit = auditor.scan(write(tmp_path, gzip.compress(PLAINTEXT.read_bytes()), "snapshot.zip"))
    assert audit.evidence.name == "snapshot.zip!unpacked"
    assert auditor.scan(write(tmp_path, PLAINTEXT.read_bytes(), "snapshot.gz")).evidence.containers == ()


def test_a_stream_is_called_what_it_was_before_it_was_packed(tmp_path: Path) -> None:
    audit = auditor.scan(write(tmp_path, gzip.compress(PLAINTEXT.read_bytes()), "etcd.backup.gz"))
    assert audit.evidence.name == "etcd.backup.gz!etcd.backup"


def test_streams_behind_one_another_are_one_file(tmp_path: Path) -> None:
    raw = PLAINTEXT.read_bytes()
    for kind, pack in packing.STREAMS.items():
        packed = pack(raw[:50_000]) + pack(raw[50_000:]) + bytes(1000)
        audit = auditor.scan(write(tmp_path, packed))
        assert audit.evidence.trailer == Trailer.MATCHES, kind
        assert not audit.gaps


def test_a_damaged_database_in_an_archive_is_not_passed_over(tmp_path: Path) -> None:
    """Both metas are gone: only its name tells that it was one."""
    raw = bytearray(PLAINTEXT.read_bytes())
    raw[:8192] = bytes(8192)
    audit = auditor.scan(write(tmp_path, packing.tar({"etcd-snapshot-node1-1700000000": bytes(raw)})))
    assert audit.tally.readable
    assert audit.gaps


# several


def test_several_snapshots_in_one_archive_are_one_report(tmp_path: Path, plain: dict[Path, Audit]) -> None:
    files = {f"{name_of(each)}.db": each.read_bytes() for each in SNAPSHOTS}
    audit = auditor.scan(write(tmp_path, gzip.compress(packing.tar(files)), "all.tgz"))
    assert len(audit.parts) == 10
    bare = [auditor.scan(each) for each in sorted(SNAPSHOTS, key=name_of)]
    for part, one in zip(audit.parts, bare, strict=True):
        assert part.sha256 == one.evidence.sha256
        assert part.exit_code(Severity.MEDIUM) == one.exit_code(Severity.MEDIUM)
        assert part.readable == one.tally.readable
        mine = audit.findings[audit.findings.source == part.name].reset_index(drop=True)
        pd.testing.assert_frame_equal(unnamed(mine), unnamed(one.findings))
        assert set(mine.evidence) <= {one.evidence.sha256}
    assert audit.tally.readable == sum(one.tally.readable for one in bare)
    counted = [sum(row.values for row in each.coverage) for each in (audit, *bare)]
    assert counted[0] == sum(counted[1:])
    assert audit.exit_code(Severity.MEDIUM) == 1
    assert len(audit.evidence.containers) == 1


def test_a_broken_one_among_several_is_a_gap_and_a_part(tmp_path: Path) -> None:
    files = {"a.db": DEFRAGMENTED.read_bytes(), "b.db": random.Random(1).randbytes(100_000)}
    audit = auditor.scan(write(tmp_path, packing.tar(files), "two.tar"), Options(quick=True, accept_partial=True))
    good, broken = audit.parts
    assert (good.name, good.problem) == ("two.tar!a.db", "")
    assert broken.name == "two.tar!b.db"
    assert broken.problem
    assert broken.exit_code(Severity.MEDIUM) == 2
    assert [gap.source for gap in audit.gaps] == ["two.tar!b.db"]
    assert audit.exit_code(Severity.MEDIUM) == 3


def test_two_members_of_one_name_are_both_audited(tmp_path: Path) -> None:
    one, two = packing.tar({"a.db": PLAINTEXT.read_bytes()}), packing.tar({"a.db": REWRITTEN.read_bytes()})
    ends = one.rindex(PLAINTEXT.read_bytes()[-32:]) + 32
    joined = one[: -(-ends // 512) * 512] + two
    audit = auditor.scan(write(tmp_path, joined, "x.tar"))
    assert [part.name for part in audit.parts] == ["x.tar!a.db", "x.tar!a.db#2"]


# data directories


def test_a_packed_data_directory_is_audited_as_a_directory(tmp_path: Path) -> None:
    archive = MIGRATION / "data-dir.tar.gz"
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path, **DATA_FILTER)
    (folder,) = (each for each in tmp_path.iterdir() if each.is_dir())
    whole, packed = auditor.scan(folder), auditor.scan(archive)
    assert packed.evidence.directory
    assert packed.evidence.kind == whole.evidence.kind
    assert [each.sha256 for each in packed.evidence.sources] == [each.sha256 for each in whole.evidence.sources]
    pd.testing.assert_frame_equal(
        unnamed(packed.findings).drop(columns="id"), unnamed(whole.findings).drop(columns="id")
    )
    assert {source.partition("!")[2] for source in packed.inventory.source} == {
        f"etcd/{source}" for source in whole.inventory.source
    }
    assert not packed.gaps


def test_a_data_directory_of_files_packed_one_by_one_keeps_its_name(tmp_path: Path) -> None:
    files = {"etcd/member/snap/db.gz": PLAINTEXT.read_bytes()[:-32], "etcd/member/snap/tmp1.gz": REWRITTEN.read_bytes()}
    packed = packing.tar({name: gzip.compress(raw) for name, raw in files.items()})
    audit = auditor.scan(write(tmp_path, packed, "x.tar"))
    assert audit.evidence.name == "x.tar!etcd"
    assert [source.name for source in audit.evidence.sources] == [
        "x.tar!etcd/member/snap/db.gz!db",
        "x.tar!etcd/member/snap/tmp1.gz!tmp1",
    ]


def test_a_database_that_an_archive_holds_twice_is_of_two_directories(tmp_path: Path) -> None:
    path = "etcd/member/snap/db"
    one, two = packing.tar({path: PLAINTEXT.read_bytes()}), packing.tar({path: REWRITTEN.read_bytes()})
    ends = one.rindex(PLAINTEXT.read_bytes()[-32:]) + 32
    audit = auditor.scan(write(tmp_path, one[: -(-ends // 512) * 512] + two, "x.tar"))
    assert [part.name for part in audit.parts] == ["x.tar!etcd", "x.tar!etcd#2"]


def test_a_folder_that_is_called_like_one_of_etcds_is_none(tmp_path: Path) -> None:
    audit = auditor.scan(write(tmp_path, packing.tar({"snap/monday": PLAINTEXT.read_bytes()}), "a.tar"))
    assert audit.evidence.name == "a.tar!snap/monday"
    assert not audit.evidence.directory


def test_a_directory_and_snapshots_beside_it(tmp_path: Path) -> None:
    files = {
        "server/db/etcd/member/snap/db": PLAINTEXT.read_bytes()[:-32],
        "server/db/snapshots/etcd-snapshot-n-1": REWRITTEN.read_bytes(),
    }
    audit = auditor.scan(write(tmp_path, packing.tar(files), "k3s.tar"))
    assert [part.name for part in audit.parts] == [
        "k3s.tar!server/db/etcd",
        "k3s.tar!server/db/snapshots/etcd-snapshot-n-1",
    ]
    assert set(audit.findings.source) == {
        "k3s.tar!server/db/etcd/member/snap/db",
        "k3s.tar!server/db/snapshots/etcd-snapshot-n-1",
    }


# damage


@pytest.mark.parametrize("kind", packing.STREAMS)
def test_a_truncated_stream_is_audited_as_far_as_it_goes(tmp_path: Path, kind: str) -> None:
    packed = packing.STREAMS[kind](PLAINTEXT.read_bytes())
    done = run("scan", write(tmp_path, packed[: len(packed) * 2 // 3]))
    assert done.returncode in {1, 2, 3}
    assert "Traceback" not in done.stderr
    assert "ends early" in done.stdout + done.stderr
    if done.returncode == 2:
        assert kind in {"xz", "lzma", "bzip2", "zstd", "lz4"}  # their blocks are larger than this file


def test_a_flipped_stream_is_a_gap(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(PLAINTEXT.read_bytes()))
    packed[-6] ^= 1
    audit = auditor.scan(write(tmp_path, bytes(packed)))
    assert audit.tally.readable
    assert any("does not hold together" in gap.reason for gap in audit.gaps)


def test_a_skippable_frame_that_ends_early_is_a_gap(tmp_path: Path) -> None:
    packed = zstd.compress(PLAINTEXT.read_bytes()) + struct.pack("<II", 0x184D2A53, 100) + b"for another"
    audit = auditor.scan(write(tmp_path, packed))
    assert audit.tally.readable
    assert any("skippable frame ends early" in gap.reason for gap in audit.gaps)


def test_what_stands_behind_a_stream_is_a_gap(tmp_path: Path) -> None:
    audit = auditor.scan(write(tmp_path, gzip.compress(DEFRAGMENTED.read_bytes()) + b"something else"))
    assert any("14 bytes behind the gzip data" in gap.reason for gap in audit.gaps)
    assert not audit.complete


@pytest.mark.parametrize("cut", [600, 3_000, 60_000, 90_000])
def test_a_truncated_tar_is_told(tmp_path: Path, cut: int) -> None:
    packed = packing.tar({"notes": b"n" * 100, "a.db": DEFRAGMENTED.read_bytes()})
    done = run("scan", write(tmp_path, packed[:cut]), "--fail-on", "critical")
    assert done.returncode in {2, 3}
    assert "ends early" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_header_inside_a_tar_is_not_its_end(tmp_path: Path) -> None:
    packed = bytearray(packing.tar({"a.db": DEFRAGMENTED.read_bytes(), "b.db": PLAINTEXT.read_bytes()}))
    second = packed.index(b"b.db\0")
    packed[second + 150] ^= 1
    audit = auditor.scan(write(tmp_path, bytes(packed)))
    assert any("does not hold together" in gap.reason for gap in audit.gaps)


def test_a_truncated_zip_is_told(tmp_path: Path) -> None:
    packed = packing.zip_archive({"a.db": PLAINTEXT.read_bytes()})
    done = run("scan", write(tmp_path, packed[:-30], "a.zip"))
    assert done.returncode == 2
    assert "a.zip" in done.stderr
    assert "truncated" in done.stderr


def test_a_wrong_checksum_in_a_zip_is_a_gap(tmp_path: Path) -> None:
    for method in ("deflate", "stored"):
        packed = bytearray(packing.zip_archive({"a.db": PLAINTEXT.read_bytes()}, method))
        at = packed.rindex(b"PK\x01\x02") + 16
        packed[at] ^= 1
        audit = auditor.scan(write(tmp_path, bytes(packed)))
        assert audit.gaps
        assert not audit.complete


def test_a_password_is_told(tmp_path: Path) -> None:
    packed = bytearray(packing.zip_archive({"a.db": PLAINTEXT.read_bytes()}))
    packed[6] |= 1
    packed[packed.rindex(b"PK\x01\x02") + 8] |= 1
    done = run("scan", write(tmp_path, bytes(packed), "a.zip"))
    assert done.returncode == 2
    assert "a.zip!a.db is protected by a password" in done.stderr


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (packing.tar({"readme.md": b"hello", "x/y.txt": b"world"}), "none of its 2 files"),
        (packing.zip_archive({}), "it is empty"),
        (gzip.compress(b"hello " * 10_000), "is a text"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(1000), "7-Zip"),
        (b"070701" + bytes(1000), "cpio"),
        (struct.pack("<II", 0x184D2A5F, 0) * 20_000, "not a readable etcd database"),  # frames for nobody
        (b"age-encryption.org/v1\n" + bytes(1000), "age-encrypted"),
    ],
    ids=["tar", "zip", "gzip", "7-Zip", "cpio", "frames", "age"],  # in an environment variable their bytes do not fit
)
def test_nothing_of_etcd_is_told(tmp_path: Path, raw: bytes, said: str) -> None:
    done = run("scan", write(tmp_path, raw))
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("content", "code"), [(b"", 0), (b"k8s\0\n\x0c\n\x02v1\x12\x06Secret", 3)])
def test_a_folder_of_a_zip_may_hold_a_deflated_nothing(tmp_path: Path, content: bytes, code: int) -> None:
    """Java's ZipOutputStream and scripts write two bytes for it; what is more than nothing is a file."""
    path, folder = tmp_path / "java.zip", zipfile.ZipInfo("backup/")
    folder.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(folder, "w") as entry:
            entry.write(content)
        archive.writestr("backup/db.snapshot", DEFRAGMENTED.read_bytes())
    with zipfile.ZipFile(path) as archive:
        assert archive.filelist[0].compress_size > 0
    done = run("scan", path, "--encryption-config", DEFRAGMENTED.with_suffix(".encryption.json"))
    assert done.returncode == code, done.stdout + done.stderr


# bombs and tricks


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    raw = gzip.compress(bytes(16 << 20), 9) * 24
    work = tmp_path / "work"
    work.mkdir()
    path = write(tmp_path, raw, "bomb.gz")
    done = run("scan", path, "--work-dir", work)
    assert done.returncode == 2
    assert "times its own size" in done.stderr
    assert not list(work.iterdir())
    assert (
        run("scan", write(tmp_path, packing.zip_archive({"a.db": bytes(300 << 20)})), "--work-dir", work).returncode
        == 2
    )
    raw = b"nothing"
    for _ in range(8):
        raw = gzip.compress(raw)
    with pytest.raises(Refused, match="containers inside each other"):
        auditor.scan(write(tmp_path, raw))


def test_the_limits_can_be_set(tmp_path: Path) -> None:
    path = write(tmp_path, gzip.compress(PLAINTEXT.read_bytes()))
    with pytest.raises(Refused, match="more than 100,000 bytes: raise --max-unpacked"):
        auditor.scan(path, Options(max_unpacked=100_000))
    assert auditor.scan(path, Options(max_unpacked=1_000_000, max_ratio=1)).tally.readable


def test_an_archive_of_too_many_entries_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, packing.tar({f"{number}.txt": b"" for number in range(200)}), "many.tar")
    with EvidenceFile.open(path, hashed=False) as file, pytest.raises(Refused, match="more than 100 entries"):
        unpack(file, Limits(members=100), Extractor(""))


def test_a_header_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 1 << 30
    with pytest.raises(Refused, match="has a header of more than"):
        auditor.scan(write(tmp_path, info.tobuf() + bytes(10_000)))


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "info",
    [
        member("../outside.db"),
        member("a/../../outside.db"),
        member("/etc/outside.db"),
        member("a\\..\\..\\outside.db"),
        member("link", tarfile.SYMTYPE, "/etc/passwd"),
        member("a/link", tarfile.SYMTYPE, "../../x"),
        member("link", tarfile.LNKTYPE, "../x"),
        member("device", tarfile.CHRTYPE),
        member("device", tarfile.BLKTYPE),
        member("pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda info: f"{info.name}-{info.type!r}",
)
def test_what_leads_outside_is_refused(tmp_path: Path, info: tarfile.TarInfo) -> None:
    work = tmp_path / "work"
    work.mkdir()
    raw = packing.tar_of(member("good.db"), info, content=PLAINTEXT.read_bytes())
    done = run("scan", write(tmp_path, raw), "--work-dir", work)
    assert done.returncode == 2
    assert "nothing in it was read" in done.stderr
    assert sorted(each.name for each in tmp_path.iterdir()) == ["backup.bin", "work"]
    assert not list(work.iterdir())


def test_a_zip_that_leads_outside_is_refused(tmp_path: Path) -> None:
    for name in ("../x.db", "/x.db", "C:\\x.db", "a\\..\\..\\x.db"):
        with pytest.raises(Refused, match="leads out of it"):
            auditor.scan(write(tmp_path, packing.zip_archive({name: PLAINTEXT.read_bytes()})))
    path = tmp_path / "link.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(Refused, match="a link that leads out"):
        auditor.scan(path)


def test_a_link_inside_is_not_followed_and_does_no_harm(tmp_path: Path) -> None:
    raw = packing.tar_of(
        member("a/good.db"), member("a/latest", tarfile.SYMTYPE, "good.db"), content=PLAINTEXT.read_bytes()
    )
    assert auditor.scan(write(tmp_path, raw)).tally.readable


# what is left behind


def test_nothing_is_left_behind_on_sigkill(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    path = write(tmp_path, packing.STREAMS["bzip2"](os.urandom(16 << 20)), "slow.bz2")
    process = subprocess.Popen(
        [sys.executable, "-m", "auditor", "scan", str(path), "--work-dir", str(work)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    held = 0
    until = time.monotonic() + 60
    while not held and process.poll() is None and time.monotonic() < until:
        held = sum(_private(work, pid) for pid in _family(process.pid))
    assert held, "no private file was ever seen"
    assert not list(work.iterdir()), "the private file has a name"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not list(work.iterdir())


def _family(pid: int) -> list[int]:
    try:
        tasks = [each.read_text() for each in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return [pid]
    return [pid, *(int(child) for text in tasks for child in text.split())]


def _private(folder: Path, pid: int) -> int:
    """Bytes in files of a folder that a process holds open."""
    total = 0
    try:
        for each in Path(f"/proc/{pid}/fd").iterdir():
            target = str(each.readlink())
            if target.startswith(f"{folder}/"):
                assert stat.S_IMODE(each.stat().st_mode) == 0o600
                total += each.stat().st_size
    except OSError:
        pass
    return total


def test_no_file_is_named_where_unnamed_ones_are_not_to_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "O_TMPFILE")
    work = tmp_path / "work"
    work.mkdir()
    path = write(tmp_path, gzip.compress(PLAINTEXT.read_bytes()))
    assert auditor.scan(path, Options(work_dir=str(work))).tally.readable
    assert not list(work.iterdir())


def test_a_work_dir_that_is_none(tmp_path: Path) -> None:
    path = write(tmp_path, gzip.compress(PLAINTEXT.read_bytes()))
    with pytest.raises(UsageError, match="no such folder"):
        auditor.scan(path, Options(work_dir=str(tmp_path / "none")))


def test_a_full_disk_is_told_before_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = os.statvfs

    def full(path: Path) -> os.statvfs_result:
        told = list(asked(path))
        told[4] = 100
        return os.statvfs_result(told)

    monkeypatch.setattr(os, "statvfs", full)
    with pytest.raises(UnreadableEvidence, match="name another folder with --work-dir"):
        auditor.scan(write(tmp_path, gzip.compress(PLAINTEXT.read_bytes())))


def test_no_canary_leaves_by_a_container(tmp_path: Path) -> None:
    packed = gzip.compress(packing.tar({"a.db": PLAINTEXT.read_bytes(), "b.db": REWRITTEN.read_bytes()[:90_000]}))
    done = run(
        "scan", write(tmp_path, packed[:-9]), "--json", tmp_path / "a.json", "--csv", tmp_path / "a.csv",
        "--html", tmp_path / "a.html", "-v",
    )  # fmt: skip
    said = (done.stdout + done.stderr).encode() + b"".join(
        each.read_bytes() for each in tmp_path.iterdir() if each.name != "backup.bin"
    )
    assert done.returncode == 1
    for canary in canaries(PLAINTEXT):
        assert canary not in said


# custody


def test_the_expected_hash_may_be_the_containers_or_the_files(tmp_path: Path) -> None:
    raw = PLAINTEXT.read_bytes()
    packed = gzip.compress(raw)
    path = write(tmp_path, packed)
    for wanted in (raw, packed):
        assert auditor.scan(path, Options(expect_sha256=hashlib.sha256(wanted).hexdigest())).tally.readable
    with pytest.raises(auditor.errors.AuditorError, match="not the evidence that was meant"):
        auditor.scan(path, Options(expect_sha256="0" * 64))


@pytest.mark.parametrize("several", [False, True])
def test_a_report_is_verified_against_its_container(tmp_path: Path, several: bool) -> None:
    files = {"a.db": PLAINTEXT.read_bytes()} | ({"b.db": REWRITTEN.read_bytes()} if several else {})
    path = write(tmp_path, packing.zip_archive(files), "a.zip")
    report = tmp_path / "a.json"
    assert run("scan", path, "--json", report).returncode == 1
    done = run("verify", report, path)
    assert done.returncode == 0, done.stdout
    assert "findings lie where the report says" in done.stdout
    path.rename(tmp_path / "b.zip")
    done = run("verify", report, tmp_path / "b.zip")
    assert done.returncode == 0, done.stdout
    assert "was called a.zip in the report" in done.stdout
    other = write(tmp_path, packing.zip_archive(dict.fromkeys(files, DEFRAGMENTED.read_bytes())), "a.zip")
    done = run("verify", report, other)
    assert done.returncode == 1
    assert "DIFFERS" in done.stdout
    assert run("verify", report, PLAINTEXT).returncode == 1
