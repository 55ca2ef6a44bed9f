"""What sweep and ledger add to a scan: with both, without the sweep, with neither, `--quick`, and hashlib, in turn.

    python -m tests.benchmarks.both_ways SNAPSHOT [--rounds 5]

Medians of whole processes, wall and processor seconds, each command once a round; then what the sweep adds, and what
both ways add, as parts of hashing.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

HASHING = "import hashlib, sys; hashlib.file_digest(open(sys.argv[1], 'rb'), 'sha256')"
SCAN = """
import sys
from auditor.audit import media
from auditor.evidence import ledger
media.enabled, ledger.enabled = sys.argv[1] == "sweep", sys.argv[1] != "neither"
from auditor.__main__ import main
sys.argv = ["etcd-auditor", "scan", *sys.argv[2:]]
main()
"""


def measured(command: Sequence[str]) -> tuple[float, float]:
    """Wall and processor seconds of a command and what it starts."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("snapshot", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    snapshot = str(asked.snapshot)
    scan = [sys.executable, "-P", "-c", SCAN]
    commands = {
        "both ways": [*scan, "sweep", snapshot],
        "no sweep": [*scan, "ledger", snapshot],
        "neither": [*scan, "neither", snapshot],
        "hashlib": [sys.executable, "-P", "-c", HASHING, snapshot],
        "--quick": [*scan, "sweep", snapshot, "--quick"],
    }
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(asked.rounds):
        for name, command in commands.items():
            seconds[name].append(measured(command))
    medians = {
        name: [statistics.median(column) for column in zip(*each, strict=True)] for name, each in seconds.items()
    }
    for name, (wall, processor) in medians.items():
        print(f"{name:10} {wall:5.2f} s {processor:5.2f} processor seconds")
    for what, less in ("the sweep adds", "no sweep"), ("both ways add", "neither"):
        added = [
            (both - without) / hashing
            for both, without, hashing in zip(*(medians[name] for name in ("both ways", less, "hashlib")), strict=True)
        ]
        print("{} {:.2f} x hashing in wall time, {:.2f} x in processor seconds".format(what, *added))


if __name__ == "__main__":
    main()
