"""What is known of time, as a table that the HTML report and `show` share."""

from auditor.model.chronology import Chronology

HEADER = ["what", "bound", "time (UTC)", "kind", "source"]
MOST = 60
"""Bounds of a table; JSON has all."""


def rows(times: Chronology) -> list[list[str]]:
    """The first bounds."""
    return [[bound.what, bound.bound, bound.time, bound.kind.value, bound.source] for bound in times.bounds[:MOST]]


def remarks(times: Chronology) -> list[str]:
    """What the bounds rest on, and what contradicts them."""
    more = len(times.bounds) - MOST
    lines = [f"{more:,} more bounds, listed by --json"] if more > 0 else []
    lines.append(
        f"Recorded times are claims of whoever wrote them; those of {times.examined:,} of {times.objects:,} readable "
        "objects were read"
    )
    return [*lines, *(f"Contradiction: {text}" for text in times.contradictions)]
