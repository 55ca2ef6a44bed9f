"""A whole data directory: the database, the WAL, what crashes and leaders leave beside them, and foreign files."""

import os
import shutil
import tarfile
from pathlib import Path

import pandas as pd
import pytest

import auditor
from auditor import Audit, Options, Severity
from auditor.errors import UnreadableEvidence
from auditor.reports import verdict
from tests.helpers import oracle
from tests.helpers.command import run
from tests.helpers.etcd import Etcd
from tests.helpers.fixtures import FIXTURES, MIGRATION, canaries
from tests.helpers.objects import StoredObject
from tests.helpers.packing import DATA_FILTER

SEVENTH = MIGRATION / "7-rotated.db"
SECRET = StoredObject(data={b"password": b"CANARY-directory"}).protobuf()
KEY = b"/registry/secrets/default/db"


@pytest.fixture
def member(tmp_path: Path) -> Path:
    """The data directory of the fixtures after its last stage."""
    with tarfile.open(MIGRATION / "data-dir.tar.gz") as archive:
        archive.extractall(tmp_path, **DATA_FILTER)
    (found,) = (path for path in tmp_path.iterdir() if path.is_dir())
    return found


def plaintext(audit: Audit) -> pd.DataFrame:
    return audit.findings[audit.findings.finding == "plaintext"]


def reasons(audit: Audit) -> str:
    return " ".join([gap.reason for gap in audit.gaps] + [f"{part.what}: {part.reason}" for part in audit.unexamined])


@pytest.mark.slow
def test_every_canary_of_the_log_lies_in_a_row(member: Path) -> None:
    audit = auditor.scan(member)
    found = plaintext(audit)
    assert set(found.place) == {"wal"}
    (path,) = (member / "member" / "wal").glob("*.wal")
    raw = path.read_bytes()
    spans = [(row.offset, row.offset + row["size"]) for _, row in found.iterrows() if row.source.endswith(path.name)]
    seen = 0
    for canary in canaries(MIGRATION / "1-plaintext.db"):
        at = raw.find(canary)
        while at >= 0:
            assert any(start <= at < end for start, end in spans), at
            seen += 1
            at = raw.find(canary, at + 1)
    assert seen > 20
    assert not audit.gaps


def test_after_defragmentation_the_database_is_without_findings_and_the_directory_is_not(member: Path) -> None:
    config = auditor.Options(encryption_configs=(str(SEVENTH.with_suffix(".encryption.json")),))
    alone = auditor.scan(member / "member" / "snap" / "db", config)
    assert not len(plaintext(alone))
    assert any("WAL" in part.what for part in alone.unexamined)
    whole = auditor.scan(member, config)
    assert whole.exit_code(Severity.MEDIUM) == 1
    done = run("scan", member, "--encryption-config", config.encryption_configs[0])
    assert done.returncode == 1
    assert "all in wal" in done.stdout
    in_use = plaintext(whole)
    assert set(in_use.same_as_latest) == {"yes", "no"}
    assert (in_use[in_use.same_as_latest == "yes"].severity == "critical").all()


def test_rows_name_their_file_and_its_hash(member: Path) -> None:
    import hashlib

    audit = auditor.scan(member)
    for name in set(audit.inventory.source):
        raw = (member / name).read_bytes()
        mine = audit.inventory[audit.inventory.source == name]
        assert set(mine.evidence) == {hashlib.sha256(raw).hexdigest()}
        for offset in mine.offset:
            assert raw[offset : offset + 3] == b"k8s"
    assert len(set(audit.inventory.id)) == len(audit.inventory)


def test_what_lies_beside_the_database_is_read(member: Path) -> None:
    snap, log = member / "member" / "snap", member / "member" / "wal"
    (segment,) = log.glob("*.wal")
    shutil.copy(MIGRATION / "1-plaintext.db", snap / "0000000000000042.snap.db")
    (snap / "db.tmp.123").write_bytes((MIGRATION / "2-enabled.db").read_bytes()[:-32])
    (log / f"{segment.name}.broken").write_bytes(segment.read_bytes()[:200_000])
    (log / "0.tmp").write_bytes(bytes(1 << 16))
    (log / "1.tmp").write_bytes(b"")
    (member / "member" / "wal.tmp").mkdir()
    shutil.copy(segment, member / "member" / "wal.tmp" / segment.name)
    (snap / "0000000000000002-0000000000000005.snap").write_bytes(b"no snapshot")
    (snap / "notes.txt").write_text("foreign")
    audit = auditor.scan(member)
    found = plaintext(audit)
    sources = set(found.source)
    assert {name.rsplit("/", 1)[1] for name in sources} >= {
        "0000000000000042.snap.db", "db.tmp.123", f"{segment.name}.broken", segment.name,
    }  # fmt: skip
    assert any(name.startswith("member/wal.tmp/") for name in sources)
    other = found[found.source == "member/snap/0000000000000042.snap.db"]
    assert len(other) == 36
    assert set(other.place) == {"unplaced", "freed"}, "no root of the database in use leads there"
    assert any("beside a member's own" in step for step in verdict.next_steps(audit))
    named = {gap.source: gap.reason for gap in audit.gaps}
    assert "notes.txt" in named["member/snap/notes.txt"]
    assert "snapshot" in named["member/snap/0000000000000002-0000000000000005.snap"]
    assert not any("0.tmp" in name for name in named)
    kinds = {each.name: each.kind for each in audit.evidence.sources}
    assert "all zero" in kinds["member/wal/0.tmp"]
    assert "database" in kinds["member/snap/db.tmp.123"]


