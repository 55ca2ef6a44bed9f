"""How long a scan takes beside its peers, and how much memory of its own it needs: whole processes.

    python -m tests.benchmarks.ratios SNAPSHOT [--rounds 5] [--config FILE] [--cold] [--busy 1] [--only NAME...]
    python -m tests.benchmarks.ratios --table FOLDER [--gigabytes 0.1 1.5 6] [--rounds 5] [--cold] [--busy 1]

Every round runs each command once, so that whatever slows the machine slows all of them; figures are medians, of the
wall's seconds and of the processor's. `--busy` keeps so many processors at other work meanwhile, as on a backup host.
The second form makes the snapshots that FOLDER lacks (tests/benchmarks/fill.py) and prints what the table of
auditor/docs/figures.md is made from.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import fill
from tests.helpers.etcd import binary

HASH = "import hashlib,sys;print(hashlib.file_digest(open(sys.argv[1],'rb'),'sha256').hexdigest())"
AUDITOR = str(Path(sys.executable).with_name("etcd-auditor"))
KEYS_A_GIGABYTE = 400_000 / 1.5


@dataclass(frozen=True)
class Figure:
    """Seconds of the wall (median, least, most) and of the processor, both beside the peer's, and peak private bytes.

    0 where not measured.
    """

    name: str
    seconds: float
    least: float
    most: float
    processor: float
    ratio: float
    processor_ratio: float
    peer: str
    private: int

    def __str__(self) -> str:
        said = (
            f"{self.name:25} {self.seconds:6.2f} s ({self.least:.2f}-{self.most:.2f}), {self.processor:.2f} processor"
        )
        said += f"  {self.ratio:5.2f} x, {self.processor_ratio:.2f} x {self.peer}" if self.peer else ""
        return said + (f"  {self.private / 1e6:.0f} MB private" if self.private else "")


def commands(file: Path, config: Path | None, folder: str) -> dict[str, tuple[list[str], str]]:
    """What is run, by name, and the peer that each is held to."""
    reports = ["--csv", f"{folder}/a.csv", "--html", f"{folder}/a.html", "--force"]
    keys = ["--encryption-config", str(config)] if config else []
    found = {
        "etcdutl snapshot status": ([binary("etcdutl"), "snapshot", "status", str(file)], ""),
        "scan --quick": ([AUDITOR, "scan", str(file), "--quick"], "etcdutl snapshot status"),
        "sha256sum": ([shutil.which("sha256sum") or "sha256sum", str(file)], "hashlib"),
        "hashlib": ([sys.executable, "-c", HASH, str(file)], ""),
        "scan": ([AUDITOR, "scan", str(file)], "hashlib"),
        "scan --csv --html": ([AUDITOR, "scan", str(file), *reports], "hashlib"),
    }
    if config:
        found["scan, opened"] = ([AUDITOR, "scan", str(file), *keys], "hashlib")
        found["keys, opened"] = ([AUDITOR, "keys", str(file), *keys], "hashlib")
        found["scan --hunt, opened"] = ([AUDITOR, "scan", str(file), *keys, "--hunt"], "hashlib")
    return found


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


def run(command: list[str], *, watched: bool = False) -> tuple[float, float, int]:
    """Seconds of the wall and of the processor, and peak private bytes where watched."""
    # an installed program has its bytecode: without it every start would compile 200 modules
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    peak, done = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.005):
            peak = max(peak, private(process.pid))

    watcher = threading.Thread(target=watch)
    if watched:
        watcher.start()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    done.set()
    if watched:
        watcher.join()
    return seconds, usage.ru_utime + usage.ru_stime, peak


@contextmanager
def other_work(count: int) -> Iterator[None]:
    """Processes that do nothing but keep processors busy."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for each in busy:
            each.kill()
            each.wait()


