"""Checks: the outcome of holding one thing against a report."""

from dataclasses import dataclass
from enum import Enum

from auditor.text import printable

MOST_DIFFERENCES = 20
"""Differences of one kind with a line each; the rest are counted."""


class Outcome(Enum):
    AS_REPORTED = "as reported"
    DIFFERS = "DIFFERS"
    UNCHECKED = "NOT CHECKED"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing held against the report."""

    outcome: Outcome
    what: str
    """The file, or the part of one."""
    text: str
    """The outcome in words, without a byte of a value."""

    @property
    def holds(self) -> bool:
        return self.outcome in {Outcome.AS_REPORTED, Outcome.NOTE}


def same(what: str, text: str) -> Check:
    return Check(Outcome.AS_REPORTED, what, text)


def differs(what: str, text: str) -> Check:
    return Check(Outcome.DIFFERS, what, text)


def unchecked(what: str, text: str) -> Check:
    return Check(Outcome.UNCHECKED, what, text)


def safe(text: object) -> str:
    """Text of a report, which may be forged, fit for a terminal."""
    return printable(str(text)[:200].encode("utf-8", "surrogatepass"))


def note(what: str, text: str) -> Check:
    return Check(Outcome.NOTE, what, text)
