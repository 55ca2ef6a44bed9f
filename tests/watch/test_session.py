"""A rewrite on a real etcd followed to its end: the numbers at every step, whatever happens to the server."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from auditor.errors import UsageError
from auditor.evidence.live import errors
from auditor.evidence.live.access import Access, endpoints
from auditor.evidence.live.members import CORRUPT, NOSPACE
from auditor.options import Options
from auditor.protobuf import rpc_pb2 as rpc
from auditor.reports.watch import words
from auditor.watch.session import Session
from tests.helpers.ciphertexts import ciphertext
from tests.helpers.etcd import Etcd, free_ports
from tests.helpers.members import PASSWORD, cluster, program, programs, with_users
from tests.helpers.objects import StoredObject
from tests.helpers.proxy import Proxy
from tests.helpers.sweeps import everything

KEY1 = Options(expect="aescbc:key1")
NEW = ciphertext("aescbc", b"key1", b"\xa0" * 64)
LONGEST = 300.0
"""Seconds without any change after which a test gives up; none of them waits so long."""


def access(*members: str) -> Access:
    return Access(endpoints([f"http://{member}" for member in members]), timeout=5.0)


def name(number: int) -> bytes:
    return b"/registry/secrets/n%d/s%05d" % (number % 7, number)


def plain(number: int) -> bytes:
    return StoredObject(b"n%d" % (number % 7), b"s%05d" % number, {b"a": b"1"}).protobuf()


def fill(etcd: Etcd, count: int) -> list[int]:
    """So many readable Secrets, and others beside them that are nobody's business."""
    numbers = list(range(count))
    for start in range(0, count, 100):
        etcd.put_many([(name(number), plain(number)) for number in numbers[start : start + 100]])
    etcd.put(b"/registry/secretsafe/n/x", b"of another resource")
    etcd.put(b"/registry/configmaps/n/x", StoredObject(kind=b"ConfigMap").protobuf())
    return numbers


def revision(etcd: Etcd) -> int:
    return int(etcd.call("Status", rpc.StatusRequest()).header.revision)


class Script:
    """Changes made one by one; `at` holds what numbers() must say after each."""

    def __init__(self, etcd: Etcd, numbers: list[int]) -> None:
        self._etcd = etcd
        self._plain = set(numbers)
        self._new: set[int] = set()
        self._counted = set(numbers)
        self.at = {revision(etcd): self.numbers()}

    def numbers(self) -> tuple[int, int, int, int, int]:
        present = self._plain | self._new
        rewritten, deleted = len(self._new & self._counted), len(self._counted - present)
        return len(self._counted), len(self._plain), rewritten, deleted, len(present)

    def rewrite(self, number: int) -> None:
        self._change(number, self._etcd.put(name(number), NEW), new=True)

    def spoil(self, number: int) -> None:
        """Written in the old form: anew, again, or back."""
        self._change(number, self._etcd.put(name(number), plain(number)), new=False)

    def delete(self, number: int) -> None:
        self._change(number, self._etcd.delete(name(number)), new=None)

    def _change(self, number: int, revision: int, *, new: bool | None) -> None:
        self._plain.discard(number)
        self._new.discard(number)
        if new is not None:
            (self._new if new else self._plain).add(number)
        if new is False:
            self._counted.add(number)
        self.at[revision] = self.numbers()


def numbers(session: Session) -> tuple[int, int, int, int, int]:
    whole = session.progress().all
    assert whole.remaining + whole.rewritten + whole.deleted == whole.total
    return whole.total, whole.remaining, whole.rewritten, whole.deleted, whole.present


def steps(done: Callable[[], bool], session: Session) -> Iterator[None]:
    """Steps of a session until something is so; a test gives up where nothing changes any more."""
    since = time.monotonic()
    while not done():
        assert time.monotonic() - since < LONGEST
        if session.step(0.2):
            since = time.monotonic()
        yield


def until(done: Callable[[], bool], session: Session) -> None:
    for _ in steps(done, session):
        pass


def caught_up(session: Session, script: Script) -> None:
    until(lambda: numbers(session) == script.numbers(), session)


def follow(session: Session, script: Script, work: threading.Thread, checked: threading.Event) -> None:
    """Steps until nothing is left to be done or to come; after each the numbers are those of that revision."""
    for _ in steps(lambda: not work.is_alive() and session.tracker.revision >= max(script.at), session):
        at = session.tracker.revision
        if at in script.at:  # the script may not have noted yet what the watch brought already
            assert numbers(session) == script.at[at]
            checked.set()
    work.join()
    assert numbers(session) == script.numbers()


