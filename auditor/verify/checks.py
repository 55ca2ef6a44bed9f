"""What came of holding one thing against a report."""

from dataclasses import dataclass
from enum import Enum

from auditor.text import printable

NAMED = 20
"""Differences of one kind that are told one by one; the rest are counted."""


class Outcome(Enum):
    AS_REPORTED = "as reported"
    DIFFERS = "DIFFERS"
    UNCHECKED = "NOT CHECKED"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Check:
    """what: the file or part that was held against the report. said: in words, without a byte of a value."""

    outcome: Outcome
    what: str
    said: str

    @property
    def holds(self) -> bool:
        return self.outcome in {Outcome.AS_REPORTED, Outcome.NOTE}


def same(what: str, said: str) -> Check:
    return Check(Outcome.AS_REPORTED, what, said)


def differs(what: str, said: str) -> Check:
    return Check(Outcome.DIFFERS, what, said)


def unchecked(what: str, said: str) -> Check:
    return Check(Outcome.UNCHECKED, what, said)


def safe(text: object) -> str:
    """Text out of a report that nobody vouches for, fit for a terminal."""
    return printable(str(text)[:200].encode("utf-8", "surrogatepass"))


def note(what: str, said: str) -> Check:
    return Check(Outcome.NOTE, what, said)
