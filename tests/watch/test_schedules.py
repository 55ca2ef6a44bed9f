"""A watch through schedules of failovers, freezes, cuts, compactions, restarts and another cluster, on real etcds.

Every line that it prints is what the writes by revision say, and NONE REMAINS is said only where none does.
"""

from __future__ import annotations

import contextlib
import random
import re
import signal
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from auditor.evidence.live import errors
from auditor.evidence.live.access import Access, endpoints
from auditor.protobuf import rpc_pb2 as rpc
from auditor.reports.watch import words
from auditor.watch.session import Session
from tests.helpers.etcd import Etcd
from tests.helpers.members import cluster
from tests.helpers.proxy import Proxy
from tests.helpers.sweeps import sample
from tests.watch.test_session import KEY1, NEW, fill, name, plain, revision, steps

SEEDS = sample(list(range(40)), 2)
OBJECTS, ROUNDS, WRITES = 60, 8, 12
FURTHER = 2 * OBJECTS + ROUNDS * WRITES
"""A revision that the first cluster does not reach."""
LINE = re.compile(
    r"revision ([\d,]+): ([\d,]+) remaining \+ ([\d,]+) rewritten \+ ([\d,]+) deleted = ([\d,]+); ([\d,]+) present"
)
Numbers = tuple[int, int, int, int, int]
"""Remaining, rewritten, deleted, in all, present."""


class Model:
    """The objects by the writes, and their numbers after each revision."""

    def __init__(self, revision: int) -> None:
        self.old, self.new = set(range(OBJECTS)), set[int]()
        self.counted = set(self.old)
        self.revisions, self.numbers = [revision], [self._now()]

    def _now(self) -> Numbers:
        present = self.old | self.new
        rewritten, deleted = len(self.new & self.counted), len(self.counted - present)
        return len(self.old), rewritten, deleted, len(self.counted), len(present)

    def change(self, number: int, *, new: bool | None) -> None:
        """The next revision: an object in the new form, in the old one, or deleted."""
        self.old.discard(number)
        self.new.discard(number)
        if new is not None:
            (self.new if new else self.old).add(number)
        if new is False:
            self.counted.add(number)
        self.numbers.append(self._now())
        self.revisions.append(self.revisions[-1] + 1)

    def at(self, revision: int) -> Numbers:
        return self.numbers[bisect_right(self.revisions, revision) - 1]


class Work(threading.Thread):
    """Writes, and what befalls the members meanwhile; the first member writes, and nothing befalls it."""

    def __init__(self, members: list[Etcd], proxies: list[Proxy], seed: int) -> None:
        super().__init__(daemon=True)
        self.model = Model(revision(members[0]))
        self.error: BaseException | None = None
        self._members, self._proxies = members, proxies
        self._random = random.Random(seed)
        self._undo: Callable[[], None] = lambda: None

    def run(self) -> None:
        try:
            for _ in range(ROUNDS):
                self._befall()
                for _ in range(WRITES):
                    self._write(
                        self._random.randrange(OBJECTS + 10), new=self._random.choice([True, True, False, None])
                    )
            self._undo()
            for number in sorted(self.model.old):
                self._write(number, new=True)
        except BaseException as error:  # noqa: BLE001 - raised by the test
            self.error = error

    def _befall(self) -> None:
        self._undo()
        self._undo = lambda: None
        number = self._random.choice([1, 2])
        member, proxy = self._members[number], self._proxies[number]
        match self._random.randrange(5):
            case 0:
                member.process.send_signal(signal.SIGSTOP)
                self._undo = lambda: member.process.send_signal(signal.SIGCONT)
            case 1:
                member.process.kill()
                member.process.wait()

                def again() -> None:
                    member.start()
                    proxy.target = member.endpoint

                self._undo = again
            case 2:
                for each in self._proxies:
                    each.cut()
            case 3:
                with contextlib.suppress(grpc.RpcError):
                    self._members[0].compact(self.model.revisions[-1] - self._random.randrange(5))
            case 4:
                proxy.target, self._proxies[0].target = self._proxies[0].target, proxy.target
                targets = proxy, self._proxies[0]

                def back() -> None:
                    targets[0].target, targets[1].target = targets[1].target, targets[0].target

                self._undo = back

    def _write(self, number: int, *, new: bool | None) -> None:
        """One revision, through elections: whether a write that failed was applied is told by the revision."""
        if new is None and number not in self.model.old | self.model.new:
            new = True
        while True:
            try:
                if new is None:
                    self._members[0].delete(name(number))
                else:
                    self._members[0].put(name(number), NEW if new else plain(number))
                break
            except grpc.RpcError:
                if self._revision() > self.model.revisions[-1]:
                    break
        self.model.change(number, new=new)

    def _revision(self) -> int:
        while True:
            with contextlib.suppress(grpc.RpcError):
                return int(self._members[0].call("Range", rpc.RangeRequest(key=b"\0")).header.revision)


