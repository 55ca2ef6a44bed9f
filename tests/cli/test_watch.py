"""The watch command: its lines, its document, its exit codes, the script that it writes, and what a terminal shows."""

import json
import os
import pty
import random
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from auditor.protobuf.envelope_pb2 import EncryptedObject
from auditor.reports.watch.json import SCHEMA, schema
from tests.helpers import hostile
from tests.helpers.ciphertexts import ciphertext
from tests.helpers.command import run
from tests.helpers.etcd import Etcd
from tests.helpers.members import PASSWORD, with_users
from tests.helpers.objects import StoredObject
from tests.helpers.proxy import Proxy
from tests.helpers.sealing import KEY, OTHER, configuration, provider, seal
from tests.watch.test_session import NEW, fill, name, revision

UID = "71314e90-44b9-4311-833c-506d91031055"

VALIDATOR = jsonschema.Draft202012Validator(schema())
CLEAN = {"ETCDCTL_ENDPOINTS": "", "ETCDCTL_USER": ""}


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    """20 Secrets: 15 readable, 5 under key1."""
    with Etcd(tmp_path_factory.mktemp("etcd") / "data") as made:
        fill(made, 20)
        for number in range(5):
            made.put(name(number), NEW)
        yield made


def document(etcd: Etcd, *arguments: str | Path) -> tuple[int, dict[str, Any]]:
    before = revision(etcd)
    done = run("watch", etcd.url, "--once", "--json", "-", *arguments)
    assert revision(etcd) == before
    assert "Traceback" not in done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert not list(VALIDATOR.iter_errors(report))
    assert report["exit_code"] == done.returncode
    assert report["remaining"] + report["rewritten"] + report["deleted"] == report["total"]
    return done.returncode, report


def test_once(etcd: Etcd) -> None:
    code, report = document(etcd, "--expect", "aescbc:key1")
    assert code == 1
    assert (report["total"], report["remaining"], report["present"], report["revision"]) == (15, 15, 20, revision(etcd))
    assert [each["key"].encode() for each in report["objects"]] == sorted(name(number) for number in range(5, 20))
    assert {each["finding"] for each in report["objects"]} == {"plaintext"}
    assert "history, freed pages, the WAL" in report["not_examined"]
    _, other = document(etcd, "--expect", "aescbc:key2")
    assert (other["remaining"], {each["finding"] for each in other["objects"]}) == (20, {"plaintext", "stale-key"})
    code, back = document(etcd, "--expect", "plaintext")
    assert (code, back["remaining"]) == (1, 5)


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    assert schema()["$id"] == SCHEMA


def test_nothing_to_read_is_inconclusive(etcd: Etcd) -> None:
    code, report = document(etcd, "--storage-prefix", "/elsewhere")
    assert (code, report["present"]) == (3, 0)
    assert "check the name and --storage-prefix" in report["conclusion"][0]


def test_values_that_no_key_opens_are_not_concluded_on(tmp_path: Path) -> None:
    """Of a KMS whose plugin was not named nothing opens; a prefix proves nothing where a configuration was given."""
    value = ciphertext("kms v2", b"vault", EncryptedObject(
        encrypted_data=b"\xa0" * 64, key_id=b"kek-a", encrypted_dek_source=b"w" * 33).SerializeToString())  # fmt: skip
    config = configuration(tmp_path / "c.json", provider("kms v2", ("vault", b"")), {"identity": {}})
    with Etcd(tmp_path / "data") as etcd:
        etcd.put(StoredObject().key, value)
        code, report = document(etcd, "--encryption-config", config)
        assert (code, report["remaining"], report["undecrypted"]) == (3, 0, 1)
        code, report = document(etcd, "--expect", "kms:vault")
        assert (code, report["undecrypted"]) == (0, 1)
        assert "by their prefixes, which prove nothing" in report["conclusion"][0]


LISTENING = (
    "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "runpy.run_module('auditor', run_name='__main__')"
)
"""The command as a terminal starts it: a shell that starts the suite in the background has it ignore Ctrl-C."""


