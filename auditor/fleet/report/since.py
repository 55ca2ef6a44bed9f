"""What changed since an earlier report."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from auditor.errors import UsageError
from auditor.fleet.clusters import STRAYS
from auditor.fleet.report import writes
from auditor.fleet.report.context import SEVERITIES, Context
from auditor.fleet.report.model import Answer, Cells, Grid, Section
from auditor.text import plural, shown

MOST_CHANGES = 20
"""Changes of clusters that are said in sentences."""
FIELDS, FACTS = 6, 3
"""What the state has of a finding, and of a cluster."""
LARGEST = 1 << 30
"""Bytes of an earlier report."""
_FINDINGS = """
SELECT DISTINCT CASE WHEN p.known THEN p.who ELSE concat_ws(' ', p.who, p.url) END, f.finding, f.severity, f.resource,
    f.namespace, f.name
FROM all_findings f JOIN population p USING (backup)
WHERE p.state = 'examined' AND p.inside AND list_contains(?::VARCHAR[], f.severity) ORDER BY ALL"""
"""Of a backup of no known cluster by its name: what it holds is no other's."""


def state(context: Context) -> dict[str, Any]:
    """What a later report is compared with: findings by object, and what is known of each cluster."""
    clusters = context.rows("""
        SELECT p.who, coalesce(max(p.stamp) FILTER (p.timed), 0),
            max(p.stamp) FILTER (p.state = 'examined' AND p.timed),
            coalesce(max(p.unopened_latest) FILTER (p.backup = n.backup), 0)
        FROM population p LEFT JOIN newest n ON n.who = p.who GROUP BY p.who ORDER BY p.who""")
    return {
        "as_of": context.as_of,
        "listed": context.about["listed"],
        "findings": [list(each) for each in _objects(context)],
        **writes.state(context),
        "clusters": {who: [newest, examined, undecrypted] for who, newest, examined, undecrypted in clusters},
    }


def _objects(context: Context) -> list[tuple[str, ...]]:
    questions = context.questions
    severe = list(SEVERITIES[SEVERITIES.index(questions.fail_on) :])
    return context.rows(_FINDINGS, severe)


def load(path: str) -> dict[str, Any]:
    """The state in an earlier report of --json. Raises UsageError."""
    try:
        with Path(path).open("rb") as file:
            document = json.loads(file.read(LARGEST))
        earlier: dict[str, Any] = document["state"]
        complete = document["format"] == "etcd-auditor fleet report" and _is_state(earlier)
    except OSError as error:
        raise UsageError(f"--baseline {shown(path)} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        complete = False
    if not complete:
        raise UsageError(f"--baseline {shown(path)} is no JSON report of `fleet report`")
    return earlier


def _is_state(earlier: dict[str, Any]) -> bool:
    """Whether it is of the form of state(). Raises KeyError, TypeError."""
    findings, clusters = earlier["findings"], earlier["clusters"]
    rows = isinstance(findings, list) and all(
        isinstance(row, list) and len(row) == FIELDS and all(isinstance(cell, str | None) for cell in row)
        for row in findings
    )
    facts = isinstance(clusters, dict) and all(
        isinstance(row, list) and len(row) == FACTS and isinstance(row[0], int | float) for row in clusters.values()
    )
    return rows and facts and writes.is_state(earlier)


class Since(NamedTuple):
    """The answer on what changed."""

    section: Section
    new: int | None
    """The number of new findings; None without an earlier report."""
    unmatched: int
    """Findings of which it cannot be told whether they are new."""
    questions: list[str]


def section(context: Context, now: dict[str, Any], earlier: dict[str, Any] | None) -> Since:
    """The section, and what it leaves open."""
    if earlier is None:
        sentence = "No earlier report to compare with: give --baseline FILE."
        return Since(Section("since", "Since the last report", Answer.NONE, (sentence,)), None, 0, [])
    new, gone, unmatched = writes.compare(now, earlier)
    changes = _changes(context, now, earlier)
    questions = [f"since the last report {who} {change}" for who, change in changes]
    changes += [(who, "is new") for who in sorted(set(now["clusters"]) - set(earlier["clusters"]) - STRAYS)]
    sentences = [
        f"Since {earlier.get('as_of', 'the last report')}: {plural(len(new), 'finding')} new, {len(gone):,} gone."
    ]
    if unmatched:
        why = (
            "neither names nor revisions tell them from those of the baseline"
            if "writes" in earlier
            else "the baseline is of an earlier version, which names objects alone: make it anew"
        )
        questions.insert(0, f"{plural(unmatched, 'finding')} may be new: {why}")
        sentences.append(f"{plural(unmatched, 'finding')} may be new: {why}.")
    sentences += [f"{who} {change}." for who, change in changes[:MOST_CHANGES]]
    if len(changes) > MOST_CHANGES:
        sentences.append(f"And {plural(len(changes) - MOST_CHANGES, 'further change')}: the table has all.")
    grids = (
        Grid("new", writes.HEADER, new),
        Grid("gone", writes.HEADER, gone, folded=True),
        Grid("changes", ("cluster", "change"), changes),
    )
    answer = Answer.FINDINGS if new else Answer.UNKNOWN if questions else Answer.NONE
    return Since(
        Section("since", "Since the last report", answer, tuple(sentences), grids), len(new), unmatched, questions
    )


def _changes(context: Context, now: dict[str, Any], earlier: dict[str, Any]) -> list[Cells]:
    """What became of the clusters of the earlier report, where it is not for the better.

    One has stopped backing up where a later look at the sources shows no newer backup, and one is due by its schedule
    or --max-age: two reports on one data set, or two looks between two backups, tell nothing.
    """
    every = dict(context.rows("SELECT name, every FROM clusters WHERE every > 0"))
    changes: list[Cells] = []
    for who, (newest, _, undecrypted) in sorted(now["clusters"].items()):
        old = earlier["clusters"].get(who)
        if old is None or who in STRAYS:
            continue
        due = context.at - newest > (1.5 * every[who] if who in every else context.questions.max_age)
        if newest <= old[0] and due and now["listed"] != earlier.get("listed"):
            changes.append((who, "stopped backing up: no backup is newer than in the last report"))
        if undecrypted and not old[2]:
            changes.append((who, "stopped being readable by us: no supplied key decrypts its current values"))
    gone = sorted(set(earlier["clusters"]) - set(now["clusters"]) - STRAYS)
    return changes + [(who, "is gone: no source has a backup of it") for who in gone]
