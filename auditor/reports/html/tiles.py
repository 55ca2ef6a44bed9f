"""The figures at the head of a scan's page: those that count findings filter the table."""

from auditor.model.audit import Audit
from auditor.model.vocabulary import FindingKind, Place, SameAsLatest
from auditor.reports import currency, verdict, words
from auditor.reports.html.shell import Tile

PLAINTEXT = (FindingKind.PLAINTEXT.label,)
HELD = (SameAsLatest.YES.label, SameAsLatest.PART.label, SameAsLatest.ELSEWHERE.label)
"""What same_as_latest says of a leftover that holds what is current."""


def of(audit: Audit) -> list[Tile]:
    tally = audit.tally
    values = sum(count for *_, count, _ in tally.places)
    decrypted = sum(opened for *_, opened in tally.places)
    current = currency.current(audit)
    points = verdict.open_points(audit)
    who = "of them" if audit.current else "leftovers that"
    held = f"{who} hold what is current"
    return [
        Tile.of_rows(
            tally.readable, f"readable of {words.plural(values, 'value')}", _state(tally.readable), finding=PLAINTEXT
        ),
        Tile.of_rows(
            current, "of them current values", _state(current), finding=PLAINTEXT, place=(Place.LATEST.label,)
        ),
        Tile.of_rows(tally.current_holders, held, _state(tally.current_holders), **filter_of(holders=True)),
        _objects(audit),
        Tile(f"{decrypted:,}", "values decrypted with a key", "", "#keys" if decrypted else ""),
        Tile(f"{points:,}", "unresolved gaps", "open" if points else "good", "#unexamined"),
    ]


def filter_of(*, holders: bool) -> dict[str, tuple[str, ...]]:
    """The filter of the readable values, or of the leftovers among them that hold what is current."""
    return {"finding": PLAINTEXT, **({"same_as_latest": HELD} if holders else {})}


def _objects(audit: Audit) -> Tile:
    """The tile of the objects that are readable; of a fragment nobody knows which it is of."""
    count, text = audit.tally.objects, "objects with a readable value"
    text += ", counted in each evidence item" if len(audit.parts) > 1 else ""
    if audit.tally.readable and not count:
        return Tile("unknown", text, "bad", "#objects", {"finding": PLAINTEXT})
    return Tile.of_rows(count, text, _state(count), finding=PLAINTEXT)


def _state(count: int) -> str:
    return "bad" if count else "good"