def start_watch(etcd: Etcd, *arguments: str, stdout: Any = subprocess.PIPE, url: str = "") -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", LISTENING, "watch", url or etcd.url, "--expect", "aescbc:key1", *arguments]
    environment = {**os.environ, "PYTHONWARNINGS": "error", "TERM": "xterm", "COLUMNS": "120"}
    return subprocess.Popen(
        command, stdout=stdout, stderr=subprocess.STDOUT, text=True, env=environment, start_new_session=True
    )


def test_a_rewrite_in_a_pipe(tmp_path: Path) -> None:
    with Etcd(tmp_path / "data") as etcd:
        numbers = fill(etcd, 30)
        with start_watch(etcd, "--every", "0.1") as process:
            assert process.stdout is not None
            lines = []
            for line in process.stdout:
                lines.append(line)
                if "watching" in line:
                    for number in numbers:
                        etcd.put(name(number), NEW)
            assert process.wait(60) == 0
    assert "write key aescbc/key1 (--expect)" in lines[0]
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", line) for line in lines[:4])
    assert any("30 remaining + 0 rewritten + 0 deleted = 30; 30 present" in line for line in lines)
    text = "".join(lines)
    assert "NO FINDINGS in latest: all 30 secrets are as wanted" in text
    assert "0 remaining + 30 rewritten + 0 deleted = 30" in text
    assert "Not examined: keys outside /registry/; current values only: history, freed pages, the WAL" in text
    assert "\x1b" not in text


