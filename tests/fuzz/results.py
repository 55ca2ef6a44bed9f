"""What the longer runs met, a line for each portion of files, and the table that is made of all lines."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from auditor.text import plural
from tests.fuzz.oracle import Outcome

RESULTS = Path(__file__).with_name("results.jsonl")
PAGE = Path(__file__).parents[2] / "auditor" / "docs" / "fuzzing.md"
BEGIN, END = "<!-- table: python -m tests.fuzz --table -->", "<!-- end of table -->"
Ends = Counter[tuple[str, str, Outcome]]
"""Files by the command that met them, what was damaged, and how they ended."""
_COLUMNS = (
    ("findings (1)", (Outcome.FOUND,)),
    ("inconclusive (3)", (Outcome.OPEN,)),
    ("refused (2)", (Outcome.REFUSED,)),
    ("nothing left to find, or an answer that holds (0)", (Outcome.PASSED, Outcome.ANSWERED)),
    ("bad ends", tuple(each for each in Outcome if each.bad)),
)


def record(seed: int, ends: Ends, bad: Sequence[str], versions: dict[str, str]) -> dict[str, Any]:
    """A line of the file. bad: what was said of each bad end."""
    counts: dict[str, dict[str, dict[str, int]]] = {}
    for (command, family, outcome), number in sorted(ends.items(), key=lambda item: (*item[0][:2], item[0][2].name)):
        counts.setdefault(command, {}).setdefault(family, {})[outcome.name] = number
    return {"seed": seed, "files": ends.total(), "versions": versions, "ends": counts, "bad": list(bad)}


def add(path: Path, line: dict[str, Any]) -> None:
    """Append a line to the file."""
    with path.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(line, separators=(",", ":")) + "\n")


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of the file; none where there is no such file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def _ends(lines: Sequence[dict[str, Any]]) -> Ends:
    return sum((Counter(dict(_counts(line))) for line in lines), Ends())


def _counts(line: dict[str, Any]) -> Iterator[tuple[tuple[str, str, Outcome], int]]:
    for command, families in line["ends"].items():
        for family, outcomes in families.items():
            for name, number in outcomes.items():
                yield (command, family, Outcome[name]), number


def table(path: Path) -> str:
    """A line for each kind of evidence that `scan` met, and for each other command, in Markdown."""
    lines = read(path)
    ends = _ends(lines)
    labels = {key: f"`scan`: {key[1]}" if key[0] == "scan" else f"`{key[0]}`" for key in ends}
    places = list(dict.fromkeys(sorted(labels.values(), key=lambda label: (not label.startswith("`scan`"), label))))
    cells = Counter[tuple[str, Outcome]]()
    for key, number in ends.items():
        cells[labels[key], key[2]] += number
    seeds = sorted(line["seed"] for line in lines)
    commits = ", ".join(dict.fromkeys(line["versions"]["commit"] for line in lines))
    return "\n".join(
        [
            f"{ends.total():,} files in {plural(len(lines), 'portion')}, seeds {_ranges(seeds)}; commits {commits}.",
            "",
            _row("what was damaged", "files", *(title for title, _ in _COLUMNS)),
            _row(*["---"] * (2 + len(_COLUMNS))),
            *(_line(place, [place], cells) for place in places),
            _line("all", places, cells),
        ]
    )


def _line(label: str, places: Sequence[str], cells: Counter[tuple[str, Outcome]]) -> str:
    numbers = [sum(cells[place, each] for place in places for each in outcomes) for _, outcomes in _COLUMNS]
    return _row(label, *(f"{number:,}" for number in (sum(numbers), *numbers)))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _ranges(seeds: Sequence[int]) -> str:
    """Consecutive seeds as FIRST-LAST."""
    parts: list[list[int]] = []
    for seed in seeds:
        if parts and seed == parts[-1][-1] + 1:
            parts[-1].append(seed)
        else:
            parts.append([seed])
    return ", ".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else f"{part[0]}" for part in parts)


def page(text: str, path: Path) -> str:
    """The page with the table between its marks."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{table(path)}\n{END}{rest.partition(END)[2]}"
