"""One object's history, for a terminal and as JSON. JSON never holds a value; a terminal only on request."""

import json
from collections.abc import Iterator
from typing import IO, Any

from rich.console import Console
from rich.text import Text

from auditor.history.model import Change, History, Version
from auditor.model.vocabulary import Opened
from auditor.reports import json_sections, time_table
from auditor.reports.terminal import table
from auditor.reports.words import plural
from auditor.text import printable

FORMAT, VERSION = "etcd-auditor history", 2
MOST_NAMES = 12
"""Fields that one line of changes names."""
HEADER = [
    "revision", "place", "provider", "decrypted", "content", "bytes", "size", "same as latest",
    "source", "offset", "page", "state",
]  # fmt: skip


def write(history: History, console: Console, *, reveal: bool = False) -> None:
    """Print the history. reveal: with the values. Control characters of names and values are escaped."""
    evidence = history.evidence
    many = len(evidence.sources) > 1
    console.print(Text(f"{history.resource or 'object'}  {history.key}", "bold"), soft_wrap=not console.is_terminal)
    if evidence.sha256:
        console.print(Text(f"Evidence  {evidence.name}  SHA-256 {evidence.sha256}"))
    console.print()
    rows = [_row(version) for version in history.versions]
    columns = [number for number, name in enumerate(HEADER) if name != "source" or many]
    columns = [number for number in columns if number < 10 or any(row[number] for row in rows)]
    console.print(table([HEADER[at] for at in columns], [[row[at] for at in columns] for row in rows], numbers=False))
    console.print(Text("Equal contents, and equal stored bytes, share a number."))
    console.print()
    for line in _story(history):
        console.print(Text(line), soft_wrap=not console.is_terminal)
    for number, version in _distinct(history):
        console.print()
        where = (
            f"revision {version.mod_revision:,}" if version.mod_revision >= 0 else f"{version.place.label}, no revision"
        )
        console.print(Text(f"Content #{number} ({where}, {version.encoding})", "bold"))
        _fields(version, console, reveal=reveal)
    console.print()
    console.print(table(time_table.HEADER, time_table.rows(history.chronology), numbers=False))
    for remark in time_table.remarks(history.chronology):
        console.print(Text(f"{remark}."), soft_wrap=not console.is_terminal)
    console.print()
    for gap in history.gaps:
        console.print(Text(f"Gap: {gap.source}: {gap.reason}", "yellow"), soft_wrap=not console.is_terminal)
    console.print(Text("Not examined:"))
    for part in history.unexamined:
        console.print(
            Text(f"  {part.what}: {part.reason}", "yellow" if part.decisive else ""), soft_wrap=not console.is_terminal
        )
    for note in history.notes:
        console.print(Text(f"Note: {note}."), soft_wrap=not console.is_terminal)


def save(history: History, out: IO[str]) -> None:
    """Write the history as JSON: names, sizes and numbers, never a value."""
    evidence = history.evidence
    document = {
        "format": FORMAT,
        "version": VERSION,
        "evidence": {
            "name": evidence.name,
            "kind": evidence.description,
            "sources": [{"name": each.name, "size": each.size, "sha256": each.sha256} for each in evidence.sources],
        },
        "resource": history.resource,
        "key": history.key,
        "complete": history.complete,
        "versions": [_plain(version) for version in history.versions],
        "gaps": [json_sections.gap(gap) for gap in history.gaps],
        "not_examined": [json_sections.unexamined(part) for part in history.unexamined],
        "notes": list(history.notes),
        **json_sections.calls_made(history.kms),
        "time": json_sections.chronology(history.chronology),
    }
    json.dump(document, out, indent=1, ensure_ascii=True)
    out.write("\n")


def _row(version: Version) -> list[str]:
    opened = version.opened.label if version.opened else ""
    at = f"{version.offset:,}" if version.offset >= 0 else ""
    where = [version.source, at, str(version.page) if version.page >= 0 else "", version.state]
    revision = _revision(version)
    if version.tombstone:
        return [revision, version.place.label, "(deleted)", "", "", "", "", "", *where]
    content = f"#{version.content}" if version.content else ""
    label = " ".join(part for part in (version.label, f"kek={version.kek_id}" if version.kek_id else "") if part)
    numbers = [content, f"#{version.stored}", f"{version.size:,}", version.same_as_latest]
    return [revision, version.place.label, label, opened, *numbers, *where]


