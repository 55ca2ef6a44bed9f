"""etcd-auditor scan as a user runs it: in a process of its own, with files, pipes and mistakes."""

import csv
import io
import json
import os
import random
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.command import run
from tests.helpers.fixtures import DEFRAGMENTED, FIXTURES, PLAINTEXT, REWRITTEN
from tests.helpers.sweeps import sample

OUTPUTS = {"--csv": "a.csv", "--inventory": "b.parquet", "--html": "c.html", "--json": "d.json"}
SUMS = ".SHA256SUMS"
PARTIAL = ["--quick", "--accept-partial"]


def outputs(folder: Path) -> list[str]:
    return [part for option, name in OUTPUTS.items() for part in (option, str(folder / name))]


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(), newline="")))


def snapshot_of(folder: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """Every file of a folder: inode, times, bytes."""
    return {
        path.name: (path.stat().st_ino, path.stat().st_mtime_ns, path.stat().st_ctime_ns, path.read_bytes())
        for path in folder.iterdir()
    }


# help and usage


@pytest.mark.parametrize("width", ["20", "40", "80", "300"])
def test_help_tells_the_exit_codes(width: str) -> None:
    done = run("scan", "--help", COLUMNS=width, TERMINAL_WIDTH=width)
    assert done.returncode == 0
    assert done.stderr == ""
    output = re.sub(r"\W+", "", done.stdout)
    assert "Exitcodes" in output
    for code in ("0nofindingator", "1afindingator", "2badusage", "3nosuchfinding"):
        assert code in output, code


@pytest.mark.parametrize("arguments", [[], ["--help"], ["--version"]])
def test_the_command_alone(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == (0 if arguments else 2)
    assert "etcd-auditor" in done.stdout + done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["scan"],
        ["scan", REWRITTEN, "--no-such-option"],
        ["scan", REWRITTEN, "--fail-on", "nothing"],
        ["scan", REWRITTEN, "--csv"],
        ["scan", REWRITTEN, REWRITTEN, REWRITTEN, "--fail-on"],
        ["no-such-command"],
    ],
)
def test_bad_usage(arguments: list[str | Path]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr
    assert "Traceback" not in done.stderr


# exit codes


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([REWRITTEN], 1),
        ([REWRITTEN, "--quick"], 1),
        ([PLAINTEXT, "--fail-on", "critical"], 1),
        ([REWRITTEN, *PARTIAL, "--fail-on", "critical"], 0),
        ([DEFRAGMENTED, *PARTIAL], 0),
        ([DEFRAGMENTED, *PARTIAL, "--fail-on", "medium"], 0),
        ([DEFRAGMENTED, *PARTIAL, "--fail-on", "low"], 1),
        ([DEFRAGMENTED, "--quick"], 3),
        ([DEFRAGMENTED, *PARTIAL, "--resource", "nosuch.example.com"], 3),
        ([DEFRAGMENTED, *PARTIAL, "--resource", "secrets", "--resource", "nosuch"], 3),
        ([DEFRAGMENTED, *PARTIAL, "--storage-prefix", "/elsewhere"], 3),
        ([DEFRAGMENTED, *PARTIAL, "--storage-prefix", "registry"], 0),
        ([DEFRAGMENTED, *PARTIAL, "--resource", "*"], 1),
    ],
)
def test_exit_codes(arguments: list[str | Path], code: int) -> None:
    done = run("scan", *arguments)
    assert done.returncode == code
    assert f"(exit {code})" in " ".join(done.stdout.split("\n")[:3])
    assert done.stderr == ""


def test_the_summary() -> None:
    done = run("scan", REWRITTEN)
    assert done.stdout.startswith("FINDINGS: 29 readable values of 28 Secrets, in history and deleted (exit 1)\n")
    for part in ("3-rewritten.db, 143,392 bytes", "SHA-256   ad081676ad91bd47", "Trailer   matches", "Not examined:"):
        assert part in done.stdout
    assert "apiservices" not in done.stdout
    assert "apiservices.apiregistration.k8s.io" in run("scan", REWRITTEN, "-v").stdout


# outputs


def test_outputs_are_whole_and_private(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        done = run("scan", REWRITTEN, *outputs(tmp_path))
    finally:
        os.umask(previous)
    assert done.returncode == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*OUTPUTS.values(), f"a.csv{SUMS}"])
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(rows_of(tmp_path / "a.csv")) == len(json.loads((tmp_path / "d.json").read_text())["findings"])
    assert (tmp_path / "b.parquet").read_bytes().endswith(b"PAR1")
    assert (tmp_path / "c.html").read_text().rstrip().endswith("</html>")


