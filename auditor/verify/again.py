"""The evidence audited anew with the options that a report records, and the outcome held against the report.

Seals show a change, not an author: a report that is sealed anew verifies. Only another audit tells it from a true one.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from auditor.audit.expectations import UnexpectedEvidence
from auditor.evidence.discovery import bystanders, pipe, texts
from auditor.evidence.discovery.arguments import URL, names
from auditor.model.audit import Audit
from auditor.model.vocabulary import Severity
from auditor.observer import Observer
from auditor.options import Options, Setting, settings
from auditor.reports import format_version
from auditor.reports import json as json_report
from auditor.scanning import many, one
from auditor.text import decode, restore, shown
from auditor.verify import baseline, compare, page
from auditor.verify.checks import Check, differs, note, safe, unchecked
from auditor.version import __version__

OPTION = {
    "encryption_configs": "--encryption-config",
    "kms_plugins": "--kms-plugin",
    "kms": "--kms",
    "k3s_token": "--k3s-token",
    "wal_dir": "--wal-dir",
    "baseline": "--baseline",
    "ignore": "--ignore",
    "redact_key": "--redact-key",
}
"""Options that name keys, other files or what is called: they are given anew, since a report has only their names."""
NAMED = frozenset({"kms_plugins", "kms"})
"""Those that are NAME=ADDRESS: a report does not decide what is called, and the address may be another."""
OWN = frozenset({"work_dir", "keep", "keep_force", "rows", "case"})
"""Options that no finding and no figure depends on."""


class Repetition:
    """Other audits of the evidence of one or several reports."""

    def __init__(self, paths: Sequence[str], given: Options, observer: Observer, passed: Sequence[str] = ()) -> None:
        """Audits of the evidence.

        Args:
            paths: The evidence.
            given: The options that are given anew, those of OPTION, and the folder for private files.
            observer: Its methods are called with the progress.
            passed: Names of the files beside the evidence that are known to hold no values.
        """
        self._passed = passed
        self._paths = paths
        self._given = given
        self._observer = observer
        self._audits: dict[Options, Audit] = {}

    def check(self, name: str, document: dict[str, Any], raw: bytes) -> Iterator[Check]:
        """The findings and figures of another audit against those of a report.

        Args:
            name: The report's name, for the checks.
            document: The parsed report.
            raw: The report's own bytes.

        Raises:
            UnreadableEvidence: Nothing in the evidence can be read.
            UsageError: A file that is given anew cannot be used.
        """
        evidence = document.get("evidence")
        if isinstance(evidence, dict) and evidence.get("live"):
            yield unchecked(compare.ANOTHER, f"{name} is of a live etcd, which is not what it was: not audited again")
            return
        if document.get("version") != format_version.VERSION:
            text = f"{name} has an older format, whose words are others: scan the evidence with it as --baseline"
            yield unchecked(compare.ANOTHER, text)
            return
        recorded = _recorded(document)
        fail_on = next((each for each in Severity if each.label == document.get("fail_on")), None)
        if recorded is None or fail_on is None:
            yield differs(name, "the options in it are none of etcd-auditor's: not audited again")
            return
        if URL in recorded.current:  # a report does not decide what is called
            text = f"{name} was made with --current from a server, which is not asked: not audited again"
            yield unchecked(compare.ANOTHER, text)
            return
        missing = list(_missing(recorded, self._given))
        yield from (unchecked(compare.ANOTHER, f"{each}: not audited again") for each in missing)
        if missing:
            return
        if document.get("redaction") and recorded.expect_cluster:
            recorded = replace(recorded, expect_cluster="")
            yield note(compare.ANOTHER, "--expect-cluster is a pseudonym in the report, and is not checked")
        if (version := document["run"].get("version")) != __version__:
            yield note(compare.ANOTHER, f"by version {__version__}; {name} is of version {safe(version)}")
        try:
            audit = self._with_folder(self._audit(recorded), recorded, document)
        except UnexpectedEvidence as error:
            yield differs(compare.ANOTHER, str(error))
            return
        audit = yield from _as_given(_as_run(audit, document), document)
        renamed = _renamed(recorded, self._given) | _renamed_evidence(document, audit, self._paths)
        yield from compare.documents(name, document, json_report.document(audit, fail_on), renamed)
        if page.is_page(raw):
            from auditor.verify import rendering  # loads what writes pages

            yield from rendering.check(name, raw, document, audit, fail_on, renamed)

    def _with_folder(self, audit: Audit, recorded: Options, document: dict[str, Any]) -> Audit:
        """The audit with what scan adds for folders that were named: which of their files hold no values."""
        if not self._passed:
            return audit
        texts_of = partial(bystanders.note, self._passed, "the folders that were named")
        both = texts_of(every=False), texts_of(every=True)
        said = next((each for each in both if each in document.get("notes", ())), both[0])
        options = replace(recorded, beside_texts=self._given.beside_texts)
        unexamined = (*audit.unexamined, *texts.unsearched(options, list(self._paths)))
        return replace(audit, notes=(*audit.notes, said), unexamined=unexamined)

    def _audit(self, recorded: Options) -> Audit:
        """The audit with the options of a report, but for those that are given anew."""
        anew = {each.name: getattr(self._given, each.name) for each in fields(Options) if each.name in OPTION}
        given = self._given
        options = replace(
            recorded,
            **anew,
            companion_configs=given.companion_configs,
            beside_texts=given.beside_texts if recorded.hunt else (),
            work_dir=given.work_dir,
            kms_confirmed=given.kms_confirmed,
        )
        if options not in self._audits:
            self._audits[options] = _audit(self._paths, options, self._observer)
        return self._audits[options]


def _audit(paths: Sequence[str], options: Options, observer: Observer) -> Audit:
    if len(paths) > 1:
        return many.scan(paths, options)
    earlier = baseline.load(Path(options.baseline)) if options.baseline else None
    return one.one(paths[0], options, observer, earlier=earlier)


def _as_run(audit: Audit, document: dict[str, Any]) -> Audit:
    """The audit with what a report says of its run alone: where options come from, and that evidence came by a pipe."""
    origins = document["run"].get("settings")
    if isinstance(origins, dict) and all(isinstance(each, str) for each in origins.values()):
        audit = replace(audit, run=replace(audit.run, origins=tuple(origins.items())))
    notes = document.get("notes")
    for place, text in enumerate(notes if isinstance(notes, list) else ()):
        if isinstance(text, str) and text.endswith(pipe.SPOOLED) and text not in audit.notes:
            audit = replace(audit, notes=(*audit.notes[:place], text, *audit.notes[place:]))
    return audit


def _recorded(document: dict[str, Any]) -> Options | None:
    """The options that the report records; None where they are none of ours."""
    run = document.get("run")
    recorded = run.get("options") if isinstance(run, dict) else None
    defaults = settings(Options())
    if not isinstance(recorded, dict) or not recorded.keys() <= defaults.keys():
        return None
    values: dict[str, Any] = {}
    for name, value in recorded.items():
        setting = _setting(value)
        if type(setting) is not type(defaults[name]):
            return None
        if name not in OWN:
            values[name] = setting
    return Options(**values)


def _setting(value: Any) -> Setting | None:
    """The value of an option by its text in a report."""
    if isinstance(value, str):
        return decode(restore(value))
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return tuple(decode(restore(each)) for each in value)
    return value if isinstance(value, bool | int) else None


def _missing(recorded: Options, given: Options) -> Iterator[str]:
    """The keys and files that the report was made with, and that are not given anew, and the other way round."""
    for name, option in OPTION.items():
        before, now = _list(getattr(recorded, name)), _list(getattr(given, name))
        if name in NAMED:
            before, now = ([each.partition("=")[0] for each in part] for part in (before, now))
            absent = [each for each in before if each not in now]
            more = [each for each in now if each not in before]
        else:
            absent, more = before[len(now) :], now[len(before) :]
        yield from (f"{option} {safe(shown(each))} is not given, and the report was made with it" for each in absent)
        yield from (f"{option} {safe(shown(each))} is given, and the report was made without it" for each in more)


def _list(value: str | tuple[str, ...]) -> list[str]:
    return list(value) if isinstance(value, tuple) else [value] if value else []


def _renamed(recorded: Options, given: Options) -> dict[str, str]:
    """The names of files that are given anew, with those that the report knows them by."""
    pairs = (
        (Path(now).name, Path(before).name)
        for name in OPTION
        if name not in NAMED
        for before, now in zip(_list(getattr(recorded, name)), _list(getattr(given, name)), strict=False)
    )
    return {shown(now): shown(before) for now, before in pairs if now != before}


def _renamed_evidence(document: dict[str, Any], audit: Audit, paths: Sequence[str]) -> dict[str, str]:
    """The name of the one item of evidence, with that which the report knows it by."""
    evidence = document.get("evidence")
    if len(paths) > 1 or not isinstance(evidence, dict):
        return {}
    containers = evidence.get("containers")
    first = containers[0] if isinstance(containers, list) and containers else evidence
    before = first.get("name") if isinstance(first, dict) else None
    now = names(paths)[0]
    if not isinstance(before, str) or before in {now, audit.evidence.name}:
        return {}
    return {now: before} if audit.evidence.name else {}


def _as_given(audit: Audit, document: dict[str, Any]) -> Generator[Check, None, Audit]:
    """The audit, named as in the report where that is of the folder of a store of one file, and the file is given."""
    evidence = document.get("evidence")
    name = evidence.get("name") if isinstance(evidence, dict) else None
    if not isinstance(evidence, dict) or not isinstance(name, str) or audit.evidence.name not in _names(evidence):
        return audit
    if name != audit.evidence.name:
        yield note(compare.ANOTHER, f"the report is of {safe(name)}, the folder of {safe(audit.evidence.name)}")
    return replace(audit, evidence=replace(audit.evidence, name=name))


def _names(evidence: Mapping[str, Any]) -> list[str]:
    """The names of the evidence's files in a report."""
    sources = evidence.get("sources")
    every = sources if isinstance(sources, list) else []
    return [str(each.get("name")) for each in every if isinstance(each, dict)]
