"""What a scan of a packed snapshot costs beside unpacking it with the usual tool and scanning what comes out.

    python -m tests.benchmarks.packed SNAPSHOT [--folder DIR] [--rounds 5] [--pause 0]

The folder gets the packed files, where it lacks them, and is where both unpack to. A pause before every command is for
machines that give freed memory back to their host, and pay for each page that they take again.
"""

import argparse
import shutil
import statistics
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path

from tests.benchmarks.ratios import AUDITOR, run

TOOLS = {
    "gz": (["gzip", "-1", "-k", "-c"], ["gzip", "-d", "-k", "-c"]),
    "zst": (["zstd", "-q", "-c"], ["zstd", "-q", "-d", "-c"]),
    "lz4": (["lz4", "-q", "-c"], ["lz4", "-q", "-d", "-c"]),
}
"""Ending, what packs to standard output, and what unpacks."""


def packed(snapshot: Path, folder: Path, ending: str) -> Path:
    """The snapshot, packed; made where the folder lacks it."""
    target = folder / f"{snapshot.stem}.{ending}"
    if not target.exists():
        with target.open("wb") as out:
            subprocess.run([*TOOLS[ending][0], str(snapshot)], stdout=out, check=True)
    return target


def scanned(file: Path, folder: Path) -> float:
    return run([AUDITOR, "scan", str(file), "--work-dir", str(folder)])[0]


def unpacked(tool: list[str], file: Path, target: Path) -> float:
    """Seconds in which the tool fills a new file, which is gone then: the kernel would write it out meanwhile."""
    begin = time.perf_counter()
    with target.open("xb") as out:
        subprocess.run([*tool, str(file)], stdout=out, check=True)
    seconds = time.perf_counter() - begin
    target.unlink()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.packed")
    parser.add_argument("snapshot", type=Path)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pause", type=float, default=0)
    options = parser.parse_args()
    snapshot, folder = options.snapshot, options.folder
    target = folder / "unpacked"
    files = {ending: packed(snapshot, folder, ending) for ending in TOOLS if shutil.which(TOOLS[ending][0][0])}
    times: dict[tuple[str, str], list[float]] = {}
    for number in range(-1, options.rounds):  # the first round warms up
        for ending, file in files.items():
            commands = {
                "plain": partial(scanned, snapshot, folder),
                "tool": partial(unpacked, TOOLS[ending][1], file, target),
                "packed": partial(scanned, file, folder),
            }
            for name, measure in commands.items():
                time.sleep(options.pause)
                seconds = measure()
                times.setdefault((ending, name), []).extend([seconds] if number >= 0 else [])
    for ending in files:
        plain, tool, scan = (statistics.median(times[ending, name]) for name in ("plain", "tool", "packed"))
        allowed = 1.3 * (tool + plain)
        print(f"{ending:4} {scan:.2f} s; {tool:.2f} to unpack, {plain:.2f} to scan: {scan / allowed:.2f} of 1.3 x both")


if __name__ == "__main__":
    main()
