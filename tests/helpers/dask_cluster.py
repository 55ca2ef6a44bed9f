"""A Dask cluster of its own: a scheduler and workers in processes on loopback, over TLS, and what they write."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Self
from urllib.error import HTTPError

from tests.helpers.etcd import Tls

LONGEST = 120
"""Seconds in which it must be up."""
PAGES = (
    "/health",
    "/metrics",
    "/json/counts.json",
    "/json/identity.json",
    "/info/main/workers.html",
    "/info/main/logs.html",
)


class DaskCluster:
    """A scheduler and its workers; `folder` holds their files."""

    def __init__(self, folder: Path, tls: Tls, workers: int) -> None:
        self.folder, self.tls, self.workers = folder, tls, workers
        self._processes: list[subprocess.Popen[bytes]] = []
        self._names = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start scheduler and workers."""
        self.folder.mkdir(exist_ok=True)
        self._start_scheduler("127.0.0.1")
        self._start_workers("127.0.0.1", self.workers)

    def _start_scheduler(self, host: str, inside: Sequence[str] = ()) -> None:
        about = self.folder / "scheduler.json"
        about.unlink(missing_ok=True)
        listening = ["--host", host, "--port", "0", "--dashboard-address", "127.0.0.1:0"]
        self._run("dask_scheduler", "--protocol", "tls", *listening, "--scheduler-file", str(about), inside=inside)
        deadline = time.monotonic() + LONGEST
        while not about.exists() or not about.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        document = json.loads(about.read_text())
        self.address = str(document["address"])
        self.dashboard = f"http://127.0.0.1:{document['services']['dashboard']}"

    def _start_workers(self, host: str, count: int, inside: Sequence[str] = ()) -> None:
        counts = ["--nworkers", str(count), "--nthreads", "1", "--memory-limit", "0", "--no-dashboard"]
        own = ["--local-directory", str(self.folder), "--host", host]
        self._run("dask_worker", self.address, *counts, *own, inside=inside)

    def _run(self, program: str, *arguments: str, inside: Sequence[str] = ()) -> None:
        tls = ["--tls-ca-file", self.tls.cacert, "--tls-cert", self.tls.cert, "--tls-key", self.tls.key]
        environment = {
            **os.environ,
            "DASK_DISTRIBUTED__WORKER__DAEMON": "False",
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "5",
            "DASK_LOGGING__DISTRIBUTED": "debug",
        }
        self._names += 1
        with (self.folder / f"{self._names}-{program}.log").open("wb") as log:
            command = [*inside, sys.executable, "-m", f"distributed.cli.{program}", *map(str, tls), *arguments]
            self._processes.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))

    def options(self) -> list[str]:
        """What `fleet scan` must be told."""
        tls = {"--tls-ca": self.tls.cacert, "--tls-cert": self.tls.cert, "--tls-key": self.tls.key}
        return ["--scheduler", self.address, *(str(each) for pair in tls.items() for each in pair)]

    def kill_scheduler(self) -> None:
        """As when its machine is gone."""
        self._processes[0].kill()
        self._processes[0].wait()

    def kill(self) -> None:
        """End all of it."""
        for process in reversed(self._processes):
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

    def pages(self) -> list[str]:
        """What the dashboard's server says."""
        texts = []
        for page in PAGES:
            try:
                with urllib.request.urlopen(f"{self.dashboard}{page}", timeout=30) as answer:
                    texts.append(answer.read().decode())
            except HTTPError as error:  # of workers that have not said anything yet
                texts.append(error.read().decode())
        return texts

    def written(self) -> list[bytes]:
        """Every file of scheduler and workers: logs, and what they leave on disk."""
        return [path.read_bytes() for path in sorted(self.folder.rglob("*")) if path.is_file()]
