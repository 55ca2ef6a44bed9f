"""The report: every question asked of one data set."""

import hashlib
from typing import Any

from auditor.fleet.report import conclusion, keys, leak, migration, population, rotate, since
from auditor.fleet.report.context import Context
from auditor.fleet.report.migration import Outcome, Target
from auditor.fleet.report.model import FleetReport, Section
from auditor.text import escaped
from auditor.version import __version__


def build(context: Context, earlier: dict[str, Any] | None = None, target: Target | None = None) -> FleetReport:
    """The report.

    Args:
        context: The data set.
        earlier: The state of an earlier report; None for none.
        target: What was migrated to; None for no such question.
    """
    absent = population.missing(context)
    people, open_population = population.section(context)
    rotation, open_rotation = rotate.section(context)
    used, open_keys = keys.section(context, absent)
    now = since.state(context)
    changes, new, unmatched, open_changes = since.section(context, now, earlier)
    open_questions = tuple(dict.fromkeys((*open_population, *open_changes, *open_rotation, *open_keys)))
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
    incomplete = ""
    if target is not None:
        migrated, outcome = migration.section(context, target)
        sections = (*sections, migrated)
        incomplete = target.label if outcome is Outcome.INCOMPLETE else ""
        if outcome is Outcome.NOT_PROVEN:
            open_questions = (*open_questions, f"the migration to {target.label} is not proven")
    verdict = conclusion.conclude(context, new, incomplete, unmatched)
    return FleetReport(
        dataset=context.folder.shown,
        tool=__version__,
        as_of=context.as_of,
        # the one place in which names become safe to print, whatever writes them
        sections=tuple(each.escaped() for each in (conclusion.section(verdict, open_questions), *sections)),
        new=new,
        severe=verdict.severe,
        findings=tuple(map(escaped, verdict.findings)),
        standing=tuple(map(escaped, verdict.standing)),
        open_questions=tuple(map(escaped, open_questions)),
        sha256=objects_sha256(context),
        state=now,
    )


def objects_sha256(context: Context) -> str:
    """SHA-256 of the list of the objects examined: a line `URL<tab>SHA-256` each, sorted."""
    digest = hashlib.sha256()
    rows = context.connection.execute(
        "SELECT url, sha256 FROM population WHERE state = 'examined' ORDER BY url, sha256"
    )
    while part := rows.fetchmany(10_000):
        digest.update("".join(f"{url}\t{sha256}\n" for url, sha256 in part).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
