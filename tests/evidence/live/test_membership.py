"""Endpoints that have never answered: of the cluster by its list of members, or not known to be."""

import signal
from pathlib import Path

import pytest

from auditor.evidence.live import membership
from auditor.evidence.live.access import Access, endpoints
from auditor.evidence.live.client import Client
from auditor.reports.watch import words
from auditor.watch.session import Session
from tests.helpers.command import run
from tests.helpers.etcd import Etcd, free_ports
from tests.helpers.members import PASSWORD, cluster, with_users
from tests.helpers.proxy import Proxy
from tests.watch.test_session import KEY1, NEW, access, name


def watched(reach: Access) -> tuple[int, list[str]]:
    """The exit code of a first read, and its conclusion."""
    with Session(reach, KEY1, lambda _: None) as session:
        progress = session.progress()
    return words.exit_code(progress, configured=False), words.conclusion(progress, ["secrets"], configured=False)


def test_a_member_that_is_down_is_of_the_cluster(tmp_path: Path) -> None:
    with cluster(tmp_path, "--heartbeat-interval=50", "--election-timeout=300") as members:
        members[0].put(name(1), NEW)
        members[2].process.kill()
        members[2].process.wait()
        down = members[2].endpoint
        code, said = watched(access(down, members[0].endpoint, members[1].endpoint))
        assert (code, said[0][:11]) == (0, "NO FINDINGS"), said
        # a loopback address of the list means the member's own host, which this proxy may not be on
        with Proxy(members[0].endpoint) as proxy:
            code, said = watched(access(proxy.endpoint, down))
        assert (code, f"whether http://{down} is of this cluster is not known" in said[0]) == (3, True), said
        # one that answered once is known
        with Session(access(members[0].endpoint, members[1].endpoint), KEY1, lambda _: None) as session:
            members[1].process.send_signal(signal.SIGSTOP)
            members[1].process.kill()
            members[1].process.wait()
            assert session.progress().doubts == ()


@pytest.mark.parametrize("frozen", [True, False], ids=["frozen", "nobody"])
def test_an_endpoint_that_may_be_of_another_cluster(tmp_path: Path, *, frozen: bool) -> None:
    with Etcd(tmp_path / "one") as one, Etcd(tmp_path / "other") as other:
        one.put(name(1), NEW)
        one.put(b"/registry/secrets/old/x", b"k8s\0")
        silent = other.url if frozen else f"http://127.0.0.1:{free_ports(1)[0]}"
        other.process.send_signal(signal.SIGSTOP)
        try:
            command = ["watch", silent, "--endpoint", one.url, "--expect", "aescbc:key1", "--once", "--timeout", "3"]
            some = run(*command)
            one.delete(b"/registry/secrets/old/x")
            none = run(*command)
        finally:
            other.process.send_signal(signal.SIGCONT)
    why = f"whether {silent} is of this cluster is not known: it has not answered, and the client URLs of the members"
    assert some.returncode == 1, some
    assert "FINDINGS: 1 of 2 secrets" in some.stdout
    assert f"Also: {why}" in " ".join(some.stdout.split())
    assert none.returncode == 3, none
    assert f"INCONCLUSIVE: {why}" in " ".join(none.stdout.split())


def test_an_endpoint_that_answers_later_is_of_the_cluster_or_ends_it(tmp_path: Path) -> None:
    with Etcd(tmp_path / "one") as one, Proxy("127.0.0.1:1") as proxy:
        one.put(name(1), NEW)
        with Session(access(one.endpoint, proxy.endpoint), KEY1, lambda _: None) as session:
            assert words.exit_code(session.progress(), configured=False) == 3
            proxy.target = one.endpoint
            assert session.confirm()
            assert words.exit_code(session.progress(), configured=False) == 0


def test_a_role_that_may_read_keys_alone_asks_for_members_too(tmp_path: Path) -> None:
    """etcd asks for no permission there; an answer that is refused leaves the endpoint unknown."""
    with Etcd(tmp_path / "one") as one:
        one.put(name(1), NEW)
        with_users(one, "/registry/secrets/")
        reach = Access(access("127.0.0.1:1", one.endpoint).endpoints, user="viewer", password=PASSWORD, timeout=5.0)
        code, said = watched(reach)
    assert (code, "whether http://127.0.0.1:1 is of this cluster is not known" in said[0]) == (3, True), said


def test_a_scan_says_so(tmp_path: Path) -> None:
    with Etcd(tmp_path / "one") as one:
        one.put(name(1), NEW)
        with Client(access("127.0.0.1:1", one.endpoint)) as client:
            _, silent = client.statuses()
            (text,) = membership.doubts(client, silent, one.url)
            assert membership.doubts(client, {}, one.url) == []
        assert "http://127.0.0.1:1" in text
        done = run("scan", "http://127.0.0.1:1", "--endpoint", one.url)
        assert text in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("url", "addresses"),
    [
        ("https://10.0.0.7:2379", {("10.0.0.7", 2379)}),
        ("https://[FE80:0::1]:2379", {("fe80::1", 2379)}),
        ("unix:///run/etcd.sock", {("/run/etcd.sock", 0)}),
        ("https://LOCALHOST:1", {("localhost", 1), ("127.0.0.1", 1)}),
    ],
)
def test_addresses(url: str, addresses: set[tuple[str, int]]) -> None:
    assert addresses <= membership._addresses(endpoints([url])[0])


def test_addresses_that_mean_whoever_reads_them() -> None:
    assert [membership._local(each) for each in (("127.0.0.1", 1), ("::1", 1), ("localhost", 1), ("0.0.0.0", 1))] == [
        True
    ] * 4
    assert not any(membership._local(each) for each in (("10.0.0.7", 2379), ("etcd-1.example", 2379)))
    assert membership._all(["nonsense", "http://u:p@10.0.0.1:1", "http://10.0.0.2:1"]) == {("10.0.0.2", 1)}
