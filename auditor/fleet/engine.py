"""The engine of a fleet: Dask distributed, here or elsewhere. Tasks carry paths and URLs, and no key."""

import logging
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from tempfile import TemporaryDirectory
from typing import Any

from auditor.errors import AuditorError, MissingExtra, UsageError
from auditor.fleet.backup import State
from auditor.fleet.settings import Order
from auditor.fleet.tables import Row
from auditor.fleet.task import perform

AHEAD = 2
"""Orders that are with the scheduler for each thread of a worker: what it holds does not grow with the backups."""
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
    """The scheduler is gone."""


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
        yield stack.enter_context(_client(engine, stack))


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
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
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
                n_workers=engine.jobs or os.cpu_count() or 1,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                security=security,
                dashboard_address="127.0.0.1:0" if engine.dashboard else None,
                local_directory=folder,
                memory_limit=0,
                silence_logs=logging.CRITICAL,
            )
        )
    try:
        return Client(address, security=security, set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise UsageError(f"--scheduler {engine.scheduler}: it cannot be reached: {type(error).__name__}") from None


def run(client: Any, orders: Iterable[Order]) -> Iterator[Row]:
    """The row of every order, in the order in which they end.

    A backup that takes its worker down is a row that is not written yet: `attempts` is -1. Raises EngineLost.

    client: of started().
    """
    if client is None:
        yield from map(perform, orders)
        return
    from distributed import KilledWorker, as_completed

    from auditor.fleet import tables

    waiting = iter(orders)
    known: dict[str, Order] = {}

    def submit(count: int) -> list[Any]:
        futures = []
        for order in islice(waiting, count):
            known[f"backup-{order.id}"] = order
            futures.append(client.submit(perform, order, key=f"backup-{order.id}", pure=False))
        return futures

    threads = sum(client.nthreads().values()) or 1
    done = as_completed(submit(max(threads * AHEAD, AHEAD)), loop=client.loop)
    for future in done:
        order = known.pop(future.key)
        try:
            row = future.result()
        except KilledWorker:
            row = tables.row(order, State.KILLED, "it took its worker down each time; nothing was concluded")
            row["attempts"] = -1
        except (CancelledError, OSError) as error:
            raise EngineLost(f"the scheduler is gone ({type(error).__name__}): run the same command again") from None
        future.release()
        for more in submit(1):
            done.add(more)
        yield row
