"""What is not as it seems has a sentence of its own: frozen, no quorum, no etcd, another form of endpoint."""

import http.server
import json
import signal
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

import auditor
from auditor.errors import UsageError
from auditor.evidence.discovery.remote import is_bare
from auditor.evidence.live import diagnose, errors
from auditor.evidence.live.access import endpoints
from auditor.evidence.live.member import NO_QUORUM
from auditor.evidence.live.members import CORRUPT, NOSPACE, alarms
from auditor.protobuf import rpc_pb2 as rpc
from tests.helpers.ciphertexts import ciphertext
from tests.helpers.command import run
from tests.helpers.etcd import Etcd, free_ports
from tests.helpers.members import cluster, program, programs
from tests.helpers.objects import StoredObject
from tests.helpers.sweeps import sample

COMMANDS = [["scan"], ["scan", "--range"], ["watch", "--once"], ["keys"], ["show", "shop/s"]]
NOISY = {"GRPC_VERBOSITY": "DEBUG", "GRPC_TRACE": "all"}


def lines(command: list[str], url: str, *more: str) -> list[str]:
    """The lines on standard error of a command that must fail with 2."""
    name, *rest = command
    done = run(name, url, *rest, "--timeout", "2", *more, **NOISY)
    assert done.returncode == 2
    return done.stderr.splitlines()


@pytest.mark.parametrize("command", sample(COMMANDS, 2), ids=" ".join)
def test_a_frozen_member(command: list[str], tmp_path: Path) -> None:
    with Etcd(tmp_path / "data") as etcd:
        etcd.process.send_signal(signal.SIGSTOP)
        try:
            (line,) = lines(command, etcd.url)
        finally:
            etcd.process.send_signal(signal.SIGCONT)
    assert line == f"etcd-auditor: {etcd.url}: {diagnose.HANGS}"


