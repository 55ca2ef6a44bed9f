"""Several evidence items at once: one report, one exit code, and none that stops the others."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import auditor
from auditor import Audit, Options, Severity
from auditor.errors import UnreadableEvidence, UsageError
from auditor.evidence.discovery.arguments import names, resolve_arguments
from auditor.scanning import many, one
from tests.helpers import packing
from tests.helpers.command import run
from tests.helpers.fixtures import DEFRAGMENTED, FIXTURES, PLAINTEXT, REWRITTEN, SNAPSHOTS

PARTIAL = ["--quick", "--accept-partial"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Backups as they lie about: two of one name, a container of two, a broken one, and what is none."""
    backups = tmp_path / "backups"
    (backups / "monday").mkdir(parents=True)
    (backups / "tuesday").mkdir()
    shutil.copy(PLAINTEXT, backups / "monday" / "snapshot.db")
    shutil.copy(REWRITTEN, backups / "tuesday" / "snapshot.db")
    files = {"a.db": DEFRAGMENTED.read_bytes(), "b.db": PLAINTEXT.read_bytes()}
    (backups / "both.tar").write_bytes(packing.tar(files))
    (backups / "notes.txt").write_text("nothing of etcd's")
    return backups


def problems(audit: Audit) -> dict[str, str]:
    return {part.name: part.problem for part in audit.parts if part.problem}


# which


def test_one_piece_is_what_it_always_was() -> None:
    assert resolve_arguments([str(PLAINTEXT)]) == [str(PLAINTEXT)]
    assert resolve_arguments(["s3://bucket/a/b.db", "https://host:2379"]) == ["s3://bucket/a/b.db", "https://host:2379"]
    assert resolve_arguments(["no-such-file"]) == ["no-such-file"]


def test_a_folder_stands_for_the_evidence_in_it(folder: Path) -> None:
    paths = resolve_arguments([str(folder)])
    assert paths == [str(folder / name) for name in ("both.tar", "monday/snapshot.db", "tuesday/snapshot.db")]
    assert names(paths) == ["both.tar", "monday/snapshot.db", "tuesday/snapshot.db"]
    assert resolve_arguments([str(folder), paths[0]]) == paths


def test_a_data_directory_is_one_piece(tmp_path: Path) -> None:
    snap = tmp_path / "node" / "member" / "snap"
    snap.mkdir(parents=True)
    shutil.copy(PLAINTEXT, snap / "db")
    assert resolve_arguments([str(tmp_path / "node")]) == [str(tmp_path / "node")]
    assert resolve_arguments([str(tmp_path)]) == [str(tmp_path / "node")]
    assert resolve_arguments([str(tmp_path / "node" / "member")]) == [str(tmp_path / "node" / "member")]


def test_a_folder_of_nothing_stands_for_itself(tmp_path: Path) -> None:
    assert resolve_arguments([str(tmp_path)]) == [str(tmp_path)]
    assert "0 files looked at; an etcd data directory would hold" in run("scan", tmp_path).stderr


def test_a_pattern_is_expanded(folder: Path) -> None:
    assert resolve_arguments([f"{folder}/*/snapshot.db"]) == [
        str(folder / "monday/snapshot.db"),
        str(folder / "tuesday/snapshot.db"),
    ]
    assert len(resolve_arguments([f"{folder}/**/*.db"])) == 2
    with pytest.raises(UsageError, match="nothing matches"):
        resolve_arguments([f"{folder}/*.nothing"])


# one report of all


@pytest.mark.parametrize("jobs", [1, 3])
def test_all_rows_are_those_of_each(jobs: int) -> None:
    paths = sorted(map(str, SNAPSHOTS))
    audit = many.scan(paths, Options(), jobs)
    for path, part in zip(paths, sorted(audit.parts, key=lambda part: paths.index(_of(part.name, paths))), strict=True):
        alone = auditor.scan(path)
        mine = audit.inventory[audit.inventory.source == part.name].reset_index(drop=True)
        pd.testing.assert_frame_equal(mine.drop(columns="source"), alone.inventory.drop(columns="source"))
        assert part.exit_code(Severity.MEDIUM) == alone.exit_code(Severity.MEDIUM)
        assert (part.sha256, part.readable) == (alone.evidence.sha256, alone.tally.readable)
    assert audit.exit_code(Severity.MEDIUM) == 1


def _of(name: str, paths: list[str]) -> str:
    return next(path for path in paths if path.endswith(f"/{name}"))


def test_the_order_of_the_processes_does_not_show() -> None:
    paths = list(map(str, SNAPSHOTS[:4]))
    one, other = many.scan(paths, Options(), 4), many.scan(paths[::-1], Options(), 1)
    pd.testing.assert_frame_equal(one.findings, other.findings)
    assert (one.gaps, one.notes, one.tally, one.coverage, one.parts) == (
        other.gaps, other.notes, other.tally, other.coverage, other.parts,
    )  # fmt: skip


