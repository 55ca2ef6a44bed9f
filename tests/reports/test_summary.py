"""The summary on the terminal: the first word by the design's four, names where a terminal reads, files written."""

import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.command import run
from tests.helpers.fixtures import DEFRAGMENTED, FIXTURES, REWRITTEN

IGNORE = """
accepted:
  - finding: plaintext
    reason: a drill
    expires: 2999-01-01
"""


def _on_a_terminal(*arguments: str | Path) -> str:
    """What a command prints where its standard output is a terminal."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "auditor", *map(str, arguments)],
        stdout=follower,
        stderr=subprocess.DEVNULL,
        cwd=FIXTURES.parent,
        env={**os.environ, "COLUMNS": "140", "NO_COLOR": "1"},
    )
    os.close(follower)
    printed = b""
    try:
        while chunk := os.read(leader, 1 << 16):
            printed += chunk
    except OSError:
        pass  # Linux ends a terminal's output so
    os.close(leader)
    process.wait()
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", printed.decode())


@pytest.mark.parametrize(
    ("arguments", "code", "first"),
    [
        ([REWRITTEN], 1, "FINDINGS: 29 readable values of 28 Secrets"),
        ([REWRITTEN, "--fail-on", "critical"], 0, "ACCEPTED FINDINGS: 29 readable values of 28 Secrets"),
        ([DEFRAGMENTED], 0, "NO FINDINGS in what was examined"),
        ([DEFRAGMENTED, "--quick"], 3, "INCONCLUSIVE: no findings in what was examined, and not everything was"),
        ([DEFRAGMENTED, "--fail-on", "low"], 1, "FINDINGS: 34 values weak-provider (low)"),
    ],
)
def test_the_first_word_is_the_result(arguments: list[str | Path], code: int, first: str) -> None:
    done = run("scan", *arguments)
    assert done.returncode == code
    printed = " ".join(done.stdout.split())
    assert printed.startswith(first)
    assert f"(exit {code})" in printed


def test_accepted_findings_are_the_first_word_and_named_with_their_option(tmp_path: Path) -> None:
    rules = tmp_path / "ignore.yaml"
    rules.write_text(IGNORE)
    done = run("scan", REWRITTEN, "--ignore", rules)
    assert done.returncode == 0
    printed = " ".join(done.stdout.split())
    assert printed.startswith("ACCEPTED FINDINGS: ")
    assert "accepted: 29 by --ignore (exit 0) The result is weakened by --ignore." in printed


@pytest.mark.parametrize(
    ("options", "named"),
    [(["--quick", "--accept-partial"], "--accept-partial, --quick"), (["--fail-on", "high"], "--fail-on high")],
)
def test_options_that_weaken_the_result_are_the_second_line(options: list[str], named: str) -> None:
    done = run("scan", DEFRAGMENTED, *options)
    assert done.stdout.splitlines()[1] == f"The result is weakened by {named}."


def test_a_terminal_names_twenty_objects_and_a_pipe_none() -> None:
    names = re.compile(r"^(?:payments|platform|shop)?[a-z-]*/[a-z0-9.-]+ +(?:critical|high)", re.MULTILINE)
    printed = _on_a_terminal("scan", REWRITTEN)
    assert len(names.findall(printed)) == 20
    assert "and more" in printed
    piped = run("scan", REWRITTEN).stdout
    assert not names.findall(piped)
    assert "payments/" not in piped
    assert len(names.findall(run("scan", REWRITTEN, "--names").stdout)) == 20
    assert len(names.findall(run("scan", REWRITTEN, "--names", "-v").stdout)) == 28


def test_redacted_names_are_those_of_the_terminal() -> None:
    printed = _on_a_terminal("scan", REWRITTEN, "--redact-names")
    assert "payments" not in printed
    assert "namespace-" in printed


def test_every_file_that_is_written_is_named(tmp_path: Path) -> None:
    done = run("scan", REWRITTEN, "--csv", tmp_path / "a.csv", "--json", tmp_path / "b.json")
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {"a.csv", "b.json", "a.csv.SHA256SUMS"}
    lines = [line for line in done.stdout.splitlines() if line.startswith("Wrote ")]
    assert {Path(line.split()[1]).name for line in lines} == written
    rows = len((tmp_path / "a.csv").read_text().splitlines()) - 1
    assert f"a.csv ({(tmp_path / 'a.csv').stat().st_size:,} bytes, {rows} rows)" in done.stdout
    assert f"b.json ({(tmp_path / 'b.json').stat().st_size:,} bytes)" in done.stdout


def test_a_key_beside_encrypted_values_is_the_next_step(tmp_path: Path) -> None:
    shutil.copy(DEFRAGMENTED, tmp_path)
    shutil.copy(DEFRAGMENTED.with_suffix(".encryption.json"), tmp_path / "enc.json")
    printed = " ".join(run("scan", tmp_path).stdout.split())
    assert "preserve this evidence" in printed
    assert "replace each key that is present (key-present)" in printed


def test_a_resource_is_not_called_absent_where_pages_are_lost(tmp_path: Path) -> None:
    """A file that ends early stores no Secret that could be read, and that is no statement on the rest."""
    cut = tmp_path / "cut.db"
    cut.write_bytes(REWRITTEN.read_bytes()[: 9 * 4096])
    done = run("scan", cut)
    printed = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 3
    assert "nothing of this resource is in what could be read" in printed
    assert "nothing of this resource is stored" not in printed
