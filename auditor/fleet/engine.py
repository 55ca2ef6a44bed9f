"""The engine of a fleet: Dask distributed, here or elsewhere. Tasks carry paths and URLs, and no key."""

import logging
import os
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

from auditor.errors import AuditorError, MissingExtra, UsageError
from auditor.fleet.backup import State
from auditor.fleet.errors import DataSetError
from auditor.fleet.settings import Order
from auditor.fleet.tables import Row
from auditor.fleet.task import perform

AHEAD = 2
"""Orders that are with the scheduler for each thread of a worker: what it holds does not grow with the backups."""
SCRATCH = 0.8
"""Part of the free space of the scratch disk that objects may fill."""
MEMORY = 512 << 20
"""Bytes of memory that a worker and the process of its backup need."""
CLOSED = ValueError
"""tornado's, of a connection that is closed before it is encrypted (iostream.py, start_tls())."""
DEATHS = 2
"""Workers that one backup may take down with it before it is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Where the tasks run."""

    scheduler: str = ""
    """Address of a scheduler that exists, tls://HOST:PORT; empty for workers of this run's own."""
    ca: str = ""
    cert: str = ""
    key: str = ""
    """Files for TLS with that scheduler."""
    jobs: int = 0
    """Workers of this run's own; 0 for as many as there are processors."""
    work_dir: str = ""
    """Folder of Dask's own files; the system's folder for temporary files where empty."""
    dashboard: bool = False
    """Whether Dask's dashboard is served on loopback."""

    def check(self) -> None:
        """Raises UsageError for a scheduler that is not reached over TLS: names of Secrets go over the connection."""
        if self.scheduler and not self.scheduler.startswith("tls://"):
            raise UsageError("--scheduler: expected tls://HOST:PORT: both ends must prove who they are")
        if self.scheduler and not (self.ca and self.cert and self.key):
            raise UsageError("--scheduler: give --tls-ca, --tls-cert and --tls-key too")


class EngineLost(AuditorError):
    """The scheduler is gone, or its workers are."""


@contextmanager
def started(engine: Engine) -> Iterator[Any]:
    """A client of the scheduler; None where this process examines one backup after another, with --jobs 1.

    Raises:
        MissingExtra: Dask is not installed.
        UsageError: The scheduler cannot be reached.
    """
    if engine.jobs == 1 and not engine.scheduler:
        yield None
        return
    with ExitStack() as stack:
        client = _client(engine, stack)
        stack.callback(_close, client)
        yield client


def _close(client: Any) -> None:
    """End a client. One whose scheduler is gone cannot say so to it, and all rows are read."""
    with suppress(OSError, CLOSED):
        client.close()


@contextmanager
def _reached(*more: type[Exception]) -> Iterator[None]:
    """Turns what Dask raises without its scheduler into EngineLost. more: what it raises beside."""
    lost: tuple[type[BaseException], ...] = (CancelledError, OSError, *more)
    try:
        yield
    except lost as error:
        raise EngineLost(f"the scheduler is gone ({type(error).__name__}): run the same command again") from None