def _revision(version: Version) -> str:
    if version.mod_revision >= 0:
        return (
            f"{version.mod_revision:,}"
            if version.sub_revision <= 0
            else f"{version.mod_revision:,}.{version.sub_revision}"
        )
    return f"as {version.copy_of:,}" if version.copy_of >= 0 else "unknown"


def _story(history: History) -> Iterator[str]:
    """A line for each revision: the write, its provider, and the changes."""
    revisions: set[tuple[int, int]] = set()
    earlier = False
    for version in history.versions:
        if version.mod_revision < 0 or (version.mod_revision, version.sub_revision) in revisions:
            continue
        revisions.add((version.mod_revision, version.sub_revision))
        copies = [
            copy
            for copy in history.versions
            if (copy.mod_revision, copy.sub_revision) == (version.mod_revision, version.sub_revision)
        ]
        places = ", ".join(dict.fromkeys(each.place.label for each in copies))
        best = next((each for each in copies if each.change is not None or each.fields is not None), version)
        if version.tombstone:
            text, earlier = "deleted", False
        elif best.change is not None:
            text = _change(best.change)
        elif best.fields is None:
            text, earlier = f"stored under {version.label}; {best.detail or 'not decrypted'}", True
        else:
            first = "created" if best.mod_revision == best.create_revision else "the earliest that is left"
            text, earlier = (
                f"{'stored' if earlier else first} under {best.label}, {plural(len(best.fields), 'field')}",
                True,
            )
        detail = f"; {best.detail}" if best.detail and best.fields is not None else ""
        yield f"revision {_revision(version)} ({places}): {text}{detail}"


def _change(change: Change) -> str:
    parts = [f"{change.provider}"] if change.provider else []
    for verb, names in (("changed", change.changed), ("added", change.added), ("removed", change.removed)):
        if names:
            more = f" and {len(names) - MOST_NAMES:,} more" if len(names) > MOST_NAMES else ""
            parts.append(f"{verb} {', '.join(names[:MOST_NAMES])}{more}")
    if not change.fields:
        parts.append("no field changed")
    return f"since revision {change.since:,}: {'; '.join(parts)}"


def _distinct(history: History) -> Iterator[tuple[int, Version]]:
    """The first version of each decoded content."""
    contents: set[int] = set()
    for version in history.versions:
        if version.fields is not None and version.content not in contents:
            contents.add(version.content)
            yield version.content, version


def _fields(version: Version, console: Console, *, reveal: bool) -> None:
    fields = version.fields or ()
    if not reveal:
        rows = [[each.name, f"{each.size:,}", f"#{each.number}"] for each in fields]
        console.print(table(["field", "size", "value"], rows))
        return
    for field in fields:
        console.print(Text(f"{field.name} = {printable(field.value)}"), soft_wrap=True)


def _plain(version: Version) -> dict[str, Any]:
    change = version.change
    return {
        "place": version.place.label,
        "state": version.state,
        "tombstone": version.tombstone,
        "mod_revision": _or_none(version.mod_revision),
        "sub": _or_none(version.sub_revision),
        "create_revision": _or_none(version.create_revision),
        "version": _or_none(version.version),
        "order": _or_none(version.ordinal),
        "copy_of": _or_none(version.copy_of),
        "provider": "" if version.tombstone else version.provider.label,
        "key_name": version.key_name,
        "kek_id": version.kek_id,
        "encoding": version.encoding,
        "decrypted": version.opened.label if version.opened is not Opened.NOT_TRIED else "",
        "content": version.content or None,
        "stored": version.stored or None,
        "same_as_latest": version.same_as_latest,
        "type": version.type,
        "created": version.created,
        "source": version.source,
        "offset": _or_none(version.offset),
        "size": version.size,
        "page": _or_none(version.page),
        "detail": version.detail,
        "fields": None
        if version.fields is None
        else [{"name": each.name, "size": each.size, "value": each.number} for each in version.fields],
        "change": None
        if change is None
        else {
            "since": change.since,
            "provider": change.provider,
            "added": list(change.added),
            "removed": list(change.removed),
            "changed": list(change.changed),
        },
    }


def _or_none(number: int) -> int | None:
    return None if number < 0 else number
