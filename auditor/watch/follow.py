"""Ranges of keys, followed: read at one revision, then watched from the next, through outages of the servers.

etcd server/storage/mvcc/watcher.go: a watch that begins at a revision sends every event from it on, in order, or is
cancelled with the revision of the compaction that took them. One that begins at a revision of the future waits for it
without a word, so that the store's revision is asked for first. A compaction takes the deletion at its own revision and
cancels only what begins before (watchable_store.go, chooseAll; mended in etcd 3.5.15): a watch begins one revision
earlier than what it is to bring, at one that is known.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Self, TypeVar

from auditor.evidence.live import errors, members, membership, range_read, roles
from auditor.evidence.live.access import Access
from auditor.evidence.live.client import Client
from auditor.evidence.live.cluster import Cluster
from auditor.evidence.live.member import Member
from auditor.evidence.live.watch_stream import WatchStream
from auditor.protobuf import kv_pb2 as kv
from auditor.protobuf import rpc_pb2 as rpc
from auditor.watch.messages import Events, HistoryCompacted, Members, Message, Notice

PATIENCE = 300.0
"""Seconds without any endpoint that answers, after which the watch fails."""
MEMBERS_EVERY = 30.0
"""Seconds between two looks at the state of the members."""
WAIT = 0.25
LONGEST_WAIT = 5.0
QUEUE_SIZE = 1024
"""Messages that wait to be taken; beyond them etcd's own flow control holds back the rest."""
MOST_EVENTS = 4096
"""Events of one take()."""

Answer = TypeVar("Answer")
PageSink = Callable[[int, Sequence[kv.KeyValue]], None]
"""Called with the number of a range, and a page of it."""


class Follower:
    """The ranges of keys. One connection reads them, and the watch of each has one of its own."""

    def __init__(self, access: Access, patience: float = PATIENCE) -> None:
        """A follower that has neither read nor watched yet.

        Args:
            access: How to reach the etcd.
            patience: Seconds without any endpoint that answers, after which a watch fails.
        """
        self.cluster = Cluster()
        """The one that the first answer was of: no other is read or watched."""
        self.ranges: Sequence[tuple[bytes, bytes]] = ()
        """(first key, end) of each range."""
        self._access = access
        self._patience = patience
        self._messages: queue.Queue[Message] = queue.Queue(QUEUE_SIZE)
        self._threads: list[_Watcher] = []

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
            LiveError: No endpoint answers, or one refuses, is of another cluster, or was set back.
        """
        with Client(self._access, self.cluster, say) as client:
            for attempt in range(range_read.RESTARTS + 1):
                pager = range_read.Pager(client)
                clear()
                try:
                    for number, bounds in enumerate(self.ranges):
                        for page in pager.pages(*bounds):
                            take(number, page.kvs)
                except errors.Denied as error:
                    raise roles.denial(error, client, self.ranges) from None
                except errors.Compacted:
                    if attempt == range_read.RESTARTS:
                        raise
                    say(f"revision {pager.revision:,} was compacted while it was read: begun again")
                else:
                    break
        return pager.revision

    def members(self) -> Members:
        """The state of the members. Raises LiveError where none answers, and DifferentClusters."""
        with Client(self._access, self.cluster) as client:
            statuses, silent = client.statuses()
            notes = (*client.notes, *members.notes(statuses, silent), *members.differences(statuses))
            strangers = membership.doubts(client, silent, statuses[0].endpoint)
        return Members(notes, (*members.doubts(statuses), *strangers))

    def patiently(self, ask: Callable[[], Answer], say: Callable[[str], None], seconds: float) -> Answer:
        """What `ask` answers, asked again for so many seconds while no endpoint does. Raises LiveError."""
        since, wait = time.monotonic(), WAIT
        while True:
            try:
                return ask()
            except errors.Unavailable as error:
                if seconds <= 0:
                    raise
                if time.monotonic() - since >= seconds:
                    raise errors.Unavailable(f"{error}; nothing answered for {seconds:.0f} s") from None
                if wait == WAIT:
                    say(f"{error}: asked again")
            time.sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT)

    def strangers(self) -> list[str]:
        """Sentences on the endpoints that have never answered, where the members' state cannot be asked for."""
        return [
            membership.doubt(each.url, "the members cannot be asked")
            for each in self._access.endpoints
            if not self.cluster.knows(each.url)
        ]

    def watch(self, revision: int) -> None:
        """Begin to watch every range from this revision on; messages of an earlier watch are dropped."""
        self.stop()
        self._messages = queue.Queue(QUEUE_SIZE)
        self._threads = [
            _Listener(self._access, self.cluster, self._messages, self._patience, (number, bounds, revision))
            for number, bounds in enumerate(self.ranges)
        ]
        self._threads.append(_Census(self.members, self._messages))
        for each in self._threads:
            each.start()

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
        for each in self._threads:
            each.stop()
        self._threads = []


