"""Streams of a member without a limit of time: a timer for inactivity, and the watch."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from auditor.evidence.live import errors
from auditor.protobuf import rpc_pb2 as rpc

REMINDERS = 3
"""Times that a member is asked for a sign of life before it counts as gone."""


class InactivityTimer:
    """Calls `cancel` when a wait lasts longer than `seconds`; `with timer:` around each wait.

    Time between the waits does not count. expired: whether it has called `cancel`.
    """

    def __init__(self, seconds: float, cancel: Callable[[], Any], remind: Callable[[], Any] | None = None) -> None:
        """A timer that does not run yet.

        Args:
            seconds: The longest wait.
            cancel: Called when it is over.
            remind: Called REMINDERS times before, in equal steps.
        """
        self.expired = False
        self._seconds = seconds
        self._cancel = cancel
        self._remind = remind
        self._reminders = 0
        self._since: float | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="inactivity", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        self._reminders = 0
        self._since = time.monotonic()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._since = None

    def stop(self) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._done.wait(min(self._seconds / 16, 1.0)):
            since = self._since
            if since is None:
                continue
            waited = time.monotonic() - since
            if waited > self._seconds:
                self.expired = True
                self._cancel()
                return
            if self._remind is not None and waited > self._seconds * (self._reminders + 1) / (REMINDERS + 1):
                self._reminders += 1
                self._remind()


class WatchStream:
    """The answers to one watch, in a loop that ends when the watch is cancelled by close() or by the member.

    A member that is silent is asked for progress, which it answers (etcd api/etcdserverpb/rpc.proto,
    WatchProgressRequest). Raises Compacted where the first revision was compacted, Denied where the credential may not
    watch the range, Expired where the token is not valid any more, TimedOut where nothing comes in time, and
    Unavailable where the stream broke; nothing is lost if the next watch begins one revision after the last event.
    """

    def __init__(
        self, method: Any, metadata: Any, request: rpc.WatchCreateRequest, endpoint: str, timeout: float
    ) -> None:
        """A watch that is asked for.

        Args:
            method: The stub's method.
            metadata: Of the call.
            request: The range, and the first revision.
            endpoint: The member's URL.
            timeout: Seconds without an answer at most.
        """
        self._endpoint = endpoint
        self._requests: queue.SimpleQueue[rpc.WatchRequest | None] = queue.SimpleQueue()
        self._requests.put(rpc.WatchRequest(create_request=request))
        self._closed = False
        self._call = method(iter(self._requests.get, None), metadata=metadata)
        self._timeout = timeout
        self._timer = InactivityTimer(timeout, self._call.cancel, self.progress)

    def __iter__(self) -> Iterator[rpc.WatchResponse]:
        import grpc

        try:
            while True:
                with self._timer:
                    answer = next(self._call, None)
                if answer is None:
                    return
                if answer.canceled and not self._closed:
                    raise self._cancelled(answer)
                yield answer
        except grpc.RpcError as error:
            if self._closed:
                return
            if self._timer.expired:
                raise errors.TimedOut(
                    f"{self._endpoint}: watch: nothing came for {self._timeout:g} s, though it was asked for a sign of "
                    "life: its process is frozen or hangs, or the network is"
                ) from None
            raise errors.translated(error, self._endpoint, "watch") from None

    def _cancelled(self, answer: rpc.WatchResponse) -> errors.LiveError:
        if answer.compact_revision:
            first = f"its history begins at revision {answer.compact_revision}"
            return errors.Compacted(f"{self._endpoint}: watch: the revision was compacted; {first}")
        return errors.from_status(answer.cancel_reason, "CANCELLED", self._endpoint, "watch")

    def progress(self) -> None:
        """Ask for an answer without events: a sign of life."""
        self._requests.put(rpc.WatchRequest(progress_request=rpc.WatchProgressRequest()))

    def close(self) -> None:
        """End the loop; may be called from another thread."""
        self._closed = True
        self._requests.put(None)
        self._call.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
        self._timer.stop()
