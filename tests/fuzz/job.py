"""The longer run: mutate, audit, count. Files with a bad end are kept, and named by their base and seed."""

import argparse
import multiprocessing
import os
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.fuzz import bases, mutate, oracle

MEMORY = 4 << 30
"""Of address space for each process: a file of 200 KB that asks for more ends in a MemoryError, which is a crash."""

_BASES: list[bases.Base] = []


def _begin(made: list[bases.Base]) -> None:
    _BASES[:] = made
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def _one(job: tuple[int, int]) -> tuple[str, int, oracle.Outcome, str]:
    number, seed = job
    base = _BASES[number]
    with tempfile.TemporaryDirectory() as folder:
        outcome, said = oracle.judge(base, mutate.mutate(base.data, seed, log=base.log), Path(folder))
    return base.place, seed, outcome, said


def _jobs(count: int, seed: int, of: int) -> Iterator[tuple[int, int]]:
    return ((number % of, seed * 1_000_000 + number) for number in range(count))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="where files with a bad end are written")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    counts: Counter[tuple[str, oracle.Outcome]] = Counter()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        made = bases.make(Path(folder))
        context = multiprocessing.get_context("spawn")
        # of the executor, since a multiprocessing.Pool waits for ever for a worker that was killed
        with ProcessPoolExecutor(options.processes, context, _begin, (made,)) as pool:
            jobs = _jobs(options.count, options.seed, len(made))
            for place, seed, outcome, said in pool.map(_one, jobs, chunksize=16):
                counts[place, outcome] += 1
                if outcome.bad:
                    print(f"{outcome.value}: {place} seed {seed}: {said}", flush=True)
                    _keep(options.keep, made, place, seed)
    for outcome in oracle.Outcome:
        of = {place: counts[place, outcome] for place in (base.place for base in made)}
        print(f"{sum(of.values()):8,}  {outcome.value}  {of}")
    print(f"{options.count:,} files, {time.monotonic() - begin:.0f} s, seed {options.seed}")
    return int(any(outcome.bad for _, outcome in counts))


def _keep(folder: Path | None, made: list[bases.Base], place: str, seed: int) -> None:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        base = next(each for each in made if each.place == place)
        (folder / f"{place}-{seed}.bin").write_bytes(mutate.mutate(base.data, seed, log=base.log))
