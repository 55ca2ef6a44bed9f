"""The sentences and tables of a watch that the terminal, lines in a pipe and the JSON share."""

from collections.abc import Sequence

from auditor.reports.words import label, plural
from auditor.watch.progress import Progress

NOT_COVERED = (
    "current values only: history, freed pages, the WAL, other members' files and old backups may still hold the old "
    "form; scan them after compaction and defragmentation"
)
MOST = 12
"""Namespaces and objects that are listed; --json has all."""
STALLED = 60.0
"""Seconds without a rewrite after which the whole is said to stand still."""


def exit_code(found: Progress, *, configured: bool) -> int:
    """1: some remain. 3: none does, and there is no object at all, or a value that no key opened. 0: none remains."""
    if found.all.remaining:
        return 1
    return 3 if not found.all.present or (configured and found.unopened) else 0


def conclusion(found: Progress, resources: Sequence[str], *, configured: bool) -> list[str]:
    """What an end says, exit code included, and what it does not cover."""
    code = exit_code(found, configured=configured)
    what = ", ".join(resources)
    at = f"at revision {found.revision:,} (exit {code})"
    if found.all.remaining:
        head = f"SOME REMAIN: {found.all.remaining:,} of {found.all.present:,} {what} are not as wanted {at}"
    elif not found.all.present:
        head = f"INCONCLUSIVE: there is no object of {what}: check the name and --storage-prefix {at}"
    elif code:
        head = f"INCONCLUSIVE: {found.unopened:,} of {found.all.present:,} {what} are as wanted by prefix only {at}"
    else:
        head = f"NONE REMAINS in latest: all {found.all.present:,} {what} are as wanted {at}"
        if found.unopened:
            head += "; by their prefixes, which prove nothing: no key was supplied"
    return [head, sums(found), f"Not examined: {NOT_COVERED}."]


def sums(found: Progress) -> str:
    whole = found.all
    parts = f"{whole.remaining:,} remaining + {whole.rewritten:,} rewritten + {whole.deleted:,} deleted"
    return f"{parts} = {whole.total:,}; {whole.present:,} present"


def line(found: Progress) -> str:
    """The state on one line."""
    return f"revision {found.revision:,}: {sums(found)}{pace(found)}"


def pace(found: Progress) -> str:
    if not found.all.remaining:
        return ""
    stuck = f"; {plural(len(found.stuck), 'object')} stuck" if found.stuck else ""
    if found.seconds_left is not None:
        return f"; {found.rate:,.1f}/s, {duration(found.seconds_left)} left{stuck}"
    if found.still is not None and found.still >= STALLED:
        return f"; nothing was rewritten for {duration(found.still)}{stuck}"
    return stuck


def duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    if whole < 6000:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def under(found: Progress) -> tuple[list[str], list[list[str]]]:
    """Header and rows: values by provider, key and KEK."""
    rows = [
        [label(provider, name) + (f" {kek}" if kek else ""), f"{count:,}", "as wanted" if wanted else "remaining"]
        for provider, name, kek, wanted, count in found.under
    ]
    return ["under", "values", ""], rows


def namespaces(found: Progress, most: int | None = MOST) -> tuple[list[str], list[list[str]]]:
    """Header and rows: those with the most that remains first; namespaces of which nothing is counted are left out."""
    shares = sorted(found.namespaces.items(), key=lambda each: (-each[1].remaining, each[0]))
    counted = [(name, share) for name, share in shares if share.total]
    rows = [
        [name or "(cluster)", f"{share.remaining:,}", f"{share.rewritten:,}", f"{share.deleted:,}", f"{share.total:,}"]
        for name, share in counted[:most]
    ]
    if most is not None and len(counted) > most:
        rows.append([f"and {len(counted) - most:,} more", "", "", "", ""])
    return ["namespace", "remaining", "rewritten", "deleted", "total"], rows


def stuck(found: Progress) -> tuple[list[str], list[list[str]]]:
    """Header and rows: what does not seem to be coming."""
    rows = [
        ["/".join(filter(None, (each.of.namespace, each.of.name))), each.why, each.stuck] for each in found.stuck[:MOST]
    ]
    if (more := len(found.stuck) - MOST) > 0:
        rows.append([f"and {more:,} more", "", ""])
    return ["stuck", "finding", "why"], rows
