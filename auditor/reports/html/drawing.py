"""The charts of a page as shapes of SVG: counts -> coordinates, classes of colour and a text that says the same.

Nothing is drawn by a script: a chart is there on paper, without scripts, and for whoever has it read out.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditor.text import plural, shorten

WIDTH = 440
"""Width of a chart in its own units, which are a pixel or a little more on a screen."""
CELL = 10
"""Width and height of a cell of the page map."""
PLOT_HEIGHT = 150
LABEL_HEIGHT = 18
BAR_HEIGHT = 14
BAR_PITCH = 42
LABEL_LENGTH = 58
"""Characters of a bar's name that fit over it."""
MOST_LINKS = 12
PAGE_COLOURS = ("bad", "warm", "azure", "slate", "pale", "violet", "sand")
"""By the classes of charts.CLASSES."""
# fmt: off
COLOURS: dict[str, str] = {
    "identity": "bad", "unknown": "grey", "aescbc": "azure", "aesgcm": "cyan", "secretbox": "jade", "kms v1": "gold",
    "kms v2": "violet", "latest": "azure", "history": "cyan", "deleted": "jade", "old-value": "brown",
    "previous-root": "gold", "freed": "warm", "slack": "grey", "wal": "violet", "v2-store": "rose",
}
# fmt: on
"""By provider and by place."""
SHADES = 6
"""Shades of a colour: of several series with it each has one of its own."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A path, and its classes."""

    colour: str
    path: str
    text: str
    """What it says when it is pointed at."""


@dataclass(frozen=True, slots=True)
class Label:
    """A text in a chart."""

    x: int
    y: int
    text: str
    anchor: str = "start"


