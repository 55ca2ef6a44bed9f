"""An option or a path that is empty, or names a folder: words, and exit 2, instead of a check that is switched off."""

from pathlib import Path

import pytest
import typer

from auditor.cli.app import app
from tests.helpers.command import run
from tests.helpers.fixtures import REWRITTEN
from tests.helpers.sweeps import sample

SCAN = [
    "--expect-sha256", "--expect-cluster", "--csv", "--json", "--html", "--sarif", "--inventory", "--case",
    "--encryption-config", "--baseline", "--ignore", "--resource", "--expect", "--storage-prefix", "--user",
    "--password-file", "--current-kek", "--wal-dir", "--work-dir", "--keep", "--dataset", "--remediation",
]  # fmt: skip


@pytest.mark.parametrize("option", sample(SCAN, 8))
def test_an_empty_option_is_refused(option: str) -> None:
    for arguments in ([option, ""], [f"{option}="]):
        done = run("scan", REWRITTEN, *arguments, COLUMNS="200", TERMINAL_WIDTH="200")
        assert done.returncode == 2
        assert f"{option} is empty" in done.stderr
        assert not done.stdout


OPTIONS = [
    (name, option)
    for name, command in typer.main.get_group(app).commands.items()
    for parameter in command.params
    if parameter.param_type_name == "option" and not getattr(parameter, "is_flag", False)
    for option in parameter.opts
]


@pytest.mark.parametrize(("command", "option"), OPTIONS)
def test_every_option_of_every_command(command: str, option: str) -> None:
    """By the table that the command line itself is made of: an option that is added is held to it too."""
    parser = typer.main.get_group(app).commands[command]
    for arguments in ([option, ""], [f"{option}="]):
        with pytest.raises(Exception, match=f"{option} is empty"):  # typer brings a click of its own
            parser.make_context(command, ["a", "b", *arguments])


def test_the_table_is_read() -> None:
    assert len(OPTIONS) > 60
    assert {name for name, _ in OPTIONS} == {
        "scan",
        "keys",
        "show",
        "diff",
        "watch",
        "verify",
        "find",
        "config",
        "self-check",
    }


@pytest.mark.parametrize("command", ["scan", "keys", "show", "diff", "watch", "verify", "find"])
def test_empty_arguments_are_refused(command: str) -> None:
    """The current folder would be read in place of what a variable was to name."""
    done = run(command, "", "", COLUMNS="200", TERMINAL_WIDTH="200")
    assert done.returncode == 2
    assert "is empty" in done.stderr


@pytest.mark.parametrize("option", ["--csv", "--json", "--html", "--sarif", "--remediation", "--keep"])
@pytest.mark.parametrize("target", [".", "./", "..", "/"])
def test_a_folder_is_no_report(option: str, target: str, tmp_path: Path) -> None:
    done = run("scan", REWRITTEN, option, target, "--force", cwd=tmp_path)
    assert done.returncode == 2
    assert "is a folder: name a file" in done.stderr or "--keep" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", [["keys"], ["show", "a/b"], ["diff", str(REWRITTEN)]])
def test_nor_of_other_commands(command: list[str], tmp_path: Path) -> None:
    done = run(command[0], REWRITTEN, *command[1:], "--json", ".", cwd=tmp_path)
    assert (done.returncode, "is a folder: name a file" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    "name",
    ["a.db-wal", "a.db-shm", "a.db-journal", "enc.yaml", "encryption-config.json", "a.rkestate", "a.db.rkestate"],
)
@pytest.mark.parametrize("exists", [True, False])
def test_nothing_is_written_over_what_lies_beside_the_evidence(name: str, tmp_path: Path, *, exists: bool) -> None:
    """Neither where it is, nor where the next run would read it as a part of the evidence."""
    evidence, target = tmp_path / "a.db", tmp_path / name
    evidence.write_bytes(REWRITTEN.read_bytes())
    if exists:
        target.write_bytes(b"evidence")
    for command, option in (("scan", "--csv"), ("scan", "--json"), ("keys", "--json")):
        done = run(command, evidence, option, target, "--force")
        assert done.returncode == 2
        assert "lies beside the evidence" in done.stderr
    assert (target.read_bytes() == b"evidence") if exists else not target.exists()


def test_nor_over_the_log_of_the_member(tmp_path: Path) -> None:
    evidence, log = tmp_path / "member" / "snap" / "db", tmp_path / "member" / "wal" / "0.wal"
    for path in (evidence, log):
        path.parent.mkdir(parents=True)
        path.write_bytes(REWRITTEN.read_bytes())
    done = run("scan", evidence, "--csv", log, "--force")
    assert (done.returncode, log.read_bytes() == REWRITTEN.read_bytes()) == (2, True)
