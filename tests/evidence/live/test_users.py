"""etcd's own users: what a role without root can have, and what is said where it cannot."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

import auditor
from auditor.evidence.live.access import Access, endpoints
from auditor.evidence.live.client import Client
from auditor.evidence.live.errors import Denied
from auditor.evidence.live.range_read import Pager, bounds
from auditor.protobuf import rpc_pb2 as rpc
from tests.helpers.command import run
from tests.helpers.etcd import Etcd, binary
from tests.helpers.members import PASSWORD, program, programs, with_users
from tests.helpers.objects import StoredObject


@pytest.fixture(scope="module", params=programs())
def etcd(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    name = program(request.param)
    with Etcd(tmp_path_factory.mktemp("users") / "data", "--bcrypt-cost=4", program=name) as etcd:
        for number in range(200):
            thing = StoredObject(b"shop", b"s%d" % number, {b"password": b"hunter2"})
            etcd.put(thing.key, thing.protobuf())
        etcd.put(b"/elsewhere/secrets/n/s", StoredObject().protobuf())
        with_users(etcd)
        yield etcd


def access(etcd: Etcd, user: str, password: str = PASSWORD) -> Access:
    return Access(endpoints([etcd.url]), user=user, password=password)


def test_root_takes_the_snapshot(etcd: Etcd) -> None:
    audit = auditor.scan("", access=access(etcd, "root"))
    assert audit.tally.objects == 201
    assert any("authentication is on" in note for note in audit.notes)


def test_a_reader_is_refused_the_snapshot_and_told_of_range(etcd: Etcd) -> None:
    with pytest.raises(
        Denied, match=r"permission denied.*; only the root role .*--range.*; user viewer may read /registry/$"
    ):
        auditor.scan("", access=access(etcd, "viewer"))


def test_a_reader_reads_its_range_and_writes_nothing(etcd: Etcd) -> None:
    audit = auditor.scan("", auditor.Options(range_only=True), access=access(etcd, "viewer"))
    assert audit.tally.readable == 200
    again = auditor.scan("", auditor.Options(range_only=True), access=access(etcd, "viewer"))
    assert audit.evidence.live == again.evidence.live  # the revision too


def test_a_prefix_that_the_role_may_not_read(etcd: Etcd) -> None:
    options = auditor.Options(range_only=True, storage_prefixes=("/elsewhere",))
    advised = (
        r"permission denied.*; user viewer may read /registry/; the least role to ask for: "
        r"etcdctl role add etcd-auditor "
        r"&& etcdctl role grant-permission --prefix=true etcd-auditor read /elsewhere/secrets/ "
        r"&& etcdctl user grant-role viewer etcd-auditor$"
    )
    with pytest.raises(Denied, match=advised):
        auditor.scan("", options, access=access(etcd, "viewer"))
    assert auditor.scan("", options, access=access(etcd, "root")).tally.readable == 1


@pytest.mark.parametrize("range_only", [False, True])
@pytest.mark.parametrize(
    ("user", "password", "said"),
    [
        ("root", "wrong", "wrong user or password"),
        ("nobody", "wrong", "wrong user or password"),
        ("", "", "give --user"),
    ],
)
def test_credentials_that_are_none(etcd: Etcd, user: str, password: str, said: str, *, range_only: bool) -> None:
    with pytest.raises(Denied, match=said) as caught:
        auditor.scan("", auditor.Options(range_only=range_only), access=access(etcd, user, password))
    assert PASSWORD not in str(caught.value)


def test_the_command_takes_the_password_from_a_file_or_etcdctls_variables(etcd: Etcd, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    report = tmp_path / "report.json"
    done = run("scan", etcd.url, "--range", "--user", "viewer", "--password-file", file, "--json", report)
    assert done.returncode == 1
    assert PASSWORD not in done.stdout + done.stderr + report.read_text()
    for environment in (
        {"ETCDCTL_USER": f"viewer:{PASSWORD}"},
        {"ETCDCTL_USER": "viewer", "ETCDCTL_PASSWORD": PASSWORD},
    ):
        assert run("scan", etcd.url, "--range", **environment).returncode == 1
    assert run("scan", etcd.url, "--range", "--user", "viewer", ETCDCTL_PASSWORD=PASSWORD).returncode == 1


def test_the_command_refuses_a_password_among_its_arguments(etcd: Etcd) -> None:
    done = run("scan", etcd.url, "--range", "--user", f"viewer:{PASSWORD}")
    assert done.returncode == 2
    assert "--user takes a name only" in done.stderr
    assert PASSWORD not in done.stderr
    asked = run("scan", etcd.url, "--range", "--user", "viewer")
    assert asked.returncode == 2
    assert "user viewer has no password" in asked.stderr


def test_a_token_that_ends_between_two_pages(tmp_path: Path) -> None:
    with Etcd(tmp_path / "data", "--bcrypt-cost=4") as etcd:
        for number in range(200):
            etcd.put(b"/registry/secrets/n/s%03d" % number, b"x")
        with_users(etcd)
        with Client(access(etcd, "viewer")) as client:
            pager = Pager(client)
            keys = []
            members = []
            for page in pager.pages(*bounds("/registry")):
                keys += [kv.key for kv in page.kvs]
                members.append(client.ask(lambda member: member))
                _end_token(etcd, client)
            assert len(keys) == 200
            assert len(set(keys)) == 200
            assert members[0] is not members[-1]  # it connected, and authenticated, again
            assert client.notes == []


def _end_token(etcd: Etcd, client: Client) -> None:
    """Make etcd forget the session's token, as it does when one expires: a password that is set ends its user's."""
    session = client.ask(lambda member: member._client)
    root = ["--user", f"root:{PASSWORD}"]
    line = [binary("etcdctl"), f"--endpoints={etcd.endpoint}", *root, "user", "passwd", "viewer", "--interactive=false"]
    subprocess.run(line, check=True, capture_output=True, env={"ETCDCTL_API": "3"}, input=PASSWORD.encode())
    with pytest.raises(grpc.RpcError):
        session.kvstub.Range(rpc.RangeRequest(key=b"/registry/x"), metadata=session.metadata)
