"""A page held against the page that another audit of its evidence makes: headline, figures, scripts.

What no audit can tell anew, the run and the times of the evidence's files, is taken from the page.
"""

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from auditor.audit.chronology import BY_FILE_SYSTEM
from auditor.model.audit import Audit, Run
from auditor.model.chronology import Chronology, TimeKind
from auditor.model.evidence import Evidence, Source, Stat
from auditor.model.kms import KmsCalls
from auditor.model.vocabulary import Provider, Severity
from auditor.reports.html import report, seal
from auditor.verify.checks import Check, differs, safe, same, unchecked
from auditor.version import __version__

_NONCE = re.compile(rb'<meta name="nonce" content="([A-Za-z0-9_-]{22})">')
"""See reports/html/assets.py."""


def check(
    name: str, raw: bytes, document: dict[str, Any], audit: Audit, fail_on: Severity, renamed: Mapping[str, str]
) -> Iterator[Check]:
    """The parts of a page against those of another audit.

    Args:
        name: The page's name, for the checks.
        raw: The page.
        document: Its custody, parsed.
        audit: The other audit.
        fail_on: The severity of --fail-on.
        renamed: Names of files in the other audit, with those in the page.
    """
    run, evidence = document.get("run"), document.get("evidence")
    if renamed:
        names = ", ".join(map(safe, renamed.values()))
        yield unchecked(name, f"its text is compared where the files have their names of then: {names}")
        return
    if not isinstance(run, dict) or run.get("version") != __version__:
        yield unchecked(name, "its text is compared by the version of etcd-auditor that wrote it alone")
        return
    out = io.StringIO()
    try:
        recorded = replace(
            audit,
            run=_run(run),
            evidence=_evidence(audit.evidence, evidence),
            chronology=_chronology(audit.chronology, document.get("time")),
        )
        report.write(recorded, fail_on, out)
        parts, _, _ = seal.split(_without_nonce(raw.replace(b"\r\n", b"\n")))
    except (AttributeError, KeyError, TypeError, ValueError):
        yield differs(name, "it does not say of which run and files it is")
        return
    expected, _, _ = seal.split(_without_nonce(out.getvalue().encode("utf-8", "surrogatepass")))
    differences = [part for part in dict.fromkeys([*expected, *parts]) if expected.get(part) != parts.get(part)]
    yield from (differs(name, f"part {safe(part)} of the page is not what this evidence makes") for part in differences)
    if not differences:
        yield same(name, f"{len(expected)} parts of the page are what this evidence makes")


def _without_nonce(raw: bytes) -> bytes:
    """The page with its nonce, which is another in every page, blotted out."""
    match = _NONCE.search(raw)
    return raw.replace(match[1], b"nonce") if match else raw


def _run(run: dict[str, Any]) -> Run:
    """The run that a page records."""
    providers = {provider.label: provider for provider in Provider}
    return Run(
        version=str(run["version"]),
        started=str(run["started"]),
        finished=str(run["finished"]),
        options=tuple((name, tuple(each) if isinstance(each, list) else each) for name, each in run["options"].items()),
        origins=tuple((str(name), str(origin)) for name, origin in run.get("settings", {}).items()),
        case=str(run["case"]),
        tools=tuple((str(tool), str(version)) for tool, version in run["tools"].items()),
        log=tuple((float(step["seconds"]), str(step["step"])) for step in run["log"]),
        plugins=tuple((providers[each["provider"]], str(each["name"]), int(each["calls"])) for each in run["plugins"]),
        kms=tuple(map(_calls, run.get("kms", ()))),
        provenance=tuple((str(name), str(text)) for name, text in run["provenance"].items()),
    )


def _calls(calls: dict[str, Any]) -> KmsCalls:
    """The calls to one key that a page records."""
    return KmsCalls(
        name=str(calls["name"]),
        service=str(calls["service"]),
        key=str(calls["key"]),
        principal=str(calls["principal"]),
        calls=int(calls["calls"]),
        unwrapped=int(calls["unwrapped"]),
        first=str(calls["first"]),
        last=str(calls["last"]),
        requests=tuple(map(str, calls["requests"])),
        answering=tuple(map(str, calls["answering"])),
        outcomes=tuple((str(why), int(count)) for why, count in calls["outcomes"].items()),
    )


def _chronology(times: Chronology | None, recorded: Any) -> Chronology | None:
    """What is known of time, with the times of files that a page records."""
    if times is None:
        return None
    of_files = {
        (each["what"], each["bound"], each["source"]): str(each["time"])
        for each in recorded["bounds"]
        if each["kind"] == TimeKind.FILE.value
    }
    bounds = tuple(
        replace(each, time=of_files.get((each.what, each.bound, each.source), each.time)) for each in times.bounds
    )
    lasting = [text for text in times.contradictions if not text.startswith(BY_FILE_SYSTEM)]
    by_files = [text for text in recorded["contradictions"] if text.startswith(BY_FILE_SYSTEM)]
    return replace(times, bounds=bounds, contradictions=(*by_files, *lasting))


def _evidence(evidence: Evidence, recorded: Any) -> Evidence:
    """The evidence with the times that a page records."""
    files = {each["name"]: each for each in (*recorded["sources"], *recorded["containers"])}

    def source(file: Source) -> Source:
        record = files[file.name]
        return replace(
            file,
            modified=str(record["modified"]),
            before=Stat(**record["before"]),
            after=Stat(**record["after"]),
        )

    return replace(
        evidence,
        modified=str(recorded["modified"]),
        sources=tuple(map(source, evidence.sources)),
        containers=tuple(map(source, evidence.containers)),
    )
