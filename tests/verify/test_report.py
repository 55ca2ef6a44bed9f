"""A JSON report, and other JSON of the program, as verify takes them: nothing left out, nothing twice, nothing slow."""

import json
from pathlib import Path
from typing import Any

import pytest

from auditor.reports import seals
from auditor.reports.json import schema
from tests.helpers.command import run
from tests.helpers.fixtures import PLAINTEXT, REWRITTEN

SECTIONS = sorted(set(schema()["required"]) - {"hashes"})


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    target = tmp_path_factory.mktemp("report") / "r.json"
    assert run("scan", REWRITTEN, "--json", target).returncode == 1
    document: dict[str, Any] = json.loads(target.read_text())
    return document


def verified(document: dict[str, Any], folder: Path) -> tuple[int, str]:
    target = folder / "r.json"
    target.write_text(json.dumps(document))
    done = run("verify", target)
    return done.returncode, done.stdout + done.stderr


def test_a_report_is_what_it_says_and_what_that_does_not_show_is_said(report: dict[str, Any], tmp_path: Path) -> None:
    code, text = verified(report, tmp_path)
    assert code == 0
    assert "whoever makes a report anew can seal it anew" in text


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_that_is_left_out_with_its_hash_is_missed(name: str, report: dict[str, Any], tmp_path: Path) -> None:
    document = {key: part for key, part in report.items() if key != name}
    sections = {key: part for key, part in report["hashes"]["sections"].items() if key != name}
    document["hashes"] = {**report["hashes"], "sections": sections}
    code, text = verified(document, tmp_path)
    assert code == 1
    assert f"section {name}" in text


def test_a_section_that_no_report_has_is_noticed(report: dict[str, Any], tmp_path: Path) -> None:
    sections = {**report["hashes"]["sections"], "addendum": seals.section("all is well")}
    document = {**report, "addendum": "all is well", "hashes": {**report["hashes"], "sections": sections}}
    code, text = verified(document, tmp_path)
    assert (code, "section addendum is no part of a report" in text) == (1, True)


def test_a_member_that_stands_twice_among_many_is_named_soon(tmp_path: Path) -> None:
    """Counting each name took the square of their number: more than the two minutes that run() waits."""
    target = tmp_path / "r.json"
    target.write_text('{"format":"etcd-auditor"' + "".join(f',"k{n}":0' for n in [*range(200_000), 199_999]) + "}")
    done = run("verify", target)
    assert (done.returncode, "k199999 stands twice" in done.stdout) == (1, True)


@pytest.mark.parametrize("where", ["members", "hashes"])
def test_of_a_report_with_40_000_members_a_few_are_named_and_all_are_counted(
    where: str, report: dict[str, Any], tmp_path: Path
) -> None:
    """A line for each, twice over, was 3 MB of output."""
    names = [f"k{number}" for number in range(40_000)]
    if where == "members":
        document = {**report, **dict.fromkeys(names, 0)}
    else:
        sections = {**report["hashes"]["sections"], **dict.fromkeys(names, "0" * 64)}
        document = {**report, "hashes": {**report["hashes"], "sections": sections}}
    code, text = verified(document, tmp_path)
    assert code == 1
    assert "section k0 is" in text
    assert "the same is true of 39,980 more sections, the last of them k39999" in text
    assert len(text.splitlines()) < 100


@pytest.mark.parametrize("command", ["diff", "keys", "show"])
def test_other_json_is_held_to_its_sums_or_named(command: str, tmp_path: Path) -> None:
    target = tmp_path / "d.json"
    commands: dict[str, list[str | Path]] = {
        "diff": [PLAINTEXT, REWRITTEN],
        "keys": [REWRITTEN],
        "show": [REWRITTEN],
    }
    arguments = commands[command]
    if command == "show":
        keys = json.loads(run("scan", REWRITTEN, "--json", "-").stdout)["findings"]
        arguments.append(next(row["key"] for row in keys if row["key"] not in {"", "unknown"}))
    assert run(command, *arguments, "--json", target).returncode in {0, 1, 3}
    done = run("verify", target)
    assert done.returncode == 0, done.stderr
    assert "its SHA-256 is the one in d.json.SHA256SUMS" in done.stdout
    target.write_bytes(target.read_bytes() + b"\n")
    assert run("verify", target).returncode == 1
    (tmp_path / "d.json.SHA256SUMS").unlink()
    done = run("verify", target)
    if command != "show":  # its JSON has hashes of its own sections
        assert done.returncode == 0
        assert "only what it says of itself is checked" in done.stdout
        return
    assert done.returncode == 2
    assert "holds no hashes of itself" in done.stderr
    assert f"etcd-auditor {command}" in done.stderr


def test_a_list_that_went_through_other_programs(tmp_path: Path) -> None:
    """CRLF and a byte order mark of editors, and the lines of BSD and macOS."""
    target = tmp_path / "a.csv"
    assert run("scan", REWRITTEN, "--csv", target).returncode == 1
    sums = tmp_path / "a.csv.SHA256SUMS"
    digest, _, name = sums.read_text().strip().partition("  ")
    for text in (f"\ufeff{digest}  {name}\r\n", f"SHA256 ({name}) = {digest}\n"):
        sums.write_text(text, newline="")
        done = run("verify", target)
        assert (done.returncode, "its SHA-256 is the one in" in done.stdout) == (0, True)
        sums.write_text(text.replace(digest, "0" * 64), newline="")
        assert run("verify", target).returncode == 1