def test_an_inventory_as_csv(tmp_path: Path) -> None:
    assert run("scan", REWRITTEN, "--inventory", tmp_path / "i.csv").returncode == 1
    rows = rows_of(tmp_path / "i.csv")
    assert sum(row["place"] == "latest" for row in rows) == 34
    refused = run("scan", REWRITTEN, "--inventory", tmp_path / "i.xlsx")
    assert refused.returncode == 2
    assert ".parquet" in refused.stderr
    assert not (tmp_path / "i.xlsx").exists()


@pytest.mark.parametrize("option", OUTPUTS)
def test_nothing_is_overwritten_unless_told(tmp_path: Path, option: str) -> None:
    target = tmp_path / OUTPUTS[option]
    target.write_text("kept")
    refused = run("scan", REWRITTEN, option, target)
    assert refused.returncode == 2
    assert target.name in refused.stderr
    assert "--force" in refused.stderr
    assert target.read_text() == "kept"
    target.chmod(0o644)
    assert run("scan", REWRITTEN, option, target, "--force").returncode == 1
    assert b"kept" not in target.read_bytes()[:10]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == [target.name, target.name + SUMS]


@pytest.mark.parametrize("force", [[], ["--force"]], ids=["", "force"])
@pytest.mark.parametrize("link", ["same", "symbolic", "hard", "dots"])
def test_the_evidence_is_never_written(tmp_path: Path, link: str, force: list[str]) -> None:
    evidence = Path(shutil.copy(REWRITTEN, tmp_path / "evidence.db"))
    target = tmp_path / "other.db"
    if link == "symbolic":
        target.symlink_to(evidence)
    elif link == "hard":
        target.hardlink_to(evidence)
    else:
        target = evidence if link == "same" else tmp_path / ".." / tmp_path.name / "evidence.db"
    before = evidence.read_bytes()
    done = run("scan", evidence, "--csv", target, *force)
    assert done.returncode == 2
    assert "evidence" in done.stderr
    assert evidence.read_bytes() == before


@pytest.mark.parametrize(
    "names", [("x", "x"), ("x", "./x"), ("-", "-"), ("x", "link"), ("folder/../x", "x")], ids=" ".join
)
def test_two_outputs_never_share_a_file(tmp_path: Path, names: tuple[str, str]) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "x")
    (tmp_path / "folder").mkdir()
    first, second = ("-" if name == "-" else f"{tmp_path}/{name}" for name in names)
    done = run("scan", REWRITTEN, "--csv", first, "--json", second, "--force")
    assert done.returncode == 2
    assert "two outputs" in done.stderr
    assert not (tmp_path / "x").exists()
    assert done.stdout == ""


@pytest.mark.parametrize("option", ["--csv", "--json", "--html"])
def test_a_dash_is_standard_output(option: str) -> None:
    done = run("scan", REWRITTEN, option, "-")
    assert done.returncode == 1
    assert done.stderr.startswith("FINDINGS: 29 readable values")
    assert "FINDINGS: 29 readable values" not in done.stdout[:60]
    if option == "--csv":
        assert len(list(csv.DictReader(io.StringIO(done.stdout)))) >= 29
    elif option == "--json":
        assert json.loads(done.stdout)["format"] == "etcd-auditor"
    else:
        assert done.stdout.startswith("<!doctype html>")


def test_standard_output_is_what_the_file_would_be(tmp_path: Path) -> None:
    run("scan", REWRITTEN, "--csv", tmp_path / "a.csv")
    assert run("scan", REWRITTEN, "--csv", "-").stdout == (tmp_path / "a.csv").read_text()


