"""The longer run: mutate, audit, count. Files with a bad end are kept, and named by their base and seed.

What verify damages of a report is not: its seed makes it again.
"""

import argparse
import multiprocessing
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from auditor.version import __version__
from tests.fuzz import archives, bases, commands, oracle, results
from tests.fuzz.base import Base
from tests.fuzz.results import Ends

MEMORY = 4 << 30
"""Of address space for each process: a file of 200 KB that asks for more ends in a MemoryError, which is a crash."""
OFTEN = 1000
AT_ONCE = 16
"""Files that a process takes from the queue."""

SECONDS, RATE = 2.0, 10e6
"""A hang is more than 2 s of the processor, and 1 s for each 10 MB of what the file unpacks to."""

_BASES: list[Base] = []


def _begin(made: list[Base]) -> None:
    _BASES[:] = made
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    _ended("scan", made[0], made[0].data, 0)  # imports are no file's
    oracle.ALLOWANCE.rate = RATE


def _one(job: tuple[int, int, str]) -> tuple[int, str, int, oracle.Outcome, str]:
    number, seed, command = job
    base = commands.of(command, _BASES[number])
    data = base.change(base.data, seed)
    oracle.ALLOWANCE.seconds = SECONDS
    outcome, said = _ended(command, base, data, seed)
    if outcome is oracle.Outcome.HANG:
        oracle.ALLOWANCE.seconds = SECONDS + sum(len(piece) for piece, _ in archives.contents(data)) / RATE
        outcome, said = _ended(command, base, data, seed)
    return number, command, seed, outcome, said


def _ended(command: str, base: Base, data: bytes, seed: int) -> tuple[oracle.Outcome, str]:
    with tempfile.TemporaryDirectory() as folder:
        return commands.judge(command, base, data, Path(folder), seed)


@dataclass(frozen=True)
class Run:
    """The bases, the processes that audit them, and what is asked of each portion of files."""

    families: dict[str, list[Base]]
    pool: ProcessPoolExecutor
    options: argparse.Namespace

    @property
    def made(self) -> list[Base]:
        return [base for family in self.families.values() for base in family]

    def portion(self, seed: int) -> tuple[Ends, Ends, list[str]]:
        """How the files of a seed end: by base, and by family; and what is said of each bad end."""
        made = self.made
        family = {base.place: name for name, each in self.families.items() for base in each}
        by_base, by_family, bad, begin = Ends(), Ends(), list[str](), time.monotonic()
        for number, command, one, outcome, said in self.pool.map(_one, self._jobs(seed), chunksize=AT_ONCE):
            place = made[number].place
            by_base[command, place, outcome] += 1
            by_family[command, family[place], outcome] += 1
            if (done := by_base.total()) % OFTEN == 0:
                print(f"{done:,} files, {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
            if outcome.bad:
                bad.append(f"{outcome.value}: {command} {place} seed {one}: {said}")
                print(bad[-1], flush=True)
                self._keep(made[number], command, one)
        print(f"{by_base.total():,} files, {time.monotonic() - begin:.0f} s, seed {seed}", flush=True)
        return by_base, by_family, bad

    def _jobs(self, seed: int) -> Iterator[tuple[int, int, str]]:
        """Base, seed and command of each file: those of a part of the bases are the same as in the whole.

        The commands take turns, each with one file of every base.
        """
        made, chosen = self.made, self.options.commands
        jobs = (
            (number % len(made), seed * 1_000_000 + number, chosen[number // len(made) % len(chosen)])
            for number in range(self.options.count)
        )
        return (job for job in jobs if re.fullmatch(self.options.only, made[job[0]].place))

    def _keep(self, base: Base, command: str, seed: int) -> None:
        if self.options.keep is not None:
            self.options.keep.mkdir(parents=True, exist_ok=True)
            part = commands.of(command, base)
            (self.options.keep / f"{base.place}-{seed}.bin").write_bytes(part.change(part.data, seed))


@contextmanager
def running(options: argparse.Namespace) -> Iterator[Run]:
    """The bases and the processes."""
    with tempfile.TemporaryDirectory() as folder:
        families = bases.families(Path(folder))
        made = [base for family in families.values() for base in family]
        context = multiprocessing.get_context("spawn")
        # of the executor, since a multiprocessing.Pool waits for ever for a worker that was killed
        with ProcessPoolExecutor(options.processes, context, _begin, (made,)) as pool:
            yield Run(families, pool, options)


def table(ends: Ends, options: argparse.Namespace, made: list[Base]) -> str:
    """A line a base, or a command of several, and one of sums, in Markdown; outcomes that never came are left out."""
    several = len(options.commands) > 1
    labels = options.commands if several else [base.place for base in made]
    counts = {(command if several else place, outcome): 0 for command, place, outcome in ends}
    for (command, place, outcome), number in ends.items():
        counts[command if several else place, outcome] += number
    seen = [each for each in oracle.Outcome if any((label, each) in counts for label in labels)]
    rows = [["base", *(each.value for each in seen)], ["---"] * (1 + len(seen))]
    rows += [[label, *(f"{counts.get((label, each), 0):,}" for each in seen)] for label in labels]
    rows.append(["all", *(f"{sum(counts.get((label, each), 0) for label in labels):,}" for each in seen)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def portions(options: argparse.Namespace) -> bool:
    """Add a line to the results for each seed that they lack; whether one has a bad end."""
    first, _, last = options.seeds.partition("-")
    before = {line["seed"] for line in results.read(options.results)}
    wanted = [seed for seed in range(int(first), int(last or first) + 1) if seed not in before]
    any_bad = False
    with running(options) as run:
        for seed in wanted:
            _, ends, bad = run.portion(seed)
            results.add(options.results, results.record(seed, ends, bad, _versions()))
            any_bad |= bool(bad)
    return any_bad


def _versions() -> dict[str, str]:
    command = ("git", "-C", str(results.RESULTS.parent), "rev-parse", "--short=12", "HEAD")
    commit = subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()
    return {"auditor": __version__, "commit": commit, "python": sys.version.partition(" ")[0]}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--count", type=int, default=20_000, help="files of one seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--commands", nargs="+", choices=commands.NAMES, default=["scan"], help="which meet the files")
    parser.add_argument("--only", default=".*", help="the part of the files that is of these bases: a pattern")
    parser.add_argument("--keep", type=Path, help="where files with a bad end are written")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seeds", metavar="FIRST-LAST", help="add a line to the results for each of these seeds")
    parser.add_argument("--results", type=Path, default=results.RESULTS)
    parser.add_argument("--table", action="store_true", help=f"make the table of {results.PAGE.name} from the results")
    return parser.parse_args()


def main() -> int:
    """1 where a file has a bad end."""
    options = _arguments()
    bad = portions(options) if options.seeds else False
    if options.table:
        results.PAGE.write_text(
            results.page(results.PAGE.read_text(encoding="utf-8"), options.results), encoding="utf-8"
        )
    if not options.seeds and not options.table:
        with running(options) as run:
            ends, _, said = run.portion(options.seed)
            print(table(ends, options, run.made))
            bad = bool(said)
    return int(bad)
