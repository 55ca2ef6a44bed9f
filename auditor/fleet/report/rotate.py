"""What to rotate, and which backups to restrict meanwhile."""

from collections.abc import Sequence
from typing import Any

from auditor.fleet.report.context import Context
from auditor.fleet.report.model import Answer, Cells, Grid, Section
from auditor.fleet.report.newest import doubts
from auditor.hunt.neighbours import name
from auditor.text import moment, plural

MOST_STEPS = 100
"""Steps of the list of what to rotate."""
MOST_BACKUPS = 5000
"""Backups with a line of their own."""
COMMON = "in the backups examined, readable or decrypted, public, common or short: not compared."
_SETS = """
SELECT credentials, count(*) FROM (
    SELECT backup, list(DISTINCT credential ORDER BY credential) AS credentials FROM held
    WHERE credential IN (SELECT credential FROM live) GROUP BY backup)
GROUP BY credentials ORDER BY credentials"""
_NAMES = """
SELECT l.credential, string_agg(DISTINCT l.who, ', ' ORDER BY l.who),
    string_agg(DISTINCT rtrim(i.namespace || '/' || i.name || ' ' || l.field), ', '),
    string_agg(DISTINCT p.owner, ', ') FILTER (p.owner <> ''), min(i.valid_until)
FROM live l JOIN all_inventory i ON i.backup = l.backup AND i.id = l.id JOIN population p ON p.backup = l.backup
WHERE l.credential IN (SELECT credential FROM held) GROUP BY l.credential"""


def steps(sets: Sequence[tuple[Sequence[str], int]]) -> list[tuple[list[str], int]]:
    """What to rotate in each step, and how many backups hold no readable current credential after it.

    Each step takes the set of some backups that frees the most backups for each credential in it. To find the
    fewest is a covering problem that no program solves at this size; every figure is exact for the order shown.

    Args:
        sets: The current credentials that are readable in a backup, and the number of backups with just these.
    """
    waiting = {frozenset(credentials): count for credentials, count in sets}
    rotated: set[str] = set()
    freed = 0
    order: list[tuple[list[str], int]] = []
    while waiting and len(order) < MOST_STEPS:
        lacking = {own: own - rotated for own in waiting}
        gains: dict[frozenset[str], int] = {}
        for own, count in waiting.items():
            gains[lacking[own]] = gains.get(lacking[own], 0) + count
        # a set frees what it contains, too
        best = max(
            gains,
            key=lambda candidate: (
                sum(count for own, count in gains.items() if own <= candidate) / len(candidate),
                sorted(candidate),
            ),
        )
        rotated |= best
        for own in [own for own in waiting if own <= rotated]:
            freed += waiting.pop(own)
        order.append((sorted(best), freed))
    return order


def section(context: Context) -> tuple[Section, list[str]]:
    """The section, and what it leaves open."""
    sets = context.rows(_SETS)
    names = {row[0]: row[1:] for row in context.rows(_NAMES)}
    total = sum(count for _, count in sets)
    lines: list[Cells] = []
    ordinal: dict[str, int] = {}
    for number, (credentials, freed) in enumerate(steps(sets), 1):
        for credential in credentials:
            who, what, owner, until = names.get(credential, ("", "", "", ""))
            ordinal[credential] = len(ordinal) + 1
            lines.append((number, ordinal[credential], what, who, owner or "", until or "", freed, total))
    unknown = _unknown(context)
    words = "is known to be current today" if unknown else "is current today"
    sentences = [f"{plural(total, 'backup')} with a readable credential that {words}."]
    for last in sorted({1, 3, len({line[0] for line in lines})}):
        done = [line for line in lines if int(line[0]) <= last]
        if done and int(done[-1][0]) == last:
            sentences.append(f"Rotating these {len(done):,} frees {int(done[-1][6]):,} of {total:,}.")
    common = context.number("SELECT sum(common_values) FROM population WHERE state = 'examined'")
    if common:
        sentences.append(f"{plural(common, 'value')} {COMMON}")
    if unknown:
        sentences.append(f"Unknown: {'; '.join(unknown)}.")
    header = ("step", "credential", "secret and field", "current in", "owner", "valid until", "backups freed", "of")
    answer = Answer.FINDINGS if total else Answer.UNKNOWN if unknown else Answer.NONE
    return Section("rotate", "Rotate", answer, tuple(sentences), (Grid("rotate", header, lines),)), unknown


