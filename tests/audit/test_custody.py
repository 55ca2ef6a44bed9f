"""What a report vouches for: which evidence, unchanged, read by what, when and how; and the refusal of any other."""

import hashlib
import os
import re
import shutil
import tarfile
import threading
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import auditor
from auditor import Options
from auditor.audit.expectations import UnexpectedEvidence
from auditor.errors import UsageError
from auditor.evidence import file
from auditor.evidence.file import EvidenceFile
from tests.helpers.command import run
from tests.helpers.fixtures import FIXTURES, MIGRATION, PLAINTEXT, REWRITTEN
from tests.helpers.packing import DATA_FILTER

CLUSTER = "71314e90-44b9-4311-833c-506d91031055"
OTHER = FIXTURES / "providers" / "1-every-provider.db"
SHA256 = hashlib.sha256(REWRITTEN.read_bytes()).hexdigest()


@pytest.fixture
def member(tmp_path: Path) -> Path:
    with tarfile.open(MIGRATION / "data-dir.tar.gz") as archive:
        archive.extractall(tmp_path, **DATA_FILTER)
    (found,) = (path for path in tmp_path.iterdir() if path.is_dir())
    return found


def test_size_and_times_before_and_after(tmp_path: Path) -> None:
    copy = Path(shutil.copy(REWRITTEN, tmp_path / "copy.db"))
    os.utime(copy, ns=(1_790_000_000_123_456_789, 1_790_000_000_123_456_789))
    (source,) = auditor.scan(copy).evidence.sources
    assert source.before == source.after
    assert source.before.size == copy.stat().st_size
    assert source.before.mtime == "2026-09-21T14:13:20.123456789Z"
    assert source.before.ctime.endswith("Z")
    assert not source.changed


def test_a_file_that_grows_during_the_run_is_told_with_both_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copy(REWRITTEN, tmp_path / "copy.db"))
    asked = EvidenceFile.changed

    def grown(file: EvidenceFile) -> str:
        with copy.open("ab") as out:
            out.write(b"more")
        return asked(file)

    monkeypatch.setattr(EvidenceFile, "changed", grown)
    audit = auditor.scan(copy)
    (source,) = audit.evidence.sources
    assert source.after.size == source.before.size + 4
    assert "size" in source.changed
    assert not audit.complete


def test_every_file_of_a_directory_is_hashed_and_watched(member: Path) -> None:
    for source in auditor.scan(member).evidence.sources:
        raw = (member / source.name).read_bytes()
        assert source.sha256 == hashlib.sha256(raw).hexdigest()
        assert source.before == source.after
        assert source.before.size == len(raw)


# the run


def test_the_run_tells_what_it_was_made_with() -> None:
    run = auditor.scan(REWRITTEN, Options(resources=("secrets", "configmaps"), case="2026/17")).run
    tools = dict(run.tools)
    assert tools["etcd-auditor"] == run.version == auditor.__version__
    assert tools["numpy"] == metadata.version("numpy")
    assert re.fullmatch(r"3\.\d+\.\d+", tools["python"])
    assert "pytest" not in tools
    options = dict(run.options)
    assert options["resources"] == ("secrets", "configmaps")
    assert options["quick"] is False
    assert run.case == options["case"] == "2026/17"
    assert "rows" not in options
    assert run.started <= run.finished


def test_no_version_is_looked_up_where_no_report_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(_: str) -> str:
        raise AssertionError

    monkeypatch.setattr(metadata, "version", asked)
    assert auditor.scan(REWRITTEN, Options(rows=False)).run.tools == ()


def test_the_log_tells_the_steps_and_names_no_machine(tmp_path: Path) -> None:
    copy = Path(shutil.copy(REWRITTEN, tmp_path / "copy.db"))
    run = auditor.scan(copy, Options(expect_sha256=SHA256, expect_cluster=CLUSTER)).run
    seconds, steps = zip(*run.log, strict=True)
    assert list(seconds) == sorted(seconds)
    text = "\n".join(steps)
    assert str(tmp_path) not in text
    assert os.uname().nodename not in text
    for part in ("opened 1 ", "SHA-256 is the expected", "read 1", "cluster is the expected", "judged 65", "hashed"):
        assert part in text, part
    order = [step.split()[0] for step in steps]
    assert order.index("the") < order.index("read")


