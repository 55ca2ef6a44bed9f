"""The keys that evidence needs as one self-contained HTML file: the page of a scan, whose rows are keys."""

from collections.abc import Mapping, Sequence
from typing import IO

from auditor.model.audit import Audit
from auditor.model.findings import Cell
from auditor.model.vocabulary import Provider
from auditor.reports import key_table, provenance, verdict, words
from auditor.reports.html import charts, drawing, embed, page, shell
from auditor.reports.html.shell import Shell, Tile, View

CAUTION = "That nothing here needs a key does not say that nothing else does: other backups, members and the WAL may."
COLUMNS = {
    "needed": "what needs the key in this evidence; never that it may go",
    "provider": "aescbc, aesgcm, secretbox, kms v1, kms v2 or unknown: what the prefix claims",
    "key_name": "the key's or the KMS plugin's name",
    "kek_id": "the KEK's id, and its version where wrapped data keys name one",
    "values": "stored values that name the key",
    "places": "where they lie",
    "resources": "what they are of",
    "decrypted": "how many of them a supplied key decrypts",
    "failed": "how many a supplied key of this name does not decrypt",
    "oldest": "the first revision that names it",
    "newest": "the last revision that names it",
    "configured": "whether a configuration that was supplied has it",
}
NUMBERS = frozenset({"values", "decrypted", "failed", "oldest", "newest"})
HEADER = ("provider", "key", "KEK id", "values", "in", "decrypted", "needed")
VIEW = View(
    noun="key",
    nouns="keys",
    shown=("key_name", "provider", "kek_id", "values", "places", "decrypted", "failed", "oldest", "newest", "needed"),
    phone=("key_name", "provider", "values", "needed"),
    facets=(("provider", "Provider"), ("key_name", "Key"), ("configured", "Configured")),
    numbers=NUMBERS,
    lines=(("provider",), ("key_name",), ("kek_id",), ("values",), ("places",), ("decrypted",), ("needed",)),
)
_OUTCOME = {0: "none", 1: "findings", 3: "inconclusive"}


def write(audit: Audit, out: IO[str], *, supplied: bool) -> None:
    """Write the page. supplied: whether any key was, so that those that were not tried are worth a word."""
    code = key_table.exit_code(audit)
    columns = _rows(audit)
    count = len(columns["provider"])
    head = Shell(
        command=" keys",
        heading=audit.evidence.name,
        version=audit.run.version,
        finished=audit.run.finished,
        case=audit.run.case,
        outcome=_OUTCOME[code],
        verdict=_verdict(audit, code, count, supplied=supplied),
        scope=[f"Scope: every resource in {audit.evidence.name} ({words.scope(audit)}, {words.extent(audit)})."],
        tiles=_tiles(audit, columns),
    )
    explained = {"findings": {}, "places": {}, "evidence": ""}
    text = shell.render(
        head,
        "keys.html",
        embed.script("explained", explained) + embed.script("view", VIEW.plain),
        view=VIEW,
        said=f"{words.plural(count, 'key')}, by provider." if count else "No stored value names a key.",
        caution=CAUTION,
        header=HEADER,
        lines=shell.lines(columns, VIEW.lines, range(min(count, shell.MOST))),
        drawn=[chart for chart in (drawing.bars("usage", "Values by key and KEK", charts.usage(audit)),) if chart],
        facts=page.facts(audit),
        gaps=audit.gaps[: page.MOST_GAPS],
        more_gaps=max(0, len(audit.gaps) - page.MOST_GAPS),
        decisive=[part for part in audit.unexamined if part.decisive],
        standing=[part for part in audit.unexamined if not part.decisive],
        notes=audit.notes,
        custody=[
            ("SHA-256", words.sha256(audit)),
            ("Started", audit.run.started),
            ("Finished", audit.run.finished),
            *provenance.facts(audit.run),
        ],
        columns=COLUMNS,
    )
    out.write(shell.document(text, columns, NUMBERS, key_table.document(audit, code)))


def _rows(audit: Audit) -> Mapping[str, Sequence[Cell]]:
    """The keys as columns; readable values have none."""
    rows: list[dict[str, Cell]] = [
        {
            "needed": key_table.needed(audit, usage),
            "provider": usage.provider.label,
            "key_name": (usage.key_name or "?") + (f" of {usage.origin}" if usage.origin else ""),
            "kek_id": key_table.kek(usage),
            "values": usage.values,
            "places": ", ".join(f"{place.label} {count:,}" for place, count in usage.places),
            "resources": ", ".join(usage.resources),
            "decrypted": usage.opened,
            "failed": usage.failed,
            "oldest": "" if usage.oldest is None else usage.oldest,
            "newest": "" if usage.newest is None else usage.newest,
            "configured": "yes" if usage.configured else "no",
        }
        for usage in audit.keys
        if usage.provider is not Provider.IDENTITY
    ]
    return {name: [row[name] for row in rows] for name in COLUMNS}


def _verdict(audit: Audit, code: int, count: int, *, supplied: bool) -> list[str]:
    """The conclusion in a few sentences, exit code included."""
    said = [f"{text[0].upper()}{text[1:]}." for text in key_table.sentences(audit, supplied=supplied)]
    needed = sum(usage.values > 0 for usage in audit.keys if usage.provider is not Provider.IDENTITY)
    what = f"{needed:,} of {words.plural(count, 'key')} {'is' if needed == 1 else 'are'} needed by what was read"
    head = {
        0: f"NO FINDINGS in what was examined: {what}",
        1: "FINDINGS: a key or token that was supplied does not decrypt what names it",
        3: f"INCONCLUSIVE: {what}, and not everything was read",
    }
    return [f"{head[code]} (exit {code})", *said]


def _tiles(audit: Audit, columns: Mapping[str, Sequence[Cell]]) -> list[Tile]:
    """The figures at the head: those that count keys filter the table."""
    values = sum(int(cell) for cell in columns["values"])
    plain = sum(usage.values for usage in audit.keys if usage.provider is Provider.IDENTITY)
    failed = sum(int(cell) for cell in columns["failed"])
    points = verdict.open_points(audit)
    providers = sorted({str(cell) for cell in columns["provider"]})
    return [
        Tile(f"{values:,}", "values that need a key", "", "#objects"),
        *(
            Tile.of_rows(sum(cell == name for cell in columns["provider"]), f"keys of {name}", "", provider=(name,))
            for name in providers
        ),
        Tile(f"{plain:,}", "values that are readable without one", "", ""),
        Tile(f"{failed:,}", "values that a supplied key does not decrypt", "bad" if failed else "good", ""),
        Tile(f"{points:,}", "unresolved gaps", "open" if points else "good", "#unexamined"),
    ]
