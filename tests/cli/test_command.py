"""The command as a user runs it: exit codes, outputs, refusals, and what it must never do."""

import csv
import io
import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from auditor.cli import worker
from auditor.errors import AuditorError
from auditor.model.table import COLUMNS
from auditor.sandbox import Limits
from tests.helpers.command import run
from tests.helpers.fixtures import MIGRATION, SNAPSHOTS, canaries, name_of
from tests.helpers.sweeps import sample

REWRITTEN = MIGRATION / "3-rewritten.db"
DESIGN_COLUMNS = (
    "id,evidence,place,finding,severity,judged,resource,namespace,name,uid,key,provider,key_name,kek_id,encoding,decrypted,"
    "same_as_latest,type,data_keys,valid_until,used_by,created,create_revision,mod_revision,version,state,source,offset,"
    "size,extents,page,also_in,detail"
)


def test_help_names_the_exit_codes() -> None:
    ran = run("scan", "--help")
    assert ran.returncode == 0
    assert "Exit codes" in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([REWRITTEN], 1),
        ([MIGRATION / "5-defragmented.db", "--quick"], 3),
        ([MIGRATION / "5-defragmented.db", "--quick", "--accept-partial"], 0),
        ([MIGRATION / "5-defragmented.db", "--quick", "--accept-partial", "--fail-on", "low"], 1),
        ([REWRITTEN, "--storage-prefix", "/elsewhere"], 3),
        ([REWRITTEN, "--resource", "nosuch"], 3),
        ([MIGRATION / "absent.db"], 2),
        ([MIGRATION / "1-plaintext.truth.json"], 2),
        ([MIGRATION], 1),
        ([REWRITTEN, "--no-such-option"], 2),
        ([], 2),
    ],
)
def test_exit_codes(arguments: list[str | Path], code: int) -> None:
    ran = run("scan", *arguments)
    assert ran.returncode == code
    assert "Traceback" not in ran.stdout + ran.stderr
    if code == 2:
        assert ran.stderr


def test_reports_are_private_and_never_overwrite(tmp_path: Path) -> None:
    names = ["a.csv", "i.csv", "i.parquet", "r.json", "r.html"]
    options = ["--csv", "a.csv", "--inventory", "i.parquet", "--json", "r.json", "--html", "r.html"]
    assert run("scan", REWRITTEN, *options, cwd=tmp_path).returncode == 1
    assert run("scan", REWRITTEN, "--inventory", "i.csv", cwd=tmp_path).returncode == 1
    sums = ["a.csv.SHA256SUMS", "i.csv.SHA256SUMS"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names, *sums])
    assert all(stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600 for name in (*names, *sums))
    before = {name: (tmp_path / name).read_bytes() for name in names}
    refused = run("scan", REWRITTEN, *options, cwd=tmp_path)
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    assert run("scan", REWRITTEN, "--csv", "a.csv", "--force", cwd=tmp_path).returncode == 1
    assert {name: (tmp_path / name).read_bytes() for name in names} == before


@pytest.mark.parametrize(
    "options", [["--csv", "x", "--json", "x"], ["--csv", "no/x"], ["--inventory", "x.txt"], ["--html", "."]]
)
def test_outputs_that_cannot_be_are_refused_before_any_work(tmp_path: Path, options: list[str]) -> None:
    assert run("scan", REWRITTEN, *options, cwd=tmp_path).returncode == 2
    assert not list(tmp_path.iterdir())


def test_evidence_is_never_an_output_and_never_changes(tmp_path: Path) -> None:
    evidence = tmp_path / "evidence.db"
    evidence.write_bytes(REWRITTEN.read_bytes())
    before = evidence.stat()
    assert run("scan", evidence, "--csv", evidence, "--force").returncode == 2
    assert run("scan", evidence).returncode == 1
    after = evidence.stat()
    assert (after.st_mtime_ns, after.st_ctime_ns, after.st_size) == (
        before.st_mtime_ns,
        before.st_ctime_ns,
        before.st_size,
    )
    assert [path.name for path in tmp_path.iterdir()] == ["evidence.db"]


def test_a_dash_is_standard_output_and_the_summary_moves_aside() -> None:
    ran = run("scan", REWRITTEN, "--csv", "-")
    rows = list(csv.DictReader(io.StringIO(ran.stdout)))
    assert ",".join(rows[0]) == DESIGN_COLUMNS == ",".join(COLUMNS)
    assert ran.stderr.startswith("FINDINGS: 29 readable values of 28 Secrets")
    assert sum(row["finding"] == "plaintext" for row in rows) == 29
    assert ran.stdout == run("scan", REWRITTEN, "--csv", "-").stdout


def test_all_formats_hold_the_same_findings(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    run("scan", REWRITTEN, "--csv", "a.csv", "--json", "a.json", "--inventory", "a.parquet", cwd=tmp_path)
    with (tmp_path / "a.csv").open() as file:
        rows = list(csv.DictReader(file))
    document = json.loads((tmp_path / "a.json").read_text())
    assert [{name: str(cell) for name, cell in row.items()} for row in document["findings"]] == rows
    inventory = pq.read_table(tmp_path / "a.parquet").to_pylist()
    flagged = [(row["id"], row["offset"]) for row in inventory if row["finding"] != "weak-provider"]
    assert flagged == [(row["id"], int(row["offset"])) for row in rows if row["offset"]]


@pytest.mark.parametrize("path", sample(SNAPSHOTS, 4), ids=name_of)
def test_no_secret_leaves_in_any_output(path: Path, tmp_path: Path) -> None:
    options = ["--csv", "a.csv", "--inventory", "i.parquet", "--json", "a.json", "--html", "a.html", "--resource", "*"]
    said = run("scan", path, "-v", *options, cwd=tmp_path)
    inventory = run("scan", path, "--inventory", "i.csv", cwd=tmp_path)
    cut = tmp_path / "cut.db"
    cut.write_bytes(path.read_bytes()[:60_000])
    damaged = run("scan", cut, "--csv", "cut.csv", cwd=tmp_path)
    cut.unlink()
    outputs = [text.encode() for ran in (said, inventory, damaged) for text in (ran.stdout, ran.stderr)]
    outputs += [file.read_bytes() for file in tmp_path.iterdir()]
    for canary in canaries(path):
        assert not any(canary in output for output in outputs)


def _raise(error: BaseException) -> int:
    raise error


@pytest.mark.parametrize(
    ("error", "shown"),
    [(ValueError("MARKER"), False), (AuditorError("a message"), True), (MemoryError("MARKER"), False)],
)
def test_an_exception_becomes_a_message_without_its_text(
    error: BaseException, *, shown: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    assert worker.run(lambda: _raise(error), Limits()) == worker.FAILURE
    output = capfd.readouterr().err
    assert "MARKER" not in output
    assert "Traceback" not in output
    assert ("a message" in output) == shown


SHRINK = """
import mmap, os, sys
from auditor import sandbox
from auditor.cli import worker

def task():
    with open(sys.argv[1], "rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        os.truncate(sys.argv[1], 0)
        return mapped[40000]

sys.exit(worker.run(task, sandbox.Limits()))
"""


def test_a_file_that_shrinks_under_its_mapping_is_a_message(tmp_path: Path) -> None:
    path = tmp_path / "shrinking"
    path.write_bytes(b"x" * 65536)
    ran = subprocess.run([sys.executable, "-c", SHRINK, str(path)], capture_output=True, text=True, check=False)
    assert ran.returncode == worker.FAILURE
    assert "SIGBUS" in ran.stderr
    assert "Traceback" not in ran.stderr
