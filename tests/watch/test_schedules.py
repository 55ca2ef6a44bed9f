"""A watch through schedules of failovers, freezes, cuts, compactions, restarts and another cluster, on real etcds.

Every line that it prints is what the writes by revision say, and NO FINDINGS is said only where none does.
"""

from __future__ import annotations

import contextlib
import random
import re
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

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


Gap = tuple[int, int]
"""The revisions between which every key was read anew: what was written behind the first is known as of the second."""


class Watched(Session):
    """A session that notes where it read every key anew, and so cannot know each write."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.gaps: list[Gap] = []

    def read(self) -> None:
        before = self.tracker.revision
        super().read()
        if before:
            self.gaps.append((before, self.tracker.revision))


class Model:
    """The objects by the writes, and their numbers after each revision."""

    def __init__(self, revision: int) -> None:
        self.first = revision
        self.changes: list[tuple[int, bool | None]] = []
        """Object, and whether it is in the new form; None where it is deleted."""
        self.old, self.new = set(range(OBJECTS)), set[int]()

    @property
    def last(self) -> int:
        """The newest revision."""
        return self.first + len(self.changes)

    def change(self, number: int, *, new: bool | None) -> None:
        """The next revision: an object in the new form, in the old one, or deleted."""
        _apply(self.old, self.new, number, new=new)
        self.changes.append((number, new))

    def at(self, revision: int, gaps: Sequence[Gap] = ()) -> Numbers:
        """The numbers after a revision. gaps: where a watch knows of no single write."""
        old, new = set(range(OBJECTS)), set[int]()
        counted = set(old)
        for at, (number, form) in enumerate(self.changes[: revision - self.first], self.first + 1):
            _apply(old, new, number, new=form)
            if not any(start < at < end for start, end in gaps):
                counted |= old
        rewritten, deleted = len(new & counted), len(counted - (old | new))
        return len(old), rewritten, deleted, len(counted), len(old | new)


def _apply(old: set[int], rewritten: set[int], number: int, *, new: bool | None) -> None:
    old.discard(number)
    rewritten.discard(number)
    if new is not None:
        (rewritten if new else old).add(number)


class Work(threading.Thread):
    """Writes, and what befalls the members meanwhile; the first member writes, and nothing befalls it."""

    def __init__(self, members: list[Etcd], proxies: list[Proxy], seed: int) -> None:
        super().__init__(daemon=True)
        self.model = Model(revision(members[0]))
        self.error: BaseException | None = None
        self._members, self._proxies = members, proxies
        self._random = random.Random(seed)
        self._undo: Callable[[], None] = lambda: None
        records = members[0].get_all()
        self._mods = {number: records[name(number)].mod_revision for number in range(OBJECTS)}

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
                    self._members[0].compact(self.model.last - self._random.randrange(5))
            case 4:
                proxy.target, self._proxies[0].target = self._proxies[0].target, proxy.target
                targets = proxy, self._proxies[0]

                def back() -> None:
                    targets[0].target, targets[1].target = targets[1].target, targets[0].target

                self._undo = back

    def _write(self, number: int, *, new: bool | None) -> None:
        """One revision, through elections: the write is on condition of the object's last, so that none is done twice.

        A request that failed may be applied later all the same, and then changes nothing.
        """
        if new is None and number not in self.model.old | self.model.new:
            new = True
        key, value = name(number), NEW if new else plain(number)
        if new is None:
            operation = rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(key=key))
        else:
            operation = rpc.RequestOp(request_put=rpc.PutRequest(key=key, value=value))
        last = rpc.Compare(
            result=rpc.Compare.EQUAL, target=rpc.Compare.MOD, key=key, mod_revision=self._mods.get(number, 0)
        )
        while True:
            with contextlib.suppress(grpc.RpcError):
                # where the condition does not hold any more an attempt before was applied
                self._members[0].call("Txn", rpc.TxnRequest(compare=[last], success=[operation]))
                break
        self.model.change(number, new=new)
        self._mods[number] = 0 if new is None else self.model.last


@contextlib.contextmanager
def schedule(folder: Path, seed: int) -> Iterator[tuple[Work, list[Proxy]]]:
    with (
        cluster(folder) as members,
        contextlib.ExitStack() as stack,
    ):
        fill(members[0], OBJECTS)
        proxies = [stack.enter_context(Proxy(each.endpoint)) for each in members]
        yield Work(members, proxies, seed), proxies


def access(proxies: list[Proxy], seed: int) -> Access:
    order = random.Random(seed).sample(proxies, len(proxies))
    return Access(endpoints([f"http://{each.endpoint}" for each in order]), timeout=5.0)


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
    with schedule(tmp_path, seed) as (work, proxies), Watched(access(proxies, seed), KEY1, messages.append) as session:
        session.follow()
        work.start()
        for _ in steps(lambda: not work.is_alive() and session.tracker.revision >= work.model.last, session):
            lines.append(seen(session))
            if session.progress().over and session.confirm():
                at = session.tracker.revision
                assert words.conclusion(session.progress(), ["secrets"], configured=False)[0].startswith("NO FINDINGS")
                lines.append(seen(session))
                while work.is_alive() and work.model.last < at:
                    work.join(0.05)
                assert not work.model.at(at)[0]
                session.follow()
        if work.error is not None:
            raise work.error
        lines.append(seen(session))
        assert session.confirm()
        lines.append(seen(session))
        for revision_, numbers in lines:
            assert numbers == work.model.at(revision_, session.gaps), f"at revision {revision_}: {messages[-5:]}"
    assert lines[-1][1][0] == 0
    # how many revisions are seen between them depends on the machine
    assert lines[0][0] < lines[-1][0]


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_another_cluster_is_never_taken_for_the_first(seed: int, tmp_path: Path) -> None:
    """At some moment every endpoint leads to a cluster of which all is rewritten already, and further on."""
    with schedule(tmp_path / "first", seed) as (work, proxies), Etcd(tmp_path / "second") as other:
        for number in range(OBJECTS):
            other.put(name(number), NEW)
        while revision(other) < FURTHER:
            other.put(b"/x", b"y")
        with Watched(access(proxies, seed), KEY1, lambda _: None) as session:
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
            assert numbers == work.model.at(at, session.gaps)
