"""What stops the leak: clusters whose newest backup has readable current values, or is written in two ways."""

from auditor.fleet.clusters import STRAYS
from auditor.fleet.report.context import Context, day
from auditor.fleet.report.model import Answer, Cells, Grid, Section
from auditor.fleet.report.newest import doubts
from auditor.text import plural

_WRITERS = """
WITH latest AS (
    SELECT n.store, n.who, i.mod_revision AS revision, rtrim(i.provider || '/' || i.key_name, '/') AS label
    FROM all_inventory i JOIN newest n USING (backup)
    WHERE i.place = 'latest' AND i.resource = 'secrets' AND i.mod_revision IS NOT NULL AND i.provider <> 'unknown'),
last AS (SELECT store, arg_max(label, revision) AS label FROM latest GROUP BY store),
since AS (SELECT l.store, min(l.revision) AS revision FROM latest l JOIN last USING (store, label) GROUP BY l.store)
SELECT l.who, last.label, l.label, count(*) FROM latest l JOIN last USING (store) JOIN since ON since.store = l.store
WHERE l.label <> last.label AND l.revision > since.revision GROUP BY ALL ORDER BY ALL"""
"""Current Secrets that were written later than the first one under the last writer's key, and under another."""


def section(context: Context) -> Section:
    """The section."""
    leaking: list[Cells] = [
        (who, url, day(at), readable)
        for who, url, at, readable in context.rows("""
            SELECT n.who, p.url, p.stamp, p.readable_latest FROM newest n JOIN population p USING (backup)
            WHERE p.readable_latest > 0 ORDER BY p.readable_latest DESC, 1""")
    ]
    writers: list[Cells] = [(who, last, other, count) for who, last, other, count in context.rows(_WRITERS)]
    unread = [
        (who, count)
        for who, count in context.rows("""
        SELECT who, count(*) FROM population WHERE who NOT IN (SELECT who FROM newest) GROUP BY who ORDER BY who""")
    ]
    open_ = doubts(context)
    sentences = [f"{_clusters(leaking)}: the newest examined backup has readable current values."]
    if writers:
        sentences.append(f"{plural(len({row[0] for row in writers}), 'cluster')}: API servers write in different ways.")
    if unread:
        named = _counted(
            sum(who not in STRAYS for who, _ in unread), sum(count for who, count in unread if who in STRAYS)
        )
        sentences.append(f"{named}: unknown, since none was examined.")
    sentences += [f"Unknown: {each}." for each in open_.values()]
    answer = Answer.FINDINGS if leaking or writers else Answer.UNKNOWN if unread or open_ else Answer.NONE
    return Section(
        "leak",
        "Stop the leak",
        answer,
        tuple(sentences),
        (
            Grid("leaking", ("cluster", "newest backup", "of", "readable current values"), leaking),
            Grid("writers", ("cluster", "written last with", "also written with", "values"), writers),
        ),
    )


def _clusters(rows: list[Cells]) -> str:
    """The clusters of rows, and the backups of no known one, each of which stands for itself."""
    return _counted(len({row[0] for row in rows if row[0] not in STRAYS}), sum(row[0] in STRAYS for row in rows))


def _counted(clusters: int, alone: int) -> str:
    """A number of clusters, and of backups of no known one."""
    named = plural(clusters, "cluster")
    return f"{named}, and {plural(alone, 'backup')} of no known one" if alone else named


_WEAK = """
SELECT n.who, f.finding, f.provider, f.key_name, count(DISTINCT f.id), min(f.detail)
FROM all_findings f JOIN newest n USING (backup)
WHERE f.finding IN ('weak-provider', 'stale-provider', 'stale-key', 'stale-kek', 'configuration', 'orphaned')
GROUP BY ALL ORDER BY ALL"""


def drift(context: Context) -> Section:
    """Providers that are weak or no longer written with, and configurations, by the newest backups."""
    rows: list[Cells] = list(context.rows(_WEAK))
    open_ = doubts(context)
    sentences = [f"{plural(len(rows), 'kind')} of findings in the newest examined backups."]
    sentences += [f"Unknown: {each}." for each in open_.values()]
    grid = Grid("drift", ("cluster", "finding", "provider", "key", "rows", "detail"), rows)
    answer = Answer.FINDINGS if rows else Answer.UNKNOWN if open_ else Answer.NONE
    return Section("drift", "Drift and weak providers", answer, tuple(sentences), (grid,))


_CURVES = """
WITH days AS (SELECT h.who, p.day, count(DISTINCT h.credential) AS current
    FROM held h JOIN population p USING (backup)
    WHERE h.credential IN (SELECT credential FROM live) GROUP BY ALL)
SELECT p.who, p.day, count(*), sum(p.readable)::BIGINT, sum(p.readable_latest)::BIGINT,
    coalesce(any_value(d.current), 0)
FROM population p LEFT JOIN days d ON d.who = p.who AND d.day = p.day
WHERE p.state = 'examined' GROUP BY ALL ORDER BY ALL"""
_LEFTOVERS = """
SELECT h.who, coalesce(any_value(i.namespace || '/' || i.name), ''), any_value(h.field), min(h.stamp), max(h.stamp),
    count(DISTINCT h.backup), CASE WHEN bool_or(h.credential IN (SELECT credential FROM live)) THEN 'yes'
        WHEN h.who IN (SELECT who FROM blind) THEN 'unknown' ELSE 'no' END
FROM held h LEFT JOIN all_inventory i ON i.backup = h.backup AND i.id = h.id
GROUP BY h.who, h.credential ORDER BY 7 DESC, 5 DESC, 1, 2, 3 LIMIT 5000"""


def over_time(context: Context) -> Section:
    """Curves, and the first and last backup of each readable credential."""
    blind = {who for (who,) in context.rows("SELECT DISTINCT who FROM blind")}
    curves: list[Cells] = [
        (who, *counts, readable, latest, "unknown" if readable and not current and who in blind else current)
        for who, *counts, readable, latest, current in context.rows(_CURVES)
    ]
    leftovers: list[Cells] = [
        (number, who, name, field, day(first), day(last), count, current)
        for number, (who, name, field, first, last, count, current) in enumerate(context.rows(_LEFTOVERS), 1)
    ]
    header = ("cluster", "day", "backups", "readable values", "of them current there", "credentials current today")
    names = ("credential", "cluster", "secret", "field", "first backup", "last backup", "backups", "current today")
    grids = (Grid("curves", header, curves, folded=True), Grid("leftovers", names, leftovers, folded=True))
    return Section("time", "Over time", Answer.NONE, (f"{len(leftovers):,} readable credentials, by number.",), grids)
