"""The conclusion as JUnit's XML, for the page of a pipeline: a case a kind of finding, and one for what was read.

Counts and ids of rows stand in it; names of objects only with --names.
"""

from collections.abc import Iterator
from typing import IO
from xml.sax.saxutils import escape, quoteattr

from auditor.model.audit import Audit
from auditor.model.vocabulary import FindingKind, Severity, Verdict
from auditor.reports import verdict
from auditor.reports.interface import Report
from auditor.reports.rows_of import Group, groups
from auditor.reports.words import plural

SUITE = "etcd-auditor"
READ = "everything inside the scope was read"
MOST_GAPS = 50
"""Gaps that are listed."""


class JUnitReport(Report):
    """One file."""

    def __init__(self, fail_on: Severity, *, names: bool) -> None:
        self._fail_on = fail_on
        self._names = names

    def write(self, audit: Audit, out: IO[str]) -> None:
        cases = list(_cases(audit, self._fail_on, names=self._names))
        failures = sum("<failure" in case for case in cases)
        errors = sum("<error" in case for case in cases)
        counts = f'tests="{len(cases)}" failures="{failures}" errors="{errors}" skipped="0"'
        out.write('<?xml version="1.0" encoding="UTF-8"?>\n')
        out.write(f"<testsuites {counts}>\n")
        out.write(f'<testsuite name="{SUITE}" {counts} timestamp={quoteattr(audit.run.started.removesuffix("Z"))}>\n')
        out.writelines(cases)
        sentences = "\n".join(verdict.sentences(audit, self._fail_on))
        out.write(f"<system-out>{_text(sentences)}</system-out>\n</testsuite>\n</testsuites>\n")


def _cases(audit: Audit, fail_on: Severity, *, names: bool) -> Iterator[str]:
    standing = {kind: group for kind, group in groups(audit).items() if group.failing(fail_on)}
    for kind in FindingKind:
        if kind.label not in standing:
            yield _case(f"no {kind.label}", "")
            continue
        yield _case(f"no {kind.label}", _failure(standing[kind.label], fail_on, names=names))
    gaps = [f"{gap.source}: {gap.reason}" for gap in audit.gaps[:MOST_GAPS]]
    parts = [f"{part.what}: {part.reason}" for part in audit.unexamined if part.decisive]
    if audit.complete:
        yield _case(READ, "")
    else:
        message = f"{plural(verdict.open_points(audit), 'gap')}: {Verdict.INCONCLUSIVE.value}"
        yield _case(READ, f"<error message={quoteattr(message)}>{_text(chr(10).join([*gaps, *parts]))}</error>")


def _failure(group: Group, fail_on: Severity, *, names: bool) -> str:
    message = f"{plural(group.failing(fail_on), 'finding')} of severity {fail_on.label} or above"
    grave = sorted((severity for severity in group.severities if severity >= fail_on), reverse=True)
    listed = [row for severity in grave for row in group.listed(severity, names=names)]
    return f"<failure message={quoteattr(message)}>{_text(chr(10).join(listed))}</failure>"


def _case(name: str, content: str) -> str:
    return f'<testcase classname="{SUITE}" name={quoteattr(name)}>{content}</testcase>\n'


def _text(text: str) -> str:
    """A text without what XML 1.0 cannot hold."""
    return escape("".join(character if character >= " " or character in "\n\t" else "?" for character in text))