@dataclass(frozen=True, slots=True)
class Link:
    """Pages that a page's table can be filtered by."""

    first: int
    last: int
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart."""

    id: str
    title: str
    text: str
    """What it shows, in a sentence."""
    alternative: str
    """Its numbers, for those who do not see it."""
    height: int
    shapes: tuple[Shape, ...]
    labels: tuple[Label, ...] = ()
    legend: tuple[tuple[str, str], ...] = ()
    """Class of colour and name of each series."""
    width: int = WIDTH
    links: tuple[Link, ...] = ()
    more_links: int = 0
    data: Mapping[str, str | int] | None = None
    """Attributes of the drawing that scripts read."""


def charts(counts: Mapping[str, Any]) -> list[Chart]:
    """The charts that have something to show. counts: charts.document()."""
    drawn = (
        _pages(counts["pages"]),
        _timeline(counts["timeline"]),
        bars("shares", "Values by place and provider", counts["shares"]),
        bars("usage", "Values by key and KEK", counts["keys"]),
    )
    return [chart for chart in drawn if chart is not None]


def _pages(pages: Mapping[str, Any]) -> Chart | None:
    """The page map: a cell a page, or several, from the left and the top."""
    cells, each, total = pages["cells"], pages["each"], pages["pages"]
    if not cells:
        return None
    across = 80 if len(cells) > 1000 else 40 if len(cells) > 200 else 20
    down = -(-len(cells) // across)
    present = Counter(cells)
    classes = pages["classes"]
    shapes = tuple(
        Shape(PAGE_COLOURS[kind], _cells(cells, kind, across), f"{classes[kind]}: {_cells_text(present[kind], each)}")
        for kind in sorted(present)
    )
    readable = sorted(pages["readable"], key=lambda pair: (cells[pair[0]], pair[0]))
    what = "a cell is a page" if each == 1 else f"a cell is {each:,} pages"
    return Chart(
        id="pages",
        title="Pages of the database",
        text=f"{total:,} pages, from the left and the top; {what}.",
        alternative="; ".join(shape.text for shape in shapes),
        height=down * CELL,
        width=across * CELL,
        shapes=shapes,
        legend=tuple((PAGE_COLOURS[kind], classes[kind]) for kind in sorted(present)),
        links=tuple(_link(cell, each, total) for cell, _ in readable[:MOST_LINKS]),
        more_links=max(0, len(readable) - MOST_LINKS),
        data={"across": across, "each": each, "pages": total, "source": pages["source"], "size": pages["size"]},
    )


def _cells_text(count: int, each: int) -> str:
    noun = "page" if each == 1 else "cell"
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _cells(cells: Sequence[int], kind: int, across: int) -> str:
    """The cells of one kind as one path: neighbours in a line are one rectangle."""
    parts = []
    start = -1
    for number in range(len(cells) + 1):
        same = number < len(cells) and cells[number] == kind
        if start >= 0 and (not same or number % across == 0):
            parts.append(
                _rectangle(start % across * CELL, start // across * CELL, (number - start) * CELL - 1, CELL - 1)
            )
            start = -1
        if same and start < 0:
            start = number
    return "".join(parts)


def _link(cell: int, each: int, total: int) -> Link:
    first, last = cell * each, min((cell + 1) * each, total) - 1
    return Link(first, last, f"page {first}" if first == last else f"pages {first} to {last}")


def _timeline(timeline: Mapping[str, Any]) -> Chart | None:
    """Columns of stored values over revisions, one colour a provider and key."""
    series, start, each = timeline["series"], timeline["start"], timeline["each"]
    if not series:
        return None
    bins = len(series[0]["counts"])
    totals = [sum(own["counts"][number] for own in series) for number in range(bins)]
    highest = max(totals) or 1
    colours = _colours(own["provider"] for own in series)
    floor = [0] * bins
    shapes = []
    for own, colour in zip(series, colours, strict=True):
        parts = []
        for number, count in enumerate(own["counts"]):
            if count:
                left, right = number * WIDTH // bins, (number + 1) * WIDTH // bins
                top, bottom = _height(floor[number] + count, highest), _height(floor[number], highest)
                parts.append(_rectangle(left, LABEL_HEIGHT + PLOT_HEIGHT - top, max(right - left - 1, 1), top - bottom))
                floor[number] += count
        shapes.append(Shape(colour, "".join(parts), f"{own['name']}: {sum(own['counts']):,} values"))
    last = start + bins * each - 1
    bottom = LABEL_HEIGHT + PLOT_HEIGHT + 14
    span = "a column is a revision" if each == 1 else f"a column is {each:,} revisions"
    return Chart(
        id="timeline",
        title="Revisions by provider",
        text=f"Where each stored value was written, and what its prefix claims; {span}.",
        alternative=f"revisions {start:,} to {last:,}; " + "; ".join(shape.text for shape in shapes),
        height=bottom + 6,
        shapes=tuple(shapes),
        labels=(
            Label(0, 12, f"up to {plural(highest, 'value')}"),
            Label(0, bottom, f"revision {start:,}"),
            *([Label(WIDTH, bottom, f"{last:,}", "end")] if last > start else []),
        ),
        legend=tuple((colour, own["name"]) for own, colour in zip(series, colours, strict=True)),
    )


def _height(count: int, highest: int) -> int:
    return -(-count * PLOT_HEIGHT // highest)


def bars(id_: str, title: str, counts: Mapping[str, Any]) -> Chart | None:
    """A bar a row, of the counts of every series; its name and its sum stand over it. None where there is nothing.

    Args:
        id_: The chart's name in the page.
        title: Its title.
        counts: `rows`, names; `series`, each with a `name`, perhaps a `provider`, and `counts` a row; perhaps `left`.
    """
    rows, series = counts["rows"], counts["series"]
    if not rows or not series:
        return None
    totals = [sum(own["counts"][number] for own in series) for number in range(len(rows))]
    highest = max(totals) or 1
    colours = _colours(own.get("provider") or own["name"] for own in series)
    floor = [0] * len(rows)
    shapes = []
    for own, colour in zip(series, colours, strict=True):
        parts = []
        for number, count in enumerate(own["counts"]):
            if count:
                left, right = floor[number] * WIDTH // highest, (floor[number] + count) * WIDTH // highest
                parts.append(_rectangle(left, number * BAR_PITCH + LABEL_HEIGHT, max(right - left, 1), BAR_HEIGHT))
                floor[number] += count
        shapes.append(Shape(colour, "".join(parts), f"{own['name']}: {sum(own['counts']):,} values"))
    left_out = counts.get("left", 0)
    return Chart(
        id=id_,
        title=title,
        text=f"{left_out:,} more keys are in the table of keys." if left_out else "",
        alternative="; ".join(_bar_text(name, number, series) for number, name in enumerate(rows)),
        height=len(rows) * BAR_PITCH,
        shapes=tuple(shapes),
        labels=tuple(
            label
            for number, (name, total) in enumerate(zip(rows, totals, strict=True))
            for label in (
                Label(0, number * BAR_PITCH + 13, shorten(name, LABEL_LENGTH)),
                Label(WIDTH, number * BAR_PITCH + 13, f"{total:,}", "end"),
            )
        ),
        legend=tuple((colour, own["name"]) for own, colour in zip(series, colours, strict=True)),
    )


def _bar_text(name: str, number: int, series: Iterable[Mapping[str, Any]]) -> str:
    return f"{name}: " + ", ".join(
        f"{own['name']} {own['counts'][number]:,}" for own in series if own["counts"][number]
    )


def _colours(names: Iterable[str]) -> list[str]:
    """The classes of colour of series; of several with one colour each has another shade."""
    used: Counter[str] = Counter()
    classes = []
    for name in names:
        colour = COLOURS.get(name, "pale")
        shade = used[colour] % SHADES
        used[colour] += 1
        classes.append(f"{colour} shade-{shade}" if shade else colour)
    return classes


def _rectangle(x: int, y: int, width: int, height: int) -> str:
    return f"M{x} {y}h{width}v{height}h-{width}z"
