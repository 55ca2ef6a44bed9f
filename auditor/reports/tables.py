"""Tables that the terminal and the HTML report share: header and rows, as text."""

from collections.abc import Sequence

from auditor.model.audit import Audit
from auditor.model.findings import Coverage
from auditor.model.vocabulary import Place, Provider, Severity
from auditor.reports import causes
from auditor.reports.words import label, plural

MOST_PAGES = 12
MOST_KEYS = 7
"""Providers and keys that have a column each on a page, identity's among them."""
PLACE_TEXTS = ("under", "")
"""Columns of of_places_briefly() that are no numbers."""
PART_TEXTS = ("in what was examined", "SHA-256")
"""Columns of of_parts() that are no numbers, behind the first."""
_SCOPE = " in what was examined"
"""The end of a conclusion, which is the column's name."""
PART_OPTIONAL = ("SHA-256", "revision", "values", "hold current")
"""Columns of of_parts() that a narrow terminal does without, the first one first."""


def of_causes(audit: Audit) -> tuple[list[str], list[list[str]]]:
    """Header and rows: cause and remedy of each place with readable values."""
    by_place = causes.of(audit)
    rows = [[place.label, *by_place[place]] for place in audit.tally.readable_places]
    return ["place", "why it is there", "what would stop the next backup from carrying it"], rows


def of_parts(audit: Audit, fail_on: Severity) -> tuple[list[str], list[list[str]]]:
    """Header and rows: one line an exhibit, where there are several."""
    rows = [
        [
            part.name,
            "not read, see below" if part.problem else part.verdict(fail_on).value.removesuffix(_SCOPE),
            str(part.exit_code(fail_on)),
            *(
                ["", "", "", ""]
                if part.problem
                else [
                    f"{part.values:,}",
                    f"{part.readable:,}",
                    f"{part.current_holders:,}",
                    f"{part.revision:,}" if part.revision else "unknown",
                ]
            ),
            part.sha256[:12],
        ]
        for part in audit.parts
    ]
    return ["evidence", _SCOPE.strip(), "exit", "values", "readable", "hold current", "revision", "SHA-256"], rows


def of_places(audit: Audit) -> tuple[list[str], list[list[str]]]:
    """Header and rows: values of the selected resources by place and by provider and key."""
    columns: dict[tuple[Provider, str], None] = {}
    for _, provider, name, _, _ in audit.tally.places:
        if provider is not Provider.IDENTITY:
            columns[provider, name] = None
    names = [label(provider, name) for provider, name in columns]
    rows = []
    for place in dict.fromkeys(place for place, *_ in audit.tally.places):
        counts_by_key = {
            (provider, name): (count, opened)
            for where, provider, name, count, opened in audit.tally.places
            if where == place
        }
        encrypted = sum(count for key, (count, _) in counts_by_key.items() if key[0] is not Provider.IDENTITY)
        opened = sum(count for _, count in counts_by_key.values())
        readable = counts_by_key.get((Provider.IDENTITY, ""), (0, 0))[0]
        total = sum(count for count, _ in counts_by_key.values())
        counts = [f"{counts_by_key.get(column, (0, 0))[0]:,}" for column in columns]
        where = _pages(audit) if place is Place.FREED else ""
        rows.append([place.label, f"{total:,}", f"{readable:,}", *counts, f"{opened:,}" if encrypted else "-", where])
    return ["place", "values", "readable", *names, "decrypted", ""], rows


def has_many_keys(audit: Audit) -> bool:
    """Whether a page has no room for a column for each provider and key."""
    return len({(provider, name) for _, provider, name, _, _ in audit.tally.places}) > MOST_KEYS


def of_places_briefly(audit: Audit) -> tuple[list[str], list[list[str]]]:
    """Header and rows of of_places(), providers and keys in one column: for where there are too many for one each."""
    header, rows = of_places(audit)
    keys = header[3:-2]
    brief = [[*cells[:3], cells[-2], ", ".join(_under(keys, cells[3:-2])), cells[-1]] for cells in rows]
    return [*header[:3], header[-2], "under", header[-1]], brief


def _under(keys: Sequence[str], counts: Sequence[str]) -> list[str]:
    return [f"{count} {key}" for key, count in zip(keys, counts, strict=True) if count != "0"]


def _pages(audit: Audit) -> str:
    """The freed pages with readable values."""
    pages = audit.tally.freed_pages
    if len(pages) > MOST_PAGES:
        return plural(len(pages), "page")
    return f"{'page' if len(pages) == 1 else 'pages'} {' '.join(map(str, pages))}" if pages else ""


def of_coverage(audit: Audit) -> tuple[list[str], list[list[str]]]:
    """Header and rows: resource x provider, every place together, over the whole database."""
    labels = sorted({(row.provider, row.key_name) for row in audit.coverage})
    totals: dict[tuple[str, bool], dict[tuple[Provider, str], int]] = {}
    for row in audit.coverage:
        counts = totals.setdefault((_resource(row), row.exempt), {})
        counts[row.provider, row.key_name] = counts.get((row.provider, row.key_name), 0) + row.values
    rows = []
    for (resource, exempt), counts in sorted(totals.items()):
        name = f"{resource} (never encrypted)" if exempt else resource
        rows.append([name, *(f"{counts[column]:,}" if column in counts else "" for column in labels)])
    return ["resource", *(label(provider, name) for provider, name in labels)], rows


def _resource(row: Coverage) -> str:
    return row.resource or "keys under no prefix"
