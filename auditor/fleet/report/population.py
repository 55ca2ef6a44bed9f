"""The population: what was expected, met, examined and not, of each cluster."""

from auditor.fleet.clusters import STRAYS
from auditor.fleet.report.context import Context, day
from auditor.fleet.report.model import Answer, Cells, Grid, Section
from auditor.text import moment, plural, shown

ELSEWHERE = "Not examined: replicas, other accounts, soft-deleted objects, volume snapshots, Velero, tapes."
UNLISTED = "they are not listed there, and whether there are any is not known"
HEADER = (
    *("cluster", "expected", "met", "examined", "failed", "not accessible", "not attempted", "of another cluster"),
    *("missing", "newest examined", "age in hours", "listed"),
)
HOURS = 3600


def missing(context: Context, begin: int = 0) -> dict[str, int]:
    """Backups that a cluster's schedule expects and that no source has, of the clusters with a schedule.

    Two backups more than one and a half spans apart have some missing between them, and so has the time since the
    newest one. A cluster of the file without any backup misses all: at least one. One whose time is not known, or is
    later than the report's, fills no gap.

    Args:
        context: The data set.
        begin: The time from which backups are asked for, seconds since 1970.
    """
    counts: dict[str, int] = {}
    for name, every in context.rows("SELECT name, every FROM clusters WHERE every > 0"):
        rows = context.rows("SELECT stamp FROM population WHERE who = ? AND timed ORDER BY stamp", name)
        times = [at for (at,) in rows]
        gaps = zip(times, [*times[1:], max(context.at, times[-1])], strict=True) if times else ()
        counts[name] = sum(_spans(after - max(before, begin), every) for before, after in gaps) if times else 1
    return counts


def _spans(seconds: float, every: int) -> int:
    return max(0, round(seconds / every) - 1) if seconds > 1.5 * every else 0


def section(context: Context) -> tuple[Section, list[str]]:
    """The section, and what it leaves open."""
    absent = missing(context)
    scheduled = set(absent)
    names = {name for (name,) in context.rows("SELECT name FROM clusters")}
    counted = context.rows("""
        SELECT who, count(*), count(*) FILTER (state = 'examined'),
            count(*) FILTER (state NOT IN ('examined', 'denied', 'archived', 'left out', 'not yet')),
            count(*) FILTER (state IN ('denied', 'archived')), count(*) FILTER (state IN ('left out', 'not yet')),
            count(*) FILTER (state = 'examined' AND expected_label <> '' AND label <> expected_label),
            max(stamp) FILTER (state = 'examined' AND timed)
        FROM population GROUP BY who ORDER BY who""")
    rows: list[Cells] = []
    for who, met, examined, failed, inaccessible, waiting, foreign, newest in counted:
        lacking = absent.pop(who, None)
        age = (context.at - newest) / HOURS if newest is not None else None
        expected = f"{met + lacking}" if lacking is not None else "no schedule"
        rows.append(
            (
                *(who, expected, met, examined, failed, inaccessible, waiting, foreign),
                *("" if lacking is None else lacking, moment(newest), "" if age is None else f"{age:.1f}"),
                ("yes" if who in names else "no") if names else "",
            )
        )
    rows += [(who, lacking, 0, 0, 0, 0, 0, 0, lacking, "", "", "yes") for who, lacking in sorted(absent.items())]
    unknown = context.rows("SELECT name FROM clusters WHERE name NOT IN (SELECT who FROM population) ORDER BY 1")
    never = [name for (name,) in unknown]
    rows += [(name, "no schedule", 0, 0, 0, 0, 0, 0, "", "", "", "yes") for name in never if name not in absent]
    questions = _open(context, rows, never)
    failures = context.rows(
        "SELECT url, who, state, reason FROM population WHERE state <> 'examined' ORDER BY stamp DESC, url LIMIT 1000"
    )
    total, examined = context.rows("SELECT count(*), count(*) FILTER (state = 'examined') FROM population")[0]
    sentences = [
        f"{examined:,} of {_counted(total, rows)} examined; listed {context.about['listed']}.",
        f"Sources: {', '.join(context.about['sources'])}. {ELSEWHERE}",
        *_more(context, rows),
        *([] if scheduled else ["Completeness not tested: no cluster has a schedule (`every` in --clusters)."]),
    ]
    return (
        Section(
            "population",
            "Population",
            Answer.UNKNOWN if questions else Answer.NONE,
            tuple(sentences),
            (Grid("clusters", HEADER, rows), Grid("unread", ("backup", "cluster", "state", "reason"), failures)),
        ),
        questions,
    )


def _counted(total: int, rows: list[Cells]) -> str:
    """The backups, and the clusters that they are of."""
    strays = sum(int(row[2]) for row in rows if row[0] in STRAYS)
    counted = f"{plural(total, 'backup')} of {plural(sum(row[0] not in STRAYS for row in rows), 'cluster')}"
    return f"{counted} ({strays:,} of no known one)" if strays else counted


