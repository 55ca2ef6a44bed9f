"""The report: every question asked of one data set."""

import hashlib
from typing import Any

from auditor.fleet.report import keys, leak, migration, population, rotate, since
from auditor.fleet.report.context import SEVERITIES, Context
from auditor.fleet.report.migration import Outcome, Target
from auditor.fleet.report.model import Answer, FleetReport, Section
from auditor.text import plural
from auditor.version import __version__

_SEVERE = """
SELECT count(*) FROM population WHERE state = 'examined' AND inside AND list_contains(?::VARCHAR[], severity)"""


def build(context: Context, earlier: dict[str, Any] | None = None, target: Target | None = None) -> FleetReport:
    """The report.

    Args:
        context: The data set.
        earlier: The state of an earlier report; None for none.
        target: What was migrated to; None for no such question.
    """
    questions = context.questions
    absent = population.missing(context)
    people, open_population = population.section(context)
    rotation, open_rotation = rotate.section(context)
    used, open_keys = keys.section(context, absent)
    now = since.state(context)
    changes, new = since.section(now, earlier)
    severe = _severe(context)
    open_questions = tuple(dict.fromkeys((*open_population, *open_rotation, *open_keys)))
    sections: tuple[Section, ...] = (
        people,
        changes,
        leak.section(context),
        rotation,
        rotate.restrict(context),
        used,
        leak.drift(context),
        leak.over_time(context),
    )
    incomplete = False
    if target is not None:
        migrated, outcome = migration.section(context, target)
        sections = (*sections, migrated)
        incomplete = outcome is Outcome.INCOMPLETE
        if outcome is Outcome.NOT_PROVEN:
            open_questions = (*open_questions, f"the migration to {target.label} is not proven")
    return FleetReport(
        dataset=context.folder.shown,
        tool=__version__,
        as_of=context.as_of,
        sections=(_conclusion(severe, open_questions, questions.fail_on), *sections),
        new=new,
        severe=severe,
        incomplete=incomplete,
        open_questions=open_questions,
        sha256=objects_sha256(context),
        state=now,
    )


def _severe(context: Context) -> int:
    """The number of backups inside the retention with a finding that counts."""
    questions = context.questions
    severities = list(SEVERITIES[SEVERITIES.index(questions.fail_on) :])
    return context.number(_SEVERE, severities)


def _conclusion(severe: int, open_questions: tuple[str, ...], fail_on: str) -> Section:
    also = f", and inconclusive: {plural(len(open_questions), 'open question')}" if open_questions else ""
    if severe:
        first = f"FINDINGS: {plural(severe, 'backup')} inside the retention with a finding of {fail_on} or above{also}"
    elif open_questions:
        first = f"INCONCLUSIVE: {plural(len(open_questions), 'open question')}, and no finding of {fail_on} or above"
    else:
        first = "NO FINDINGS in what was examined"
    answer = Answer.FINDINGS if severe else Answer.UNKNOWN if open_questions else Answer.NONE
    return Section("conclusion", "Conclusion", answer, (first, *(f"Open: {each}" for each in open_questions)))


def objects_sha256(context: Context) -> str:
    """SHA-256 of the list of the objects examined: a line `URL<tab>SHA-256` each, sorted."""
    digest = hashlib.sha256()
    rows = context.connection.execute(
        "SELECT url, sha256 FROM population WHERE state = 'examined' ORDER BY url, sha256"
    )
    while part := rows.fetchmany(10_000):
        digest.update("".join(f"{url}\t{sha256}\n" for url, sha256 in part).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