def test_every_report_is_made_of_all(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    done = run(
        "scan", folder, "--csv", out / "a.csv", "--json", out / "a.json", "--html", out / "a.html",
        "--inventory", out / "a.parquet", "--dataset", out / "set",
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == ""
    lines = [line.split() for line in done.stdout.splitlines()]
    parts = {"both.tar!a.db": "0", "both.tar!b.db": "1", "monday/snapshot.db": "1", "tuesday/snapshot.db": "1"}
    for name, code in parts.items():
        (line,) = (" ".join(each) for each in lines if each[:1] == [name])
        verdict = {"0": "no findings", "1": "findings"}[code]
        assert line.startswith(f"{name} {verdict} {code} ")
    document = json.loads((out / "a.json").read_text())
    assert [part["name"] for part in document["parts"]] == list(parts)
    rows = pd.read_csv(out / "a.csv", keep_default_na=False)
    assert len(rows) == len(document["findings"])
    assert set(rows.source) == set(parts)
    assert len(pd.read_parquet(out / "a.parquet")) >= len(rows)
    html = (out / "a.html").read_text()
    assert all(name in html for name in parts)
    checked = run("verify", out / "a.json", folder)
    assert checked.returncode == 0, checked.stdout
    assert "4 evidence items" in done.stdout


def test_a_data_set_can_be_asked_and_grows(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "set"
    assert run("scan", folder / "monday", "--dataset", target).returncode == 1
    assert run("scan", folder / "tuesday" / "snapshot.db", "--dataset", target).returncode == 1
    refused = run("scan", folder / "monday" / "snapshot.db", "--dataset", target)
    assert refused.returncode == 2
    assert "exists" in refused.stderr
    findings = pd.read_parquet(target / "findings")
    alone = [auditor.scan(folder / day / "snapshot.db").findings for day in ("monday", "tuesday")]
    assert len(findings) == sum(map(len, alone))
    assert set(findings.evidence) == {sha256 for each in alone for sha256 in each.evidence}
    sources = pd.read_parquet(target / "sources").set_index("evidence")
    joined = findings.merge(sources[["cluster"]], left_on="evidence", right_index=True)
    assert set(joined.cluster) == {"71314e90-44b9-4311-833c-506d91031055"}
    readable = joined[joined.finding == "plaintext"].groupby("evidence", observed=True).size()
    assert sorted(readable) == sorted(len(each[each.finding == "plaintext"]) for each in alone)
    for path in target.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0


# what goes wrong


def test_a_broken_one_does_not_stop_the_others(folder: Path) -> None:
    (folder / "broken.db").write_bytes(DEFRAGMENTED.read_bytes()[:40])
    (folder / "empty.db").write_bytes(b"")
    evidence = [str(DEFRAGMENTED), str(folder / "broken.db"), str(folder / "none.db"), str(folder / "empty.db")]
    done = run("scan", *evidence, *PARTIAL)
    assert done.returncode == 3
    assert sum("not read, see below" in line for line in done.stdout.splitlines()) == 3
    assert "(exit 3)" in done.stdout.splitlines()[0]
    audit = many.scan(evidence, Options(quick=True, accept_partial=True))
    assert set(problems(audit)) == {"broken.db", "none.db", "empty.db"}
    assert {gap.source for gap in audit.gaps} == {"broken.db", "none.db", "empty.db"}
    report = folder / "a.json"
    assert run("scan", *evidence, "--json", report).returncode == 3
    checked = run("verify", report, *evidence)
    assert checked.returncode == 0, checked.stdout
    assert "could not be read when the report was made" in checked.stdout


def test_a_key_beside_several_is_one_finding(tmp_path: Path) -> None:
    """What its row says of each exhibit is kept; the file is listed and counted once."""
    backups = tmp_path / "backups"
    backups.mkdir()
    for path in (PLAINTEXT, REWRITTEN, DEFRAGMENTED):
        shutil.copy(path, backups)
    shutil.copy(DEFRAGMENTED.with_suffix(".encryption.json"), backups / "enc.json")
    target = tmp_path / "r.json"
    done = run("scan", backups, "--json", target)
    document = json.loads(target.read_text())
    assert [each["name"] for each in document["evidence"]["sources"]].count("enc.json") == 1
    (row,) = [each for each in document["findings"] if each["finding"] == "key-present"]
    counts = re.findall(r"decrypts (\d+) values of this evidence \((\S+)\)", row["detail"])
    assert counts == [("0", "1-plaintext.db"), ("36", "3-rewritten.db"), ("34", "5-defragmented.db")]
    assert [each["values"] for each in document["tally"]["findings"] if each["finding"] == "key-present"] == [1]
    assert "1 value key-present" in done.stdout
    assert "4 files" in done.stdout
    assert run("verify", target, backups, "--again").returncode == 0


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ([DEFRAGMENTED, SNAPSHOTS[6], *PARTIAL], 0),
        ([DEFRAGMENTED, PLAINTEXT, *PARTIAL], 1),
        ([DEFRAGMENTED, "nowhere.db", *PARTIAL], 3),
        ([PLAINTEXT, "nowhere.db", *PARTIAL], 1),
        (["nowhere.db", "elsewhere.db"], 2),
        ([DEFRAGMENTED, PLAINTEXT, "--expect-sha256", "0" * 64], 2),
        ([DEFRAGMENTED, PLAINTEXT, "--wal-dir", FIXTURES], 2),
    ],
)
def test_the_exit_code_of_several(given: list[str | Path], code: int) -> None:
    done = run("scan", *given)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_none_is_unreadable() -> None:
    with pytest.raises(UnreadableEvidence, match="none of 2 pieces"):
        many.scan(["nowhere.db", "elsewhere.db"], Options())


def test_a_process_that_dies_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    scanned = one.one

    def dying(path: str, options: Options) -> Audit:
        if path == str(PLAINTEXT):
            os.kill(os.getpid(), signal.SIGKILL)
        return scanned(path, options)

    monkeypatch.setattr(many, "one", dying)
    audit = many.scan([str(PLAINTEXT), str(DEFRAGMENTED)], Options())
    assert "SIGKILL" in problems(audit)["1-plaintext.db"]
    assert [part.problem for part in audit.parts].count("") == 1


def test_a_fault_of_our_own_is_told_without_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(path: str, options: Options) -> Audit:
        raise ValueError("CANARY")

    monkeypatch.setattr(many, "one", faulty)
    with pytest.raises(UnreadableEvidence) as caught:
        many.scan([str(PLAINTEXT), str(DEFRAGMENTED)], Options())
    assert "a fault of etcd-auditor's own: ValueError" in str(caught.value)
    assert "CANARY" not in str(caught.value)


def test_no_process_outlives_the_command(tmp_path: Path) -> None:
    big = []
    for number in range(2):
        path = tmp_path / f"{number}.db.bz2"
        path.write_bytes(packing.STREAMS["bzip2"](random.Random(number).randbytes(5 << 20)))
        big.append(str(path))
    process = subprocess.Popen(
        [sys.executable, "-m", "auditor", "scan", *big], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    processes: list[int] = []
    until = time.monotonic() + 60
    while len(processes) < 3 and time.monotonic() < until:  # the command's own child, and its two
        processes = _descendants(process.pid)
    assert len(processes) >= 3
    process.kill()
    os.kill(processes[0], signal.SIGKILL)
    process.wait()
    while any(map(_alive, processes)) and time.monotonic() < until:
        time.sleep(0.01)
    assert not any(map(_alive, processes))


def _descendants(pid: int) -> list[int]:
    try:
        tasks = [each.read_text() for each in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return []
    children = [int(child) for text in tasks for child in text.split()]
    return [*children, *(more for child in children for more in _descendants(child))]


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


def test_a_file_may_have_the_sign_of_a_container_in_its_name(tmp_path: Path) -> None:
    """`!` stands between a container and its member in names of ours, and in a file's own it is a letter."""
    for name in ("a!b.db", "c.db"):
        shutil.copy(FIXTURES / "migration-aescbc" / "3-rewritten.db", tmp_path / name)
    done = run("scan", "a!b.db", "c.db", "--json", "r.json", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    document = json.loads((tmp_path / "r.json").read_text())
    assert [source["name"] for source in document["evidence"]["sources"]] == ["a!b.db", "c.db"]
    assert [part["name"] for part in document["parts"]] == ["a!b.db", "c.db"]
    assert {row["source"] for row in document["findings"]} == {"a!b.db", "c.db"}
    done = run("verify", "r.json", "a!b.db", "c.db", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_next_is_about_the_newest_state_of_a_cluster(tmp_path: Path) -> None:
    """Nothing done to the store changes an older backup: what it holds is rotated, and access to it restricted."""
    for path in (PLAINTEXT, REWRITTEN, DEFRAGMENTED):
        shutil.copy(path, tmp_path)
    done = run("scan", tmp_path / PLAINTEXT.name, tmp_path / REWRITTEN.name)
    printed = " ".join(done.stdout.split())
    assert "restrict access to 1 older evidence item " in printed
    assert "compact the history" in printed
    assert "put an encrypting provider first" not in printed
    printed = " ".join(run("scan", tmp_path / PLAINTEXT.name, tmp_path / DEFRAGMENTED.name).stdout.split())
    assert "restrict access to 1 older evidence item" in printed
    assert "defragment every" not in printed
