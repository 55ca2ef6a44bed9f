"""Sentences on what is current: how many readable values hold it, where and as of when."""

from collections.abc import Iterator

from auditor.model.audit import Audit
from auditor.model.vocabulary import EvidenceKind, Place, Provider

SNAPSHOTS = frozenset({EvidenceKind.API_SNAPSHOT, EvidenceKind.NO_TRAILER, EvidenceKind.LIVE_SNAPSHOT})


def current(audit: Audit) -> int:
    """The number of readable current values of the evidence itself."""
    return sum(
        count
        for place, provider, _, count, _ in audit.tally.places
        if place is Place.LATEST and provider is Provider.IDENTITY and place in audit.tally.readable_places
    )


def sentences(audit: Audit) -> Iterator[str]:
    """How many readable values hold what is current, and of how many that is unknown."""
    holders = _holders(audit)
    if holders:
        yield f"{holders} {reference(audit)}."
    if audit.tally.undetermined:
        where = "there" if holders else reference(audit)
        limits = audit.current.limits if audit.current is not None else ()
        verb = "holds" if audit.tally.undetermined == 1 else "hold"
        reason = "; ".join(limits) or "not every current value was read, or not all of them"
        yield f"Whether {audit.tally.undetermined:,} of them {verb} what is current {where} is unknown: {reason}."


def _holders(audit: Audit) -> str:
    """The readable values that are current, or hold what is; empty where none is known to."""
    same, now = audit.tally.current_holders, current(audit) if audit.current is None else 0
    hold = "holds" if same == 1 else "hold"
    if not now:
        return f"{same:,} of them {hold} what is current" if same else ""
    also = f", and {same:,} {'leftover' if same == 1 else 'leftovers'} {hold} what is current" if same else ""
    return f"{now:,} of them {'is the current value' if now == 1 else 'are current values'}{also}"


def reference(audit: Audit) -> str:
    """Where and as of when values are called current: no issuer was asked whether it still accepts them."""
    if audit.current is not None:
        return f"in {audit.current.name} {_moment(audit.current.revision, audit.current.newest)}"
    if audit.parts:
        return "in the same evidence item (the table has its revision)"
    what = "this snapshot" if audit.evidence.kind in SNAPSHOTS else "this evidence"
    return f"in {what} {_moment(audit.evidence.backend.revision, audit.evidence.cluster.newest)}"


def _moment(revision: int, newest: str) -> str:
    return f"(revision {f'{revision:,}' if revision else 'unknown'}, newest object time {newest or 'unknown'})"