@pytest.mark.parametrize(("which", "count"), list(zip(programs(), (5000 if everything() else 1000, 1000), strict=True)))
@pytest.mark.slow
def test_thousands_of_secrets(which: str, count: int, tmp_path: Path) -> None:
    """Some are deleted, some are written anew in the old form and again, some are new; the rest is rewritten."""
    messages: list[str] = []
    with Etcd(tmp_path / "data", program=program(which)) as etcd:
        every = fill(etcd, count)
        script = Script(etcd, every)
        checked = threading.Event()

        def work() -> None:
            rng = random.Random(3)
            for number in every:
                if number % 100 == 99:  # the numbers are looked at while the work goes on, and not at its end alone
                    checked.clear()
                    assert checked.wait(LONGEST)
                match rng.randrange(40):
                    case 0:
                        script.delete(number)
                    case 1:
                        script.rewrite(number)
                        script.spoil(number)
                        script.rewrite(number)
                    case 2:
                        script.spoil(number)
                        script.rewrite(number)
                    case 3:
                        script.spoil(10000 + number)
                        script.rewrite(10000 + number)
                        script.rewrite(number)
                    case 4:
                        script.rewrite(20000 + number)
                        script.rewrite(number)
                    case _:
                        script.rewrite(number)

        with Session(access(etcd.endpoint), KEY1, messages.append) as session:
            assert numbers(session) == (count, count, 0, 0, count)
            session.follow()
            thread = threading.Thread(target=work)
            thread.start()
            follow(session, script, thread, checked)
            assert script.numbers()[1] == 0
            before = revision(etcd)
            assert session.confirm()
            progress = session.progress()
            assert progress.rate > 0
            assert {share.total for share in progress.namespaces.values()} == {
                share.rewritten + share.deleted for share in progress.namespaces.values()
            }
            assert numbers(session) == script.numbers()
        assert revision(etcd) == before
    assert session.reads == 2


def test_restart_cut_and_compaction_lose_nothing(tmp_path: Path) -> None:
    """The server stops and comes back, connections break, and history is compacted behind the watch's back."""
    messages: list[str] = []
    with Etcd(tmp_path / "data") as etcd, Proxy(etcd.endpoint) as proxy:
        every = fill(etcd, 600)
        script = Script(etcd, every)
        with Session(access(proxy.endpoint), KEY1, messages.append) as session:
            for number in every[:50]:
                script.rewrite(number)
            etcd.compact(revision(etcd))
            session.follow()  # from a revision that is gone
            caught_up(session, script)
            assert session.reads == 2
            assert any("compacted" in text and "read again" in text for text in messages)
            for number in every[50:100]:
                script.rewrite(number)
            caught_up(session, script)
            proxy.cut()
            for number in every[100:200]:
                script.rewrite(number)
            caught_up(session, script)
            assert session.reads == 2  # nothing was compacted: the watch went on where it was
            etcd.restart()
            proxy.target = etcd.endpoint
            for number in every[200:300]:
                script.rewrite(number)
            for number in every[300:320]:
                script.delete(number)
            caught_up(session, script)
            etcd.stop()
            proxy.cut()
            until(lambda: not session.answers, session)
            etcd.start()
            for number in every[320:600]:
                script.rewrite(number)
            script.delete(400)
            etcd.compact(revision(etcd))  # while nobody watches
            proxy.target = etcd.endpoint
            caught_up(session, script)
            assert session.reads == 3
            assert script.numbers() == (600, 0, 579, 21, 579)
            assert session.confirm()


def test_a_deletion_at_the_revision_of_a_compaction_is_not_missed(tmp_path: Path) -> None:
    """Of a watch that begins there etcd up to 3.5.14 leaves it out without a word."""
    with Etcd(tmp_path / "data") as etcd:
        every = fill(etcd, 20)
        script = Script(etcd, every)
        with Session(access(etcd.endpoint), KEY1, lambda _: None) as session:
            script.delete(3)
            last = max(script.at)
            for number in every[10:]:
                script.rewrite(number)
            etcd.compact(last)
            session.follow()
            until(lambda: session.tracker.revision >= max(script.at), session)
            assert numbers(session) == script.numbers() == (20, 9, 10, 1, 19)
            assert session.reads == 2
            session.follow()  # from a revision that is known: nothing is counted twice
            script.rewrite(5)
            until(lambda: session.tracker.revision >= max(script.at), session)
            assert numbers(session) == script.numbers()
            assert session.reads == 2


