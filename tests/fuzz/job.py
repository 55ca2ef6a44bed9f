"""The longer run: mutate, audit, count. Files with a bad end are kept, and named by their base and seed.

What verify damages of a report is not: its seed makes it again.
"""

import argparse
import multiprocessing
import os
import re
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.fuzz import bases, commands, oracle
from tests.fuzz.base import Base

MEMORY = 4 << 30
"""Of address space for each process: a file of 200 KB that asks for more ends in a MemoryError, which is a crash."""
OFTEN = 1000
AT_ONCE = 16
"""Files that a process takes from the queue."""

_BASES: list[Base] = []


def _begin(made: list[Base]) -> None:
    _BASES[:] = made
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def _one(job: tuple[int, int, str]) -> tuple[str, str, int, oracle.Outcome, str]:
    number, seed, command = job
    base = commands.of(command, _BASES[number])
    with tempfile.TemporaryDirectory() as folder:
        outcome, said = commands.judge(command, base, base.change(base.data, seed), Path(folder), seed)
    return base.place, command, seed, outcome, said


def _jobs(count: int, seed: int, made: list[Base], only: str, chosen: list[str]) -> Iterator[tuple[int, int, str]]:
    """Base, seed and command of each file: those of a part of the bases are the same as in the whole.

    The commands take turns, each with one file of every base.
    """
    jobs = (
        (number % len(made), seed * 1_000_000 + number, chosen[number // len(made) % len(chosen)])
        for number in range(count)
    )
    return (job for job in jobs if re.fullmatch(only, made[job[0]].place))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--commands", nargs="+", choices=commands.NAMES, default=["scan"], help="which meet the files")
    parser.add_argument("--only", default=".*", help="the part of the files that is of these bases: a pattern")
    parser.add_argument("--keep", type=Path, help="where files with a bad end are written")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    several = len(options.commands) > 1
    counts: Counter[tuple[str, oracle.Outcome]] = Counter()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        made = bases.make(Path(folder))
        context = multiprocessing.get_context("spawn")
        # of the executor, since a multiprocessing.Pool waits for ever for a worker that was killed
        with ProcessPoolExecutor(options.processes, context, _begin, (made,)) as pool:
            jobs = _jobs(options.count, options.seed, made, options.only, options.commands)
            for place, command, seed, outcome, said in pool.map(_one, jobs, chunksize=AT_ONCE):
                counts[command if several else place, outcome] += 1
                if (done := counts.total()) % OFTEN == 0:
                    print(f"{done:,} files, {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
                if outcome.bad:
                    print(f"{outcome.value}: {f'{command} ' * several}{place} seed {seed}: {said}", flush=True)
                    _keep(options.keep, made, place, command, seed)
    print(table(counts, options.commands if several else [base.place for base in made]))
    print(f"{counts.total():,} files, {time.monotonic() - begin:.0f} s, seed {options.seed}")
    return int(any(outcome.bad for _, outcome in counts))


def table(counts: Counter[tuple[str, oracle.Outcome]], places: list[str]) -> str:
    """A line a base, or a command, and one of sums, in Markdown; outcomes that never came are in the sums alone."""
    seen = [each for each in oracle.Outcome if any(counts[place, each] for place in places)]
    lines = [["base", *(each.value for each in seen)], ["---"] * (1 + len(seen))]
    lines += [[place, *(f"{counts[place, each]:,}" for each in seen)] for place in places]
    lines.append(["all", *(f"{sum(counts[place, each] for place in places):,}" for each in seen)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _keep(folder: Path | None, made: list[Base], place: str, command: str, seed: int) -> None:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        base = commands.of(command, next(each for each in made if each.place == place))
        (folder / f"{place}-{seed}.bin").write_bytes(base.change(base.data, seed))
