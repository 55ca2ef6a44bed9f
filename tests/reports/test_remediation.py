"""The script that rewrites what remains: read by real shells, and run with a kubectl that stands in for a cluster's.

There is no API server on a test machine. The stand-in keeps objects as files, reads a List, and refuses as told.
"""

import io
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import auditor
from auditor.reports import remediation
from tests.helpers.command import run
from tests.helpers.fixtures import DEFRAGMENTED, PLAINTEXT, SNAPSHOTS

KUBECTL = f"""#!{sys.executable}
import json, os, sys
root, arguments = os.environ["OBJECTS"], sys.argv[1:]
with open(os.environ["CALLS"], "a") as calls:
    calls.write(" ".join(arguments) + "\\n")
def path(resource, namespace, name):
    return os.path.join(root, f"{{resource}}.{{namespace}}.{{name}}")
if arguments[0] == "get":
    resource, rest = arguments[1], arguments[2:]
    namespace, output, names = "-", "", []
    while rest:
        word = rest.pop(0)
        if word == "--namespace":
            namespace = rest.pop(0)
        elif word == "--output":
            output = rest.pop(0)
        elif word != "--ignore-not-found":
            names.append(word)
    found = [name for name in names if os.path.exists(path(resource, namespace, name))]
    items = [dict(resource=resource, namespace=namespace, name=name) for name in found]
    if output == "name":
        print("".join(f"{{resource}}/{{name}}\\n" for name in found), end="")
    elif items:
        print(json.dumps(items[0] if len(names) == 1 else dict(kind="List", items=items)))
else:
    text = sys.stdin.read()
    if not text.strip():
        sys.exit("error: no objects passed to replace")
    whole = json.loads(text)
    failed = 0
    for each in whole.get("items", [whole]):
        if each["name"] in os.environ.get("REFUSED", "").split():
            failed = 1
        elif "--dry-run=server" not in arguments:
            with open(path(each["resource"], each["namespace"], each["name"]), "a") as out:
                out.write("x")
    sys.exit(failed)
"""


