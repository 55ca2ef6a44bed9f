"""What changed since an earlier report."""

import json
from pathlib import Path
from typing import Any

from auditor.errors import UsageError
from auditor.fleet.report.context import SEVERITIES, Context
from auditor.fleet.report.model import Answer, Cells, Grid, Section
from auditor.text import shown

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
        "findings": [list(each) for each in _found(context)],
        "clusters": {who: [newest, examined, undecrypted] for who, newest, examined, undecrypted in clusters},
    }


def _found(context: Context) -> list[tuple[str, ...]]:
    questions = context.questions
    severe = list(SEVERITIES[SEVERITIES.index(questions.fail_on) :])
    return context.rows(_FINDINGS, severe)


def load(path: str) -> dict[str, Any]:
    """The state in an earlier report of --json. Raises UsageError."""
    try:
        with Path(path).open("rb") as file:
            document = json.loads(file.read(LARGEST))
        earlier: dict[str, Any] = document["state"]
        complete = document["format"] == "etcd-auditor fleet report" and {"findings", "clusters"} <= set(earlier)
    except OSError as error:
        raise UsageError(f"--baseline {shown(path)} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        complete = False
    if not complete:
        raise UsageError(f"--baseline {shown(path)} is no JSON report of `fleet report`")
    return earlier


def section(now: dict[str, Any], earlier: dict[str, Any] | None) -> tuple[Section, int | None]:
    """The section, and the number of new findings; None without an earlier report."""
    if earlier is None:
        sentence = "No earlier report to compare with: give --baseline FILE."
        return Section("since", "Since the last report", Answer.NONE, (sentence,)), None
    before = {tuple(each) for each in earlier["findings"]}
    after = {tuple(each) for each in now["findings"]}
    new, gone = sorted(after - before), sorted(before - after)
    changes: list[Cells] = []
    for who, (newest, _, undecrypted) in sorted(now["clusters"].items()):
        old = earlier["clusters"].get(who)
        if old is None:
            changes.append((who, "new"))
            continue
        if newest <= old[0]:
            changes.append((who, "stopped backing up: no backup is newer than in the last report"))
        if undecrypted and not old[2]:
            changes.append((who, "stopped being readable by us: no supplied key decrypts its current values"))
    changes += [
        (who, "gone: no source has a backup of it") for who in sorted(set(earlier["clusters"]) - set(now["clusters"]))
    ]
    header = ("cluster", "finding", "severity", "resource", "namespace", "name")
    sentence = f"Since {earlier.get('as_of', 'the last report')}: {len(new):,} findings new, {len(gone):,} gone."
    grids = (
        Grid("new", header, new),
        Grid("gone", header, gone, folded=True),
        Grid("changes", ("cluster", "change"), changes),
    )
    answer = Answer.FINDINGS if new else Answer.UNKNOWN if changes else Answer.NONE
    return Section("since", "Since the last report", answer, (sentence,), grids), len(new)