@pytest.mark.parametrize("compacted", [False, True])
def test_a_later_read_waits_for_an_endpoint(tmp_path: Path, *, compacted: bool) -> None:
    """Nobody answers when every key is to be read again: at the end, or because what was missed is compacted."""
    with Etcd(tmp_path / "data") as etcd, Proxy(etcd.endpoint) as proxy:
        every = fill(etcd, 20)
        script = Script(etcd, every)

        def away() -> None:
            proxy.target = f"127.0.0.1:{free_ports(1)[0]}"
            proxy.cut()

        def notify(text: str) -> None:
            if text.endswith("everything is read again"):
                away()
            elif text.endswith("asked again"):
                proxy.target = etcd.endpoint

        with Session(access(proxy.endpoint), KEY1, notify) as session:
            for number in every:
                script.rewrite(number)
            if compacted:
                etcd.compact(revision(etcd))
            session.follow()
            caught_up(session, script)
            away()
            assert session.confirm()
            assert session.reads == 2 + compacted
            assert numbers(session) == script.numbers()
        with Session(access(proxy.endpoint), KEY1, notify, patience=0) as session:
            away()
            with pytest.raises(errors.Unavailable):
                session.confirm()


def test_a_signal_that_came_before_a_read_breaks_it_off(tmp_path: Path) -> None:
    """Nobody answers any more, and the signal was noted a moment before the confirming read began."""

    def came() -> None:
        raise KeyboardInterrupt

    with Etcd(tmp_path / "data") as etcd:
        fill(etcd, 2)
        with Session(access(etcd.endpoint), Options(), lambda _: None, patience=60.0) as session:
            etcd.stop()
            session.check = came
            with pytest.raises(KeyboardInterrupt):
                session.confirm()
            assert not session.reading


def test_a_leader_that_is_lost(tmp_path: Path) -> None:
    """One of three members is watched; the leader stops, and then the watched one: the rest answers."""
    with cluster(tmp_path) as members:
        leader = next(
            each
            for each in members
            for status in (each.call("Status", rpc.StatusRequest()),)
            if status.leader == status.header.member_id
        )
        others = [each for each in members if each is not leader]
        every = fill(others[0], 200)
        script = Script(others[0], every)
        order = [leader.endpoint, others[1].endpoint, others[0].endpoint]
        with Session(access(*order), KEY1, lambda _: None) as session:
            session.follow()
            for number in every[:100]:
                script.rewrite(number)
            caught_up(session, script)
            leader.process.kill()
            deadline = time.monotonic() + LONGEST
            for number in every[100:]:
                while True:
                    try:
                        script.rewrite(number)
                    except grpc.RpcError:
                        assert time.monotonic() < deadline
                        time.sleep(0.05)
                    else:
                        break
            caught_up(session, script)
            assert session.confirm()
            assert session.progress().all.rewritten == 200


def test_a_role_that_may_only_read_the_secrets(tmp_path: Path) -> None:
    with Etcd(tmp_path / "data") as etcd:
        fill(etcd, 50)
        with_users(etcd, "/registry/secrets/")
        viewer = Access(access(etcd.endpoint).endpoints, user="viewer", password=PASSWORD, timeout=5.0)
        with Session(viewer, KEY1, lambda _: None) as session:
            assert numbers(session) == (50, 50, 0, 0, 50)
            session.follow()
            messages: list[str] = []
            session._notify = messages.append
            until(lambda: any("watching" in text for text in messages), session)
        with pytest.raises(errors.Denied), Session(viewer, Options(resources=("configmaps",)), lambda _: None):
            pass


def test_several_resources_and_prefixes(tmp_path: Path) -> None:
    options = Options(resources=("secrets", "configmaps"), storage_prefixes=("/a", "b/c"), expect="aescbc:key1")
    with Etcd(tmp_path / "data") as etcd:
        for number, key in enumerate(
            (b"/a/secrets/n/x", b"/a/configmaps/n/x", b"/b/c/secrets/n/x", b"/other/secrets/n/x")
        ):
            etcd.put(key, plain(number))
        with Session(access(etcd.endpoint), options, lambda _: None) as session:
            named = [(each.object.resource, each.object.key) for each in session.progress(name_all=True).remaining]
            assert named == [
                ("configmaps", "/a/configmaps/n/x"),
                ("secrets", "/a/secrets/n/x"),
                ("secrets", "/b/c/secrets/n/x"),
            ]
            session.follow()
            for key in (b"/a/configmaps/n/x", b"/b/c/secrets/n/x", b"/a/secrets/n/x"):
                etcd.put(key, NEW)
            until(lambda: not session.progress().all.remaining, session)
            assert numbers(session) == (3, 0, 3, 0, 3)


