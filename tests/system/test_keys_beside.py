"""An EncryptionConfiguration, its keys and values in texts beside clean evidence, however they are written."""

import base64
import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml

from auditor.evidence.discovery import texts
from tests.helpers import packing
from tests.helpers.command import run
from tests.helpers.fixtures import DEFRAGMENTED, truth

CONFIG = DEFRAGMENTED.with_suffix(".encryption.json")
CLEAN = DEFRAGMENTED.read_bytes()
TREE = json.loads(CONFIG.read_text())
BLOCK = yaml.safe_dump(TREE)
SECRET = TREE["resources"][0]["providers"][0]["aescbc"]["keys"][0]["secret"]


def _indented(text: str, by: int) -> str:
    return "".join(f"{' ' * by}{line}\n" for line in text.splitlines())


def _coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


WRITTEN: dict[str, tuple[str, str]] = {
    "indented": ("encryption-config.yaml", _indented(BLOCK, 2)),
    "indented behind a mark": ("encryption-config.yaml", "---\n" + _indented(BLOCK, 2)),
    "tagged": ("enc.yaml", BLOCK.replace("kind: ", "kind: !!str ")),
    "commented": ("enc.yaml", BLOCK.replace("kind: ", "kind: # which\n  ")),
    "escaped kind": ("enc.json", json.dumps(TREE).replace("EncryptionC", "\\u0045ncryptionC")),
    "here-document": ("setup.sh", f"#!/bin/sh\ncat >/etc/kubernetes/enc.yaml <<EOF\n{BLOCK}EOF\necho done\n"),
    "Markdown": ("README.md", f"# Setup\n\n```yaml\n{BLOCK}```\n"),
    "cloud-init": ("user-data", f"#cloud-config\nwrite_files:\n- path: /e\n  content: |\n{_indented(BLOCK, 4)}"),
    "cloud-init in base64": (
        "user-data",
        f"#cloud-config\nwrite_files:\n- path: /e\n  encoding: b64\n  content: {_coded(BLOCK)}\n",
    ),
    "Ignition": ("ign.json", json.dumps({"storage": {"files": [{"source": f"data:;base64,{_coded(BLOCK)}"}]}})),
    "base64": ("enc.b64", _coded(BLOCK)),
}


def _folder(top: Path, name: str, text: str) -> Path:
    folder = top / "backups"
    folder.mkdir()
    (folder / "a.db").write_bytes(CLEAN)
    (folder / name).write_text(text)
    return folder


def _tar(top: Path, name: str, text: str) -> Path:
    target = top / "backups.tar"
    target.write_bytes(packing.tar({"a.db": CLEAN, name: text.encode()}))
    return target


@pytest.mark.parametrize("put", [_folder, _tar])
@pytest.mark.parametrize(("name", "text"), WRITTEN.values(), ids=WRITTEN)
def test_a_configuration_beside_the_evidence_is_a_key(
    name: str, text: str, put: Callable[[Path, str, str], Path], tmp_path: Path
) -> None:
    done = run("scan", put(tmp_path, name, text))
    assert (done.returncode, "key-present (critical)" in done.stdout) == (1, True), done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize("form", ["tar", "tar.gz", "zip", "gz"])
def test_a_configuration_in_an_archive_beside_the_evidence_is_a_key(form: str, tmp_path: Path) -> None:
    """The archive of a node's /etc/kubernetes lies in many a folder of backups. With a binary file it is a gap."""
    files = {
        "etc/kubernetes/enc/enc.yaml": BLOCK.encode(),
        "etc/kubernetes/manifests/kube-apiserver.yaml": b"kind: Pod\n",
    }
    folder = tmp_path / "backups"
    folder.mkdir()
    (folder / "a.db").write_bytes(CLEAN)
    raw = packing.zip_archive(files) if form == "zip" else BLOCK.encode() if form == "gz" else packing.tar(files)
    (folder / f"etc-kubernetes.{form}").write_bytes(gzip.compress(raw) if form.endswith("gz") else raw)
    done = run("scan", folder)
    assert (done.returncode, "key-present (critical)" in done.stdout) == (1, True), done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr
    opened = run("scan", folder, "--use-found-config", "--json", tmp_path / "r.json")
    assert opened.returncode == 1
    assert json.loads((tmp_path / "r.json").read_text())["gaps"] == []
    (folder / f"etc-kubernetes.{form}").unlink()
    (folder / "etc-kubernetes.tar").write_bytes(packing.tar({**files, "etc/other": b"\0\1\2binary" * 9}))
    assert "not read" in run("scan", folder).stdout


@pytest.mark.parametrize(
    "text", [f"level=info cfg={json.dumps(BLOCK)}\n", json.dumps({"source": f"data:,{quote(BLOCK)}"})]
)
def test_a_configuration_that_is_not_read_is_no_pass(text: str, tmp_path: Path) -> None:
    done = run("scan", _folder(tmp_path, "a.log", text))
    assert done.returncode in {1, 3}


def test_a_page_about_configurations_is_none(tmp_path: Path) -> None:
    page = "# How\n\n```yaml\n" + BLOCK.replace(SECRET, "<BASE64 ENCODED SECRET>")
    assert run("scan", _folder(tmp_path, "README.md", f"{page}```\n")).returncode == 0