def forget(file: Path) -> None:
    """Drop the file's pages from the cache, so that it is read from the disk."""
    descriptor = os.open(file, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def measure(file: Path, config: Path | None, rounds: int, *, cold: bool, only: list[str]) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        chosen = {name: each for name, each in commands(file, config, folder).items() if not only or name in only}
        times: dict[str, list[float]] = {name: [] for name in chosen}
        spent: dict[str, list[float]] = {name: [] for name in chosen}
        for number in range(-1, rounds):  # the first round warms up
            for name, (command, _) in chosen.items():
                if cold:
                    forget(file)
                seconds, processor, _ = run(command)
                times[name] += [seconds] if number >= 0 else []
                spent[name] += [processor] if number >= 0 else []
        middle = {name: statistics.median(each) for name, each in times.items()}
        work = {name: statistics.median(each) for name, each in spent.items()}
        return [
            Figure(
                name,
                middle[name],
                min(times[name]),
                max(times[name]),
                work[name],
                middle[name] / middle[peer] if peer in middle else 0,
                work[name] / work[peer] if peer in middle else 0,
                peer if peer in middle else "",
                run(command, watched=True)[2] if command[0] == AUDITOR else 0,
            )
            for name, (command, peer) in chosen.items()
        ]


def table(folder: Path, gigabytes: list[float], rounds: int, *, cold: bool) -> None:
    """Markdown: a row a command, for each size an encrypted snapshot, and one with 50,000 findings and free pages."""
    config = folder / "config.json"
    key = {"name": "key1", "secret": b64encode(fill.KEY).decode()}
    rule = {"resources": ["secrets"], "providers": [{"aescbc": {"keys": [key]}}, {"identity": {}}]}
    head = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration"}
    config.write_text(json.dumps({**head, "resources": [rule]}))
    print("| snapshot | command | wall | processor | beside | private memory |\n| --- | --- | --- | --- | --- | --- |")
    for size in gigabytes:
        for kind, options in (("encrypted", []), ("plaintext, 30 % free", ["--plaintext", "--churn"])):
            keys = int(size * KEYS_A_GIGABYTE)
            file = folder / f"{size:g}-{kind.split(',')[0]}.db"
            if not file.exists():
                line = [str(file), "--keys", str(keys), "--megabytes", str(int(size * 1000)), *options]
                subprocess.run([sys.executable, "-m", "tests.benchmarks.fill", *line], check=True, stdout=sys.stderr)
            for each in measure(file, None if options else config, rounds, cold=cold, only=[]):
                ratio = f"{each.ratio:.2f} and {each.processor_ratio:.2f} x {each.peer}" if each.peer else ""
                memory = f"{each.private / 1e6:.0f} MB" if each.private else ""
                name = f"{file.stat().st_size / 1e9:.2f} GB, {kind}"
                seconds = f"{each.seconds:.2f} | {each.processor:.2f}"
                print(f"| {name} | {each.name} | {seconds} | {ratio} | {memory} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.ratios")
    parser.add_argument("snapshot", type=Path, nargs="?")
    parser.add_argument("--table", type=Path)
    parser.add_argument("--gigabytes", type=float, nargs="+", default=[0.1, 1.5, 6])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--busy", type=int, default=0, help="processes that keep processors at other work")
    parser.add_argument("--only", nargs="*", default=[])
    options = parser.parse_args()
    if not options.table and not options.snapshot:
        parser.error("name a snapshot, or a folder with --table")
    with other_work(options.busy):
        if options.table:
            table(options.table, options.gigabytes, options.rounds, cold=options.cold)
        else:
            for each in measure(options.snapshot, options.config, options.rounds, cold=options.cold, only=options.only):
                print(each, flush=True)
    cache, busy = "cold" if options.cold else "warm", f", {options.busy} of them busy" if options.busy else ""
    print(f"{os.cpu_count()} processors{busy}, {cache} cache, medians of {options.rounds}")


if __name__ == "__main__":
    main()
