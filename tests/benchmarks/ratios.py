"""How long a scan takes beside its peers, and how much memory of its own it needs: whole processes, warm cache.

    python -m tests.benchmarks.ratios SNAPSHOT [--rounds 5] [--config FILE]

Every round runs each command once, so that whatever slows the machine slows all of them; figures are medians.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.etcd import binary

HASH = "import hashlib,sys;print(hashlib.file_digest(open(sys.argv[1],'rb'),'sha256').hexdigest())"
AUDITOR = (str(Path(sys.executable).with_name("etcd-auditor")),)


def private(root: int) -> int:
    """RssAnon and RssShmem of a process and all its descendants, in bytes."""
    total, left = 0, [root]
    while left:
        pid = left.pop()
        try:
            status = Path(f"/proc/{pid}/status").read_text()
            for task in Path(f"/proc/{pid}/task").iterdir():
                left += map(int, (task / "children").read_text().split())
        except OSError:
            continue
        total += sum(
            int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(("RssAnon:", "RssShmem:"))
        )
    return total


def run(command: list[str], *, watched: bool = False) -> tuple[float, int]:
    """Seconds, and peak private bytes where watched."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak, done = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.005):
            peak = max(peak, private(process.pid))

    watcher = threading.Thread(target=watch)
    if watched:
        watcher.start()
    process.wait()
    seconds = time.perf_counter() - begin
    done.set()
    if watched:
        watcher.join()
    return seconds, peak


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("snapshot", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    options = parser.parse_args()
    file = str(options.snapshot)
    with tempfile.TemporaryDirectory() as folder:
        reports = ["--csv", f"{folder}/a.csv", "--html", f"{folder}/a.html", "--force"]
        commands = {
            "etcdutl snapshot status": [binary("etcdutl"), "snapshot", "status", file],
            "scan --quick": [*AUDITOR, "scan", file, "--quick"],
            "hashlib": [sys.executable, "-c", HASH, file],
            "scan": [*AUDITOR, "scan", file],
            "scan --csv --html": [*AUDITOR, "scan", file, *reports],
        }
        peers = {"scan --quick": "etcdutl snapshot status", "scan": "hashlib", "scan --csv --html": "hashlib"}
        if options.config:
            opening = ["--encryption-config", str(options.config)]
            commands["scan, opened"] = [*AUDITOR, "scan", file, *opening]
            peers["scan, opened"] = "scan"
        if options.only:
            commands = {name: command for name, command in commands.items() if name in options.only}
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(options.rounds):
            for name, command in commands.items():
                times[name].append(run(command)[0])
        for name, command in commands.items():
            middle = statistics.median(times[name])
            said = f"{name:25} {middle:6.2f} s ({min(times[name]):.2f}-{max(times[name]):.2f})"
            if name in peers and peers[name] in times:
                said += f"  {middle / statistics.median(times[peers[name]]):5.2f} x {peers[name]}"
            if command[: len(AUDITOR)] == list(AUDITOR):
                said += f"  {run(command, watched=True)[1] / 1e6:.0f} MB private"
            print(said, flush=True)
    print(f"{os.cpu_count()} processors, {options.snapshot.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