def test_without_a_storage_prefix_every_one_that_holds_the_resources_is_read(tmp_path: Path) -> None:
    with Etcd(tmp_path / "data") as etcd:
        for key in (b"/a", b"/a!b/pods/n/x", b"/kubernetes.io/secrets/n/x", b"/other/secret", b"compact_rev_key"):
            etcd.put(key, plain(1))
        with Session(access(etcd.endpoint), KEY1, lambda _: None) as session:
            assert (session.prefixes, numbers(session)) == (("/kubernetes.io",), (1, 1, 0, 0, 1))
        etcd.put(b"/registry/secrets/n/x", NEW)
        with Session(access(etcd.endpoint), KEY1, lambda _: None) as session:
            assert (session.prefixes, numbers(session)) == (("/kubernetes.io", "/registry"), (1, 1, 0, 0, 2))
            text = "\n".join(words.conclusion(session.progress(), ["secrets"], configured=False))
        assert "Not examined: keys outside /kubernetes.io/ and /registry/; current values only" in text
        etcd.delete(b"/kubernetes.io/secrets/n/x")
        etcd.delete(b"/registry/secrets/n/x")
        with Session(access(etcd.endpoint), KEY1, lambda _: None) as session:
            assert (session.prefixes, words.exit_code(session.progress(), configured=False)) == (("/registry",), 3)


def test_a_resource_without_an_object_beside_one_that_has_some_is_inconclusive(tmp_path: Path) -> None:
    options = replace(KEY1, resources=("secrets", "configmap"))
    with Etcd(tmp_path / "data") as etcd:
        etcd.put(b"/registry/secrets/n/x", NEW)
        with Session(access(etcd.endpoint), options, lambda _: None) as session:
            progress = session.progress()
    assert (progress.absent, words.exit_code(progress, configured=False)) == (("configmap",), 3)
    head = words.conclusion(progress, options.resources, configured=False)[0]
    assert head.startswith("INCONCLUSIVE: there is no object of configmap: check the name")


@pytest.mark.parametrize("reading", [True, False], ids=["reading", "watching"])
def test_a_store_that_was_set_back_is_counted_anew(tmp_path: Path, *, reading: bool) -> None:
    """Of the same cluster id, which comes of the peer URLs, and at an older revision: a backup was restored."""
    messages: list[str] = []
    peers = {"t": f"http://127.0.0.1:{free_ports(1)[0]}"}
    old = Etcd(tmp_path / "one", peers=peers)
    fill(old, 200)
    for number in range(20):
        old.put(name(number), plain(number))
    with Proxy(old.endpoint) as proxy, Session(access(proxy.endpoint), KEY1, messages.append) as session:
        assert numbers(session) == (200, 200, 0, 0, 200)
        if not reading:
            session.follow()
            until(lambda: any("watching" in text for text in messages), session)
        old.stop()
        with Etcd(tmp_path / "two", peers=peers) as new:
            fill(new, 30)
            proxy.target = new.endpoint
            proxy.cut()
            if reading:
                session.read()
            until(lambda: numbers(session) == (30, 30, 0, 0, 30), session)
        assert any("set back" in text and "counted anew" in text for text in messages)
        assert not session.progress().created_otherwise


def test_a_restored_store_that_is_ahead_of_the_one_before_is_counted_anew(tmp_path: Path) -> None:
    """Neither revision nor term falls, as after `snapshot restore --bump-revision`; the values do."""
    messages: list[str] = []
    peers = {"t": f"http://127.0.0.1:{free_ports(1)[0]}"}
    old = Etcd(tmp_path / "one", peers=peers)
    for number in fill(old, 10)[1:]:
        old.put(name(number), NEW)
    with Proxy(old.endpoint) as proxy, Session(access(proxy.endpoint), KEY1, messages.append) as session:
        session.follow()
        until(lambda: any("watching" in text for text in messages), session)
        assert numbers(session) == (1, 1, 0, 0, 10)
        old.stop()
        with Etcd(tmp_path / "two", peers=peers) as new:
            fill(new, 10)
            while new.put(b"/bump", b"") < 2 * session.tracker.revision:
                pass
            proxy.target = new.endpoint
            proxy.cut()
            new.put(name(0), NEW)
            until(lambda: not session.progress().all.remaining, session)
            assert not session.confirm()
            assert numbers(session) == (9, 9, 0, 0, 10)
        assert any("values are older than they were: counted anew" in text for text in messages)


