"""The conclusion as Markdown, for the summary of a pipeline's job.

Counts and ids of rows stand in it; names of objects only with --names.
"""

import re
from collections.abc import Iterator, Sequence
from typing import IO

from auditor.model.audit import Audit
from auditor.model.vocabulary import Severity
from auditor.reports import tables, verdict, words
from auditor.reports.interface import Report
from auditor.reports.rows_of import groups

FACTS = ("Evidence", "SHA-256", "Trailer", "Kind", "Policy", "Current", "Case", "Baseline", "Names", "Settings")
MOST_GAPS = 50
"""Gaps that are listed."""
_MARKS = re.compile(r"([\\`*_\[\]<>|#~&!])")
"""What Markdown and the HTML in it give a meaning to."""


class MarkdownReport(Report):
    """One file."""

    def __init__(self, fail_on: Severity, *, names: bool) -> None:
        self._fail_on = fail_on
        self._names = names

    def write(self, audit: Audit, out: IO[str]) -> None:
        out.writelines(f"{line}\n" for line in _lines(audit, self._fail_on, names=self._names))


def _lines(audit: Audit, fail_on: Severity, *, names: bool) -> Iterator[str]:
    first, *others = verdict.sentences(audit, fail_on)
    yield f"## etcd-auditor: {_text(first)}"
    yield ""
    for line in others:
        yield f"{_text(line)}  "
    yield ""
    facts = words.facts(audit)
    yield from _table(["", ""], [[name, facts[name]] for name in FACTS if name in facts])
    if audit.parts:
        yield from _table(*tables.of_parts(audit, fail_on))
    yield from _table(*tables.of_places(audit))
    rows = []
    for kind, group in groups(audit).items():
        for severity, count in sorted(group.severities.items(), reverse=True):
            rows.append([kind, severity.label, f"{count:,}", " ".join(group.listed(severity, names=names))])
    if rows:
        yield from _table(["finding", "severity", "not accepted", "objects" if names else "rows"], rows)
    yield from _open(audit)
    if steps := verdict.next_steps(audit):
        yield "Next:"
        yield ""
        yield from (f"{number}. {_text(step)}" for number, step in enumerate(steps, 1))


def _open(audit: Audit) -> Iterator[str]:
    """What was not examined, the gaps first."""
    lines = [f"* Gap: {_text(f'{gap.source}: {gap.reason}')}" for gap in audit.gaps[:MOST_GAPS]]
    if (more := len(audit.gaps) - MOST_GAPS) > 0:
        lines.append(f"* Gap: {more:,} more, listed by --json and --html")
    lines += [f"* {_text(f'{part.what}: {part.reason}')}" for part in audit.unexamined]
    if lines:
        yield "Not examined:"
        yield ""
        yield from lines
        yield ""


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    yield f"| {' | '.join(map(_text, columns))} |"
    yield f"| {' | '.join('---' for _ in columns)} |"
    for row in rows:
        yield f"| {' | '.join(_text(str(cell)) for cell in row)} |"
    yield ""


def _text(text: str) -> str:
    """A text that Markdown leaves as it is, in one line."""
    return _MARKS.sub(r"\\\1", " ".join(text.split()))
