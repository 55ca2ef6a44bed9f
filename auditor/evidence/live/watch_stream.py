"""Streams of a member without a limit of time: a timer for inactivity, and the watch."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from auditor.evidence.live import errors
from auditor.protobuf import rpc_pb2 as rpc


class InactivityTimer:
    """Calls `cancel` when a wait lasts longer than `seconds`; `with timer:` around each wait.

    Time between the waits does not count. expired: whether it has called `cancel`.
    """

    def __init__(self, seconds: float, cancel: Callable[[], Any]) -> None:
        self.expired = False
        self._seconds = seconds
        self._cancel = cancel
        self._since: float | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="inactivity", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        self._since = time.monotonic()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._since = None

    def stop(self) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._done.wait(min(self._seconds / 4, 1.0)):
            since = self._since
            if since is not None and time.monotonic() - since > self._seconds:
                self.expired = True
                self._cancel()
                return


class WatchStream:
    """The answers to one watch, in a loop that ends when the watch is cancelled by close() or by the member.

    Raises Compacted where the first revision was compacted, Denied where the credential may not watch the range,
    Expired where the token is not valid any more, Unavailable where the stream broke; nothing is lost if the next
    watch begins one revision after the last event.
    """

    def __init__(self, method: Any, metadata: Any, request: rpc.WatchCreateRequest, endpoint: str) -> None:
        self._endpoint = endpoint
        self._requests: queue.SimpleQueue[rpc.WatchRequest | None] = queue.SimpleQueue()
        self._requests.put(rpc.WatchRequest(create_request=request))
        self._closed = False
        self._call = method(iter(self._requests.get, None), metadata=metadata)

    def __iter__(self) -> Iterator[rpc.WatchResponse]:
        import grpc

        try:
            for answer in self._call:
                if answer.canceled and not self._closed:
                    raise self._cancelled(answer)
                yield answer
        except grpc.RpcError as error:
            if not self._closed:
                raise errors.translated(error, self._endpoint, "watch") from None

    def _cancelled(self, answer: rpc.WatchResponse) -> errors.LiveError:
        if answer.compact_revision:
            first = f"its history begins at revision {answer.compact_revision}"
            return errors.Compacted(f"{self._endpoint}: watch: the revision was compacted; {first}")
        return errors.from_status(answer.cancel_reason, "CANCELLED", self._endpoint, "watch")

    def progress(self) -> None:
        """Ask for an answer without events, whose header says up to which revision everything was sent."""
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
