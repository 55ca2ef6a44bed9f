"""The file of sums beside the reports: what `sha256sum -c` makes of it, and that no run disturbs another's."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.cli import checksums
from auditor.verify import checksums as format_
from tests.helpers.command import run
from tests.helpers.fixtures import REWRITTEN

COREUTILS = shutil.which("sha256sum")


def sha256sum(folder: Path, name: str) -> "subprocess.CompletedProcess[bytes]":
    assert COREUTILS is not None
    command = [COREUTILS, "--check", "--strict", name]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=30)


@pytest.mark.skipif(COREUTILS is None, reason="needs sha256sum")
@pytest.mark.parametrize("name", ["a.csv", "with space.csv", "back\\slash.csv", "new\nline.csv", "名.csv", "*.csv"])
def test_sha256sum_reads_it(tmp_path: Path, name: str) -> None:
    assert run("scan", REWRITTEN, "--csv", tmp_path / name, "--json", tmp_path / "b.json").returncode == 1
    listed = f"{name}{format_.SUFFIX}"
    assert sha256sum(tmp_path, listed).returncode == 0
    assert stat.S_IMODE((tmp_path / listed).stat().st_mode) == 0o600
    report = tmp_path / "b.json"
    report.write_bytes(report.read_bytes().replace(b"findings", b"Findings", 1))
    failed = sha256sum(tmp_path, listed)
    assert failed.returncode == 1
    assert b"b.json: FAILED" in failed.stdout


def test_one_file_for_each_folder(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    outputs: list[str | Path] = [
        "--csv",
        tmp_path / "one" / "a.csv",
        "--html",
        tmp_path / "two" / "b.html",
        "--json",
        "-",
    ]
    assert run("scan", REWRITTEN, *outputs).returncode == 1
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == ["a.csv", "a.csv.SHA256SUMS"]
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == ["b.html", "b.html.SHA256SUMS"]


def test_standard_output_has_none(tmp_path: Path) -> None:
    assert run("scan", REWRITTEN, "--csv", "-", "--expect", "encrypted").returncode == 1
    assert checksums.targets([Path("-"), None]) == {}
    assert not list(tmp_path.iterdir())


def test_runs_into_one_folder_leave_each_others_alone(tmp_path: Path) -> None:
    assert run("scan", REWRITTEN, "--csv", tmp_path / "r.csv").returncode == 1
    before = (tmp_path / "r.csv.SHA256SUMS").read_bytes()
    assert run("scan", REWRITTEN, "--json", tmp_path / "r.json").returncode == 1
    assert (tmp_path / "r.csv.SHA256SUMS").read_bytes() == before
    assert b"r.json" in (tmp_path / "r.json.SHA256SUMS").read_bytes()


def test_it_is_never_overwritten_unless_told(tmp_path: Path) -> None:
    listed = tmp_path / "a.csv.SHA256SUMS"
    listed.write_text("signed")
    refused = run("scan", REWRITTEN, "--csv", tmp_path / "a.csv")
    assert refused.returncode == 2
    assert listed.name in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == [listed.name]
    assert listed.read_text() == "signed"
    assert run("scan", REWRITTEN, "--csv", tmp_path / "a.csv", "--force").returncode == 1
    (found,), wrong = format_.parse(listed.read_bytes())
    assert (found, wrong) == ((format_.digest(tmp_path / "a.csv"), b"a.csv"), [])


def test_it_shares_no_file_with_a_report(tmp_path: Path) -> None:
    clash: list[str | Path] = ["--csv", tmp_path / "a", "--json", tmp_path / "a.SHA256SUMS"]
    done = run("scan", REWRITTEN, *clash, "--force")
    assert done.returncode == 2
    assert "two outputs" in done.stderr


def test_the_evidence_is_never_replaced_by_it(tmp_path: Path) -> None:
    evidence = Path(shutil.copy(REWRITTEN, tmp_path / "a.csv.SHA256SUMS"))
    before = evidence.read_bytes()
    assert run("scan", evidence, "--csv", tmp_path / "a.csv", "--force").returncode == 2
    assert evidence.read_bytes() == before


@given(st.lists(st.binary(min_size=1).filter(lambda name: b"\0" not in name and b"/" not in name)))
def test_every_name_comes_back(names: list[bytes]) -> None:
    digest = "0123456789abcdef" * 4
    raw = b"".join(format_.line(digest, name) for name in names)
    assert raw.count(b"\n") == len(names)
    assert format_.parse(raw) == ([(digest, name) for name in names], [])


def test_a_line_that_is_none_is_numbered() -> None:
    good = format_.line("a" * 64, b"x")
    broken = good.replace(b"aaa", b"ga.", 1)
    assert format_.parse(good + broken + b"\n" + good) == ([("a" * 64, b"x")] * 2, [2])
    assert os.fsdecode(good).endswith("  x\n")


def test_sarif_is_held_to_its_sum(tmp_path: Path) -> None:
    run("scan", REWRITTEN, "--sarif", tmp_path / "a.sarif", "--json", tmp_path / "b.json")
    listed = tmp_path / f"b.json{format_.SUFFIX}"
    for given_ in (listed, tmp_path / "a.sarif"):
        assert run("verify", given_).returncode == 0
    assert run("verify", listed, REWRITTEN).returncode == 0
    report = tmp_path / "a.sarif"
    whole = report.read_bytes()
    for at in (5, 20, len(whole) // 2, len(whole) - 5):
        report.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        done = run("verify", listed)
        assert done.returncode == 1
        assert "DIFFERS      a.sarif" in done.stdout
