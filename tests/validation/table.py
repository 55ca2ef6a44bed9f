"""The page of measured error rates, made from the results file alone."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.validation.words import EXPLANATIONS, INTRODUCTION, LIMITS, MEASURES, MISSES, REMAINS, VOID

CONFIDENCE = 0.95
KINDS = ("snapshot", "data directory", "kine", "dqlite", "dump of PostgreSQL", "dump of MariaDB")
SHAPES = ("whole", "beginning", "beginning lost, or in another page")
SIZES = ("under 1 KB", "1 to 4 KB", "over 4 KB")
AGES = ("under 20", "20 to 99", "100 and more")


def read(results: Path) -> list[dict[str, Any]]:
    """The lines of the results file; none where there is no file."""
    if not results.exists():
        return []
    with results.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def interval(missed: int, tried: int) -> tuple[float, float]:
    """The exact interval of a rate (Clopper-Pearson)."""
    from scipy.stats import binomtest

    bounds = binomtest(missed, tried).proportion_ci(CONFIDENCE, method="exact")
    return float(bounds.low), float(bounds.high)


def make(results: Path) -> str:
    """The page."""
    lines = read(results)
    tried, missed, worlds = (_sum(lines, name) for name in ("tried", "missed", "worlds"))
    parts = [
        INTRODUCTION.format(
            worlds=f"{worlds.total():,}",
            kinds=", ".join(f"{count:,} of {kind}" for kind, count in sorted(worlds.items())),
            checks=f"{sum(count for name, count in tried.items() if name.split('|')[1] in MEASURES):,}",
            missed=f"{missed.total():,}",
            seeds=_seeds(lines),
            versions="; ".join(_versions(lines)),
        ),
        *_sections(tried, missed),
        VOID.format(count=f"{sum(len(line['void']) for line in lines if 'void' in line):,}"),
        *(f"* {text}" for line in lines for text in line.get("void", ())),
        MISSES,
        *_misses(lines, missed),
        LIMITS,
    ]
    return "\n".join(parts) + "\n"


def _sum(lines: Sequence[Mapping[str, Any]], name: str) -> Counter[str]:
    total = Counter[str]()
    for line in lines:
        total.update(line[name])
    return total


def _seeds(lines: Sequence[Mapping[str, Any]]) -> str:
    """The ranges of the seeds, joined where they meet."""
    ranges: list[list[int]] = []
    for first, last in sorted((line["first"], line["last"]) for line in lines):
        if ranges and ranges[-1][1] + 1 == first:
            ranges[-1][1] = last
        else:
            ranges.append([first, last])
    return ", ".join(f"{first} to {last}" for first, last in ranges)


def _versions(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    every = {name: sorted({line["versions"][name] for line in lines}) for name in lines[0]["versions"]}
    return [f"{name} {', '.join(versions)}" for name, versions in every.items()]


def _sections(tried: Counter[str], missed: Counter[str]) -> Iterator[str]:
    for measure, text in MEASURES.items():
        names = sorted(
            (name for name in tried if name.split("|")[1] == measure),
            key=lambda name: (KINDS.index(name.split("|")[0]), name),
        )
        if names:
            heading = f"`{measure}`" if "_" in measure else f"{measure[0].upper()}{measure[1:]}"
            yield f"\n## {heading}\n\n{text}\n"
            yield from _table(_merged(names, measure), tried, missed)
    yield REMAINS
    yield "| evidence | revisions since | values | with bytes left | share |\n| --- | --- | ---: | ---: | ---: |"
    for kind in KINDS:
        for age in AGES:
            count = tried[f"{kind}|superseded values|{age} revisions"]
            left = tried[f"{kind}|superseded values with bytes left|{age} revisions"]
            if count:
                yield f"| {kind} | {age} | {count:,} | {left:,} | {left / count:.0%} |"


def _merged(names: Sequence[str], measure: str) -> dict[tuple[str, ...], list[str]]:
    """The names of a measure by the cells of their line: what stands before the numbers."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in names:
        kind, _, *rest = name.split("|")
        cells = (kind, *rest) if measure == "readable parts" else (kind, " ".join(rest) or "all")
        groups.setdefault(cells, []).append(name)
    return groups


def _table(groups: Mapping[tuple[str, ...], list[str]], tried: Counter[str], missed: Counter[str]) -> Iterator[str]:
    wide = len(next(iter(groups))) > 2
    head = "| evidence | place | what is left | bytes |" if wide else "| evidence | place |"
    yield f"{head} n | missed | rate, at most |"
    yield "| --- " * (head.count("|") - 1) + "| ---: | ---: | ---: |"
    for cells, names in groups.items():
        count, wrong = (sum(counter[name] for name in names) for counter in (tried, missed))
        low, high = interval(wrong, count)
        rate = f"{_percent(high)}" if not wrong else f"{_percent(wrong / count)} ({_percent(low)} to {_percent(high)})"
        yield f"| {' | '.join(cells)} | {count:,} | {wrong:,} | {rate} |"


def _percent(rate: float) -> str:
    return f"{100 * rate:.2g} %"


def _misses(lines: Sequence[Mapping[str, Any]], missed: Counter[str]) -> Iterator[str]:
    if not missed.total():
        yield "None: there was no miss."
        return
    every = [text for line in lines for text in line["misses"]]
    for measure in sorted(missed):
        name = "|".join(measure.split("|")[:3])
        examples = [text for text in every if f" {measure}:" in f" {text}"][:3]
        yield f"* **{name.replace('|', ', ')}**: {missed[measure]:,}. {EXPLANATIONS.get(name, 'Not explained yet.')}"
        yield from (f"  - `{text}`" for text in examples)