def _client(engine: Engine, stack: ExitStack) -> Any:
    """A client of the engine's scheduler. stack: ends what is started for it."""
    try:
        import dask
    except ImportError:
        raise MissingExtra("fleet scan", "distributed", "fleet") from None
    # a worker starts a process for each backup, which a daemon must not; nothing of ours goes to Dask's own files
    dask.config.set(
        {
            "distributed.worker.daemon": False,
            "distributed.scheduler.allowed-failures": DEATHS,
            "distributed.logging": {"distributed": "critical", "bokeh": "critical", "tornado": "critical"},
        }
    )
    try:
        from distributed import Client, LocalCluster
        from distributed.security import Security
    except ImportError:
        raise MissingExtra("fleet scan", "distributed", "fleet") from None
    # its own configuration gives some of them levels of their own; what they say is said in our words
    for name in ("distributed", *(each for each in logging.root.manager.loggerDict if each.startswith("distributed."))):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if engine.scheduler:
        security = Security(
            tls_ca_file=engine.ca, tls_client_cert=engine.cert, tls_client_key=engine.key, require_encryption=True
        )
        address: Any = engine.scheduler
    else:
        security = Security.temporary()
        folder = stack.enter_context(TemporaryDirectory(prefix="etcd-auditor-", dir=engine.work_dir or None))
        address = stack.enter_context(
            LocalCluster(
                n_workers=engine.jobs or _workers(),
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                security=security,
                dashboard_address="127.0.0.1:0",  # without one Dask takes port 8787, and warns where it is in use
                scheduler_kwargs={"dashboard": engine.dashboard},
                local_directory=folder,
                memory_limit=0,
                silence_logs=logging.CRITICAL,
            )
        )
    try:
        return Client(address, security=security, set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise UsageError(f"--scheduler {engine.scheduler}: it cannot be reached: {type(error).__name__}") from None


def _workers() -> int:
    """As many as there are processors, and no more than the memory holds."""
    from distributed.system import MEMORY_LIMIT

    return max(1, min(os.cpu_count() or 1, int(MEMORY_LIMIT) // MEMORY))


def room(engine: Engine) -> int:
    """Bytes of objects that workers of this run's own may fetch at once; 0 where it is not known what they have."""
    if engine.scheduler:
        return 0
    return int(shutil.disk_usage(engine.work_dir or gettempdir()).free * SCRATCH)


def run(client: Any, orders: Iterable[Order], room: int = 0) -> Iterator[Row]:
    """The row of every order, in the order in which they end.

    A backup that takes its worker down, or whose worker cannot write to the data set, is a row that is not written yet:
    `attempts` is -1. One for which a worker has
    no room beside others is tried again when no other is read.

    Args:
        client: Of started().
        orders: What is to be examined.
        room: Of room().

    Raises:
        EngineLost: The scheduler is gone, or has had no worker for longer than it waits.
        DataSetError: This process examines the backups itself, and cannot write to the data set.
    """
    if client is None:
        yield from map(perform, orders)
        return
    with _reached(CLOSED):
        threads = sum(client.nthreads().values()) or 1
    alone: list[Order] = []
    for order, row in _rows(client, _Window(iter(orders), max(threads, 1) * AHEAD, room)):
        if row["state"] == State.NO_ROOM.value and threads > 1:
            alone.append(order)
        else:
            yield row
    if alone:
        yield from (row for _, row in _rows(client, _Window(iter(alone), 1, 0)))


class _Window:
    """The orders that are with the scheduler: so many, and of so many bytes that are fetched."""

    def __init__(self, waiting: Iterator[Order], most: int, room: int) -> None:
        self._waiting, self._most, self._room = waiting, most, room
        self._next: Order | None = next(waiting, None)
        self._held: dict[str, Order] = {}
        self._bytes = 0

    def more(self) -> Iterator[tuple[str, Order]]:
        """Key and order of each that may be submitted now. One is always let in alone, whatever its size."""
        while self._next is not None and len(self._held) < self._most:
            order, size = self._next, _fetched(self._next)
            if self._held and self._room and self._bytes + size > self._room:
                return
            # of the second pass a name of its own: what the scheduler may still have under the first is no answer
            name = f"backup-{order.id}{'-again' if order.held_keys else ''}"
            self._held[name] = order
            self._bytes += size
            self._next = next(self._waiting, None)
            yield name, order

    def end(self, key: str) -> Order:
        """The order that has ended."""
        order = self._held.pop(key)
        self._bytes -= _fetched(order)
        return order


def _fetched(order: Order) -> int:
    """Bytes that a backup takes on the scratch disk, or one that is read for its keys before: a file is mapped."""
    every = (order.backup, *(each.backup for each in order.key_backups))
    return max(each.size if "://" in each.url else 0 for each in every)


def _rows(client: Any, window: _Window) -> Iterator[tuple[Order, Row]]:
    from distributed import KilledWorker, as_completed
    from distributed.scheduler import NoValidWorkerError, NoWorkerError

    from auditor.fleet import tables

    def submitted() -> list[Any]:
        return [client.submit(perform, order, key=key, pure=False) for key, order in window.more()]

    with _reached(CLOSED):
        done = as_completed(submitted(), loop=client.loop)
    while (future := _next(done)) is not None:
        order = window.end(future.key)
        try:
            row = _result(future)
        except KilledWorker:
            row = tables.row(order, State.KILLED, "it took its worker down each time; nothing was concluded")
            row["attempts"] = -1
        except DataSetError as error:  # that worker may be the only one which does not reach it
            row = tables.row(order, State.UNREACHABLE, str(error))
            row["attempts"] = -1
        except (NoWorkerError, NoValidWorkerError):
            raise EngineLost("the scheduler has no workers left: start some, and run the same command again") from None
        with _reached(CLOSED):
            future.release()
            for more in submitted():
                done.add(more)
        yield order, row


def _next(done: Any) -> Any:
    """The next task that has ended; None after the last."""
    with _reached(CLOSED):
        return next(done, None)


def _result(future: Any) -> Row:
    """What a task answers, or raises."""
    # one that a task raises is a fault
    with _reached(*(() if future.status == "error" else (CLOSED,))):
        row: Row = future.result()
    return row
