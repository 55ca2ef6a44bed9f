"""Hold a report to what it says of itself, of the files beside it and of its evidence: years later, if need be."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from auditor.errors import UsageError
from auditor.evidence.discovery.arguments import resolve_arguments
from auditor.observer import SILENT, Observer
from auditor.options import Options
from auditor.text import shown
from auditor.verify import evidence, files, report
from auditor.verify.checks import Check, note, unchecked


def verify(
    path: Path,
    of: Sequence[str] = (),
    options: Options | None = None,
    observer: Observer = SILENT,
) -> Iterator[Check]:
    """Every check as it is made, of a report or of a list of sums; `of` is the evidence, by its paths.

    options: where its WAL lies and how it is unpacked; nothing else of them is asked for.

    Raises UsageError for what is neither, and UnreadableEvidence where `of` is no evidence.
    """
    raw = files.read(path)
    name = shown(path.name)
    lists = [path] if files.is_list(path) else files.lists_of(path)
    reports = files.listed(path) if files.is_list(path) else [path]
    if not lists and not report.looks_like_one(raw):
        raise UsageError(f"{name} is no report that speaks for itself, and no SHA256SUMS beside it lists it")
    for each in lists:
        yield from files.check(each)
    if not lists:
        yield note(name, "no SHA256SUMS beside it lists it: only what it says of itself is checked")
    documents = []
    broken = False
    for each in reports:
        document = _loaded(each, listed=each != path)
        if document is None:
            continue
        if isinstance(document, Check):
            broken = True
            yield document
        else:
            yield from report.check(shown(each.name), document, files.read(each))
            documents.append((shown(each.name), document))
    if not of:
        return
    documents.sort(key=lambda named: "findings" not in named[1])
    if documents:
        report_name, document = documents[0]
        yield from evidence.check(report_name, document, resolve_arguments(of), options or Options(), observer)
    elif broken:
        yield unchecked("the evidence", "the report that names it cannot be read")
    else:
        raise UsageError(f"{name} does not say which evidence it is of: give the JSON report")


def _loaded(path: Path, *, listed: bool) -> dict[str, Any] | Check | None:
    """The report in a file; None for a file that cannot speak for itself. Raises UsageError for one given by name.

    listed: a list of sums named it, by which it was checked already.
    """
    raw = files.read(path)
    if not report.looks_like_one(raw):
        return None
    try:
        return report.load(shown(path.name), raw)
    except UsageError:
        if listed:
            return None
        raise
