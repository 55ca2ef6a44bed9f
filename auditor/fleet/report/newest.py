"""Clusters of which the newest examined backup does not show everything that is current today."""

from auditor.fleet.clusters import STRAYS
from auditor.fleet.report.context import Context
from auditor.text import plural

_DOUBTS = """
SELECT who, count(*), bool_or(part), bool_or(bare), bool_or(overtaken) FROM doubtful
WHERE part OR bare OR overtaken GROUP BY who ORDER BY who"""


def doubts(context: Context) -> dict[str, str]:
    """What is not known of the current values of a cluster, and why, by cluster, in words without an end.

    Values that no key decrypts are no reason here: they are there, and are written under a key.
    """
    return {
        who: f"{_subject(who, count)}, since {', and '.join(_reasons(part=part, bare=bare, overtaken=overtaken))}"
        for who, count, part, bare, overtaken in context.rows(_DOUBTS)
    }


def _subject(who: str, count: int) -> str:
    named = f"{plural(count, 'backup')} of no known cluster" if who in STRAYS else who
    return f"what is current in {named}"


def _reasons(*, part: bool, bare: bool, overtaken: bool) -> list[str]:
    reasons = (
        (part, "the newest examined backup was not read whole, or does not match its checksum"),
        (bare, "the newest examined backup holds no current Secret, where older ones do"),
        (overtaken, "a newer backup than the newest examined one was not read"),
    )
    return [words for applies, words in reasons if applies]