class _Watcher(threading.Thread):
    """A thread that sends messages until it is stopped, or fails."""

    def __init__(self, messages: "queue.Queue[Message]", name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._messages = messages
        self._stop_event = threading.Event()

    def stop(self) -> None:
        """End it. A request to a member that hangs is not waited for: nobody takes its messages any more."""
        self._stop_event.set()

    def _send(self, message: Message) -> None:
        while not self._stop_event.is_set():
            with suppress(queue.Full):
                self._messages.put(message, timeout=WAIT)
                return


class _Census(_Watcher):
    """Looks at the state of the members from time to time."""

    def __init__(self, look: Callable[[], Members], messages: "queue.Queue[Message]") -> None:
        super().__init__(messages, "members")
        self._look = look

    def run(self) -> None:
        while not self._stop_event.wait(MEMBERS_EVERY):
            try:
                self._send(self._look())
            except (errors.Unavailable, errors.Denied):
                continue  # told by the watch, which needs an answer
            except BaseException as error:  # noqa: BLE001 - raised again by whoever takes it
                self._send(error)
                return


class _Listener(_Watcher):
    """One range's watch: through any endpoint that answers, from where the last one ended."""

    def __init__(
        self,
        access: Access,
        cluster: Cluster,
        messages: "queue.Queue[Message]",
        patience: float,
        work: tuple[int, tuple[bytes, bytes], int],
    ) -> None:
        """A listener that does not run yet.

        Args:
            access: The endpoints.
            cluster: The one that they must be of.
            messages: Where its messages go.
            patience: Seconds without any endpoint that answers, after which it fails.
            work: Number of the range, its bounds, and the first revision.
        """
        number, self._bounds, self._next = work
        super().__init__(messages, f"watch {number}")
        self._number = number
        self._cluster = cluster
        self._patience = patience
        self._client = Client(access, cluster, lambda text: self._send(Notice(text, answers=False)))
        self._stream: WatchStream | None = None
        self._lock = threading.Lock()

    def stop(self) -> None:
        super().stop()
        with self._lock:
            if self._stream is not None:
                self._stream.close()

    def run(self) -> None:
        try:
            with self._client:
                self._listen()
        except errors.Compacted as error:
            self._send(HistoryCompacted(str(error)))
        except BaseException as error:  # noqa: BLE001 - raised again by whoever takes it
            self._send(error)

    def _listen(self) -> None:
        since = time.monotonic()
        wait = WAIT
        while not self._stop_event.is_set():
            start = self._next
            failure = ""
            try:
                end = self._client.ask(self._watch)
            except errors.Unavailable as error:
                failure = end = str(error)
            self._client.close()
            if self._next > start or not failure:
                since, wait = time.monotonic(), WAIT
            elif time.monotonic() - since > self._patience:
                raise errors.Unavailable(f"{failure}; nothing answered for {self._patience:g} s")
            self._send(Notice(end, not failure))
            self._stop_event.wait(wait)
            wait = min(wait * 2, LONGEST_WAIT)

    def _watch(self, member: Member) -> str:
        """One watch, until its stream ends: why it did. An error after its creation is no failure to answer."""
        key, end = self._bounds
        # of the right cluster, and as far as it was: a linearizable read tells
        member.range(rpc.RangeRequest(key=key, keys_only=True, limit=1))
        known = self._next - 1
        request = rpc.WatchCreateRequest(key=key, range_end=end, start_revision=known)
        created = False
        with member.watch(request) as stream:
            with self._lock:
                self._stream = stream
                if self._stop_event.is_set():
                    return ""
            try:
                for answer in stream:
                    self._cluster.check(answer.header.cluster_id, member.endpoint)
                    if answer.created:
                        created = True
                        self._send(Notice(f"watching {member.endpoint} from revision {self._next:,}", answers=True))
                    self._take([event for event in answer.events if event.kv.mod_revision > known])
            except errors.TimedOut as error:
                return f"{error}; {self._client.advance()}"
            except (errors.Unavailable, errors.Expired) as error:
                if not created:
                    raise
                return f"{error}: the watch is begun again"
            finally:
                with self._lock:
                    self._stream = None
        return f"{member.endpoint}: the watch ended, and is begun again"

    def _take(self, events: Sequence[kv.Event]) -> None:
        if events:
            self._send(Events(self._number, tuple(events)))
            # while a watch catches up its headers are ahead of its events: only events count
            self._next = events[-1].kv.mod_revision + 1
            self._cluster.reached(self._next - 1)
