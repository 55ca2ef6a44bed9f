"""Where and with what a run was made, in the chain of custody; nothing that is secret is among it."""

import hashlib
import json
import platform
from pathlib import Path

import pytest

from auditor.cli.provenance import command_line
from tests.helpers.command import run
from tests.helpers.fixtures import MIGRATION

EVIDENCE = MIGRATION / "4-compacted.db"
CONFIG = MIGRATION / "4-compacted.encryption.json"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["scan", "a b.db"], "etcd-auditor scan 'a b.db'"),
        (["scan", "x.db", "--user", "root:hunter2"], "etcd-auditor scan x.db --user 'root:***'"),
        (["scan", "x.db", "--user=root:hunter2"], "etcd-auditor scan x.db '--user=root:***'"),
        (["scan", "x.db", "--user", "root"], "etcd-auditor scan x.db --user root"),
        (["scan", "https://u:hunter2@h/x.db"], "etcd-auditor scan 'https://***@h/x.db'"),
        (["scan", "https://h/x.db?X-Amz-Signature=hunter2"], "etcd-auditor scan 'https://h/x.db?***'"),
        (["scan", "--current=https://u:hunter2@h/x"], "etcd-auditor scan '--current=https://***@h/x'"),
        (["scan", "x", "--kms", "vault=https://h/?token=hunter2"], "etcd-auditor scan x --kms 'vault=https://h/?***'"),
        (["scan", "s3://bucket/x.db"], "etcd-auditor scan s3://bucket/x.db"),
        (["scan", "x\x1b[31m"], "etcd-auditor scan 'x\\x1b[31m'"),
    ],
)
def test_the_command_line_is_as_typed_less_what_is_secret(arguments: list[str], line: str) -> None:
    assert command_line(arguments) == line
    assert "hunter2" not in command_line(arguments)


def facts(folder: Path, *options: str) -> dict[str, str]:
    done = run("scan", EVIDENCE, "--encryption-config", CONFIG, *options, "--json", folder / "r.json", "--force")
    assert done.returncode == 1, done.stderr
    document: dict[str, str] = json.loads((folder / "r.json").read_text())["run"]["provenance"]
    return document


def test_a_report_says_where_it_was_made(tmp_path: Path) -> None:
    given = facts(tmp_path)
    assert given["architecture"] == platform.machine()
    assert platform.system() in given["operating system"]
    assert platform.python_version() in given["python"]
    assert given["folder of the evidence"] == str(MIGRATION)
    assert given["command line"].startswith("etcd-auditor scan ")
    digest = hashlib.sha256(CONFIG.read_bytes()).hexdigest()
    assert given[f"configuration {CONFIG.name}, SHA-256"] == digest
    assert "in UTC" in given["clock"]


def test_the_host_is_named_with_an_examiner_or_a_case_alone(tmp_path: Path) -> None:
    assert not {"host", "examiner"} & facts(tmp_path).keys()
    assert facts(tmp_path, "--case", "K-1")["host"] == platform.node()
    named = facts(tmp_path, "--examiner", "A. N. Other")
    assert (named["examiner"], named["host"]) == ("A. N. Other", platform.node())


def test_a_page_shows_it_and_is_audited_again(tmp_path: Path) -> None:
    page = tmp_path / "r.html"
    run("scan", EVIDENCE, "--encryption-config", CONFIG, "--examiner", "A. N. Other", "--html", page)
    text = page.read_text()
    for fact in ("A. N. Other", "Operating system", "Command line", "Folder of the evidence"):
        assert fact in text
    done = run("verify", page, EVIDENCE, "--again", "--encryption-config", CONFIG)
    assert done.returncode == 0, done.stdout
    assert "parts of the page are what this evidence makes" in done.stdout


def test_names_in_it_have_pseudonyms(tmp_path: Path) -> None:
    given = facts(tmp_path, "--redact-names", "--case", "about payments/old1")
    assert "old1" not in json.dumps(given)