def _unknown(context: Context) -> list[str]:
    """Why it cannot be told of some readable values whether they are current."""
    reasons = []
    open_values = context.number(
        "SELECT count(DISTINCT credential) FROM held WHERE credential NOT IN (SELECT credential FROM live)"
    )
    if open_values and not context.compared:
        reasons.append(
            f"{open_values:,} readable values: without a key of value ids (--compare-key) only the same object at the "
            "same revision is known to be the same"
        )
    if open_values and context.compared:
        holders = {who for (who,) in context.rows("SELECT DISTINCT who FROM held")}
        reasons += [
            f"{count:,} current values of {who} were not decrypted, and may be any of these"
            for who, count in context.rows("SELECT who, undecrypted FROM doubtful WHERE undecrypted > 0 ORDER BY ALL")
            if who in holders
        ]
        reasons += [doubt for who, doubt in doubts(context).items() if who in holders]
    return reasons


_EXPOSED = """
WITH current AS (
    SELECT backup, count(DISTINCT credential) AS credentials FROM held
    WHERE credential IN (SELECT credential FROM live) GROUP BY backup),
near AS (
    SELECT backup, max(CASE WHEN sound AND timed THEN stamp END) OVER (
            PARTITION BY store ORDER BY stamp, backup ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before,
        min(CASE WHEN sound AND timed THEN stamp END) OVER (
            PARTITION BY store ORDER BY stamp, backup ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS after
    FROM population)
SELECT p.who, p.url, p.stamp, p.readable, p.readable_alone, p.hold, p.version, coalesce(c.credentials, 0),
    CASE WHEN p.timed AND least(p.stamp - n.before, n.after - p.stamp) <= ? THEN 'no'
        WHEN p.sound AND p.known AND p.timed THEN 'yes' ELSE 'unknown' END,
    p.retention, p.timed, p.store IN (SELECT store FROM blind)
FROM population p JOIN near n USING (backup) LEFT JOIN current c USING (backup)
WHERE p.state = 'examined' AND p.readable > 0
ORDER BY 8 DESC, p.stamp DESC, p.url LIMIT ?"""


def restrict(context: Context) -> Section:
    """Backups with readable values: restrict access to them until retention removes them."""
    days = context.questions.restore_days
    rows: list[Cells] = [
        (
            *(who, url, moment(at), readable, "unknown" if blind and not credentials else credentials),
            only,
            ("unknown", moment(at + retention))[timed] if retention else "no retention given",
            *(alone, hold or "not told", "earlier" if version else "current"),
        )
        for who, url, at, readable, alone, hold, version, credentials, only, retention, timed, blind in context.rows(
            _EXPOSED, days * 86400, MOST_BACKUPS
        )
    ]
    total = context.number("SELECT count(*) FROM population WHERE state = 'examined' AND readable > 0")
    sentences = [
        f"{plural(total, 'backup')} with readable values: restrict who can read them until retention removes them."
    ]
    if total > len(rows):
        sentences.append(f"The first {len(rows):,} are listed; the data set has all.")
    held = context.number(
        "SELECT count(*) FROM population WHERE readable > 0 AND state = 'examined' AND hold NOT IN ('', 'none')"
    )
    if held:
        sentences.append(f"{plural(held, 'backup')} of them locked in the store, or under a legal hold.")
    objects = [each for each in context.about.get("beside", ()) if each["labels"] or each["tokens"]]
    if objects:
        hold = "holds" if len(objects) == 1 else "hold"
        sentences.append(
            f"{plural(len(objects), 'object')} of the sources {hold} keys: whoever has both reads what they decrypt."
        )
    header = (
        *("cluster", "backup", "taken", "readable values", "credentials current today"),
        *(f"only readable restore point within {days} days", "leaves the store"),
        *("readable in the file alone", "object lock or legal hold", "version"),
    )
    answer = Answer.FINDINGS if total else Answer.NONE
    return Section(
        "restrict", "Restrict", answer, tuple(sentences), (Grid("restrict", header, rows), _beside(context, objects))
    )


def _beside(context: Context, objects: Sequence[dict[str, Any]]) -> Grid:
    """The objects that hold keys, and the number of backups with values that these decrypt."""
    rows: list[Cells] = []
    counts = context.rows(
        "SELECT known_keys, count(*) FROM population WHERE state = 'examined' AND known_keys <> '' GROUP BY known_keys"
    )
    for each in objects:
        place = name(each["url"])
        token = f"the token in {place} decrypts"
        count = sum(number for text, number in counts if place in text.split("; ") or token in text)
        kind = "backup" if each.get("backup") else "object"
        rows.append((place, ", ".join(each["labels"]), each["tokens"], count, kind))
    header = ("object", "keys", "server tokens", "backups with values that it decrypts", "kind")
    return Grid("beside", header, rows)
