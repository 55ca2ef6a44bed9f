"""The worlds of a range of seeds, a line of the results file for each portion, and the table of them all."""

import argparse
import json
import re
import sqlite3
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from auditor.version import __version__
from tests.helpers import members, sealing
from tests.helpers.kms_plugin import KmsPlugin
from tests.validation import table
from tests.validation.worlds import world

RESULTS = Path(__file__).with_name("results.jsonl")
PORTION = 40
"""Worlds of one line: what is lost where a run is broken off."""
MOST_MISSES = 40
_VERSION = re.compile(r"etcd Version: (\S+)")
TABLE = Path(__file__).parents[2] / "auditor" / "docs" / "error-rates.md"


@contextmanager
def kms() -> Iterator[KmsPlugin]:
    """The KMS of every world: one key, on a socket."""
    with (
        tempfile.TemporaryDirectory(prefix="auditor-kms-") as folder,
        KmsPlugin(Path(folder), {sealing.KEK_ID: sealing.KEY}) as plugin,
    ):
        yield plugin


def portion(seeds: Sequence[int], plugin: KmsPlugin) -> dict[str, Any]:
    """What the worlds of consecutive seeds measure together: a line of the results file."""
    tried, missed, kinds = Counter[str](), Counter[str](), Counter[str]()
    misses: list[str] = []
    void: list[str] = []
    for seed in seeds:
        result = world(seed, plugin)
        counts = result.counts
        if result.void:
            void.append(f"seed {seed}, {result.kind}: {result.void}")
            print(f"void: {void[-1]}", flush=True)
            continue
        kinds[result.kind] += 1
        tried += counts.tried
        missed += counts.missed
        misses += [f"seed {seed}, {text}" for text in counts.misses]
        print(f"seed {seed}, {result.kind}: {counts.tried.total():,} checks", end="")
        print(f", {counts.missed.total():,} missed", *counts.misses[:5], sep="\n  ", flush=True)
    return {
        "first": seeds[0],
        "last": seeds[-1],
        "worlds": dict(sorted(kinds.items())),
        "versions": versions(),
        "tried": dict(sorted(tried.items())),
        "missed": dict(sorted(missed.items())),
        "misses": misses[:MOST_MISSES],
        "void": void,
    }


@cache
def versions() -> dict[str, str]:
    """Versions of what makes the worlds, and of what audits them."""
    programs = {"etcd of the wheel": members.program("distro"), "etcd of the system": members.program("system")}
    texts = {name: _output(program, "--version") for name, program in programs.items()}
    found = {name: match[1] if (match := _VERSION.search(text)) else "" for name, text in texts.items()}
    commit = _output("git", "-C", str(RESULTS.parent), "rev-parse", "--short=12", "HEAD").strip()
    return {"auditor": __version__, "commit": commit, "sqlite": sqlite3.sqlite_version, **found}


def _output(*command: str) -> str:
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout


def done(results: Path) -> set[int]:
    """The seeds that the file has."""
    return {seed for each in table.read(results) for seed in range(each["first"], each["last"] + 1)}


def run(wanted: Iterable[int], results: Path, size: int = PORTION) -> int:
    """Add the worlds that the file lacks, in portions of so many; the number of misses in them."""
    before, missed = done(results), 0
    seeds = [seed for seed in wanted if seed not in before]
    with kms() as plugin:
        while seeds:
            count = next((number for number in range(1, len(seeds)) if seeds[number] != seeds[0] + number), len(seeds))
            part, seeds = seeds[: min(count, size)], seeds[min(count, size) :]
            record = portion(part, plugin)
            missed += sum(record["missed"].values())
            with results.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(record, separators=(",", ":")) + "\n")
    return missed


def main() -> int:
    """0 where nothing was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.validation")
    parser.add_argument("--worlds", type=int, default=0, help="add so many worlds behind those that there are")
    parser.add_argument("--seeds", metavar="FIRST-LAST", help="add the worlds of these seeds, but those that there are")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--table", action="store_true", help=f"make {TABLE.name} from the results")
    options = parser.parse_args()
    begin = max(done(options.results), default=-1) + 1
    wanted = range(begin, begin + options.worlds)
    if options.seeds:
        first, _, last = options.seeds.partition("-")
        wanted = range(int(first), int(last or first) + 1)
    missed = run(wanted, options.results) if wanted else 0
    if options.table:
        TABLE.write_text(table.make(options.results), encoding="utf-8")
    return 1 if missed else 0