def test_a_case_is_shown_and_cannot_steer_the_terminal() -> None:
    done = run("scan", REWRITTEN, "--case", "C-17 \x1b[31m", "--json", "-")
    assert "C-17 \\x1b[31m" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert "Case" not in run("scan", REWRITTEN).stdout


# what is expected


@pytest.mark.parametrize("written", [SHA256, SHA256.upper()])
def test_the_expected_hash_is_accepted(written: str) -> None:
    assert auditor.scan(REWRITTEN, Options(expect_sha256=written)).evidence.sha256 == SHA256


def test_another_hash_is_refused_before_anything_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError

    monkeypatch.setattr("auditor.evidence.etcd.snapshot.read", never)
    with pytest.raises(UnexpectedEvidence) as refused:
        auditor.scan(PLAINTEXT, Options(expect_sha256=SHA256))
    assert SHA256 in str(refused.value)
    assert hashlib.sha256(PLAINTEXT.read_bytes()).hexdigest() in str(refused.value)
    configured = ("--encryption-config", tmp_path / "absent.json")  # nor is a configuration looked at
    done = run("scan", PLAINTEXT, "--expect-sha256", SHA256, *configured, "--csv", tmp_path / "a.csv")
    assert done.returncode == 2
    assert done.stdout == ""
    assert SHA256 in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("written", ["", "0", SHA256[:-1], SHA256 + "0", "g" * 64])
def test_what_is_no_hash_is_bad_usage(written: str) -> None:
    if not written:
        assert auditor.scan(REWRITTEN, Options(expect_sha256=written))
        return
    with pytest.raises(UsageError):
        auditor.scan(REWRITTEN, Options(expect_sha256=written))


def test_a_hash_cannot_be_expected_of_a_run_without_hashes() -> None:
    done = run("scan", REWRITTEN, "--quick", "--expect-sha256", SHA256)
    assert done.returncode == 2
    assert "--quick" in done.stderr


def test_the_hash_of_a_directory_is_that_of_its_database(member: Path) -> None:
    database = hashlib.sha256((member / "member" / "snap" / "db").read_bytes()).hexdigest()
    assert auditor.scan(member, Options(expect_sha256=database)).evidence.sha256 == database
    with pytest.raises(UnexpectedEvidence, match=database):
        auditor.scan(member, Options(expect_sha256=SHA256))
    (member / "member" / "snap" / "db").unlink()
    with pytest.raises(UnexpectedEvidence, match="no database"):
        auditor.scan(member, Options(expect_sha256=SHA256))


def test_the_expected_cluster_is_accepted_and_another_refused(tmp_path: Path) -> None:
    assert auditor.scan(REWRITTEN, Options(expect_cluster=CLUSTER)).evidence.cluster.uid == CLUSTER
    done = run("scan", OTHER, "--expect-cluster", CLUSTER, "--csv", tmp_path / "a.csv")
    assert done.returncode == 2
    assert CLUSTER in done.stderr
    assert "2b670416-1334-4c78-a070-392fa8ef9e82" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wanted", [" ", CLUSTER, "\x1b"])
def test_a_cluster_that_cannot_be_told_is_refused(wanted: str) -> None:
    """Under another storage prefix nothing says which cluster it is: nothing is concluded of it."""
    with pytest.raises(UnexpectedEvidence, match="no kube-system namespace") as refused:
        auditor.scan(REWRITTEN, Options(storage_prefixes=("/elsewhere",), expect_cluster=wanted))
    assert str(refused.value).isprintable()


def test_a_large_file_is_let_go_beside_the_reports_and_reads_the_same_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(file, "LARGE", 1)
    evidence = EvidenceFile.open(REWRITTEN, hashed=True)
    sha256, _ = evidence.hashing.result()
    evidence.close()
    for thread in threading.enumerate():
        if thread.name == "unmapping":
            thread.join()
    assert hashlib.sha256(evidence.map).hexdigest() == sha256 == SHA256
