"""`fleet scan` beside a loop of lone scans of the same backups, and what the engine itself takes.

    python -m tests.benchmarks.fleet_scan FOLDER [--backups 40] [--megabytes 100] [--jobs P] [--tasks 10000]

Throughput is held to P / c of the loop's, where P is the number of processors and c of these a lone scan keeps busy.
The engine is measured with tasks that do nothing but answer: seconds of client, scheduler and workers each, and the
memory of client and scheduler after the first and the last thousand. From these follows what 1,000 workers with tasks
of 30 s would wait for a single-threaded scheduler: a queue with one server of constant service time (Pollaczek and
Khinchine).
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil

from auditor.fleet import engine
from auditor.fleet.backup import Backup
from auditor.fleet.clusters import NONE
from auditor.fleet.engine import Engine
from auditor.fleet.settings import Settings
from auditor.options import Options
from tests.helpers import fleet

WORKERS, SECONDS = 1_000, 30.0
"""Of the model: workers, and how long each is busy with a backup."""
STEP = 1_000


def measured(command: list[str]) -> tuple[float, float]:
    """Wall seconds of a command, and the processor seconds of the whole machine meanwhile: keep it idle.

    What a fleet's workers start is not counted among their own children: the server of their forks is nobody's to wait
    for.
    """
    before, begin = psutil.cpu_times(), time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    wall, after = time.perf_counter() - begin, psutil.cpu_times()
    return wall, after.user + after.system - before.user - before.system


def throughput(folder: Path, backups: int, megabytes: int, jobs: int) -> None:
    """Print the loop's and the fleet's seconds a backup."""
    one = folder / "one.db"
    if not one.exists():
        keys = str(megabytes * 250)
        fill = [sys.executable, "-m", "tests.benchmarks.fill", one, "--megabytes", str(megabytes), "--keys", keys]
        subprocess.run(list(map(str, fill)), check=True)
    copies = folder / "backups"
    copies.mkdir(exist_ok=True)
    for number in range(backups):
        copy = copies / fleet.name(1 + number % 28, number // 28)
        if not copy.exists():
            shutil.copy(one, copy)
    auditor = [sys.executable, "-m", "auditor"]
    loop = [measured([*auditor, "scan", str(path)]) for path in sorted(copies.iterdir())]
    wall, processor = (sum(column) / backups for column in zip(*loop, strict=True))
    busy, processors = processor / wall, os.cpu_count() or 1
    print(f"a loop of {backups} scans: {wall:.3f} s and {processor:.3f} processor seconds a backup; c = {busy:.2f}")
    shutil.rmtree(folder / "set", ignore_errors=True)
    arguments: list[str | Path] = [
        "fleet",
        "scan",
        copies,
        "--dataset",
        folder / "set",
        "--no-compare",
        "--jobs",
        str(jobs),
    ]
    whole, work = (seconds / backups for seconds in measured([*auditor, *map(str, arguments)]))
    ideal = processors / busy
    print(f"fleet scan, {jobs} jobs: {whole:.3f} s and {work:.3f} processor seconds a backup")
    print(f"throughput {wall / whole / ideal:.2f} x P / c (aim: 0.85)")
    print(f"processor seconds {work / processor:.2f} x those of the loop (aim: 1.15)")


def answering(folder: Path, tasks: int, jobs: int) -> None:
    """Print what the engine takes for tasks that do nothing but answer, and what follows for many workers."""
    settings = Settings(dataset=str(folder / "answers"), options=Options(), clusters=NONE)
    (folder / "answers" / "pending").mkdir(parents=True, exist_ok=True)
    urls = (f"s3://backups/etcd/c{number % 40:02d}/snapshot-{number:06d}.db" for number in range(tasks))
    common = {"source": "s3://backups/", "size": 10**8, "modified": "2026-11-01T00:00:00Z", "archived": True}
    every = [Backup(url=url, **common) for url in urls]  # type: ignore[arg-type]
    orders = list(settings.orders(every).values())
    with engine.started(Engine(jobs=jobs)) as client:
        own = psutil.Process()
        # a LocalCluster's scheduler runs in a thread of the client's own process
        seconds, workers = _seconds(own), sum(map(_seconds, own.children(recursive=True)))
        begin, sizes = time.perf_counter(), []
        for number, _ in enumerate(engine.run(client, orders), 1):
            if number % STEP == 0:
                sizes.append(own.memory_info().rss)
        wall = time.perf_counter() - begin
        seconds, workers = _seconds(own) - seconds, sum(map(_seconds, own.children(recursive=True))) - workers
    own_share, of_workers = 1000 * seconds / tasks, 1000 * workers / tasks
    print(f"{tasks:,} tasks that only answer: {wall:.1f} s")
    print(f"of the processor a task: client and scheduler {own_share:.2f} ms, workers {of_workers:.2f} ms")
    print(f"memory of client and scheduler: {sizes[0] >> 20} MB after {STEP:,}, {sizes[-1] >> 20} MB at the end")
    service, rate = seconds / tasks, WORKERS / SECONDS
    load = service * rate
    waiting = service + service * load / (2 * (1 - load)) if load < 1 else float("inf")
    print(f"{WORKERS:,} workers with tasks of {SECONDS:.0f} s: scheduler busy {load:.1%}")
    print(f"a task waits {1000 * waiting:.1f} ms, {waiting / SECONDS:.2%} of it (aim: 5 %)")
    print(f"one scheduler carries {SECONDS / service:,.0f} such workers at most")


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--backups", type=int, default=40)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--tasks", type=int, default=10_000)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    throughput(asked.folder, asked.backups, asked.megabytes, asked.jobs)
    answering(asked.folder, asked.tasks, asked.jobs)


if __name__ == "__main__":
    main()