def test_stale_keys_are_those_of_the_database_in_force(member: Path) -> None:
    """What another database file calls latest is not what the API server reads."""
    shutil.copy(MIGRATION / "6-rotating.db", member / "member" / "snap" / "0000000000000042.snap.db")
    config = auditor.Options(encryption_configs=(str(SEVENTH.with_suffix(".encryption.json")),))
    findings = auditor.scan(member, config).findings
    assert not (findings.finding == "stale-key").any()


def test_committed_entries_that_the_database_lacks_are_judged_like_latest(tmp_path: Path) -> None:
    """The database of an earlier moment under the log of a later one: what a member's next start would apply."""
    folder = tmp_path / "data"
    with Etcd(folder) as etcd:
        etcd.put(b"/registry/secrets/default/old", SECRET)
    early = (folder / "member" / "snap" / "db").read_bytes()
    with Etcd(folder) as etcd:
        etcd.put(KEY, SECRET)
    (folder / "member" / "snap" / "db").write_bytes(early)
    audit = auditor.scan(folder)
    (row,) = (row for _, row in plaintext(audit).iterrows() if row.key == KEY.decode())
    assert (row.place, row.state, row.severity) == ("wal", "not-yet-applied", "critical")
    assert any("next start" in note for note in audit.notes)


def test_what_the_next_start_applies_is_held_to_the_write_key(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    stale = b"k8s:enc:aescbc:v1:key1:" + bytes(48)
    with Etcd(folder) as etcd:
        etcd.put(b"/registry/secrets/default/old", SECRET)
    early = (folder / "member" / "snap" / "db").read_bytes()
    with Etcd(folder) as etcd:
        etcd.put(KEY, stale)
    (folder / "member" / "snap" / "db").write_bytes(early)
    findings = auditor.scan(folder, Options(expect="aescbc:key2")).findings
    assert "stale-key" in set(findings[findings.key == KEY.decode()].finding)


def test_a_running_member_is_noticed(tmp_path: Path) -> None:
    with Etcd(tmp_path / "data") as etcd:
        etcd.put(KEY, SECRET)
        audit = auditor.scan(tmp_path / "data")
        assert "in use" in reasons(audit)
        assert not audit.complete
    assert "in use" not in reasons(auditor.scan(tmp_path / "data"))


def test_the_log_may_lie_elsewhere(tmp_path: Path) -> None:
    with Etcd(tmp_path / "data", f"--wal-dir={tmp_path / 'log'}") as etcd:
        etcd.put(KEY, SECRET)
    without = auditor.scan(tmp_path / "data")
    assert "--wal-dir" in reasons(without)
    assert not without.complete
    audit = auditor.scan(tmp_path / "data", Options(wal_dir=str(tmp_path / "log")))
    assert set(plaintext(audit).place) == {"latest", "wal"}
    assert "--wal-dir" not in reasons(audit)


def test_a_log_without_its_database(tmp_path: Path) -> None:
    with Etcd(tmp_path / "data") as etcd:
        etcd.put(KEY, SECRET)
    shutil.rmtree(tmp_path / "data" / "member" / "snap")
    audit = auditor.scan(tmp_path / "data")
    assert set(plaintext(audit).place) == {"wal"}
    assert "missing" in reasons(audit)


def test_what_is_no_data_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnreadableEvidence, match="an etcd data directory would hold"):
        auditor.scan(tmp_path / "empty")
    with pytest.raises(UnreadableEvidence, match="--wal-dir"):
        auditor.scan(MIGRATION / "1-plaintext.db", Options(wal_dir=str(tmp_path)))


def test_a_directory_is_only_read(member: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    def state() -> list[tuple[str, int, int, bytes]]:
        found = []
        for path in sorted(member.rglob("*")):
            about = path.stat()
            found.append((str(path), about.st_mtime_ns, about.st_size, path.read_bytes() if path.is_file() else b""))
        return found

    before = state()
    out = tmp_path_factory.mktemp("reports")
    done = run("scan", member, "--csv", out / "a.csv", "--html", out / "a.html", "--json", out / "a.json")
    assert done.returncode == 1
    assert state() == before
    refused = run("scan", member, "--csv", member / "member" / "a.csv")
    assert refused.returncode == 2
    assert "inside the evidence" in refused.stderr
    assert state() == before


def test_a_hostile_directory(member: Path) -> None:
    snap = member / "member" / "snap"
    os.mkfifo(snap / "0000000000000043.snap.db")
    (snap / "db.tmp.9").symlink_to(snap / "absent")
    (snap / "evil\n\x1b[31m.txt").write_bytes(b"x")
    (snap / "0000000000000044.snap.db").mkdir()
    audit = auditor.scan(member)
    told = reasons(audit)
    assert "0000000000000043.snap.db" in told
    assert "db.tmp.9" in told
    assert "\x1b" not in told
    assert len(plaintext(audit)) == 29


def test_the_plain_reader_agrees_on_the_fixtures_directory(member: Path) -> None:
    (path,) = (member / "member" / "wal").glob("*.wal")
    audit = auditor.scan(member)
    mine = {each.offset for each in oracle.puts(path.name, path.read_bytes()) if b"/secrets/" in (each.key or b"")}
    assert set(audit.inventory[audit.inventory.place == "wal"].offset) == mine
    assert FIXTURES.is_dir()
