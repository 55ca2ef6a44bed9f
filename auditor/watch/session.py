"""One watch of a rewrite, from the first read to the proof that nothing is left."""

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from auditor.errors import UsageError
from auditor.evidence.live import range_read
from auditor.evidence.live.access import Access
from auditor.evidence.live.exhibit import PREFIX
from auditor.judgement import criteria
from auditor.kubernetes.resources import Resource, path_of
from auditor.options import Options
from auditor.protobuf import kv_pb2 as kv
from auditor.text import restore
from auditor.watch.follow import PATIENCE, Events, Follower, HistoryCompacted, Notice
from auditor.watch.judge import judge
from auditor.watch.progress import Progress, measure
from auditor.watch.tracker import StoredForm, Tracker

STUCK = 60.0
"""Seconds after which an object that the rewrite passed over counts as stuck."""


class Session:
    """`with Session(...) as session:` reads once; then step() follows. said: called with what is to be told."""

    def __init__(
        self,
        access: Access,
        options: Options,
        said: Callable[[str], None],
        *,
        patience: float = PATIENCE,
        stuck: float = STUCK,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if "*" in options.resources:
            raise UsageError("watch takes resources by name, not '*': it follows the keys of each")
        self.criteria = criteria.prepare(options)
        self.policy = self.criteria.policy.words(options.resources)
        self.tracker = self._empty()
        self.answers = True
        self._said = said
        self._stuck = stuck
        self._clock = clock
        self._resources = [
            Resource(name.rstrip("."), prefix, f"{prefix}/{path_of(name.rstrip('.'))}")
            for prefix in (f"/{each.strip('/')}".rstrip("/") for each in options.storage_prefixes or (PREFIX,))
            for name in options.resources
        ]
        ranges = [range_read.bounds(each.path) for each in self._resources]
        self._follower = Follower(access, ranges, patience)
        self._began = clock()
        self.reads = 0

    def __enter__(self) -> Self:
        self.read()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._follower.stop()

    @property
    def configured(self) -> bool:
        return self.criteria.policy.configured

    def read(self) -> None:
        """Read everything at one revision; what is tracked already is not counted again. Raises LiveError."""
        forms: dict[bytes, tuple[StoredForm, int]] = {}

        def take(number: int, page: Sequence[kv.KeyValue]) -> None:
            for each, form in zip(page, self._forms(number, page), strict=True):
                forms[each.key] = form, each.mod_revision

        revision = self._follower.read(take, forms.clear, self._said)
        if revision < self.tracker.revision:
            self._said(f"the store went back from revision {self.tracker.revision:,} to {revision:,}: counted anew")
            self.tracker = self._empty()
        first = not self.reads
        self.tracker.replace(forms, revision, None if first else self._clock())
        self.reads += 1
        if first:
            self._began = self._clock()

    def follow(self) -> None:
        """Begin to watch, from the revision after the last read."""
        self._follower.watch(self.tracker.revision + 1)

    def step(self, seconds: float) -> bool:
        """Take what came within `seconds` at most: whether anything changed. Raises LiveError."""
        events: dict[int, list[kv.Event]] = {}
        lost = ""
        for message in self._follower.take(seconds):
            if isinstance(message, Events):
                events.setdefault(message.range, []).extend(message.events)
            elif isinstance(message, HistoryCompacted):
                lost = message.reason
            elif isinstance(message, Notice):
                self.answers = message.answers
                self._said(message.text)
            else:
                raise message
        for number, changes in events.items():
            self._apply(number, changes)
        if lost:
            self._said(f"{lost}: everything is read again")
            self.read()
            self.follow()
        return bool(events or lost)

    def confirm(self) -> bool:
        """Whether a second read of everything bears out that nothing is left; watches on where it does not."""
        self.read()
        if not self.progress().all.remaining:
            return True
        self.follow()
        return False

    def progress(self, *, name_all: bool = False) -> Progress:
        roots = [(each.name, restore(f"{each.path}/")) for each in self._resources]
        return measure(self.tracker, roots, self._began, self._clock(), self._stuck, name_all=name_all)

    def _empty(self) -> Tracker:
        """A tracker that holds KEKs to each other where a write provider was named."""
        named = self.configured or self.criteria.policy.expected is not None
        return Tracker(self.criteria.current_keks, presume=named)

    def _apply(self, number: int, events: Sequence[kv.Event]) -> None:
        """All events of a range at once: to judge a thousand values takes hardly longer than to judge one."""
        forms = iter(self._forms(number, [event.kv for event in events if event.type == kv.Event.PUT]))
        self.tracker.apply(
            [
                (event.kv.key, next(forms) if event.type == kv.Event.PUT else None, event.kv.mod_revision)
                for event in events
            ],
            self._clock(),
        )

    def _forms(self, number: int, pairs: Sequence[kv.KeyValue]) -> list[StoredForm]:
        values = [(each.key, each.value, each.mod_revision) for each in pairs]
        return judge(values, self._resources[number], self.criteria)
