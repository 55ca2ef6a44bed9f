"""The sentences and tables of a watch that the terminal, lines in a pipe and the JSON share."""

from collections.abc import Callable, Sequence

from auditor.model import exit_codes
from auditor.reports.words import label, plural
from auditor.watch.progress import Progress, Remaining

NOT_COVERED = (
    "current values only: history, freed pages, the WAL, other members' files and old backups may still hold the old "
    "form; scan them after compaction and defragmentation"
)
MOST = 12
"""Namespaces and objects that are listed; --json has all."""
STALL = 60.0
"""Seconds without a rewrite, after which that is reported."""


def exit_code(progress: Progress, *, configured: bool) -> int:
    """1: some remain. 3: none is known to, and it is not known that none does. 0: none remains."""
    return exit_codes.of(failed=not progress.over, complete=not _reason(progress, "", configured=configured))


def _reason(progress: Progress, what: str, *, configured: bool) -> str:
    """The reason for which nothing can be concluded where nothing is known to remain; empty where there is none."""
    if not progress.revision:
        return f"no read of all {what} was completed"
    if progress.useless:
        return "; ".join(useless(progress))
    if progress.absent:
        return f"there is no object of {', '.join(progress.absent)}: check the name and --storage-prefix"
    if configured and progress.unopened:
        return f"{progress.unopened:,} of {progress.all.present:,} {what} are as wanted by prefix only"
    return "; ".join(progress.doubts)


def useless(progress: Progress) -> list[str]:
    """Sentences on supplied keys that open nothing."""
    return [
        f"the supplied key {label(provider, name)} decrypts none of the {plural(count, 'value')} that "
        f"{'names' if count == 1 else 'name'} it: it is not the key that they are under"
        for provider, name, count in progress.useless
    ]


def conclusion(progress: Progress, resources: Sequence[str], *, configured: bool) -> list[str]:
    """The conclusion, exit code included, and its limits."""
    code = exit_code(progress, configured=configured)
    what = ", ".join(resources)
    at = f"at revision {progress.revision:,} (exit {code})" if progress.revision else f"(exit {code})"
    reason = _reason(progress, what, configured=configured) if code != 1 else ""
    also = [f"Also: {text}." for text in (*useless(progress), *progress.doubts) if text not in reason]
    if code == 1:
        head = f"FINDINGS: {progress.all.remaining:,} of {progress.all.present:,} {what} are not as wanted {at}"
    elif code:
        head = f"INCONCLUSIVE: {reason} {at}"
    else:
        head = f"NO FINDINGS in latest: all {progress.all.present:,} {what} are as wanted {at}"
        if progress.unopened:
            head += "; by their prefixes, which prove nothing: no key was supplied"
    if count := progress.created_otherwise:
        what = (
            f"{plural(count, 'object')} {'was' if count == 1 else 'were'} created in the old form while the watch ran"
        )
        also.append(f"Also: {what}: an API server writes with another configuration.")
    if code == 1 and progress.absent:
        also.append(f"Also: there is no object of {', '.join(progress.absent)}.")
    within = f"keys outside {' and '.join(f'{each}/' for each in progress.prefixes)}; " if progress.prefixes else ""
    return [head, sums(progress), *also, f"Not examined: {within}{NOT_COVERED}."]


def sums(progress: Progress) -> str:
    whole = progress.all
    parts = f"{whole.remaining:,} remaining + {whole.rewritten:,} rewritten + {whole.deleted:,} deleted"
    return f"{parts} = {whole.total:,}; {whole.present:,} present"


def line(progress: Progress) -> str:
    """The state on one line."""
    created = (
        f"; {progress.created_otherwise:,} created in the old form meanwhile" if progress.created_otherwise else ""
    )
    return f"revision {progress.revision:,}: {sums(progress)}{pace(progress)}{created}"


def pace(progress: Progress) -> str:
    if not progress.all.remaining:
        return ""
    stuck = f"; {plural(len(progress.stuck), 'object')} stuck" if progress.stuck else ""
    if progress.seconds_left is not None:
        return f"; {progress.rate:,.1f}/s, {duration(progress.seconds_left)} left{stuck}"
    if progress.idle is not None and progress.idle >= STALL:
        return f"; nothing was rewritten for {duration(progress.idle)}{stuck}"
    return stuck


def duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    if whole < 6000:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def under(progress: Progress) -> tuple[list[str], list[list[str]]]:
    """Header and rows: values by provider, key and KEK."""
    rows = [
        [label(provider, name) + (f" {kek}" if kek else ""), f"{count:,}", "as wanted" if conforms else "remaining"]
        for provider, name, kek, conforms, count in progress.under
    ]
    return ["under", "values", ""], rows


def namespaces(progress: Progress, most: int | None = MOST) -> tuple[list[str], list[list[str]]]:
    """Header and rows: namespaces with counts, those with the most remaining objects first."""
    shares = sorted(progress.namespaces.items(), key=lambda item: (-item[1].remaining, item[0]))
    counted = [(name, share) for name, share in shares if share.total]
    rows = [
        [name or "(cluster)", f"{share.remaining:,}", f"{share.rewritten:,}", f"{share.deleted:,}", f"{share.total:,}"]
        for name, share in counted[:most]
    ]
    if most is not None and len(counted) > most:
        rows.append([f"and {len(counted) - most:,} more", "", "", "", ""])
    return ["namespace", "remaining", "rewritten", "deleted", "total"], rows


def stuck(progress: Progress) -> tuple[list[str], list[list[str]]]:
    """Header and rows: objects that the rewrite seems to have missed."""
    return ["stuck", "finding", "why"], _listed(progress.stuck, lambda each: each.stuck)


def created(progress: Progress) -> tuple[list[str], list[list[str]]]:
    """Header and rows: objects that were created in the old form while the watch ran, and are in one."""
    return ["created in the old form", "finding", "revision"], _listed(
        progress.created, lambda each: f"{each.revision:,}"
    )


def _listed(objects: Sequence[Remaining], last: Callable[[Remaining], str]) -> list[list[str]]:
    rows = [
        ["/".join(filter(None, (each.object.namespace, each.object.name))), each.why, last(each)]
        for each in objects[:MOST]
    ]
    if (more := len(objects) - MOST) > 0:
        rows.append([f"and {more:,} more", "", ""])
    return rows
