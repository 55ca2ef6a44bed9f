"""What goes wrong on the way, and that no part is ever taken for the whole."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import auditor
from auditor.errors import AuditorError
from auditor.evidence import scratch
from auditor.evidence.live import client, spool
from auditor.evidence.live.access import Access, endpoints
from auditor.evidence.live.errors import Compacted, DifferentClusters, Incomplete, Unavailable
from auditor.evidence.live.range_read import RESTARTS
from auditor.model.vocabulary import Trailer
from tests.helpers.command import run
from tests.helpers.etcd import Etcd
from tests.helpers.members import program, programs
from tests.helpers.objects import StoredObject
from tests.helpers.observers import Calling
from tests.helpers.proxy import FaultyProxy

CANARY = b"CANARY-live-fault-41c7"


@pytest.fixture(scope="module", params=programs())
def etcd(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    """6 MB of Secrets, so that neither a snapshot nor a range fits into the buffers between two sockets."""
    name = program(request.param)
    with Etcd(tmp_path_factory.mktemp("faults") / "data", program=name) as etcd:
        for number in range(300):
            thing = StoredObject(b"shop", b"s%03d" % number, {b"password": CANARY, b"more": bytes(20_000)})
            etcd.put(thing.key, thing.protobuf())
        yield etcd


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PAUSE", 0.05)


WAYS = [auditor.Options(), auditor.Options(range_only=True, accept_partial=True)]
each_way = pytest.mark.parametrize("options", WAYS, ids=["snapshot", "range"])


@each_way
@pytest.mark.parametrize("after", [30_000, 1_000_000, 5_000_000])
def test_a_stream_that_is_cut_is_taken_again(etcd: Etcd, options: auditor.Options, after: int) -> None:
    with FaultyProxy(etcd.endpoint, after, times=1) as proxy:
        audit = auditor.scan(proxy.url, options)
        assert proxy.faults == 1
    assert audit.evidence.trailer == (Trailer.NONE if options.range_only else Trailer.MATCHES)
    assert audit.tally.objects == 300
    assert audit.complete
    (note,) = [note for note in audit.notes if "tried again" in note]
    assert proxy.url in note


@each_way
def test_a_stream_that_is_always_cut_is_an_error(etcd: Etcd, options: auditor.Options, tmp_path: Path) -> None:
    kept = "" if options.range_only else str(tmp_path / "kept.db")
    with FaultyProxy(etcd.endpoint, 700_000) as proxy, pytest.raises(Unavailable) as caught:
        auditor.scan(proxy.url, replace(options, keep=kept, work_dir=str(tmp_path)))
    assert proxy.faults == client.ROUNDS
    assert str(caught.value).startswith(f"{proxy.url}: ")
    assert CANARY.decode() not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("way", [[], ["--range"]], ids=["snapshot", "range"])
def test_an_endpoint_that_never_answers_ends_the_command(etcd: Etcd, way: list[str], tmp_path: Path) -> None:
    with FaultyProxy(etcd.endpoint, 10) as proxy:
        done = run("scan", proxy.url, "--csv", tmp_path / "a.csv", *way)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"etcd-auditor: {proxy.url}: ")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", [1, 32, 33, 32 + 4096])
def test_a_stream_that_ends_too_early_is_not_whole(etcd: Etcd, tmp_path: Path, cut: int) -> None:
    """One that ends in good order, but short: by one byte, by its hash, by hash and more."""
    from auditor.evidence.live import snapshot
    from auditor.evidence.live.member import Member
    from auditor.protobuf import rpc_pb2 as rpc

    class Short(Member):
        def snapshot(self) -> Iterator[rpc.SnapshotResponse]:
            raw = b"".join(message.blob for message in super().snapshot())
            yield rpc.SnapshotResponse(blob=raw[:-cut])

    (endpoint,) = endpoints([etcd.url])
    with (
        Short(Access((endpoint,)), endpoint) as member,
        spool.Spool(str(tmp_path)) as made,
        pytest.raises(Incomplete, match="are not the SHA-256 of those before"),
    ):
        snapshot._copy(member, made, Calling())


@each_way
def test_a_member_that_falls_silent(etcd: Etcd, options: auditor.Options) -> None:
    with FaultyProxy(etcd.endpoint, 1_500_000, stall=True, times=1) as proxy:
        audit = auditor.scan("", options, access=Access(endpoints([proxy.url]), timeout=1))
        assert proxy.faults == 1
    assert audit.tally.objects == 300
    assert any("nothing came for 1 s" in note or "did not answer in time" in note for note in audit.notes)


@each_way
def test_a_member_that_never_says_anything(etcd: Etcd, options: auditor.Options) -> None:
    with FaultyProxy(etcd.endpoint, 0, stall=True) as proxy, pytest.raises(Unavailable, match="answers nothing"):
        auditor.scan("", options, access=Access(endpoints([proxy.url]), timeout=0.5))
    assert 0 < proxy.faults < 10  # it does not ask for ever


@each_way
def test_another_endpoint_takes_over(etcd: Etcd, options: auditor.Options) -> None:
    with FaultyProxy(etcd.endpoint, 1_500_000) as proxy:
        audit = auditor.scan(f"{proxy.url},{etcd.url}", options)
        assert proxy.faults >= 1
    assert audit.tally.objects == 300
    assert audit.evidence.live is not None
    assert audit.evidence.live.endpoint == etcd.url
    assert any(f"went on with {etcd.url}" in note for note in audit.notes)


@each_way
def test_endpoints_that_nobody_serves(etcd: Etcd, options: auditor.Options) -> None:
    dead = "http://127.0.0.1:1"
    audit = auditor.scan(f"{dead},{etcd.url}", options)
    assert f"{dead}: nothing listens there (connection refused); its member was not asked" in audit.notes
    with pytest.raises(Unavailable, match=r"127.0.0.1:1: nothing listens there.*; .*127.0.0.1:2: nothing listens"):
        auditor.scan(f"{dead},http://127.0.0.1:2", options)
    with pytest.raises(Unavailable, match="its host name cannot be resolved"):
        auditor.scan("http://etcd.invalid:2379", options)


@each_way
def test_two_clusters_are_refused(etcd: Etcd, options: auditor.Options, tmp_path: Path) -> None:
    with Etcd(tmp_path / "data") as other, pytest.raises(DifferentClusters, match="audit each cluster by itself"):
        auditor.scan(f"{etcd.url},{other.url}", options)


def test_a_compaction_under_the_revision_that_is_read(tmp_path: Path) -> None:
    with Etcd(tmp_path / "data") as etcd:
        for number in range(500):
            etcd.put(b"/registry/secrets/n/s%03d" % number, StoredObject(data={b"p": b"x"}).protobuf())
        calls = []

        def compacted(done: int, total: int) -> None:
            calls.append((done, total))
            if len(calls) == 1:
                etcd.delete(b"/registry/secrets/n/s000")
                etcd.compact(etcd.put(b"/registry/secrets/n/later", StoredObject(data={b"p": b"y"}).protobuf()))

        audit = auditor.scan(etcd.url, auditor.Options(range_only=True), observer=Calling(received=compacted))
        keys = set(audit.inventory["key"])
        assert len(audit.inventory) == len(keys) == 500
        assert "/registry/secrets/n/later" in keys
        assert "/registry/secrets/n/s000" not in keys
        assert any("revision 501 was compacted while it was read: begun again" in note for note in audit.notes)
        assert audit.evidence.live is not None
        assert audit.evidence.live.revision == 503
        assert calls[-1][0] == calls[-1][1]

        def always(done: int, total: int) -> None:
            etcd.compact(etcd.put(b"other", b"x"))

        with pytest.raises(Compacted, match="the revision was compacted"):
            auditor.scan(etcd.url, auditor.Options(range_only=True), observer=Calling(received=always))
        assert RESTARTS < 10


def test_writes_while_a_range_is_read_are_not_in_it(tmp_path: Path) -> None:
    with Etcd(tmp_path / "data") as etcd:
        last = 0
        for number in range(300):
            last = etcd.put(b"/registry/secrets/n/s%03d" % number, StoredObject(data={b"p": b"x"}).protobuf())

        def write(done: int, total: int) -> None:
            etcd.put(b"/registry/secrets/n/s299", StoredObject(data={b"p": b"new"}).protobuf())
            etcd.put(b"/registry/secrets/n/t", StoredObject(data={b"p": b"new"}).protobuf())
            etcd.delete(b"/registry/secrets/n/s150")

        audit = auditor.scan(etcd.url, auditor.Options(range_only=True), observer=Calling(received=write))
        assert len(audit.inventory) == 300
        assert audit.inventory["mod_revision"].max() == last
        assert audit.evidence.live is not None
        assert audit.evidence.live.revision == last


@each_way
def test_progress_ends_at_the_whole(etcd: Etcd, options: auditor.Options) -> None:
    calls = []
    auditor.scan(etcd.url, options, observer=Calling(received=lambda done, total: calls.append((done, total))))
    assert len(calls) > 2
    assert all(done <= total for done, total in calls)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    assert calls[-1][0] == calls[-1][1]
    if not options.range_only:
        assert len({total for _, total in calls}) == 1  # known from the first message


def test_a_folder_without_room(etcd: Etcd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "RESERVE", 1 << 60)
    for options in WAYS:
        with pytest.raises(scratch.NoRoom, match=r"has room for 0 bytes .*: name another folder with --work-dir"):
            auditor.scan(etcd.url, replace(options, work_dir=str(tmp_path)))
    with pytest.raises(AuditorError, match=r"no private file can be made in .*absent"):
        auditor.scan(etcd.url, auditor.Options(work_dir=str(tmp_path / "absent")))


def test_the_private_file_has_no_name(etcd: Etcd, tmp_path: Path) -> None:
    seen: list[Path] = []
    options = auditor.Options(work_dir=str(tmp_path))
    audit = auditor.scan(
        etcd.url, options, observer=Calling(received=lambda done, total: seen.extend(tmp_path.iterdir()))
    )
    assert audit.tally.objects == 300
    assert seen == list(tmp_path.iterdir()) == []