@pytest.mark.parametrize("put", [_folder, _tar])
@pytest.mark.parametrize("name", ["notes.txt", "deploy.env", "SHA256SUMS"])
def test_a_value_in_a_text_beside_the_evidence(
    name: str, put: Callable[[Path, str, str], Path], tmp_path: Path
) -> None:
    value = "xK7-orchard-lamp-3391"
    wanted = tmp_path / "values"
    wanted.write_text(value)
    path = put(tmp_path, name, f"DB_PASSWORD={value}\n")
    done = run("find", path, "--value-file", wanted, "--encryption-config", CONFIG)
    assert (done.returncode, name in done.stdout) == (1, True), done.stdout + done.stderr
    assert value not in done.stdout + done.stderr


@pytest.mark.parametrize("put", [_folder, _tar])
def test_a_copy_in_a_text_is_hunted(put: Callable[[Path, str, str], Path], tmp_path: Path) -> None:
    value = next(iter(truth(DEFRAGMENTED)["secrets"].values()))["canary"]
    path = put(tmp_path, "deploy.env", f"export DB_PASSWORD='{value}'\n")
    table = tmp_path / "findings.csv"
    done = run("scan", path, "--encryption-config", CONFIG, "--hunt", "--csv", table)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"copied-value,high.*deploy\.env,20,", table.read_text())
    assert value not in done.stdout + done.stderr + table.read_text()


def test_texts_where_no_evidence_lies_are_no_pass_of_a_hunt(tmp_path: Path) -> None:
    folder = _folder(tmp_path, "notes.txt", "nothing\n")
    (folder / "other").mkdir()
    (folder / "other" / "deploy.env").write_text("A=b\n")
    done = run("scan", folder, "--encryption-config", CONFIG, "--hunt")
    assert (done.returncode, "other/deploy.env" in done.stdout) == (3, True)
    assert run("scan", folder, "--encryption-config", CONFIG).returncode == 0


def test_a_published_key_that_decrypts_nothing_is_no_finding(tmp_path: Path) -> None:
    """The sample of Kubernetes' documentation, in a page that quotes it; what it decrypts would be known-key."""
    page = "# How\n\n```yaml\n" + BLOCK.replace(SECRET, base64.b64encode(b"secret is secure").decode())
    done = run("scan", _folder(tmp_path, "README.md", f"{page}```\n"))
    assert (done.returncode, "1 published key beside the evidence" in done.stdout) == (0, True)


def test_a_report_of_a_hunt_in_a_folder_is_verified(tmp_path: Path) -> None:
    folder = _folder(tmp_path, "notes.txt", "nothing\n")
    report = tmp_path / "r.json"
    assert run("scan", folder, "--hunt", "--json", report).returncode == 0
    for more in ([], ["--again"]):
        done = run("verify", report, folder, *more)
        assert (done.returncode, "DIFFERS" in done.stdout) == (0, False), done.stdout


def test_base64_in_lines(tmp_path: Path) -> None:
    """As base64(1) writes it: the word is broken at the end of a line."""
    coded = _coded(f"apiVersion: apiserver.config.k8s.io/v1\n{BLOCK}")
    for width in (76, 64):
        lines = "".join(f"{coded[at : at + width]}\n" for at in range(0, len(coded), width))
        top = tmp_path / str(width)
        top.mkdir()
        assert run("scan", _folder(top, "enc.txt", lines)).returncode == 1


def test_a_second_key_that_is_not_read_is_no_pass(tmp_path: Path) -> None:
    other = BLOCK.replace(SECRET, base64.b64encode(bytes(range(32))).decode())
    commented = "".join(f"# {line}\n" for line in other.splitlines())
    ignore = tmp_path / "ignore.yaml"
    ignore.write_text("accepted: [{finding: key-present, reason: r, expires: 2999-01-31}]")
    folder = _folder(tmp_path, "enc.yaml", BLOCK + commented)
    assert run("scan", folder, "--ignore", ignore).returncode == 3


def test_texts_of_one_name_do_not_hide_each_other(tmp_path: Path) -> None:
    folder = _folder(tmp_path, "notes.txt", "nothing\n")
    for name, text in (("one", "hello-password-value\n"), ("two", "nothing\n")):
        (folder / name).mkdir()
        (folder / name / "notes.txt").write_text(text)
    (tmp_path / "value").write_text("hello-password-value")
    done = run("find", folder, "--value-file", tmp_path / "value", "--encryption-config", CONFIG)
    assert (done.returncode, "one/notes.txt" in done.stdout) == (1, True)


def test_more_texts_than_are_searched_are_named(tmp_path: Path) -> None:
    folder = _folder(tmp_path, "notes.txt", "nothing\n")
    for number in range(texts.MOST):
        (folder / f"n{number}.txt").write_text("nothing\n")
    done = run("scan", folder, "--hunt", "--encryption-config", CONFIG)
    printed = " ".join(done.stdout.split())
    assert (done.returncode, f"{texts.MOST} texts beside evidence are searched" in printed) == (3, True)
