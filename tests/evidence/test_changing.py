"""Evidence that changes, goes or shrinks while it is read: noticed, said, and never the ground of a pass."""

import os
import shutil
import subprocess
import sys
import threading
from itertools import count
from pathlib import Path

import pytest

import auditor
from auditor import Audit, Options
from auditor.model.findings import Rows
from auditor.model.vocabulary import Verdict
from tests.helpers.ciphertexts import ciphertext
from tests.helpers.command import run
from tests.helpers.etcd import Etcd
from tests.helpers.fixtures import REWRITTEN
from tests.helpers.objects import StoredObject
from tests.helpers.observers import Calling

ENCRYPTED = ciphertext("secretbox", b"box", bytes(64))
ENOUGH = Options(expect="secretbox:box", accept_partial=True)
"""Under these, evidence that holds only such values passes."""
EACH_WRITE = "--backend-batch-limit=1"
"""etcd then commits after every write, not ten times a second."""


def changes(audit: Audit) -> list[str]:
    return [gap.reason for gap in audit.gaps if "changed while it was read" in gap.reason]


def test_the_database_of_a_member_that_writes_on(program: str, tmp_path: Path) -> None:
    with Etcd(tmp_path / "data", EACH_WRITE, program=program) as etcd:
        for number in range(300):
            etcd.put(StoredObject(name=b"s%d" % number).key, ENCRYPTED)
        done = threading.Event()
        commits = threading.Semaphore(0)

        def write() -> None:
            for number in count():
                if done.is_set():
                    return
                revision = etcd.put(StoredObject(name=b"s%d" % (number % 400)).key, ENCRYPTED + bytes(number % 5000))
                if not number % 50:
                    etcd.compact(revision)
                commits.release()

        thread = threading.Thread(target=write)
        thread.start()

        def wait_for_a_commit(_: Rows) -> None:
            while commits.acquire(blocking=False):
                pass
            assert commits.acquire(timeout=60)

        try:
            audits = [
                auditor.scan(
                    tmp_path / "data" / "member" / "snap" / "db", ENOUGH, observer=Calling(rows=wait_for_a_commit)
                )
                for _ in range(5)
            ]
        finally:
            done.set()
            thread.join()
    for audit in audits:
        assert changes(audit)
        assert audit.evidence.changed
        assert not audit.complete
        assert audit.verdict() is not Verdict.NONE  # pages torn by the writer may look like findings
    still = auditor.scan(tmp_path / "data" / "member" / "snap" / "db", ENOUGH)
    assert not changes(still)


def test_a_member_that_defragments_puts_another_file_there(program: str, tmp_path: Path) -> None:
    with Etcd(tmp_path / "data", program=program) as etcd:
        etcd.put(StoredObject().key, ENCRYPTED)
        audit = auditor.scan(
            tmp_path / "data" / "member" / "snap" / "db", ENOUGH, observer=Calling(rows=lambda _: etcd.defragment())
        )
    assert changes(audit)
    assert audit.verdict() is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("how", ["removed", "written", "touched", "replaced"])
def test_a_file_that_changes_is_no_ground_of_a_pass(tmp_path: Path, how: str) -> None:
    with Etcd(tmp_path / "data") as etcd:
        etcd.put(StoredObject().key, ENCRYPTED)
        path = etcd.save(tmp_path / "saved.db")
    assert auditor.scan(path, ENOUGH).verdict() is Verdict.NONE
    other = Path(shutil.copy(path, tmp_path / "other.db"))

    def change(_: Rows) -> None:
        if how == "removed":
            path.unlink()
        elif how == "written":
            with path.open("r+b") as file:
                file.seek(20_000)
                file.write(b"x")
        elif how == "touched":
            os.utime(path)
        else:
            other.replace(path)

    audit = auditor.scan(path, ENOUGH, observer=Calling(rows=change))
    assert changes(audit)
    assert audit.verdict() is Verdict.INCONCLUSIVE


CUT = """
import os, sys
from auditor import __main__
from auditor.evidence.etcd import snapshot

read_file = snapshot.read_file

def cut(file, **options):
    if file.name == "cut.db":
        os.truncate(os.environ["CUT"], 40_000)
    return read_file(file, **options)

snapshot.read_file = cut
__main__.main()
"""
"""The command itself; the file is cut when it is mapped and about to be read."""


def scanned(*arguments: Path | str) -> "subprocess.CompletedProcess[str]":
    line = [sys.executable, "-c", CUT, "scan", *map(str, arguments)]
    environment = {**os.environ, "CUT": str(arguments[0])}
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=120, env=environment)


def test_a_file_cut_under_the_command_is_a_message(tmp_path: Path) -> None:
    path = Path(shutil.copy(REWRITTEN, tmp_path / "cut.db"))
    done = scanned(path, "--csv", tmp_path / "findings.csv")
    assert done.returncode == 2
    assert (
        done.stderr == "etcd-auditor: the evidence shrank or became unreadable while it was read (SIGBUS); "
        "nothing was concluded\n"
    )
    assert not done.stdout
    assert not (tmp_path / "findings.csv").exists()


def test_of_several_files_only_the_one_that_is_cut_is_lost(tmp_path: Path) -> None:
    path = Path(shutil.copy(REWRITTEN, tmp_path / "cut.db"))
    done = scanned(path, REWRITTEN, "--csv", tmp_path / "findings.csv")
    alone = run("scan", REWRITTEN, "--csv", tmp_path / "alone.csv")
    assert done.returncode == alone.returncode == 1
    assert "SIGBUS" in done.stdout
    rows = (tmp_path / "findings.csv").read_text().splitlines()
    assert len(rows) == len((tmp_path / "alone.csv").read_text().splitlines())