@contextmanager
def web_server() -> Iterator[str]:
    class Quiet(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_web_server(command: list[str]) -> None:
    with web_server() as url:
        (line,) = lines(command, url)
    assert line == f"etcd-auditor: {url}: {diagnose.NO_HTTP2}"


def test_a_cluster_without_a_quorum(tmp_path: Path) -> None:
    with cluster(tmp_path, "--heartbeat-interval=50", "--election-timeout=300") as members:
        left, *others = members
        left.put(b"/registry/secrets/shop/s", StoredObject().protobuf())
        for each in others:
            each.process.kill()
            each.process.wait()
        for command in (["scan", "--range"], ["watch", "--once"]):
            assert f"etcd-auditor: {left.url}: {NO_QUORUM}" in lines(command, left.url)
        done = run("scan", left.url, "--timeout", "2", **NOISY)
    assert done.returncode == 1  # its Secret is readable whatever the others say
    assert "Gap: " in done.stdout
    assert "knows of no leader" in done.stdout


def test_a_status_of_a_web_server_is_told() -> None:
    for status, kind, said in (
        (404, errors.LiveError, "a web server (HTTP 404), and no etcd"),
        (403, errors.LiveError, "a web server (HTTP 403), and no etcd"),
        (503, errors.Unavailable, "a proxy answers in its place (HTTP 503)"),
    ):
        text = f"Received http2 header with status: {status}"
        error = errors.from_status(text, "UNIMPLEMENTED", "http://a:1", "status")
        assert type(error) is kind
        assert said in str(error)


def test_a_deadline_that_passes_at_the_server_first_is_one() -> None:
    """A server of an older gRPC answers with Go's own words, and the code UNKNOWN."""
    error = errors.from_status("context deadline exceeded", "UNKNOWN", "http://a:1", "range")
    assert type(error) is errors.TimedOut
    assert str(error) == "http://a:1: range: it did not answer in time (UNKNOWN)"


def test_a_unix_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """etcd names a socket by host and port, and makes it in its working directory."""
    # sun_path of unix(7) has 108 bytes, and a test's own folder may have more
    folder = tempfile.mkdtemp()
    monkeypatch.chdir(folder)
    with Etcd(tmp_path / "data", listen="unix://localhost:1") as etcd:
        socket = Path(folder) / "localhost:1"
        etcd.put(b"/registry/secrets/shop/s", StoredObject().protobuf())
        for url in (f"unix://{socket}", f"UNIX://{socket}"):
            audit = auditor.scan(url)
            assert audit.tally.readable == 1
            assert audit.evidence.live is not None
            assert audit.evidence.live.endpoint == f"unix://{socket}"
        assert run("watch", f"unix://{socket}", "--once").returncode == 1
        assert run("scan", f"unix://{socket}").returncode == 1
    (line,) = lines(["scan"], f"unix://{tmp_path}/none")
    assert line.endswith("there is no such socket")
    with pytest.raises(UsageError, match="unix:///PATH/OF/SOCKET"):
        endpoints(["unix://"])


def test_endpoints_without_a_scheme(tmp_path: Path) -> None:
    with Etcd(tmp_path / "data") as etcd:
        etcd.put(b"/registry/secrets/shop/s", StoredObject().protobuf())
        for command in (["scan"], ["watch", "--once"]):
            name, *rest = command
            assert run(name, etcd.endpoint, *rest).returncode == 1
        assert run("keys", etcd.endpoint).returncode == 0
    assert is_bare("a:1,[::1]:2379")
    for command in (["scan"], ["watch", "--once"], ["keys"]):
        (line,) = lines(command, f"[::1]:{free_ports(1)[0]}")  # to a shell this is a pattern
        assert "http://[::1]:" in line
    assert not any(map(is_bare, ("a", "a/b:1", "a:1:2", "C:\\x.db", "")))


def test_a_file_with_such_a_name_is_the_file(tmp_path: Path) -> None:
    done = run("scan", "host:2379", cwd=tmp_path)
    assert "host" in done.stderr
    (tmp_path / "host:2379").write_bytes(b"no database")
    assert "no connection" not in run("scan", "host:2379", cwd=tmp_path).stderr


@pytest.mark.parametrize("kind", [NOSPACE, CORRUPT])
def test_alarms_are_named_by_every_command(kind: str, tmp_path: Path) -> None:
    with Etcd(tmp_path / "data") as etcd:
        etcd.put(b"/registry/secrets/shop/s", StoredObject().protobuf())
        etcd.alarm(kind)
        for name, *rest in (["scan"], ["scan", "--range"], ["keys"], ["show", "shop/s"], ["watch", "--once"]):
            done = run(name, etcd.url, *rest)
            assert f"has raised the alarm {kind}" in done.stdout
            if name in {"keys", "show"} and "--range" not in rest:
                assert done.returncode == (3 if kind == CORRUPT else 0)
        report = tmp_path / "r.json"
        run("scan", etcd.url, "--json", report)
        gaps = json.loads(report.read_text())["gaps"]
        assert bool(gaps) is (kind == CORRUPT)


def test_members_of_different_versions_are_named(tmp_path: Path) -> None:
    peers = {each: f"http://127.0.0.1:{port}" for each, port in zip(programs(), free_ports(2), strict=True)}
    with ThreadPoolExecutor() as pool:
        both = [pool.submit(Etcd, tmp_path / each, name=each, peers=peers, program=program(each)) for each in peers]
        one, other = (each.result() for each in both)
    with one, other:
        one.put(b"/registry/secrets/shop/s", StoredObject().protobuf())
        versions = {each.call("Status", rpc.StatusRequest()).version for each in (one, other)}
        assert len(versions) == 2
        for name, *rest in (["scan"], ["scan", "--range"], ["keys"], ["show", "shop/s"], ["watch", "--once"]):
            said = " ".join(run(name, one.url, *rest, "--endpoint", other.url).stdout.split())
            assert "the members run different versions of etcd: " in said
            assert all(version in said for version in versions)


def test_the_texts_of_a_status() -> None:
    known, others = alarms(
        ["etcdserver: no leader", "memberID:12 alarm:NOSPACE ", "memberID:7  alarm:CORRUPT", "\x1bx"]
    )
    assert [(each.member_id, each.kind) for each in known] == [(12, "NOSPACE"), (7, "CORRUPT")]
    assert others == 1


@contextmanager
def cut_off_learner(folder: Path) -> Iterator[Etcd]:
    """A learner whose only voting member is gone; before, it had learnt of one encrypted Secret."""
    urls = [f"http://127.0.0.1:{port}" for port in free_ports(2)]
    voter = Etcd(folder / "one", name="one", peers={"one": urls[0]})
    voter.put(b"/registry/secrets/shop/s", ciphertext("aescbc", b"key1", bytes(range(160, 224))))
    voter.ctl("member", "add", "two", "--learner", f"--peer-urls={urls[1]}")
    peers = {"one": urls[0], "two": urls[1]}
    with Etcd(folder / "two", "--initial-cluster-state=existing", name="two", peers=peers) as learner:
        while learner.call("Status", rpc.StatusRequest()).header.revision < 2:
            pass
        voter.stop()
        yield learner


@pytest.mark.night
def test_a_learner_that_is_cut_off_is_not_believed(tmp_path: Path) -> None:
    """It goes on naming the leader that it had: the status alone does not tell."""
    with cut_off_learner(tmp_path) as learner:
        assert learner.call("Status", rpc.StatusRequest()).leader
        done = run("scan", learner.url)
        text = " ".join(done.stdout.split())
        assert done.returncode == 3
        assert "is a learner, and one that is cut off does not know it" in text
        assert "is a learner: it has no vote, and may be behind" in text
        for command in (["keys"], ["show", "shop/s"]):
            name, *rest = command
            done = run(name, learner.url, *rest)
            assert done.returncode == 3
            assert "is a learner" in done.stdout
        for command in (["scan", "--range"], ["watch", "--once"]):
            assert any("it is a learner" in line for line in lines(command, learner.url))
