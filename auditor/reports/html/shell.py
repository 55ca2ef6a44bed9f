"""The page that all commands share: conclusion, tiles, contents, findings by object and by value, and what follows.

A command renders a body of sections; the shell puts the conclusion above it, its contents beside it, and the table of
rows, the scripts and the custody behind it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Self

from auditor.arrays.dictionary import encode
from auditor.model.findings import Cell
from auditor.reports.html import assets, embed, seal

if TYPE_CHECKING:
    from jinja2 import Environment

CONFIDENTIAL = "Confidential: names of Secrets"
MOST = 300
"""Lines of the table by object: about ten sheets on paper."""
_SECTION = re.compile(r'<section id="([a-z-]+)"[^>]*>\s*<h2[^>]*>(.*?)</h2>')


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure at the head of a page."""

    figure: str
    text: str
    state: str = ""
    """bad, open or good; empty for what is neither."""
    href: str = ""
    """Where it leads; nowhere where it is empty."""
    filter: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Values of columns that the table of rows is filtered by when the tile is clicked."""

    @property
    def filter_text(self) -> str:
        """The filter as the scripts read it."""
        return json.dumps(self.filter)

    @classmethod
    def of_rows(cls, count: int, text: str, state: str, /, **columns: Sequence[str]) -> Self:
        """A tile of rows: it filters the table where there are some. columns: the filter."""
        chosen = {name: tuple(values) for name, values in columns.items()}
        return cls(f"{count:,}", text, state, "#objects" if count else "", chosen if count else {})


@dataclass(frozen=True, slots=True)
class Step:
    """One of the next steps."""

    who: str
    """Who takes it."""
    what: str
    filter: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Values of columns by which the table of rows shows what it is about; empty where that is no rows."""
    where: str = ""
    """The namespaces that it is about."""

    @property
    def filter_text(self) -> str:
        """The filter as the scripts read it."""
        return json.dumps(self.filter)


@dataclass(frozen=True, slots=True)
class View:
    """How the scripts of a page show its table of rows."""

    noun: str
    """A row in one word."""
    nouns: str
    shown: tuple[str, ...]
    """Columns that are visible at first, in order."""
    phone: tuple[str, ...]
    """Those of them that are visible at first on a narrow screen."""
    facets: tuple[tuple[str, str], ...]
    """Columns with a filter each, and its name."""
    numbers: frozenset[str]
    """Columns of numbers."""
    lines: tuple[tuple[str, ...], ...] = ()
    """Columns that make each cell of the table by object; empty where rows are grouped by object."""
    exhibits: Mapping[str, str] = field(default_factory=dict)
    """The evidence item of each file, where there are several."""

    @property
    def plain(self) -> dict[str, Any]:
        """The view for the scripts."""
        return {
            "noun": self.noun,
            "nouns": self.nouns,
            "shown": self.shown,
            "phone": self.phone,
            "facets": [name for name, _ in self.facets],
            "numbers": sorted(self.numbers),
            "lines": self.lines,
            "exhibits": self.exhibits,
        }


@dataclass(frozen=True, slots=True)
class Shell:
    """The head of a page."""

    command: str
    """The command that wrote it, with a blank before it; empty for `scan`."""
    heading: str
    version: str
    finished: str
    case: str
    outcome: str
    """findings, accepted, inconclusive or none."""
    verdict: Sequence[str]
    scope: Sequence[str]
    tiles: Sequence[Tile]


@cache
def environment() -> "Environment":
    """The templates, compiled once each: that takes longer than to render one."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("auditor.reports.html"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )


def render(shell: Shell, name: str, data: str, **context: object) -> str:
    """The visible part of a page: everything that is readable without scripts.

    Args:
        shell: The head.
        name: The template of the body.
        data: Elements of script behind the body.
        context: The variables of the body.
    """
    from markupsafe import Markup

    body = environment().get_template(name).render(**context)
    contents = [("verdict", "Conclusion"), *((id_, Markup(title)) for id_, title in _SECTION.findall(body))]  # noqa: S704 - escaped
    return (
        environment()
        .get_template("shell.html")
        .render(
            shell=shell,
            contents=contents,
            body=Markup(body),  # noqa: S704 - the body is a template's
            data=data,
            policy=assets.policy(assets.scripts()),
            confidential=CONFIDENTIAL,
        )
    )


def parts(page: str, findings: str) -> dict[str, str]:
    """The parts of a page in their order. findings: embed.findings()."""
    return {"page": page, "findings": findings, **{script.name: script.element for script in assets.scripts()}}


def document(page: str, columns: Mapping[str, Sequence[Cell]], numbers: frozenset[str], custody: dict[str, Any]) -> str:
    """A whole page of rows.

    Args:
        page: render().
        columns: The rows.
        numbers: The columns of numbers.
        custody: A document with `hashes`, without its rows.
    """
    lines = {name: embed.column(name, cells, numbers) for name, cells in columns.items()}
    return seal.page(parts(page, embed.findings(lines)), custody)


def lines(
    columns: Mapping[str, Sequence[Cell]], cells: Sequence[Sequence[str]], rows: Sequence[int]
) -> list[list[str]]:
    """The table by object of rows that are objects: a line each, in the words of print.js.

    Args:
        columns: The rows.
        cells: View.lines.
        rows: The numbers of the rows.
    """
    return [["/".join(filter(None, (str(columns[name][row]) for name in names))) for names in cells] for row in rows]


def by_severity(severities: Sequence[Cell], ranks: Mapping[str, int]) -> list[int]:
    """Numbers of the rows, most severe first, else in their order. ranks: of severities; what has none comes last."""
    import numpy as np

    levels = encode(severities)
    ranked = np.array([ranks.get(str(level), -1) for level in levels.values], np.int64)[levels.codes]
    order: list[int] = np.argsort(-ranked, kind="stable").tolist()
    return order