@pytest.mark.parametrize("reading", [True, False], ids=["reading", "watching"])
def test_another_cluster_behind_the_same_endpoint_is_refused(tmp_path: Path, *, reading: bool) -> None:
    messages: list[str] = []
    with Etcd(tmp_path / "one") as one, Etcd(tmp_path / "two") as two, Proxy(one.endpoint) as proxy:
        fill(one, 20)
        for number in range(40):
            two.put(name(number), NEW)
        with Session(access(proxy.endpoint), KEY1, messages.append) as session:
            if not reading:
                session.follow()
                until(lambda: any("watching" in text for text in messages), session)
            proxy.target = two.endpoint
            proxy.cut()
            with pytest.raises(errors.DifferentClusters, match="answers for cluster"):
                session.read() if reading else until(lambda: False, session)
            assert numbers(session) == (20, 20, 0, 0, 20)
    with (
        Etcd(tmp_path / "three") as three,
        Etcd(tmp_path / "four") as four,
        pytest.raises(errors.DifferentClusters),
        Session(access(three.endpoint, four.endpoint), KEY1, messages.append),
    ):
        pass


def test_a_member_that_hangs_with_its_connection_up_is_left(tmp_path: Path) -> None:
    """SIGSTOP: the kernel goes on acknowledging what it is sent. The watch goes on with another member."""
    messages: list[str] = []
    with cluster(tmp_path, "--heartbeat-interval=50", "--election-timeout=300") as members:
        leader = next(each for each in members for status in (each.call("Status", rpc.StatusRequest()),)
                      if status.leader == status.header.member_id)  # fmt: skip
        frozen, other = (each for each in members if each is not leader)
        every = fill(leader, 50)
        script = Script(leader, every)
        reach = replace(access(frozen.endpoint, other.endpoint), timeout=1.0)
        with Session(reach, KEY1, messages.append) as session:
            session.follow()
            until(lambda: any("watching" in text for text in messages), session)
            frozen.process.send_signal(signal.SIGSTOP)
            for number in every:
                script.rewrite(number)
            caught_up(session, script)
            assert any("nothing came for 1 s" in text and f"went on with {other.url}" in text for text in messages)
        frozen.process.send_signal(signal.SIGCONT)


def test_objects_that_are_created_in_the_old_form_are_a_class_of_their_own(tmp_path: Path) -> None:
    with Etcd(tmp_path / "data") as etcd:
        every = fill(etcd, 3)
        script = Script(etcd, every)
        with Session(access(etcd.endpoint), KEY1, lambda _: None) as session:
            session.follow()
            script.spoil(100)
            script.spoil(101)
            script.rewrite(101)
            script.spoil(102)
            script.delete(102)
            script.rewrite(103)
            for number in every:
                script.rewrite(number)
            caught_up(session, script)
            progress = session.progress()
            assert [each.object.name for each in progress.created] == ["s00100"]
            assert progress.created_otherwise == 3
            assert progress.stuck == ()
            script.rewrite(100)
            caught_up(session, script)
            assert session.progress().created == ()
            assert session.progress().created_otherwise == 3
            assert session.confirm()


def test_alarms_are_named_and_one_of_corruption_leaves_all_open(tmp_path: Path) -> None:
    for kind, doubtful in ((NOSPACE, False), (CORRUPT, True)):
        messages: list[str] = []
        with Etcd(tmp_path / f"data-{kind}") as etcd:
            etcd.put(name(1), NEW)
            etcd.alarm(kind)
            with Session(access(etcd.endpoint), KEY1, messages.append) as session:
                assert any(f"has raised the alarm {kind}" in text for text in messages)
                assert words.exit_code(session.progress(), configured=False) == (3 if doubtful else 0)
                assert bool(session.progress().doubts) is doubtful


def test_nobody_answers(tmp_path: Path) -> None:
    with Etcd(tmp_path / "data") as etcd, Proxy(etcd.endpoint) as proxy:
        fill(etcd, 5)
        with Session(access(proxy.endpoint), KEY1, lambda _: None, patience=0.5) as session:
            session.follow()
            proxy.target = "127.0.0.1:1"

            def cut() -> bool:
                """Again and again: a connection may have been on its way when the target changed."""
                proxy.cut()
                return False

            with pytest.raises(errors.Unavailable, match=r"nothing answered for 0\.5 s"):
                until(cut, session)


def test_every_resource_cannot_be_watched() -> None:
    with pytest.raises(UsageError, match="by name"):
        Session(access("127.0.0.1:1"), Options(resources=("*",)), lambda _: None)