def _more(context: Context, rows: list[Cells]) -> list[str]:
    """Sentences on versions, on clusters that the file does not list, and on what is no backup."""
    about = context.about
    unversioned = ", ".join(about.get("unversioned", ()))
    earlier, deleted = about.get("earlier_versions", 0), about.get("delete_markers", 0)
    sentences = [f"Earlier versions of objects: {earlier:,} among these, and {plural(deleted, 'delete marker')}."]
    if unversioned:
        sentences.insert(0, f"Earlier versions of objects were not looked at in {unversioned}: {UNLISTED}.")
    sentences += [
        f"{plural(count, 'backup')} of {who}: newer by the time in the name, older by revision, as after a restore; "
        "the time decides."
        for who, count in context.rows("SELECT who, backups FROM contrary WHERE named ORDER BY who")
    ]
    sentences += [
        f"{names} are one cluster: their backups show one uid, {uid}; give it one entry in --clusters, with that uid."
        for uid, names in context.rows("""
            SELECT cluster, string_agg(DISTINCT label, ', ' ORDER BY label) FROM population
            WHERE state = 'examined' AND cluster NOT IN ('unknown', 'several') AND label <> ''
            GROUP BY cluster HAVING count(DISTINCT label) > 1 ORDER BY cluster""")
    ]
    foreign = sum(int(row[2]) for row in rows if row[-1] == "no")
    if foreign:
        sentences.append(f"{plural(foreign, 'backup')} of no cluster that --clusters lists.")
    if about.get("others"):
        count = about["others"]
        texts = "other object is a text" if count == 1 else "other objects are texts"
        sentences.append(f"{count:,} {texts} in which no value begins.")
    return sentences


def _open(context: Context, rows: list[Cells], never: list[str]) -> list[str]:
    questions = [] if sum(int(row[HEADER.index("examined")]) for row in rows) else ["no backup was examined"]
    names = ("failed", "not accessible", "not attempted", "of another cluster", "missing")
    for name in names:
        count = sum(int(row[HEADER.index(name)] or 0) for row in rows)
        if count:
            questions.append(f"{plural(count, 'backup')} {name}")
    if never:
        questions.append(f"no backup of {', '.join(never)}")
    questions += _times(context)
    unread = context.rows("""
        SELECT who, count(*) FROM population p WHERE state <> 'examined' AND chosen AND known AND stamp > coalesce(
            (SELECT max(stamp) FROM newest n WHERE n.who = p.who AND n.timed), 0) GROUP BY who ORDER BY who""")
    questions += [f"{plural(count, 'backup')} of {who}, newer than the newest examined one" for who, count in unread]
    questions += [
        f"the newest backup of {who} holds {plural(count, 'current value')} that no supplied key decrypts"
        for who, count in context.rows("""
            SELECT n.who, p.unopened_latest FROM newest n JOIN population p USING (backup)
            WHERE p.unopened_latest > 0 ORDER BY 1""")
    ]
    questions += [
        f"the newest backup of {who} holds no current Secret, and older ones do: is it of another store, as of events?"
        for (who,) in context.rows("SELECT who FROM doubtful WHERE bare ORDER BY who")
    ]
    questions += [
        f"{plural(count, 'backup')} of {who}: newer by the time of the file, older by revision: which is the newest is "
        "not certain; give them names with their times, or copy them with these"
        for who, count in context.rows("SELECT who, backups FROM contrary WHERE NOT named ORDER BY who")
    ]
    incomplete = context.number("SELECT count(*) FROM population WHERE state = 'examined' AND NOT complete")
    if incomplete:
        questions.append(f"{plural(incomplete, 'backup')} examined with gaps, or without a conclusion")
    closed = [each["url"] for each in context.about.get("beside", ()) if each["reason"]]
    if closed:
        questions.append(
            f"{plural(len(closed), 'small object')} could not be read for keys, the first {shown(closed[0])}"
        )
    if not context.about.get("keys_tried", True):
        questions.append("the scan was stopped before keys that lie in backups were tried on the others: scan again")
    if context.about["first_look"]:
        questions.append(_first_look(context))
    return questions


def _first_look(context: Context) -> str:
    """What was asked for; a later listing may find more than it chose."""
    options = zip(("--since", "--sample", "--newest-per-cluster"), context.about["first_look"], strict=True)
    asked = ", ".join(f"{option} {shown(str(value))}" for option, value in options if value)
    left = context.number("SELECT count(*) FROM population WHERE state = 'left out'")
    return f"a first look: {asked}" + (f" left {plural(left, 'backup')} out" if left else "; it is never a pass")


def _times(context: Context) -> list[str]:
    """What is open by the age of the newest backups, and by times that are not believed."""
    max_age = context.questions.max_age
    old = context.rows(
        "SELECT who, stamp FROM newest WHERE known AND timed AND ? - stamp > ? ORDER BY who", context.at, max_age
    )
    questions = [f"the newest examined backup of {who} is of {day(at)}: older than --max-age" for who, at in old]
    alone = context.number(
        "SELECT count(*) FROM newest WHERE NOT known AND timed AND ? - stamp > ?", context.at, max_age
    )
    if alone:
        questions.append(
            f"{plural(alone, 'backup')} of no known cluster, older than --max-age: whether there is a newer one is not "
            "known; name the cluster in --clusters"
        )
    late, never = context.rows("""
        SELECT count(*) FILTER (stamp > 0), count(*) FILTER (stamp <= 0) FROM population WHERE NOT timed""")[0]
    if late:
        questions.append(f"{plural(late, 'backup')} dated later than this report: when taken is not known")
    if never:
        questions.append(f"{plural(never, 'backup')} without a time: when taken is not known")
    return questions
