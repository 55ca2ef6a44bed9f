"""One watch of a rewrite, from the first read to the proof that nothing remains."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Self

from auditor.errors import UsageError
from auditor.evidence.live import errors, range_read
from auditor.evidence.live.access import Access
from auditor.evidence.live.scope import PREFIX
from auditor.judgement import criteria, unwrapping
from auditor.kubernetes.resources import Resource, path_of
from auditor.observer import SILENT, Observer
from auditor.options import Options
from auditor.protobuf import kv_pb2 as kv
from auditor.text import restore
from auditor.watch import identity, prefixes
from auditor.watch.follow import PATIENCE, Answer, Follower
from auditor.watch.judge import Pair, judge, selected
from auditor.watch.messages import Events, HistoryCompacted, Members, Notice
from auditor.watch.progress import Progress, measure
from auditor.watch.tracker import StoredForm, Tracker

STUCK = 60.0
"""Seconds after which an object that the rewrite passed over counts as stuck."""


class Session:
    """One watch: `with Session(...) as session:` reads once, follow() and step() follow the changes."""

    def __init__(
        self,
        access: Access,
        options: Options,
        notify: Callable[[str], None],
        *,
        patience: float = PATIENCE,
        stuck: float = STUCK,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """A session that has not read anything yet.

        Args:
            access: How to reach the etcd.
            options: The resources, and what they are judged by.
            notify: Called with every message for the user.
            patience: Seconds without any endpoint that answers, after which the session fails.
            stuck: Seconds after which an object that was passed over counts as stuck.
            clock: The time in seconds.
        """
        if "*" in options.resources:
            raise UsageError("watch takes resources by name, not '*': it follows the keys of each")
        self.criteria = criteria.prepare(options)
        self._confirmed = replace(options, kms_confirmed=True)
        self._options = options
        self.policy = self.criteria.policy.words(options.resources)
        self.tracker = self._empty()
        self.answers = True
        self.reading = False
        """Whether keys or members are being asked for: an interrupt then changes nothing of the state."""
        self.check: Callable[[], None] = lambda: None
        """Raises KeyboardInterrupt where a signal came before they are."""
        self._members = Members((), ())
        self._unasked = False
        """Whether the members' state cannot be asked for."""
        self._notify = notify
        self._stuck_after = stuck
        self._clock = clock
        self.prefixes = tuple(f"/{each.strip('/')}".rstrip("/") for each in options.storage_prefixes)
        """The storage prefixes that are read, of the options or as detected."""
        self._resources: list[Resource] = []
        self.endpoints = access.name
        self._follower = Follower(access, patience)
        self._access = access
        self._patience = patience
        self.deadline = math.inf
        """The time, by time.monotonic(), from which on nothing is waited for."""
        self._began = clock()
        self.reads = 0

    def __enter__(self) -> Self:
        self._look()
        self._locate()
        if expected := self._options.expect_cluster:
            self._identify(expected)
        self.read()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._follower.stop()
        self.criteria.close()

    @property
    def configured(self) -> bool:
        return self.criteria.policy.configured

    def unwrap(self, observer: Observer) -> None:
        """Read every key once and ask --kms for their wrapped keys, before anything is judged.

        Of a value that is written later its wrapped key is asked for then: KMS v1 has one for each write.

        Args:
            observer: Is asked whether the calls may be made.

        Raises:
            UsageError: They were not confirmed.
            LiveError: No endpoint answers, or one refuses.
        """
        if not self.criteria.clients:
            return
        keys = unwrapping.WrappedKeys(self.criteria)
        self._locate()

        def take(number: int, page: Sequence[kv.KeyValue]) -> None:
            if page:
                keys.add(selected(_pairs(page), self._resources[number], self.criteria))

        with self._breakable():
            self._follower.read(take, lambda: None, self._notify)
            unwrapping.ask(keys, self.criteria, self._options, observer)

    def read(self) -> None:
        """Read every key at one revision; no object is counted twice. Raises LiveError.

        After the first read it waits for an endpoint that answers, as a watch does.
        """
        forms: dict[bytes, tuple[StoredForm, int]] = {}

        def take(number: int, page: Sequence[kv.KeyValue]) -> None:
            for pair, form in zip(page, self._forms(number, page), strict=True):
                forms[pair.key] = form, pair.mod_revision

        read = partial(self._follower.read, take, forms.clear, self._notify)
        with self._breakable():
            try:
                revision = self._patiently(read)
            except errors.SetBack as error:
                self._forget(error)
                revision = self._patiently(read)
        if self.tracker.contradicts(
            forms
        ):  # its revision and term may be as high: restored, and ahead of what was read
            older = (
                f"{self.endpoints}: the store was set back, as by restoring a backup: values are older than they were"
            )
            self._forget(errors.SetBack(older))
            self._follower.cluster.reached(revision)
        first = not self.tracker.revision
        self.tracker.replace(forms, revision, None if first else self._clock())
        self.reads += 1
        if first:
            self._began = self._clock()

    def follow(self) -> None:
        """Begin to watch, from the revision after the last read."""
        self._follower.watch(self.tracker.revision + 1)

    def step(self, seconds: float) -> bool:
        """Apply the messages of at most `seconds`: whether anything changed. Raises LiveError."""
        events: dict[int, list[kv.Event]] = {}
        again = ""
        for message in self._follower.take(seconds):
            if isinstance(message, Events):
                events.setdefault(message.range, []).extend(message.events)
            elif isinstance(message, HistoryCompacted):
                again = message.reason
            elif isinstance(message, errors.SetBack):
                events.clear()
                self._forget(message)
                again = "the store is another one"
            elif isinstance(message, Members):
                self._learn(message)
            elif isinstance(message, Notice):
                self.answers = message.answers
                self._notify(message.text)
            else:
                raise message
        for number, changes in events.items():
            self._apply(number, changes)
        if again:
            self._notify(f"{again}: everything is read again")
            self.read()
            self.follow()
        return bool(events or again)

    def confirm(self) -> bool:
        """Whether a second read of every key confirms that the end is reached; watches on where it does not."""
        self._look()
        self.read()
        if self.progress().over:
            return True
        self.follow()
        return False

    def progress(self, *, name_all: bool = False) -> Progress:
        roots = [(each.name, restore(f"{each.path}/")) for each in self._resources]
        now = self._clock()
        progress = measure(self.tracker, roots, self._began, now, self._stuck_after, name_all=name_all)
        strangers = self._follower.strangers() if self._unasked else ()
        return replace(progress, doubts=(*self._members.doubts, *strangers), prefixes=self.prefixes)

    def _locate(self) -> None:
        """Set what is read: every resource below every storage prefix. Raises LiveError."""
        if self._resources:
            return
        names = [name.rstrip(".") for name in self._options.resources]
        if not self.prefixes:
            with self._breakable():
                detected = prefixes.detect(self._access, self._follower.cluster, [path_of(name) for name in names])
            self.prefixes = detected or (PREFIX,)
        self._resources = [
            Resource(name, prefix, f"{prefix}/{path_of(name)}") for prefix in self.prefixes for name in names
        ]
        self._follower.ranges = [range_read.bounds(each.path) for each in self._resources]

    def _look(self) -> None:
        """Ask the members for their state; say what is new. Raises DifferentClusters, and Unavailable."""
        with self._breakable():
            try:
                self._learn(self._patiently(self._follower.members))
            except errors.Denied:  # a role may read keys and not ask for this
                self._notify("the members' state could not be asked for: permission denied")
                self._unasked = True

    def _identify(self, expected: str) -> None:
        """Say where it cannot be told whether this is the cluster. Raises UnexpectedEvidence, and LiveError."""
        prefixes = tuple(dict.fromkeys(each.prefix for each in self._resources))
        with self._breakable():
            if text := identity.doubt(self._access, self._follower.cluster, prefixes, expected):
                self._notify(text)

    @contextmanager
    def _breakable(self) -> Iterator[None]:
        """What a signal breaks off, one that came just before it too."""
        try:
            self.reading = True
            self.check()
            yield
        finally:
            self.reading = False

    def _patiently(self, ask: Callable[[], Answer]) -> Answer:
        """What `ask` answers, for which a session that has read before waits. Raises LiveError."""
        patience = min(self._patience, self.deadline - time.monotonic()) if self.reads else 0.0
        return self._follower.patiently(ask, self._notify, patience)

    def _learn(self, members: Members) -> None:
        for text in members.notes:
            if text not in self._members.notes:
                self._notify(text)
        for text in self._members.notes:
            if text not in members.notes:
                self._notify(f"no longer so: {text}")
        self._members = members

    def _forget(self, error: errors.SetBack) -> None:
        """Count anew: the store is not the one that was counted."""
        self._notify(f"{error}: counted anew")
        self._follower.cluster.forget()
        self.tracker = self._empty()

    def _empty(self) -> Tracker:
        """A tracker, which compares KEKs with each other where a write provider is specified."""
        specified = self.configured or self.criteria.policy.expected is not None
        return Tracker(self.criteria.current_keks, presume=specified)

    def _apply(self, number: int, events: Sequence[kv.Event]) -> None:
        """Apply all events of a range at once: judging a thousand values takes hardly longer than judging one."""
        forms = iter(self._forms(number, [event.kv for event in events if event.type == kv.Event.PUT]))
        self.tracker.apply(
            [
                (event.kv.key, next(forms) if event.type == kv.Event.PUT else None, event.kv.mod_revision)
                for event in events
            ],
            self._clock(),
        )

    def _forms(self, number: int, pairs: Sequence[kv.KeyValue]) -> list[StoredForm]:
        unwrap = partial(unwrapping.unwrap, options=self._confirmed, observer=SILENT) if self.criteria.clients else None
        return judge(_pairs(pairs), self._resources[number], self.criteria, unwrap)


def _pairs(page: Sequence[kv.KeyValue]) -> list[Pair]:
    return [(each.key, each.value, each.mod_revision) for each in page]
