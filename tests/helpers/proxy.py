"""TCP proxies on ports of their own: one that stays while its target moves, one that breaks off at an offset."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self


class Proxy:
    """One port of 127.0.0.1, which stays while what it leads to is stopped, moved, or cut off.

    target: `host:port`, may be changed; connections made later go there.
    """

    def __init__(self, target: str) -> None:
        self.target = target
        self._pairs: list[socket.socket] = []
        self._lock = threading.Lock()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"127.0.0.1:{self._server.getsockname()[1]}"
        self.connections = 0
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def cut(self) -> None:
        """Break every connection that there is."""
        with self._lock:
            for each in self._pairs:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            self._pairs.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()
        for each in self._threads:
            each.join(timeout=10)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            host, _, port = self.target.rpartition(":")
            try:
                far = socket.create_connection((host, int(port)), timeout=5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            self.connections += 1
            with self._lock:
                self._pairs += [near, far]
            self._threads.append(threading.Thread(target=_carry, args=(near, far), daemon=True))
            self._threads[-1].start()


def _carry(near: socket.socket, far: socket.socket) -> None:
    """Both ways, until both are over; then the sockets are closed."""
    back = threading.Thread(target=_pump, args=(far, near), daemon=True)
    back.start()
    _pump(near, far)
    back.join()
    near.close()
    far.close()


def _pump(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := one.recv(1 << 16):
            other.sendall(data)
    for each in (one, other):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


class FaultyProxy:
    """A TCP proxy to an endpoint, on a port of its own. Of the bytes that come from there it passes on `after`.

    Then it cuts the connection or, with `stall`, falls silent: in the first `times` connections that get so far.
    """

    def __init__(self, target: str, after: int, *, stall: bool = False, times: int = 1_000) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._after = after
        self._stall = stall
        self._left = times
        self.faults = 0
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"127.0.0.1:{self._server.getsockname()[1]}"
        self.url = f"http://{self.endpoint}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for each in [self._server, *self._sockets]:
            _close(each)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
                far = socket.create_connection(self._target)
            except OSError:
                return
            self._sockets += [near, far]
            for source, into, after in ((near, far, None), (far, near, self._after)):
                thread = threading.Thread(target=self._copy, args=(source, into, after), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _copy(self, source: socket.socket, target: socket.socket, after: int | None) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if after is not None and passed + len(data) > after and self._fails():
                    target.sendall(data[: after - passed])
                    if self._stall:
                        return
                    break
                passed += len(data)
                target.sendall(data)
        if not (self._stall and self.faults):
            _close(source)
            _close(target)

    def _fails(self) -> bool:
        with self._lock:
            if not self._left:
                return False
            self._left -= 1
            self.faults += 1
            return True


def _close(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