@contextlib.contextmanager
def schedule(folder: Path, seed: int) -> Iterator[tuple[Work, list[Proxy]]]:
    with (
        cluster(folder, "--heartbeat-interval=50", "--election-timeout=500") as members,
        contextlib.ExitStack() as stack,
    ):
        fill(members[0], OBJECTS)
        proxies = [stack.enter_context(Proxy(each.endpoint)) for each in members]
        yield Work(members, proxies, seed), proxies


def access(proxies: list[Proxy], seed: int) -> Access:
    order = random.Random(seed).sample(proxies, len(proxies))
    return Access(endpoints([f"http://{each.endpoint}" for each in order]), timeout=2.0)


def seen(session: Session) -> tuple[int, Numbers]:
    """The revision and numbers of the line that is printed now."""
    match = LINE.match(words.line(session.progress()))
    assert match
    first, *numbers = (int(each.replace(",", "")) for each in match.groups())
    remaining, rewritten, deleted, total, present = numbers
    return first, (remaining, rewritten, deleted, total, present)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_every_line_is_what_the_writes_say(seed: int, tmp_path: Path) -> None:
    lines = []
    messages: list[str] = []
    with schedule(tmp_path, seed) as (work, proxies), Session(access(proxies, seed), KEY1, messages.append) as session:
        session.follow()
        work.start()
        for _ in steps(lambda: not work.is_alive() and session.tracker.revision >= work.model.revisions[-1], session):
            lines.append(seen(session))
            if session.progress().over and session.confirm():
                at = session.tracker.revision
                assert words.conclusion(session.progress(), ["secrets"], configured=False)[0].startswith("NONE REMAINS")
                lines.append(seen(session))
                while work.is_alive() and work.model.revisions[-1] < at:
                    work.join(0.05)
                assert not work.model.at(at)[0]
                session.follow()
        if work.error is not None:
            raise work.error
        lines.append(seen(session))
        assert session.confirm()
        lines.append(seen(session))
        for revision_, numbers in lines:
            assert numbers == work.model.at(revision_), f"at revision {revision_}: {messages[-5:]}"
    assert lines[-1][1][0] == 0
    assert len({revision_ for revision_, _ in lines}) > ROUNDS


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_another_cluster_is_never_taken_for_the_first(seed: int, tmp_path: Path) -> None:
    """At some moment every endpoint leads to a cluster of which all is rewritten already, and further on."""
    with schedule(tmp_path / "first", seed) as (work, proxies), Etcd(tmp_path / "second") as other:
        for number in range(OBJECTS):
            other.put(name(number), NEW)
        while revision(other) < FURTHER:
            other.put(b"/x", b"y")
        with Session(access(proxies, seed), KEY1, lambda _: None) as session:
            session.follow()
            work.start()
            turn = random.Random(seed).randrange(5, 60)
            taken = 0

            def turned() -> bool:
                nonlocal taken
                taken += 1
                if taken >= turn:
                    for each in proxies:
                        each.target = other.endpoint
                        each.cut()
                if session.progress().over and work.model.old:
                    at = session.tracker.revision
                    assert not (session.confirm() and work.model.at(at)[0])
                return False

            with pytest.raises(errors.DifferentClusters):
                for _ in steps(turned, session):
                    pass
            at, numbers = seen(session)
            work.join()
            assert numbers == work.model.at(at)
