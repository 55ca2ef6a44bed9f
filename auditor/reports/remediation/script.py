"""Commands that would remove the findings: written on request only, since they destroy evidence.

The script is the templates filled with a plan. Without a confirmation it stores nothing: the API server tries each
rewrite (--dry-run=server), and the other commands are only shown.
"""

import shlex
from functools import cache
from typing import IO, TYPE_CHECKING

from auditor.model.audit import Audit
from auditor.reports.interface import Report
from auditor.reports.remediation.plan import Plan, of_audit
from auditor.reports.words import plural

if TYPE_CHECKING:
    from jinja2 import Environment

DATA = "# ---- what this script is about\n"
"""The line between what is the same in every script of its steps, and what is of this evidence."""


@cache
def environment() -> "Environment":
    """The templates, and the filters that quote."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    templates = Environment(
        loader=PackageLoader("auditor.reports.remediation"),
        autoescape=False,  # noqa: S701 - of a script, whose words are quoted by their filter
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    templates.filters["quote"] = shlex.quote
    templates.filters["plural"] = plural
    return templates


def render(plan: Plan) -> str:
    """The whole script."""
    return environment().get_template("script.sh").render(plan=plan) + "\n"


def write_plan(plan: Plan, out: IO[str]) -> None:
    """The script of a plan."""
    out.write(render(plan))


def write(audit: Audit, out: IO[str]) -> None:
    """The script of an audit. Raises UsageError where none is to be made."""
    write_plan(of_audit(audit), out)


class RemediationReport(Report):
    """The script of every finding."""

    def check(self, audit: Audit) -> None:
        of_audit(audit)

    def write(self, audit: Audit, out: IO[str]) -> None:
        write(audit, out)
