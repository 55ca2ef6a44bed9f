"""A self-check in sentences, for a terminal."""

from auditor.reports.words import plural
from auditor.self_check.installation import Files, State
from auditor.self_check.result import SelfCheck, state_of

MOST = 10
"""Differences of one kind with a line each."""


def lines(check: SelfCheck) -> tuple[str, dict[str, str], list[str]]:
    """The conclusion, the facts by their names, and a line for each difference."""
    right = sum(answer.matches for answer in check.answers)
    rows = sum(len(answer.case.rows) for answer in check.answers)
    verdict = "PASSED" if check.passes else "FAILED"
    conclusion = f"SELF-CHECK {verdict}: {right} of {len(check.answers)} known items of evidence ({rows} rows) as known"
    facts = {
        answer.case.name: f"{'matches' if answer.matches else 'DIFFERS'}, {plural(len(answer.case.rows), 'row')}"
        for answer in check.answers
    }
    facts["Program"] = _files(check.program)
    facts["Dependencies"] = _dependencies(check)
    facts["Lock"] = _lock(check)
    differences = [f"{answer.case.name}: {text}" for answer in check.answers for text in answer.differences]
    for files in (check.program, *check.dependencies):
        differences += [f"{files.name}: {text}" for text in files.differing[:MOST]]
        if len(files.differing) > MOST:
            differences.append(f"{files.name}: and {plural(len(files.differing) - MOST, 'file')} more")
    return f"{conclusion} (exit {0 if check.passes else 1})", facts, differences


def _files(files: Files) -> str:
    if files.state is State.NO_RECORD:
        return "no record: it runs from a source tree, or from an installation without hashes"
    if files.state is State.ONE_PROGRAM:
        if files.sha256:
            return f"one file, SHA-256 {files.sha256}: hold it against the one that it came with"
        return "one folder with Python and every package in it: hold its image's digest against the published one"
    what = f"{plural(files.count, 'file')} of {files.name} {files.version}"
    return f"{files.state.value}: {what}, against the record of their installation"


def _dependencies(check: SelfCheck) -> str:
    if check.program.state is State.ONE_PROGRAM:
        return "parts of the program"
    state = state_of(check.dependencies)
    count = sum(files.count for files in check.dependencies)
    return (
        f"{state.value}: {plural(count, 'file')} of {plural(len(check.dependencies), 'package')}, against their records"
    )


def _lock(check: SelfCheck) -> str:
    state = check.lock_state
    if state is State.NO_LOCK:
        return "no lock: this package has none"
    odd = [each for each in check.lock if each.state is State.DIFFERS]
    if not odd:
        present = sum(bool(each.installed) for each in check.lock)
        return f"matches: {plural(present, 'package')} of the published lock"
    named = ", ".join(f"{each.name} {each.installed or 'is missing'} ({each.locked})" for each in odd[:MOST])
    more = f" and {len(odd) - MOST} more" if len(odd) > MOST else ""
    return f"differs in {plural(len(odd), 'package')}: {named}{more}"
