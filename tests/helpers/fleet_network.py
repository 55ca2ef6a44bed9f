"""A fleet whose store, scheduler, workers and client are hosts of a network of their own."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.helpers import fleet
from tests.helpers.buckets import KEYS, served
from tests.helpers.dask_cluster import DaskCluster
from tests.helpers.members import Authority
from tests.helpers.network import Network

STORE, SCHEDULER, CLIENT = "store", "scheduler", "client"
WORKERS = ("worker-1", "worker-2", "worker-3", "worker-4")
REMOVED, REGISTERED = "Remove worker", "Register worker"
"""What Dask's scheduler says of a worker in its log."""
BOUND = 600
"""Seconds in which whatever is waited for must come about, on a machine however busy."""
ENVIRONMENT = {
    # the shortest that Dask takes: what is silent for so long is gone
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "11s",
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "11s",
    "DASK_DISTRIBUTED__SCHEDULER__NO_WORKERS_TIMEOUT": "15s",
    "AWS_MAX_ATTEMPTS": "1",  # s3fs tries again itself
}
PUT = "import sys, fsspec; fs = fsspec.filesystem('s3'); [fs.mkdir(b) for b in ('backups', 'sets')]; "
PUT += "fs.put(sys.argv[1], 'backups/etcd', recursive=True)"
GET = "import sys, fsspec; fsspec.filesystem('s3').get('sets', sys.argv[1], recursive=True)"


class FleetNetwork(DaskCluster):
    """The scheduler and the workers on hosts of their own; `store` is the address of the bucket's server."""

    def __init__(self, folder: Path, network: Network, store: str) -> None:
        super().__init__(folder / "dask", Authority(folder / "tls").issue("both"), len(WORKERS))
        self.network = network
        self.environment = {**KEYS, **ENVIRONMENT, "AWS_ENDPOINT_URL": store}

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self._start_scheduler(self.network.hosts[SCHEDULER], self._inside(SCHEDULER))
        self.start_workers()

    def start_workers(self) -> None:
        """Start the worker of every host, and wait until the scheduler knows them."""
        known = {host: self.said(REGISTERED, host) for host in WORKERS}
        for host in WORKERS:
            self.start_worker(host)
        until(lambda: all(self.said(REGISTERED, host) > count for host, count in known.items()))

    def start_worker(self, host: str) -> None:
        """Start the worker of a host, as whatever watches over it does."""
        self._start_workers(self.network.hosts[host], 1, self._inside(host))

    def _inside(self, host: str) -> list[str]:
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        return [*self.network.inside(host), "env", *variables]

    def client(self, arguments: Sequence[str | Path]) -> "subprocess.Popen[str]":
        """The command, started on the client's host, with what it must be told of the scheduler."""
        command = [*self._inside(CLIENT), *fleet.command_line(*arguments, *self.options())]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def put(self, folder: Path) -> None:
        """Put the files of a folder under s3://backups/etcd/."""
        self._python(PUT, f"{folder}/")

    def get(self, folder: Path) -> None:
        """Copy everything under s3://sets into a folder."""
        self._python(GET, f"{folder}/")

    def _python(self, code: str, *arguments: str) -> None:
        subprocess.run([*self._inside(CLIENT), sys.executable, "-c", code, *arguments], check=True, timeout=BOUND)

    def reading(self, host: str) -> list[psutil.Process]:
        """The processes on a worker's host that examine a backup: copies of its fork server."""
        own = []
        for process in self.network.processes(host):
            try:
                if "forkserver" in " ".join(process.parent().cmdline()):
                    own.append(process)
            except (psutil.Error, AttributeError):
                continue
        return own

    def said(self, what: str, host: str) -> int:
        """How often the scheduler's log says something of a worker."""
        (log,) = self.folder.glob("*-dask_scheduler.log")
        address = f"tls://{self.network.hosts[host]}:"
        return sum(what in line and address in line for line in log.read_text().splitlines())


def until(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + BOUND
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@contextmanager
def fleet_network(folder: Path) -> Iterator[FleetNetwork]:
    """The fleet, up; all of it is gone at the end."""
    with (
        Network([STORE, SCHEDULER, CLIENT, *WORKERS]) as network,
        served("s3_server", f"--host={network.hosts[STORE]}", inside=network.inside(STORE)) as store,
        FleetNetwork(folder, network, store) as cluster,
    ):
        yield cluster
