"""The answers: sections, each with a verdict of its own, sentences and grids."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from auditor.text import escaped

Cell = str | int
Cells = tuple[Cell, ...]


class Answer(Enum):
    """The verdict of a section."""

    FINDINGS = "findings"
    UNKNOWN = "unknown"
    """Something that decides it was not read, or cannot be told."""
    NONE = "none"
    """Nothing, in what was examined."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of a section."""

    name: str
    """One word, as CSV and JSON name it."""
    header: tuple[str, ...]
    rows: Sequence[Cells]
    folded: bool = False
    """Whether the page shows it on demand only."""

    def escaped(self) -> "Grid":
        """The same without unprintable characters."""
        rows = [tuple(escaped(cell) if isinstance(cell, str) else cell for cell in row) for row in self.rows]
        return replace(self, rows=rows)


@dataclass(frozen=True, slots=True)
class Section:
    """The answer to one question."""

    name: str
    """One word, as links, CSV and JSON name it."""
    title: str
    answer: Answer
    sentences: tuple[str, ...]
    grids: tuple[Grid, ...] = ()

    def escaped(self) -> "Section":
        """The same without unprintable characters, which names and sources may hold."""
        sentences, grids = map(escaped, self.sentences), (grid.escaped() for grid in self.grids)
        return replace(self, title=escaped(self.title), sentences=tuple(sentences), grids=tuple(grids))


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetReport:
    """All answers, without unprintable characters but in `state`."""

    dataset: str
    """Name of the data set."""
    tool: str
    as_of: str
    """The time by which ages count, ISO 8601 in UTC."""
    sections: tuple[Section, ...]
    new: int | None
    """New findings since the baseline; None without one."""
    severe: int
    """Backups inside the retention with a finding that counts."""
    findings: tuple[str, ...]
    """What ends it with 1, in sentences without an end."""
    standing: tuple[str, ...]
    """Findings that do not, by the options."""
    open_questions: tuple[str, ...]
    """What keeps the report from being conclusive."""
    sha256: str
    """SHA-256 of the list of the objects that were examined."""
    state: dict[str, Any] = field(default_factory=dict, repr=False)
    """What a later report is compared with."""

    @property
    def exceptions(self) -> tuple[str, ...]:
        """Everything that keeps it from saying that there is nothing."""
        return (*self.findings, *self.standing, *self.open_questions)

    @property
    def exit_code(self) -> int:
        """1: findings that count. 3: an open question. 0: neither."""
        return 1 if self.findings else 3 if self.open_questions else 0
