"""The list of what to rotate, as CSV and as Markdown: a row for every value that must change, in its order."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import IO

from auditor.model.audit import Audit
from auditor.model.rotation import COLUMNS, Rotation
from auditor.reports import csv, words

LEAK = (
    "Stop the leak first: what you rotate now is stored in the clear again. Put an encrypting provider first, and "
    "restart every API server."
)
"""The first line where the newest Secrets are still written readable."""
CLASSES = "Classes come of types, names of data and labels, never of a value."
NUMBERS = frozenset({"credentials", "order"})
NOBODY = "no-owner"
"""Name of the file of what belongs to no team."""
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+!|~-])")


def counts(rotation: Rotation) -> str:
    """How much there is to rotate, in one sentence: copies of one value count once."""
    text = f"{words.plural(rotation.credentials, 'credential')} to rotate"
    bundles = words.plural(rotation.bundles, "readable Secret")
    parts = [
        f"{bundles} with public parts alone" if rotation.bundles else "",
        f"{rotation.empty:,} {'is' if rotation.empty == 1 else 'are'} empty" if rotation.empty else "",
        f"{rotation.gone:,} of the baseline {'is' if rotation.gone == 1 else 'are'} readable no more"
        if rotation.gone
        else "",
    ]
    return "; ".join(filter(None, (text, *parts)))


def lines(rotation: Rotation) -> Iterator[tuple[str, ...]]:
    """The cells of every row, a row of order 0 before them where the leak must be stopped first."""
    if rotation.leak:
        cells = dict.fromkeys(COLUMNS, "")
        cells |= {
            "id": "R000",
            "order": "0",
            "status": "current",
            "class": "write path",
            "credentials": "0",
            "rotate": LEAK,
        }
        yield tuple(cells.values())
    for number in range(len(rotation.rows)):
        yield rotation.cells(number)


def write_csv(audit: Audit, out: IO[str]) -> None:
    """Write the list as CSV."""
    rows = list(lines(_of(audit)))
    columns = {name: [row[number] for row in rows] for number, name in enumerate(COLUMNS)}
    out.writelines(csv.lines(columns, NUMBERS))


def write_markdown(audit: Audit, out: IO[str]) -> None:
    """Write the list as Markdown. Names are escaped: none of them becomes markup."""
    rotation = _of(audit)
    out.write("# Credentials to rotate\n\nConfidential: names of Secrets, and what to attack first.\n\n")
    if rotation.leak:
        out.write(f"**{LEAK}**\n\n")
    items = [(audit.evidence.name, audit.evidence.sha256)] if not audit.parts else _items(audit)
    for name, sha256 in items:
        out.write(f"Evidence {_escape(name)}, SHA-256 {sha256 or 'not computed'}.\n")
    out.write(f"{counts(rotation)}. {CLASSES}\n\n")
    out.write(f"| {' | '.join(name.replace('_', ' ') for name in COLUMNS)} |\n|{' --- |' * len(COLUMNS)}\n")
    for number in range(len(rotation.rows)):
        cells = dict(zip(COLUMNS, rotation.cells(number), strict=True))
        box = f"{cells.pop('revoke')} old one revoked" if cells["revoke"] else ""
        texts = {name: _escape(cell) for name, cell in cells.items()}
        out.write(f"| {' | '.join({**dict.fromkeys(COLUMNS, ''), **texts, 'revoke': box}.values())} |\n")


def by_owner(audit: Audit) -> dict[str, Audit]:
    """The audit with the rows of one owner each, by a name that a file may have; their numbers stay."""
    rotation = _of(audit)
    names = dict.fromkeys(row.owner or NOBODY for row in rotation.rows)
    files = {name: _UNSAFE.sub("-", name).strip(".-") or NOBODY for name in names}
    split: dict[str, Audit] = {}
    for name in names:
        file, count = files[name], 2
        while file in split:
            file, count = f"{files[name]}-{count}", count + 1
        rows = tuple(row for row in rotation.rows if (row.owner or NOBODY) == name)
        own = replace(rotation, rows=rows, numbers=tuple(rotation.rows.index(row) for row in rows))
        split[file] = replace(audit, rotation=own)
    return split


def table(rotation: Rotation) -> tuple[list[str], list[tuple[str, ...]]]:
    """Header and rows for a page."""
    return [name.replace("_", " ") for name in COLUMNS], list(lines(rotation))


def _items(audit: Audit) -> list[tuple[str, str]]:
    """Name and hash of each of several evidence items, and what could not be read of them."""
    return [(f"{part.name} (not read)" if part.problem else part.name, part.sha256) for part in audit.parts]


def _of(audit: Audit) -> Rotation:
    """The list of an audit. Raises RuntimeError where it has none: an empty one would say that all is well."""
    if audit.rotation is None:
        raise RuntimeError("an audit without a list of what to rotate")
    return audit.rotation


def _escape(text: str) -> str:
    """A text without meaning in Markdown, or in HTML inside it."""
    return _MARKDOWN.sub(r"\\\1", text.replace("&", "&amp;"))
