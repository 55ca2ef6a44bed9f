"""Pipes: of configurations, keys and tokens by the first process, of evidence into a private file; never unnamed."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from auditor import inputs
from auditor.errors import UsageError
from tests.helpers import members_on_disk, packing
from tests.helpers.command import run
from tests.helpers.members_on_disk import leaking, snapshot, write

COMMAND = f"{sys.executable} -m auditor"


def bash(script: str, folder: Path, content: bytes = b"") -> tuple[int, str]:
    done = subprocess.run(
        ["bash", "-c", script], input=content, capture_output=True, cwd=folder, timeout=120, check=False
    )
    return done.returncode, (done.stdout + done.stderr).decode()


@contextmanager
def fifo(path: Path, content: bytes) -> Iterator[Path]:
    """A named pipe that somebody writes into once."""
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_bytes(content), daemon=True)
    writer.start()
    yield path
    if writer.is_alive():  # nobody has read it
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    writer.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "a.db", snapshot())
    members_on_disk.configuration(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "command", ["scan a.db", "keys a.db", "show a.db default/db0", "diff a.db a.db --different-clusters"]
)
def test_a_configuration_through_a_pipe_of_bash(command: str, folder: Path) -> None:
    code, text = bash(f"{COMMAND} {command} --encryption-config <(cat of-the-test.json)", folder)
    assert code == 0, text


def test_a_configuration_by_standard_input_and_through_a_named_pipe(folder: Path) -> None:
    content = (folder / "of-the-test.json").read_bytes()
    code, text = bash(f"{COMMAND} scan a.db --encryption-config -", folder, content)
    assert code == 0
    assert "standard input" in text
    with fifo(folder / "config", content) as path:
        assert run("scan", folder / "a.db", "--encryption-config", path).returncode == 0


def test_several_pieces_of_evidence_share_one_pipe(folder: Path) -> None:
    write(folder / "b.db", snapshot())
    code, text = bash(f"{COMMAND} scan a.db b.db --encryption-config <(cat of-the-test.json)", folder)
    assert code == 0, text


def test_keys_and_lists_through_pipes(folder: Path) -> None:
    key = "--redact-names --redact-key <(head -c 32 /dev/zero | tr '\\0' k)"
    token = "--k3s-token <(echo K10aa::server:password)"
    code, text = bash(f"{COMMAND} scan a.db --encryption-config of-the-test.json {key} {token}", folder)
    assert code == 0, text


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("--encryption-config <(head -c 2000000 /dev/zero)", "more than 1,048,576 bytes"),
        ("--encryption-config /dev/zero", "more than 1,048,576 bytes"),
        ("--encryption-config <(true)", "expected"),
        ("--encryption-config missing.yaml", "no such file"),
        ("--encryption-config .", "cannot be read"),
    ],
)
def test_what_is_no_configuration_is_refused(script: str, words: str, folder: Path) -> None:
    code, text = bash(f"{COMMAND} scan a.db {script}", folder)
    assert code == 2
    assert words in text


def test_a_pipe_that_nobody_writes_into_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "PATIENCE", 0.1)
    os.mkfifo(tmp_path / "silent")
    with pytest.raises(UsageError, match="has not come to its end"):
        inputs.receive([str(tmp_path / "silent")])


@pytest.mark.parametrize("content", [snapshot(), packing.tar({"x.db": snapshot()})], ids=["snapshot", "tar"])
def test_evidence_by_standard_input_and_through_pipes(content: bytes, folder: Path) -> None:
    write(folder / "e", content)
    config = "--encryption-config of-the-test.json"
    for command in ("scan -", "keys -", "scan --quick --accept-partial -"):
        code, text = bash(f"{COMMAND} {command} {config}", folder, content)
        assert code == 0, text
    code, text = bash(f"{COMMAND} scan <(cat e) {config}", folder)
    assert code == 0, text
    assert "into a private file without a name" in text
    with fifo(folder / "named", content) as path:
        assert run("scan", path, "--encryption-config", folder / "of-the-test.json").returncode == 0
    assert sorted(path.name for path in folder.iterdir()) == ["a.db", "e", "named", "of-the-test.json"]


def test_a_readable_value_in_a_pipe_is_a_finding(folder: Path) -> None:
    assert bash(f"{COMMAND} scan -", folder, snapshot(leaking()))[0] == 1


def test_evidence_that_never_comes_is_refused(folder: Path) -> None:
    assert bash(f"{COMMAND} scan -", folder) == (2, "etcd-auditor: standard input is empty: nothing came through it\n")
    code, text = bash(f"{COMMAND} scan /dev/null", folder)
    assert (code, "is a device" in text) == (2, True)
    code, text = bash(f"{COMMAND} scan - a.db", folder, snapshot())
    assert (code, "scan it by itself" in text) == (2, True)


def test_a_pipe_that_is_met_in_a_folder_is_a_gap(folder: Path) -> None:
    backups = folder / "backups"
    write(backups / "a.db", snapshot())
    os.mkfifo(backups / "pipe")
    (backups / "link").symlink_to(backups / "pipe")
    (backups / "device").symlink_to("/dev/zero")
    done = run("scan", backups, "--encryption-config", folder / "of-the-test.json")
    assert done.returncode == 3
    text = " ".join(done.stdout.split())
    for name in ("pipe", "link", "device"):
        assert f"{name} is not a regular file" in text
