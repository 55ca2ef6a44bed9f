"""The conclusion: what the exit code follows, and the first line of every format."""

from dataclasses import dataclass

from auditor.fleet.report.context import SEVERITIES, Context
from auditor.fleet.report.model import Answer, Section
from auditor.text import plural

_COUNTS = """
SELECT count(*) FILTER (inside AND list_contains(?::VARCHAR[], severity)),
    count(*) FILTER (NOT inside AND list_contains(?::VARCHAR[], severity)),
    count(*) FILTER (list_contains(?::VARCHAR[], severity)),
    count(*) FILTER (list_contains(?::VARCHAR[], severity) AND severity <> 'low')
FROM population WHERE state = 'examined'"""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What the report comes to, in sentences without an end."""

    severe: int
    """Backups inside the retention with a finding of --fail-on or above."""
    findings: tuple[str, ...]
    """What ends the report with 1."""
    standing: tuple[str, ...]
    """Findings that do not, by the options."""
    head: str
    """How the first line begins where nothing else is open."""


def conclude(context: Context, new: int | None, incomplete: str, unmatched: int = 0) -> Conclusion:
    """The conclusion.

    Args:
        context: The data set.
        new: Findings that the baseline does not have; None without one.
        incomplete: The target of a migration that is incomplete; empty for none.
        unmatched: Findings of which it cannot be told whether the baseline has them.
    """
    level, new_only = context.questions.fail_on, context.questions.new_only
    at = SEVERITIES.index(level)
    grave, lesser = list(SEVERITIES[at:]), list(SEVERITIES[:at])
    severe, outside, below, notable = context.rows(_COUNTS, grave, grave, lesser, lesser)[0]
    inside = f"{plural(severe, 'backup')} inside the retention with a finding of {level} or above"
    findings = []
    if new_only and new:
        findings.append(f"{plural(new, 'finding')} of {level} or above new since the baseline")
    elif severe and not new_only:
        findings.append(inside)
    if incomplete:
        findings.append(f"the migration to {incomplete} is INCOMPLETE")
    none = "none known to be new" if unmatched else "none new"
    known = f"{inside}, {none} since the baseline" if severe and new_only and not new else ""
    standing = (
        known,
        f"{plural(outside, 'backup')} outside the retention with a finding of {level} or above" if outside else "",
        f"{plural(below, 'backup')} with findings under {level} only" if below else "",
    )
    if known or notable:
        head = "ACCEPTED FINDINGS"
    elif outside:
        head = "NO FINDINGS inside the retention"
    else:
        head = f"NO FINDINGS of {level} or above in what was examined" if below else "NO FINDINGS in what was examined"
    return Conclusion(severe, tuple(findings), tuple(filter(None, standing)), head)


def section(verdict: Conclusion, open_questions: tuple[str, ...]) -> Section:
    """The first section; its first sentence is the first line of every format."""
    questions = plural(len(open_questions), "open question")
    standing = "; ".join(verdict.standing)
    if verdict.findings:
        first = f"FINDINGS: {'; '.join(verdict.findings)}"
        first += f", and inconclusive: {questions}" if open_questions else ""
    elif open_questions:
        first = f"INCONCLUSIVE: {questions}{f'; {standing}' if standing else ', and no finding in what was examined'}"
    else:
        first = f"{verdict.head}: {standing}" if standing else verdict.head
    answer = Answer.FINDINGS if verdict.findings else Answer.UNKNOWN if open_questions else Answer.NONE
    return Section("conclusion", "Conclusion", answer, (first, *(f"Open: {each}" for each in open_questions)))
