"""Ranges of keys, followed: read at one revision, then watched from the next, through outages of the servers.

etcd server/storage/mvcc/watcher.go: a watch that begins at a revision sends every event from it on, in order, or is
cancelled with the revision of the compaction that took them.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Self

from auditor.evidence.live import errors, range_read
from auditor.evidence.live.access import Access
from auditor.evidence.live.client import Client
from auditor.evidence.live.member import Member
from auditor.evidence.live.watch_stream import WatchStream
from auditor.protobuf import kv_pb2 as kv
from auditor.protobuf import rpc_pb2 as rpc

PATIENCE = 300.0
"""Seconds without any endpoint that answers, after which the watch fails."""
WAIT = 0.25
LONGEST_WAIT = 5.0
QUEUE_SIZE = 1024
"""Messages that wait to be taken; beyond them etcd's own flow control holds back the rest."""
MOST_EVENTS = 4096
"""Events of one take()."""

PageSink = Callable[[int, Sequence[kv.KeyValue]], None]
"""Called with the number of a range, and a page of it."""


@dataclass(frozen=True, slots=True)
class Events:
    """Changes of one range, in the order of their revisions."""

    range: int
    events: tuple[kv.Event, ...]


@dataclass(frozen=True, slots=True)
class HistoryCompacted:
    """The revisions from which a watch was to begin are compacted: every key must be read again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Notice:
    """An event of a connection."""

    text: str
    answers: bool
    """Whether an endpoint answers."""


Message = Events | HistoryCompacted | Notice | BaseException


class Follower:
    """The ranges of keys. One connection reads them, and the watch of each has one of its own."""

    def __init__(self, access: Access, ranges: Sequence[tuple[bytes, bytes]], patience: float = PATIENCE) -> None:
        """A follower that has neither read nor watched yet.

        Args:
            access: How to reach the etcd.
            ranges: (first key, end) of each range.
            patience: Seconds without any endpoint that answers, after which a watch fails.
        """
        self._access = access
        self._ranges = ranges
        self._patience = patience
        self._messages: queue.Queue[Message] = queue.Queue(QUEUE_SIZE)
        self._listeners: list[_Listener] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def read(self, take: PageSink, clear: Callable[[], None], say: Callable[[str], None]) -> int:
        """Read every page of all ranges: their one revision.

        Args:
            take: Called with every page.
            clear: Called before each attempt: the revision may be compacted during one.
            say: Called with every message for the user.

        Raises:
            LiveError: No endpoint answers, or one refuses.
        """
        with Client(self._access) as client:
            for attempt in range(range_read.RESTARTS + 1):
                pager = range_read.Pager(client)
                clear()
                try:
                    for number, bounds in enumerate(self._ranges):
                        for page in pager.pages(*bounds):
                            take(number, page.kvs)
                except errors.Compacted:
                    if attempt == range_read.RESTARTS:
                        raise
                    say(f"revision {pager.revision:,} was compacted while it was read: begun again")
                else:
                    break
            for note in client.notes:
                say(note)
        return pager.revision

    def watch(self, revision: int) -> None:
        """Begin to watch every range from this revision on; messages of an earlier watch are dropped."""
        self.stop()
        self._messages = queue.Queue(QUEUE_SIZE)
        self._listeners = [
            _Listener(self._access, number, bounds, revision=revision, messages=self._messages, patience=self._patience)
            for number, bounds in enumerate(self._ranges)
        ]

    def take(self, seconds: float) -> list[Message]:
        """The messages that wait, up to MOST_EVENTS events; empty where none comes within `seconds`."""
        messages: list[Message] = []
        with suppress(queue.Empty):
            messages.append(self._messages.get(timeout=seconds))
            events = 0
            while events < MOST_EVENTS:
                message = self._messages.get_nowait()
                messages.append(message)
                events += len(message.events) if isinstance(message, Events) else 1
        return messages

    def stop(self) -> None:
        for listener in self._listeners:
            listener.stop()
        self._listeners = []


class _Listener:
    """One range's watch, in a thread: through any endpoint that answers, from where the last one ended."""

    def __init__(
        self,
        access: Access,
        number: int,
        bounds: tuple[bytes, bytes],
        revision: int,
        messages: "queue.Queue[Message]",
        patience: float,
    ) -> None:
        self._access = access
        self._number = number
        self._bounds = bounds
        self._next = revision
        self._messages = messages
        self._patience = patience
        self._stop_event = threading.Event()
        self._stream: WatchStream | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"watch {number}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        with self._lock:
            self._stop_event.set()
            if self._stream is not None:
                self._stream.close()
        self._thread.join(timeout=self._access.timeout)

    def _run(self) -> None:
        try:
            with Client(self._access) as client:
                self._listen(client)
        except errors.Compacted as error:
            self._send(HistoryCompacted(str(error)))
        except BaseException as error:  # noqa: BLE001 - raised again by whoever takes it
            self._send(error)

    def _listen(self, client: Client) -> None:
        since = time.monotonic()
        wait = WAIT
        while not self._stop_event.is_set():
            start = self._next
            try:
                client.ask(partial(self._watch, client))
                failure = ""
            except errors.Unavailable as error:
                failure = str(error)
            client.close()
            if self._stop_event.is_set():
                return
            if self._next > start or not failure:
                since, wait = time.monotonic(), WAIT
            elif time.monotonic() - since > self._patience:
                raise errors.Unavailable(f"{failure}; nothing answered for {self._patience:g} s")
            self._send(Notice(failure or f"{client.endpoint}: the watch ended, and was begun again", not failure))
            self._stop_event.wait(wait)
            wait = min(wait * 2, LONGEST_WAIT)

    def _watch(self, client: Client, member: Member) -> None:
        """One watch, until its stream ends. An error after its creation is no failure to answer."""
        key, end = self._bounds
        request = rpc.WatchCreateRequest(key=key, range_end=end, start_revision=self._next)
        created = False
        with member.watch(request) as stream:
            with self._lock:
                self._stream = stream
                if self._stop_event.is_set():
                    return
            try:
                for answer in stream:
                    if answer.created:
                        created = True
                        self._send(Notice(f"watching {client.endpoint} from revision {self._next:,}", answers=True))
                    if answer.events:
                        self._send(Events(self._number, tuple(answer.events)))
                        # while a watch catches up its headers are ahead of its events: only events count
                        self._next = answer.events[-1].kv.mod_revision + 1
            except (errors.Unavailable, errors.Expired):
                if not created:
                    raise
            finally:
                with self._lock:
                    self._stream = None

    def _send(self, message: Message) -> None:
        while not self._stop_event.is_set():
            with suppress(queue.Full):
                self._messages.put(message, timeout=WAIT)
                return
