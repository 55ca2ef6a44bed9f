"""What a summary says of several evidence items: what they share once, and of the rest what is not as always.

The lines that only `-v` and the reports have are counted.
"""

import re
from collections.abc import Iterator

from auditor.audit.ledger_note import ledger_note
from auditor.model.audit import Audit
from auditor.model.evidence import Unexamined
from auditor.text import plural

MOST = 10
"""Notes that are listed."""
MOST_SUBJECTS = 8
"""Subjects of one reason that are listed."""
LEDGER = "ledger of "
DISAGREES = "does not agree"
_ROUTINE = re.compile(
    r"unpacked from |sweep of [\d,]+ files?: each |ledger of |.*: [\d,]+ frames: "
    r"|.*published keys were tried .*none decrypts any$"
)
_SUBJECT = re.compile(r"[\d,]+ (\w+?)s? (under|in) (.+?)(?:, [\d,]+ bytes)?$")
_SHARED = re.compile(r"in [\d,]+ of [\d,]+: ")


def unexamined(audit: Audit) -> list[Unexamined]:
    """The parts that were not examined; of several evidence items those of one reason as one line."""
    if len(audit.parts) < 2:
        return list(audit.unexamined)
    groups: dict[tuple[str, bool], list[str]] = {}
    for part in audit.unexamined:
        groups.setdefault((part.reason, part.decisive), []).append(part.what)
    return [
        Unexamined(whats[0] if len(whats) == 1 else ", ".join(_subjects(audit, whats)), reason, decisive)
        for (reason, decisive), whats in groups.items()
    ]


def _subjects(audit: Audit, whats: list[str]) -> list[str]:
    """What the parts are of, without their evidence items and numbers: `values under aescbc/key1, aesgcm/gcm`."""
    kinds: dict[str, dict[str, None]] = {}
    others: dict[str, None] = {}
    for what in whats:
        bare = _bare(audit, what)
        if match := _SUBJECT.fullmatch(bare):
            kinds.setdefault(f"{match[1]}s {match[2]}", {})[match[3]] = None
        else:
            others[bare] = None
    listed = []
    for kind, subjects in kinds.items():
        names = list(subjects)
        more = f" and {len(names) - MOST_SUBJECTS:,} more" if len(names) > MOST_SUBJECTS else ""
        listed.append(f"{kind} {', '.join(names[:MOST_SUBJECTS])}{more} (-v: how many, and of which)")
    return [*listed, *others]


def notes(audit: Audit) -> list[str]:
    """The notes; of several evidence items their ledger once, and those that every run has only counted."""
    if len(audit.parts) < 2:
        return list(audit.notes)
    differs = any(DISAGREES in note for note in audit.notes)
    special = [note for note in audit.notes if not _ROUTINE.match(_bare(audit, note)) or DISAGREES in note]
    ledger = ledger_note(audit.ledger, differs=differs)
    return [*filter(None, [ledger]), *special[:MOST], *_more(len(audit.notes) - len(special[:MOST]))]


def _more(count: int) -> Iterator[str]:
    if count > 0:
        yield f"{plural(count, 'more note')} of single evidence items, listed by -v and the reports"


def _bare(audit: Audit, text: str) -> str:
    """A line without the evidence item before it, or the number of them."""
    name = next((part.name for part in audit.parts if text.startswith(f"{part.name}: ")), "")
    return text.removeprefix(f"{name}: ") if name else _SHARED.sub("", text, count=1)