@pytest.mark.parametrize("target", ["missing/a.csv", "file/a.csv", "folder"])
def test_targets_that_cannot_be_written(tmp_path: Path, target: str) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder").mkdir()
    before = sorted(path.name for path in tmp_path.rglob("*"))
    for force in ([], ["--force"]):
        done = run("scan", REWRITTEN, "--csv", tmp_path / target, *force)
        assert done.returncode == 2
        assert Path(target).name in done.stderr
        assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_a_target_that_is_no_file_is_left_alone(tmp_path: Path) -> None:
    """--force overwrites reports. A pipe, or /dev/null for an administrator, must not become a file."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert run("scan", REWRITTEN, "--csv", pipe, "--force").returncode == 2
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_dangling_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a.csv").symlink_to(tmp_path / "elsewhere")
    done = run("scan", REWRITTEN, "--csv", tmp_path / "a.csv")
    assert done.returncode == 2
    assert not (tmp_path / "elsewhere").exists()


# evidence


def test_the_evidence_is_only_read(tmp_path: Path) -> None:
    evidence = Path(shutil.copy(REWRITTEN, tmp_path / "evidence.db"))
    evidence.chmod(0o444)
    before, listed = snapshot_of(tmp_path), tmp_path.stat().st_mtime_ns
    for options in ([], ["--quick"], ["-v", "--csv", "-"]):
        assert run("scan", evidence, *options).returncode == 1
    assert snapshot_of(tmp_path) == before
    assert tmp_path.stat().st_mtime_ns == listed


def pipe(path: Path) -> None:
    os.mkfifo(path)


NOT_EVIDENCE: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: None,
    "empty": lambda path: path.touch(),
    "folder": lambda path: path.mkdir(),
    "named pipe": pipe,
    "dangling link": lambda path: path.symlink_to(path.with_name("nowhere")),
    "one byte": lambda path: path.write_bytes(b"\0"),
    "random": lambda path: path.write_bytes(bytes(range(7, 250)) * 200),
    "zeros": lambda path: path.write_bytes(bytes(65536)),
    "text": lambda path: path.write_text("apiVersion: v1\nkind: Secret\n" * 500),
    "sqlite": lambda path: path.write_bytes(b"SQLite format 3\0" + bytes(8176)),
    "gzip": lambda path: path.write_bytes(b"\x1f\x8b\x08\0" + bytes(9000)),
    "half a meta": lambda path: path.write_bytes(REWRITTEN.read_bytes()[:70]),
    "no meta page": lambda path: path.write_bytes(bytes(8192) + random.Random(1).randbytes(8192)),
}


@pytest.mark.parametrize("kind", NOT_EVIDENCE)
def test_what_is_no_evidence(tmp_path: Path, kind: str) -> None:
    evidence = tmp_path / "what-is-this.db"
    NOT_EVIDENCE[kind](evidence)
    reports = tmp_path / "reports"
    reports.mkdir()
    done = run("scan", evidence, *outputs(reports))
    assert done.returncode == 2
    assert done.stdout == ""
    assert "what-is-this.db" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("etcd-auditor: ")
    assert list(reports.iterdir()) == []


def test_an_impossible_output_stops_the_run_before_another_is_written(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    done = run("scan", REWRITTEN, "--csv", tmp_path / "a.csv", "--json", tmp_path / "folder")
    assert done.returncode == 2
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("option", sample(list(OUTPUTS), 2))
@pytest.mark.parametrize("force", [[], ["--force"]], ids=["", "force"])
def test_a_report_that_does_not_fit_leaves_no_part_of_it(tmp_path: Path, option: str, force: list[str]) -> None:
    """The disk is full, here by a limit of the file size: no half report, and an older one stays."""
    target = tmp_path / OUTPUTS[option]
    if force:
        target.write_text("kept")
    command = [sys.executable, "-m", "auditor", "scan", str(REWRITTEN), option, str(target), *force]
    limited = ["sh", "-c", 'ulimit -f 4; exec "$0" "$@"', *command]
    done = subprocess.run(limited, capture_output=True, text=True, check=False, timeout=120, cwd=FIXTURES.parent)
    assert done.returncode == 2
    assert done.stderr.startswith("etcd-auditor: ")
    assert "Traceback" not in done.stderr
    assert [path.read_text() for path in tmp_path.iterdir()] == (["kept"] if force else [])


def test_a_cut_snapshot_never_passes(tmp_path: Path) -> None:
    raw = DEFRAGMENTED.read_bytes()
    cut = tmp_path / "cut.db"
    for size in (len(raw) - 32, len(raw) - 4096, len(raw) // 2, 8192, 4096):
        cut.write_bytes(raw[:size])
        done = run("scan", cut, *PARTIAL)
        assert done.returncode in {1, 2, 3}, size
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["-leading", "späth 名.db", "new\nline.db", "\x1b[31mred.db", "\udcff.db", "a;b|c.db"])
def test_evidence_of_any_name(tmp_path: Path, name: str) -> None:
    evidence = Path(shutil.copy(REWRITTEN, tmp_path / name))
    done = run("scan", evidence, "--csv", "-")
    assert done.returncode == 1
    assert "\x1b" not in done.stdout + done.stderr
    assert len(list(csv.DictReader(io.StringIO(done.stdout)))) >= 29


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_terminals_of_any_encoding(tmp_path: Path, encoding: str) -> None:
    """A name that the terminal cannot show must not cost the conclusion."""
    evidence = Path(shutil.copy(REWRITTEN, tmp_path / "名.db"))
    done = run("scan", evidence, "--json", tmp_path / "a.json", PYTHONIOENCODING=encoding)
    assert done.returncode == 1
    assert json.loads((tmp_path / "a.json").read_text())["exit_code"] == 1


@pytest.mark.parametrize("options", [[], ["--json", "-"]], ids=["summary", "report"])
def test_a_reader_that_has_gone_is_no_finding(options: list[str]) -> None:
    """Exit code 1 means a finding: a closed pipe must not look like one."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "auditor", "scan", str(DEFRAGMENTED), *PARTIAL, *options]
    try:
        done = subprocess.run(
            command, stdout=write, stderr=subprocess.PIPE, check=False, timeout=120, cwd=FIXTURES.parent
        )
    finally:
        os.close(write)
    assert done.returncode == 141
    assert b"Traceback" not in done.stderr
    assert b"fault of etcd-auditor" not in done.stderr
