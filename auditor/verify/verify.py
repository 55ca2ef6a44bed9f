"""A report held against its own hashes, the files beside it and its evidence: years later, if need be."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from auditor.errors import UsageError
from auditor.evidence.discovery.arguments import Beside, resolve_arguments
from auditor.observer import SILENT, Observer
from auditor.options import Options
from auditor.text import shown
from auditor.verify import evidence, files, report, sealed, signatures, timestamps
from auditor.verify.checks import Check, differs, note, unchecked
from auditor.verify.own import is_report
from auditor.verify.trust import NOBODY, Trust


def verify(
    path: Path,
    exhibits: Sequence[str] = (),
    options: Options | None = None,
    observer: Observer = SILENT,
    *,
    repeat: bool = False,
    trust: Trust = NOBODY,
) -> Iterator[Check]:
    """The checks of a report, or of a list of checksums and the reports in it, one by one.

    Args:
        path: The report or the list.
        exhibits: The paths of the evidence.
        options: Where the WAL of the evidence lies and how containers are unpacked, and for another audit the keys.
        observer: Its methods are called with the progress of hashing.
        repeat: Whether the evidence is audited again with the options that the report records.
        trust: Who must have signed and time-stamped the lists, if anyone.

    Raises:
        UsageError: `path` is neither a report nor a list, or names no evidence.
        UnreadableEvidence: `exhibits` are no evidence.
    """
    raw = files.read(path)
    name = shown(path.name)
    lists = [path] if files.is_list(path) else files.lists_of(path)
    reports = files.files_in(path) if files.is_list(path) else [path]
    if not lists and not report.looks_like_one(raw):
        raise UsageError(f"{name} is no report that speaks for itself, and no SHA256SUMS beside it lists it")
    yield from _lists(name, lists, trust)
    loaded = [(file, _load(file, listed=file != path or bool(lists))) for file in reports]
    documents = [(shown(file.name), each, files.read(file)) for file, each in loaded if isinstance(each, dict)]
    for document in documents:
        yield from report.check(*document)
    broken = [each for _, each in loaded if isinstance(each, Check)]
    yield from broken
    if not exhibits:
        return
    if documents:
        beside = Beside(given=options.encryption_configs if options else ())
        paths = resolve_arguments(exhibits, is_report, beside)
        options = replace(options or Options(), companion_configs=tuple(beside.companions))
        if any(_was_hunted(document) for _, document, _ in documents):
            options = replace(options, hunt=True, beside_texts=tuple(beside.texts))
        yield from _with_evidence(documents, paths, options, observer, beside.passed, repeat=repeat)
    elif broken:
        yield unchecked("the evidence", "the report that names it cannot be read")
    else:
        raise UsageError(f"{name} does not say which evidence it is of: give the JSON report")


def _was_hunted(document: Mapping[str, Any]) -> bool:
    """Whether the texts beside the evidence are among the files of a report."""
    run = document.get("run")
    recorded = run.get("options") if isinstance(run, dict) else None
    return isinstance(recorded, dict) and recorded.get("hunt") is True


def _lists(name: str, lists: Sequence[Path], trust: Trust) -> Iterator[Check]:
    """The checks of the lists that name a report, and of what seals these. name: of the report."""
    for checksum_list in lists:
        yield from files.check(checksum_list)
        yield from signatures.check(checksum_list, trust.signers)
        yield from timestamps.check(checksum_list, trust.roots)
    if not lists:
        yield note(name, "no SHA256SUMS beside it lists it: only what it says of itself is checked")
        if trust.any:
            yield differs(name, "no list of checksums names it, so that no signature or time stamp is of it")


def _with_evidence(
    documents: list[tuple[str, dict[str, Any], bytes]],
    paths: Sequence[str],
    options: Options,
    observer: Observer,
    passed: Sequence[str],
    *,
    repeat: bool,
) -> Iterator[Check]:
    """The checks of reports against their evidence.

    Args:
        documents: Name, document and bytes of each report.
        paths: The evidence.
        options: Of verify().
        observer: Its methods are called with the progress.
        passed: Names of the files beside the evidence that are known to hold no values.
        repeat: Whether the evidence is audited again.
    """
    documents.sort(key=lambda each: "findings" not in each[1])
    others = [each for each in documents if each[1].get("format") in report.OTHERS]
    for name, document, _ in others:
        yield from sealed.evidence(name, document, paths, options, observer)
        if repeat:
            yield unchecked(name, "only what `scan` writes is compared with another audit: run its command again")
    documents = [each for each in documents if each not in others]
    if not documents:
        return
    yield from evidence.check(*documents[0][:2], paths, options, observer)
    if repeat:
        from auditor.verify.again import Repetition  # the audit, which nothing else here needs

        repetition = Repetition(paths, options, observer, passed)
        for name, document, raw in documents:
            yield from repetition.check(name, document, raw)


def _load(path: Path, *, listed: bool) -> dict[str, Any] | Check | None:
    """The report in a file; None for a file without hashes of itself.

    Args:
        path: The file.
        listed: Whether a list of checksums names it, which vouches for it; else it must be a report.

    Raises:
        UsageError: The file is not listed, and no report.
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
