"""Ordinary slips are answered with what was meant."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.command import run
from tests.helpers.fixtures import REWRITTEN


@pytest.mark.parametrize(
    ("arguments", "same_as"),
    [
        (["-h"], ["--help"]),
        (["help"], ["--help"]),
        (["scan", "-h"], ["scan", "--help"]),
        (["help", "scan"], ["scan", "--help"]),
        (["version"], ["--version"]),
        (["-V"], ["--version"]),
    ],
)
def test_help_and_version_by_other_names(arguments: list[str], same_as: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 0
    assert done.stdout == run(*same_as).stdout


@pytest.mark.parametrize(
    ("shell", "own"),
    [
        ("bash", "complete -o default -F _etcd_auditor_completion"),
        ("zsh", "#compdef etcd-auditor"),
        ("fish", "complete --command etcd-auditor"),
        ("powershell", "Register-ArgumentCompleter"),
        ("pwsh", "Register-ArgumentCompleter"),
    ],
)
def test_completion_is_of_the_shell_that_is_named(shell: str, own: str, tmp_path: Path) -> None:
    done = run("--show-completion", shell)
    assert done.returncode == 0
    assert "_ETCD_AUDITOR_COMPLETE" in done.stdout
    assert own in done.stdout
    if shell in {"bash", "zsh", "fish"}:
        installed = run("--install-completion", shell, HOME=str(tmp_path))
        assert installed.returncode == 0, installed.stderr
        assert any("etcd-auditor" in path.name or "etcd-auditor" in path.read_text() for path in _files(tmp_path))


def test_a_shell_without_completion_is_refused() -> None:
    done = run("--show-completion", "tcsh")
    assert done.returncode == 2
    assert "bash, zsh, fish, powershell" in " ".join(done.stderr.split())


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize(("name", "meant"), [("secret", "secrets"), ("Configmap", "configmaps")])
def test_a_resource_in_the_singular(name: str, meant: str) -> None:
    done = run("scan", REWRITTEN, "--resource", name)
    assert done.returncode == 3
    assert f"did you mean {meant}?" in " ".join(done.stdout.split())


def test_an_object_without_its_namespace() -> None:
    done = run("show", REWRITTEN, "old0")
    assert done.returncode == 2
    assert "payments/old0 and platform/old0 exist" in done.stderr


def test_without_a_key_the_objects_are_listed() -> None:
    done = run("show", REWRITTEN)
    assert done.returncode == 0
    assert "payments/old0" in done.stdout.splitlines()
    assert "names; give one as KEY" in done.stderr


def test_help_for_a_reader_that_has_gone_is_no_finding() -> None:
    command = f"{sys.executable} -m auditor --help | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], check=False, capture_output=True, timeout=60)
    assert done.returncode in {0, 141}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"hello\nworld\n", "is a text, and no export of a store"),
        (b'{"a": 1}\n', "is JSON, and no export of a store"),
        (b"<!doctype html><p>x</p>", "is an XML or HTML page"),
        (b"NAME   TYPE     DATA   AGE\na      Opaque   1      2d\n", "is the table that `kubectl get` prints"),
        (
            b"apiVersion: v1\nkind: ConfigMapList\nitems: []\n",
            "begins as objects of Kubernetes do",
        ),
        (
            b"kind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v1\nresources: []\n",
            "--encryption-config",
        ),
        (b"k8s:enc:aescbc:v1:key1:" + bytes(64), "is one stored value of etcd's, encrypted by its prefix"),
    ],
)
def test_what_is_no_evidence_is_named_for_what_it_is(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    done = run("scan", path)
    assert done.returncode in {2, 3}
    assert words in " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize("option", ["--html", "--json"])
def test_a_report_is_no_evidence(option: str, tmp_path: Path) -> None:
    report = tmp_path / "report"
    run("scan", REWRITTEN, option, report)
    done = run("scan", report)
    assert done.returncode == 2
    assert "report is a report of etcd-auditor, and no evidence: `etcd-auditor verify` checks it" in done.stderr


def test_a_page_that_is_no_report_of_ours_is_searched_as_ever(tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    run("scan", REWRITTEN, "--html", report)
    report.write_bytes(report.read_bytes() + b"k8s:enc:aescbc:v1:key1:" + bytes(64))
    done = run("scan", report)
    assert done.returncode in {2, 3}
    assert "is a report of etcd-auditor" not in done.stderr


def test_a_folder_without_evidence_says_how_much_was_looked_at(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "notes.txt").write_text("nothing\n")
    done = run("scan", tmp_path)
    assert done.returncode == 2
    assert "is evidence: 1 file looked at" in done.stderr


def test_an_object_that_nothing_resembles(tmp_path: Path) -> None:
    done = run("show", REWRITTEN, "payments/nosuch")
    assert done.returncode == 2
    assert "without a KEY its objects are listed" in done.stderr


def test_an_endpoint_without_its_scheme_is_one() -> None:
    done = run("scan", "127.0.0.1:1", "--timeout", "5")
    assert done.returncode == 2
    assert "http" in done.stderr
    assert "127.0.0.1:1" in done.stderr


def test_verify_says_what_it_takes() -> None:
    text = " ".join(run("verify", "--help").stdout.split())
    for word in ("JSON or HTML of scan, diff, keys or watch", "CSV, SARIF", "SHA256SUMS"):
        assert word in text