class Cluster:
    """A folder with the stand-in and the objects that it knows."""

    def __init__(self, folder: Path, objects: list[remediation.ObjectReference]) -> None:
        self.folder = folder
        self.objects = folder / "objects"
        self.objects.mkdir()
        for resource, namespace, name in objects:
            (self.objects / f"{resource}.{namespace or '-'}.{name}").touch()
        kubectl = folder / "bin" / "kubectl"
        kubectl.parent.mkdir()
        kubectl.write_text(KUBECTL)
        kubectl.chmod(kubectl.stat().st_mode | stat.S_IXUSR)
        self.script = folder / "r.sh"

    def run(self, shell: str = "sh", **environment: str) -> "subprocess.CompletedProcess[str]":
        paths = {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "OBJECTS": str(self.objects)}
        given_ = {**os.environ, **paths, "CALLS": str(self.folder / "calls"), "DONE": str(self.folder / "done")}
        return subprocess.run(
            [shell, self.script],
            env={**given_, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    @property
    def rewritten(self) -> dict[str, int]:
        return {each.name: each.stat().st_size for each in self.objects.iterdir() if each.stat().st_size}

    @property
    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()


def script_of(objects: list[remediation.ObjectReference], found: str = "a snapshot") -> str:
    out = io.StringIO()
    remediation.rewrite(objects, found, out)
    return out.getvalue()


MANY = [("secrets", f"n{number % 2}", f"s{number}") for number in range(130)]


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    made = Cluster(tmp_path, MANY)
    made.script.write_text(script_of(MANY))
    return made


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_as_it_is_it_stores_nothing(cluster: Cluster, shell: str) -> None:
    done = cluster.run(shell)
    assert done.returncode == 0, done.stderr
    assert not cluster.rewritten
    assert not (cluster.folder / "done").exists()
    replaced = [line for line in cluster.calls if line.startswith("replace")]
    assert set(replaced) == {"replace --dry-run=server --filename -"}
    assert len(replaced) == 4  # 65 of each namespace, 50 at once


def test_it_rewrites_each_object_once(cluster: Cluster) -> None:
    assert cluster.run(APPLY="yes").returncode == 0
    assert cluster.rewritten == {f"secrets.{namespace}.{name}": 1 for _, namespace, name in MANY}
    assert len(cluster.calls) == 8
    again = cluster.run(APPLY="yes")
    assert (again.returncode, len(cluster.calls)) == (0, 8)  # all are noted: nothing is asked or done


def test_what_fails_is_named_and_tried_again_by_the_next_run(cluster: Cluster) -> None:
    (cluster.objects / "secrets.n1.s7").unlink()  # deleted since
    first = cluster.run(APPLY="yes", REFUSED="s0 s129")
    assert first.returncode == 1
    assert first.stderr.splitlines() == [
        "FAILED: secrets n0 s0",
        "FAILED: secrets n1 s129",
        "not all was rewritten: see above",
    ]
    good = {f"secrets.{namespace}.{name}" for _, namespace, name in MANY} - {"secrets.n0.s0", "secrets.n1.s129"}
    assert cluster.rewritten.keys() == good - {"secrets.n1.s7"}
    before = len(cluster.calls)
    assert cluster.run(APPLY="yes").returncode == 0
    assert len(cluster.calls) - before == 4  # two objects, read and written
    assert {"secrets.n0.s0", "secrets.n1.s129"} < cluster.rewritten.keys()


def test_what_was_deleted_since_is_no_failure(tmp_path: Path) -> None:
    """A whole batch that is gone, and objects that have no namespace."""
    objects = [("secrets", "n", "gone"), ("widgets.lab.example.com", "", "a.b")]
    cluster = Cluster(tmp_path, objects[1:])
    cluster.script.write_text(script_of(objects))
    done = cluster.run(APPLY="yes")
    assert done.returncode == 0, done.stderr
    assert "gone: secrets n gone" in done.stdout
    assert cluster.rewritten == {"widgets.lab.example.com.-.a.b": 1}
    assert (tmp_path / "done").read_text() == "secrets n gone\nwidgets.lab.example.com - a.b\n"


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8), st.text(max_size=20)), max_size=5))
def test_no_name_reaches_a_shell_that_kubernetes_would_not_have(objects: list[remediation.ObjectReference]) -> None:
    lines = [line for line in script_of(objects).splitlines() if line.startswith("batch ")]
    for line in lines:
        assert all(character.isascii() and (character.isalnum() or character in "-. ") for character in line)
    named = sum(len(line.split()) - 3 for line in lines)
    comments = [line for line in script_of(objects).splitlines() if line.startswith("# Left out: ")]
    assert named + sum(int(line.split()[3]) for line in comments) == len(set(objects))


@pytest.mark.parametrize("snapshot", SNAPSHOTS, ids=lambda path: path.stem)
def test_scripts_of_scans_are_read_by_shells(snapshot: Path, tmp_path: Path) -> None:
    script = tmp_path / "r.sh"
    run("scan", snapshot, "--remediation", script)
    for shell in ("sh", "bash"):
        subprocess.run([shell, "-n", script], check=True)
    text = script.read_text()
    assert text.startswith("#!/bin/sh\n# WARNING: ")
    rows = auditor.scan(snapshot).findings
    expected = set(rows[(rows.place == "latest") & (rows.finding == "plaintext")].name)
    named = {name for line in text.splitlines() if line.startswith("batch ") for name in line.split()[3:]}
    assert named == expected


def test_a_dry_run_of_a_scans_script_compacts_nothing(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, [])
    run("scan", PLAINTEXT, "--remediation", cluster.script)
    for program in ("etcdctl",):
        stand_in = tmp_path / "bin" / program
        stand_in.write_text(f'#!/bin/sh\necho {program} "$@" >> {tmp_path / "calls"}\n')
        stand_in.chmod(0o755)
    done = cluster.run()
    assert done.returncode == 0, done.stderr
    assert "would run: etcdctl compaction --physical CURRENT" in done.stdout
    assert "would run: etcdctl defrag --cluster" in done.stdout
    assert not any(line.startswith("etcdctl") for line in cluster.calls)


def test_where_nothing_is_left_nothing_is_rewritten(tmp_path: Path) -> None:
    script = tmp_path / "r.sh"
    run("scan", DEFRAGMENTED, "--remediation", script)
    text = script.read_text()
    assert "# 1. Rewrite 0 objects" in text
    assert "compaction" not in text
    assert json.dumps(auditor.scan(DEFRAGMENTED).evidence.sha256)[1:-1] in text
