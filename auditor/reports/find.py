"""The places of values that the user named, for a terminal and as JSON: never a byte of a value, nor its length."""

import json
from typing import IO, Any

from rich.console import Console
from rich.text import Text

from auditor.find.model import Occurrence, Search
from auditor.reports import json_sections
from auditor.reports.format_version import VERSION
from auditor.reports.terminal import table
from auditor.reports.words import plural

FORMAT = "etcd-auditor find"
MOST = 100
"""Places that a terminal lists of all values; JSON has all."""
HEADER = ["value", "source", "offset", "place", "object current", "resource", "object", "field", "form", "revision"]
CURRENT = {
    "yes": "in a current object",
    "no": "in no current object",
    "unknown": "whether in a current object is unknown",
}
"""What is said of a value, by Search.current()."""


def verdict(findings: Search) -> str:
    """The conclusion, exit code included."""
    code = f"(exit {findings.exit_code})"
    what = f"{len(findings.found):,} of {plural(findings.values, 'value')}"
    if findings.found:
        rest = "" if findings.complete or len(findings.found) == findings.values else "; of the others it is unknown"
        return f"FOUND: {what}{rest} {code}"
    if findings.complete:
        return f"NOT FOUND: {what}, and everything was read {code}"
    return f"INCONCLUSIVE: {what} found, and not everything was read {code}"


def write(findings: Search, console: Console) -> None:
    """Print where each value stands, and what was not read."""
    console.print(Text(verdict(findings), "red" if findings.found else "" if findings.complete else "yellow"))
    for value in sorted(findings.found):
        places = sum(hit.value == value for exhibit in findings.exhibits for hit in exhibit.occurrences)
        console.print(Text(f"Value {value:,}: {plural(places, 'place')}; {CURRENT[findings.current(value)]}."))
    hits = [hit for exhibit in findings.exhibits for hit in exhibit.occurrences]
    if hits:
        console.print()
        console.print(table(HEADER, [_row(hit) for hit in hits[:MOST]], numbers=False))
        if len(hits) > MOST:
            console.print(Text(f"{len(hits) - MOST:,} more, listed by --json"))
    console.print()
    for name, reason in findings.problems:
        console.print(Text(f"Not read: {name}: {reason}", "yellow"), soft_wrap=not console.is_terminal)
    for exhibit in findings.exhibits:
        console.print(Text(f"Evidence  {exhibit.evidence.name}  SHA-256 {exhibit.evidence.sha256 or 'not computed'}"))
        for part in exhibit.remnants[:MOST]:
            where = f"{part.source}, offset {part.offset:,}"
            console.print(Text(f"Part of value {part.value:,} at {where}: the rest is lost", "yellow"))
        for gap in exhibit.gaps[:MOST]:
            console.print(Text(f"Gap: {gap.source}: {gap.reason}", "yellow"), soft_wrap=not console.is_terminal)
        console.print(Text("Not examined:"))
        for unread in exhibit.unexamined:
            console.print(Text(f"  {unread.what}: {unread.reason}", "yellow" if unread.decisive else ""))
    for text in (text for calls in findings.kms for text in calls.sentences()):
        console.print(Text(f"Note: {text}."), soft_wrap=not console.is_terminal)


def save(findings: Search, out: IO[str]) -> None:
    """Write the places as JSON."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "conclusion": verdict(findings),
        "exit_code": findings.exit_code,
        "complete": findings.complete,
        "values": [
            {"value": value, "found": value in findings.found, "current": findings.current(value)}
            for value in range(1, findings.values + 1)
        ],
        "evidence": [
            {
                "name": exhibit.evidence.name,
                "kind": exhibit.evidence.description,
                "sources": [{"name": each.name, "sha256": each.sha256} for each in exhibit.evidence.sources],
                "complete": exhibit.complete,
                "places": [_plain(hit) for hit in exhibit.occurrences],
                "parts": [
                    {"value": part.value, "source": part.source, "offset": part.offset} for part in exhibit.remnants
                ],
                "gaps": [json_sections.gap(gap) for gap in exhibit.gaps],
                "not_examined": [json_sections.unexamined(part) for part in exhibit.unexamined],
            }
            for exhibit in findings.exhibits
        ],
        "kms": json_sections.kms(findings.kms),
        "not_read": [{"name": name, "reason": reason} for name, reason in findings.problems],
    }
    json.dump(document, out, indent=1, ensure_ascii=True)
    out.write("\n")


def _row(hit: Occurrence) -> list[str]:
    form = f"{hit.form}, decrypted" if hit.decrypted else hit.form
    revision = f"{hit.mod_revision:,}" if hit.mod_revision >= 0 else ""
    offset = f"{hit.offset:,}" if hit.offset >= 0 else ""
    place = hit.place.label if hit.place is not None else ""
    current = "yes" if hit.current else "unknown" if hit.may_be_current else "no"
    return [f"{hit.value:,}", hit.source, offset, place, current, hit.resource, hit.key, hit.field, form, revision]


def _plain(hit: Occurrence) -> dict[str, Any]:
    return {
        "value": hit.value,
        "source": hit.source,
        "offset": hit.offset if hit.offset >= 0 else None,
        "place": hit.place.label if hit.place is not None else "",
        "current": None if hit.may_be_current else hit.current,
        "resource": hit.resource,
        "key": hit.key,
        "field": hit.field,
        "form": hit.form,
        "decrypted": hit.decrypted,
        "mod_revision": hit.mod_revision if hit.mod_revision >= 0 else None,
        "page": hit.page if hit.page >= 0 else None,
    }