def test_interrupted(etcd: Etcd, tmp_path: Path) -> None:
    """Ctrl-C ends with the numbers so far, and writes what was asked for."""
    with start_watch(etcd, "--json", str(tmp_path / "w.json")) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "watching" in line:
                os.killpg(process.pid, signal.SIGINT)
                break
        rest = process.stdout.read()
        assert process.wait(60) == 1
    assert "interrupted" in rest
    assert "FINDINGS: 15 of 20 secrets are not as wanted" in rest
    report = json.loads((tmp_path / "w.json").read_text())
    assert (report["remaining"], report["exit_code"]) == (15, 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_its_process_alone(etcd: Etcd, tmp_path: Path, number: signal.Signals) -> None:
    """As kill(1) and a supervisor send it; a terminal sends it to the child too."""
    with start_watch(etcd, "--json", str(tmp_path / "w.json")) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "watching" in line:
                process.send_signal(number)
                break
        rest = process.stdout.read()
        assert process.wait(60) == 1
    assert "interrupted" in rest
    assert json.loads((tmp_path / "w.json").read_text())["remaining"] == 15


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("once", [["--once"], []], ids=["once", "follow"])
def test_a_signal_before_the_first_read(tmp_path: Path, number: signal.Signals, once: list[str]) -> None:
    """Of a member that takes connections and answers nothing."""
    target, script = tmp_path / "w.json", tmp_path / "r.sh"
    more = ["--json", str(target), "--remediation", str(script), "--expect-cluster", UID, *once]
    with Etcd(tmp_path / "data") as etcd:
        etcd.process.send_signal(signal.SIGSTOP)
        with start_watch(etcd, *more) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert "etcd-auditor watch http://" in line
            process.send_signal(number)
            rest = process.stdout.read()
            assert process.wait(60) == 3
        etcd.process.send_signal(signal.SIGCONT)
    assert "interrupted before every key was read; no script is made" in rest
    assert "INCONCLUSIVE: no read of all secrets was completed" in rest
    assert not script.exists()
    report = json.loads(target.read_text())
    assert not list(VALIDATOR.iter_errors(report))
    assert (report["revision"], report["exit_code"], report["objects"]) == (0, 3, [])


def test_an_end_that_no_second_read_bore_out(tmp_path: Path) -> None:
    """The last object was rewritten, and no new connection is answered when every key is to be read again."""
    with Etcd(tmp_path / "data") as etcd, Proxy(etcd.endpoint) as proxy, socket.create_server(("127.0.0.1", 0)) as hole:
        fill(etcd, 3)
        arguments = ["--every", "0.1", "--json", str(tmp_path / "w.json")]
        with start_watch(etcd, *arguments, url=f"http://{proxy.endpoint}") as process:
            assert process.stdout is not None
            for line in process.stdout:
                if "watching" in line:
                    proxy.target = f"127.0.0.1:{hole.getsockname()[1]}"
                    etcd.put_many([(name(number), NEW) for number in range(3)])
                if "0 remaining + 3 rewritten" in line:
                    process.send_signal(signal.SIGTERM)
                    break
            rest = process.stdout.read()
            assert process.wait(60) == 3
    assert "NO FINDINGS" not in rest
    assert "it ended before a second read of every key" in json.loads((tmp_path / "w.json").read_text())["doubts"][-1]


@pytest.mark.parametrize("asked", [True, False], ids=["prctl", "pipe"])
def test_a_child_does_not_outlive_its_parent(tmp_path: Path, *, asked: bool) -> None:
    """SIGKILL, which no process can pass on; where the kernel cannot be asked, a pipe tells."""
    code = (
        "import os, sys, time; from auditor import sandbox; from auditor.cli import orphan, worker\n"
        f"if not {asked}: orphan.platform.end_with_parent = lambda: False\n"
        "worker.run(lambda: print(os.getpid(), flush=True) or time.sleep(600) or 0, sandbox.Limits())"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline())
        process.kill()
        # the child holds the other end: its death closes it
        assert process.stdout.read() == ""


def test_a_key_that_opens_nothing_is_said(tmp_path: Path) -> None:
    sealed = configuration(tmp_path / "right.json", provider("aescbc", ("key1", KEY)), {"identity": {}})
    wrong = configuration(tmp_path / "wrong.json", provider("aescbc", ("key1", OTHER)), {"identity": {}})
    with Etcd(tmp_path / "data") as etcd:
        for number in range(4):
            thing = StoredObject(b"n", b"s%d" % number)
            etcd.put(thing.key, seal("aescbc", "key1", KEY, thing, random.Random(number)))
        code, report = document(etcd, "--encryption-config", sealed)
        assert (code, report["keys_that_open_nothing"]) == (0, [])
        code, report = document(etcd, "--encryption-config", wrong)
        assert code == 3
        assert report["keys_that_open_nothing"] == [{"provider": "aescbc", "key_name": "key1", "values": 4}]
        said = "the supplied key aescbc/key1 decrypts none of the 4 values that name it"
        assert said in report["conclusion"][0]
        assert said in " ".join(run("watch", etcd.url, "--encryption-config", wrong).stdout.split())
        etcd.put(StoredObject(b"n", b"plain").key, StoredObject(b"n", b"plain").protobuf())
        code, report = document(etcd, "--encryption-config", wrong)
        assert code == 1
        assert any(said in line for line in report["conclusion"][1:])


def test_the_cluster_that_is_expected(tmp_path: Path) -> None:
    system = StoredObject(b"", b"kube-system", kind=b"Namespace", uid=b"u-one").protobuf()
    with Etcd(tmp_path / "data") as etcd:
        fill(etcd, 2)
        (tmp_path / "word").write_text(f"{PASSWORD}\n")

        def once(*more: str) -> tuple[int, str]:
            done = run("watch", etcd.url, "--once", "--expect-cluster", "u-one", *more)
            return done.returncode, done.stdout + done.stderr

        code, said = once()
        assert (code, "its kube-system namespace is absent, or encrypted" in said) == (1, True)
        etcd.put(b"/registry/namespaces/kube-system", system)
        code, said = once()
        assert (code, "cannot be told" in said) == (1, False)
        etcd.put(b"/registry/namespaces/kube-system", system.replace(b"u-one", b"u-two"))
        code, said = once()
        assert (code, "is not cluster u-one: the kube-system namespace's uid is u-two" in said) == (2, True)
        with_users(etcd, "/registry/secrets/")
        code, said = once("--user", "viewer", "--password-file", str(tmp_path / "word"))
        assert (code, "its kube-system namespace may not be read" in said) == (1, True)


def test_a_limit(etcd: Etcd) -> None:
    done = run("watch", etcd.url, "--expect", "aescbc:key1", "--for", "0.5")
    assert done.returncode == 1
    assert "FINDINGS: 15 of 20" in done.stdout


def test_on_a_terminal(etcd: Etcd) -> None:
    """A table is drawn there, and taken away at the end."""
    near, far = pty.openpty()
    with start_watch(etcd, "--for", "1.5", stdout=far) as process:
        os.close(far)
        seen = b""
        while True:
            try:
                part = os.read(near, 1 << 16)
            except OSError:  # the other side is closed
                break
            seen += part
            if not part:
                break
        assert process.wait(60) == 1
    os.close(near)
    text = seen.decode()
    assert "\x1b[?25l" in text  # rich hides the cursor while its table moves
    for said in ("15 remaining + 0 rewritten + 0 deleted = 15", "namespace", "identity", "FINDINGS: "):
        assert said in text


def test_usage(etcd: Etcd, tmp_path: Path) -> None:
    for arguments, message in (
        (["nowhere.db"], "watch needs https://HOST:2379"),
        ([etcd.url, "--resource", "*"], "by name"),
        ([etcd.url, "--expect", "rot13"], "--expect rot13"),
        (["http://127.0.0.1:1"], "nothing listens there"),
        ([etcd.url, "--json", str(tmp_path / "no" / "x.json")], "there is no folder"),
    ):
        done = run("watch", *arguments, **CLEAN)
        assert (done.returncode, done.stdout) == (2, "") or message in done.stderr
        assert done.returncode == 2
        assert message in done.stderr


def test_a_user_that_may_only_read(tmp_path: Path) -> None:
    """What the role may not do is refused by etcd itself; the password leaves by no way."""
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    with Etcd(tmp_path / "data") as etcd:
        fill(etcd, 3)
        with_users(etcd, "/registry/secrets/")
        user = ["--user", "viewer", "--password-file", str(file), "--once"]
        done = run("watch", etcd.url, *user)
        assert done.returncode == 1
        assert "FINDINGS: 3 of 3 secrets" in done.stdout
        denied = run("watch", etcd.url, *user, "--resource", "configmaps")
        assert denied.returncode == 2
        assert "permission denied" in denied.stderr
        for text in (done.stdout, done.stderr, denied.stdout, denied.stderr):
            assert PASSWORD not in text


def test_hostile_names_and_values(tmp_path: Path) -> None:
    script = tmp_path / "r.sh"
    with Etcd(tmp_path / "data") as etcd:
        hostile.work(etcd)
        _, report = document(etcd, "--remediation", script, "--expect-cluster", UID)
        done = run("watch", etcd.url, "--once")
    texts = (done.stdout, done.stderr, json.dumps(report), script.read_text())
    assert not any(character in text for text in texts for character in ("\x1b", "\x9b", "\u202e", "\0"))
    assert not any(hostile.MARK.decode() in text for text in texts)
    assert "Left out: " in script.read_text()
    subprocess.run(["bash", "-n", script], check=True)
    subprocess.run(["sh", "-n", script], check=True)


def test_no_value_in_any_output(tmp_path: Path) -> None:
    canary = "CANARY-watch-9c41d2"
    with Etcd(tmp_path / "data") as etcd:
        etcd.put(StoredObject().key, StoredObject(data={b"password": canary.encode()}).protobuf())
        config = configuration(tmp_path / "c.json", provider("aescbc", ("key1", KEY)), {"identity": {}})
        reports = [str(tmp_path / each) for each in ("w.json", "r.sh")]
        arguments = [
            "--encryption-config",
            config,
            "--json",
            reports[0],
            "--remediation",
            reports[1],
            "--expect-cluster",
            UID,
        ]
        with start_watch(etcd, *arguments[2:], "--for", "1") as process:
            said, _ = process.communicate(timeout=60)
        done = run("watch", etcd.url, *arguments, "--once", "--force")
    texts = [said, done.stdout, done.stderr, *(Path(each).read_text() for each in reports)]
    for text in texts:
        assert canary not in text
        assert canary.encode().hex() not in text
    assert done.returncode == 1


def test_nothing_that_writes_is_in_the_client() -> None:
    """The services that the auditor's client is made of have no method that changes a store."""
    from auditor.protobuf import rpc_pb2

    methods = {
        f"{service.name}.{method.name}"
        for service in rpc_pb2.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    assert methods == {
        "KV.Range", "Watch.Watch", "Maintenance.Status", "Maintenance.Snapshot",
        "Auth.Authenticate", "Auth.UserGet", "Auth.RoleGet", "Cluster.MemberList",
    }  # fmt: skip
