"""The JSON of `diff`, `keys` and `watch` against its own hashes, and the evidence of the first two against it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from auditor.errors import UnreadableEvidence
from auditor.evidence.discovery.exhibits import opened
from auditor.observer import Observer
from auditor.options import Options
from auditor.reports import seals
from auditor.reports.diff import json as diff_json
from auditor.text import shown
from auditor.verify.checks import MOST_DIFFERENCES, Check, differs, note, safe, same, unchecked

ROWS = {"etcd-auditor diff": diff_json.ROWS}
"""The section of the rows, by format; a page embeds them by columns, and its parts have hashes."""
SECTIONS = {
    "etcd-auditor diff": tuple(diff_json.schema()["required"]),
    "etcd-auditor keys": ("format", "version", "name", "exit_code", "evidence", "keys", "bootstrap", "hashes"),
}
"""The closed list of sections, by format: one that was left out together with its hash is missed too."""


def check(name: str, document: dict[str, Any]) -> Iterator[Check]:
    """Every section and row against its hash in the document.

    Args:
        name: The report's name, for the checks.
        document: The document, or the custody of a page.
    """
    hashes, rows_name = document.get("hashes"), ROWS.get(str(document.get("format")), "")
    if not isinstance(hashes, dict) or not isinstance(hashes.get("sections"), dict):
        yield differs(name, "it holds no hashes of its sections")
        return
    custody = "parts" in hashes
    sealed = {part: section for part, section in document.items() if part not in {"hashes", rows_name}}
    expected = dict.fromkeys([*SECTIONS.get(str(document.get("format")), ()), *hashes["sections"]])
    differences = [
        f"section {safe(part)} is missing"
        for part in expected
        if part not in document and not (custody and part == rows_name)
    ]
    differences += [
        f"section {safe(part)} is not what it was"
        for part, section in sealed.items()
        if hashes["sections"].get(part) != seals.section(section)
    ]
    if not custody:  # a page has other hashes of its own, which page.check() holds it to
        own = {part: value for part, value in hashes.items() if part != "own"}
        differences += ["its hashes are not what they were"] if hashes.get("own") != seals.section(own) else []
        if rows_name in document:
            differences += list(_rows(document[rows_name], hashes.get("rows")))
    yield from (differs(name, text) for text in differences)
    if not differences:
        yield same(name, f"{len(hashes['sections']):,} sections, by the hashes in it")
        if rows_name in document:
            yield same(name, f"{len(document[rows_name]):,} objects, by the hash of each")


def _rows(rows: Any, expected: Any) -> Iterator[str]:
    """Sentences on the rows that are not what they were."""
    if not isinstance(rows, list) or not isinstance(expected, list) or len(rows) != len(expected):
        yield "the number of its objects is not what it was"
        return
    numbers = [number for number, row in enumerate(rows, 1) if seals.section(row)[:8] != expected[number - 1]]
    yield from (f"object {number:,} of {len(rows):,} is not what it was" for number in numbers[:MOST_DIFFERENCES])
    if (more := len(numbers) - MOST_DIFFERENCES) > 0:
        yield f"{more:,} more objects are not what they were"


def evidence(
    name: str, document: dict[str, Any], paths: Sequence[str], options: Options, observer: Observer
) -> Iterator[Check]:
    """The SHA-256 of the evidence against those in the document.

    Args:
        name: The report's name, for the checks.
        document: The document.
        paths: The evidence.
        options: Where its WAL lies and how containers are unpacked.
        observer: Its methods are called with the progress of hashing.
    """
    sides = _sides(document)
    if not sides:
        yield unchecked(name, "it does not say which evidence it is of")
        return
    digests: dict[str, str] = {}
    for path in paths:
        with ExitStack() as stack:
            try:
                exhibits = stack.enter_context(opened(path, options))
                files = [file for _, opener in exhibits for _, file in stack.enter_context(opener()).files]
            except UnreadableEvidence as error:
                yield note(shown(path), f"cannot be read: {error}")
                continue
            for file in files:
                file.hashing.wait(observer)
                digest, _ = file.hashing.result()
                digests[digest or ""] = file.name
    for side, sha256 in sides:
        if not sha256:
            yield unchecked(side, "the report holds no SHA-256 of it")
        elif sha256 in digests:
            yield same(side, f"its SHA-256 is that of {digests[sha256]}")
        else:
            yield differs(side, f"none of what was given has its SHA-256 {safe(sha256)}")
    known = {sha256 for _, sha256 in sides}
    for other in (name for sha256, name in digests.items() if sha256 not in known):
        if _names_files(document):
            yield differs(other, "is a file of this evidence, and not in the report")
        else:
            yield unchecked(other, "the report holds no SHA-256 of it")


def _sides(document: dict[str, Any]) -> list[tuple[str, str]]:
    """The name of each file of the evidence items of a document, or of an item without any, and its SHA-256."""
    if document.get("format") == "etcd-auditor keys":
        return _files(safe(document.get("name")), document, str(document.get("evidence") or ""))
    parts = ((side, document.get(side)) for side in ("before", "after"))
    return [
        file
        for side, part in parts
        if isinstance(part, dict)
        for file in _files(f"{side.upper()} ({safe(part.get('name'))})", part, str(part.get("sha256") or ""))
    ]


def _files(item: str, document: dict[str, Any], sha256: str) -> list[tuple[str, str]]:
    """The files of an item; earlier reports name its first alone, by the item's SHA-256."""
    sources = document.get("sources")
    if not isinstance(sources, list) or len(sources) < 2:
        return [(item, sha256)]
    files = [each for each in sources if isinstance(each, dict)]
    return [(f"{item}, {safe(each.get('name'))}", str(each.get("sha256") or "")) for each in files]


def _names_files(document: dict[str, Any]) -> bool:
    """Whether it names every file of its evidence, as reports since the section `sources` do."""
    items = [document] if "keys" in document else [document.get(side) for side in ("before", "after")]
    return all("sources" in item for item in items if isinstance(item, dict))
