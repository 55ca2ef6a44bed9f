"""Which keys and KEKs the examined backups need; nothing is said of backups that were not examined."""

from collections.abc import Mapping

from auditor.fleet.report.context import Context, day
from auditor.fleet.report.model import Answer, Cells, Grid, Section
from auditor.fleet.report.newest import doubts
from auditor.fleet.tables import UNKNOWN
from auditor.text import plural

_NEEDED = """
SELECT p.who, k.provider, k.key_name, k.kek_id, count(DISTINCT k.backup) FILTER (k.values > 0),
    max(p.stamp) FILTER (k.values > 0),
    coalesce(bool_or(k.latest > 0) FILTER (k.backup = n.backup), false),
    coalesce(bool_and(p.timed) FILTER (k.values > 0), true)
FROM all_keys k JOIN population p USING (backup) LEFT JOIN newest n ON n.who = p.who
WHERE p.state = 'examined' AND k.provider <> 'identity' GROUP BY ALL ORDER BY p.who, 6 DESC NULLS LAST, 2, 3, 4"""
_BLIND = """
SELECT who, url, stamp, unopened_latest FROM population
WHERE state = 'examined' AND unopened_latest > 0 ORDER BY stamp DESC, url LIMIT 5000"""

UNRESTORABLE = "backups hold current values that no supplied key decrypts: they cannot be restored with these."


def section(context: Context, missing: Mapping[str, int]) -> tuple[Section, list[str]]:
    """The section, and what it leaves open. missing: of population.missing()."""
    unread = dict(context.rows("SELECT who, count(*) FROM population WHERE state <> 'examined' GROUP BY who"))
    retention = dict(context.rows("SELECT who, max(retention) FROM population WHERE retention > 0 GROUP BY who"))
    open_ = doubts(context)
    rows: list[Cells] = []
    for who, provider, name, kek, backups, newest, current, timed in context.rows(_NEEDED):
        # a backup that shows no cluster may be of this one
        blind = unread.get(who, 0) + missing.get(who, 0) + (unread.get(UNKNOWN, 0) if who != UNKNOWN else 0)
        no = "unknown" if blind or who in open_ else "no"
        last = day(newest + retention[who]) if newest is not None and who in retention else "no retention given"
        rows.append(
            (
                *(who, f"{provider}/{name}".rstrip("/"), kek, backups, day(newest)),
                *("yes" if current else no, blind, "unknown" if blind or not timed else last),
            )
        )
    dark: list[Cells] = [(who, url, day(at), count) for who, url, at, count in context.rows(_BLIND)]
    total = context.number("SELECT count(*) FROM population WHERE state = 'examined' AND unopened_latest > 0")
    doubtful = sorted({str(row[0]) for row in rows if row[6]})
    questions = [f"keys of {who}: backups of it were not read" for who in doubtful]
    sentences = [
        f"{plural(len(rows), 'key')} named by the backups examined. Other backups and copies may need them too.",
        *([f"{total:,} {UNRESTORABLE}"] if total else []),
        *([f"Unknown for {', '.join(doubtful)}: some of their backups were not read."] if doubtful else []),
    ]
    header = (
        *(
            "cluster",
            "key",
            "KEK",
            "needed by backups examined",
            "the newest of",
            "by the newest backup's current values",
        ),
        *("backups not read", "no examined backup inside the retention needs it after"),
    )
    return (
        Section(
            "keys",
            "Keys and KEKs",
            Answer.UNKNOWN if questions or total else Answer.NONE,
            tuple(sentences),
            (
                Grid("keys", header, rows),
                Grid("undecrypted", ("cluster", "backup", "of", "current values without a key"), dark, folded=True),
            ),
        ),
        questions,
    )
