"""One watch of a rewrite, from the first read to the proof that nothing remains."""

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
        self.policy = self.criteria.policy.words(options.resources)
        self.tracker = self._empty()
        self.answers = True
        self._notify = notify
        self._stuck_after = stuck
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
        """Read every key at one revision; no object is counted twice. Raises LiveError."""
        forms: dict[bytes, tuple[StoredForm, int]] = {}

        def take(number: int, page: Sequence[kv.KeyValue]) -> None:
            for pair, form in zip(page, self._forms(number, page), strict=True):
                forms[pair.key] = form, pair.mod_revision

        revision = self._follower.read(take, forms.clear, self._notify)
        if revision < self.tracker.revision:
            self._notify(f"the store went back from revision {self.tracker.revision:,} to {revision:,}: counted anew")
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
        """Apply the messages of at most `seconds`: whether anything changed. Raises LiveError."""
        events: dict[int, list[kv.Event]] = {}
        compaction = ""
        for message in self._follower.take(seconds):
            if isinstance(message, Events):
                events.setdefault(message.range, []).extend(message.events)
            elif isinstance(message, HistoryCompacted):
                compaction = message.reason
            elif isinstance(message, Notice):
                self.answers = message.answers
                self._notify(message.text)
            else:
                raise message
        for number, changes in events.items():
            self._apply(number, changes)
        if compaction:
            self._notify(f"{compaction}: everything is read again")
            self.read()
            self.follow()
        return bool(events or compaction)

    def confirm(self) -> bool:
        """Whether a second read of every key confirms that nothing remains; watches on where it does not."""
        self.read()
        if not self.progress().all.remaining:
            return True
        self.follow()
        return False

    def progress(self, *, name_all: bool = False) -> Progress:
        roots = [(each.name, restore(f"{each.path}/")) for each in self._resources]
        return measure(self.tracker, roots, self._began, self._clock(), self._stuck_after, name_all=name_all)

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
        values = [(each.key, each.value, each.mod_revision) for each in pairs]
        return judge(values, self._resources[number], self.criteria)
