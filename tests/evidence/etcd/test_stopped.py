"""member/snap/db of a member that was stopped: one root in both metas, as in a snapshot, and no trailer to miss."""

from pathlib import Path

import pytest

import auditor
from auditor.model.vocabulary import EvidenceKind, Severity
from auditor.options import Options
from tests.helpers import bolt_builder, members_on_disk, packing
from tests.helpers.command import run
from tests.helpers.members_on_disk import clean, leaking, snapshot, write

STOPPED = bolt_builder.backend(clean(), trailer=False, txids=(4, 3)).seal()
"""An empty commit of an even transaction, as etcd's last one is every second time."""


def options(folder: Path, *, raw: bool = False) -> Options:
    return Options(encryption_configs=(members_on_disk.configuration(folder),), raw=raw)


def test_of_the_file_alone_both_possibilities_are_said_and_the_option_settles_it(tmp_path: Path) -> None:
    path = write(tmp_path / "db", STOPPED)
    audit = auditor.scan(path, options(tmp_path))
    assert audit.exit_code(Severity.MEDIUM) == 3
    assert audit.evidence.description == "API snapshot without its trailer, or a raw database file that looks like one"
    (gap,) = audit.gaps
    assert "--raw" in gap.reason
    audit = auditor.scan(path, options(tmp_path, raw=True))
    assert audit.exit_code(Severity.MEDIUM) == 0
    assert audit.evidence.kind is EvidenceKind.RAW_DATABASE
    assert any("--raw" in note for note in audit.notes)
    assert ("raw", True) in audit.run.options


def test_in_a_container_too(tmp_path: Path) -> None:
    path = write(tmp_path / "b.tar", packing.tar({"db": STOPPED}))
    assert auditor.scan(path, options(tmp_path)).exit_code(Severity.MEDIUM) == 3
    assert auditor.scan(path, options(tmp_path, raw=True)).exit_code(Severity.MEDIUM) == 0


def test_the_option_hides_nothing(tmp_path: Path) -> None:
    """A readable value, a cut file and a trailer that does not match stay what they are."""
    readable = bolt_builder.backend([*clean(), leaking()], trailer=False, txids=(4, 3)).seal()
    codes = [
        auditor.scan(write(tmp_path / "db", content), options(tmp_path, raw=True)).exit_code(Severity.MEDIUM)
        for content in (readable, STOPPED[:-512], snapshot()[:-1] + b"\0", STOPPED + b"\n")
    ]
    assert codes == [1, 3, 3, 3]


@pytest.mark.parametrize("command", ["scan", "keys", "show", "diff"])
def test_every_command_takes_the_option(command: str, tmp_path: Path) -> None:
    path = write(tmp_path / "db", STOPPED)
    more: list[str | Path] = {"show": ["default/db0"], "diff": [path, "--different-clusters"]}.get(command, [])  # type: ignore[assignment]
    config = members_on_disk.configuration(tmp_path)
    assert run(command, path, *more, "--encryption-config", config).returncode == 3
    assert run(command, path, *more, "--encryption-config", config, "--raw").returncode == 0


def test_a_live_endpoint_sends_a_snapshot() -> None:
    done = run("scan", "http://127.0.0.1:1", "--raw")
    assert done.returncode == 2
    assert "--raw belongs to a member's own file" in done.stderr
