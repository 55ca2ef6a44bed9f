"""Rows on a file that several exhibits have beside them, as a configuration in a folder of backups: each once."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from auditor.model.evidence import Source
from auditor.model.findings import Cell, Finding, Rows
from auditor.model.vocabulary import HUNTED, VALUELESS, FindingKind, Severity
from auditor.text import plural

AT, ADVICE = ("offset", "size"), ("detail",)
"""What tells rows on one file apart, where they are of its bytes and where they are not."""
MOST_DETAILS = 3
"""Details of one row that differ between exhibits and are given, each with its exhibits."""


Files: TypeAlias = Mapping[str, object]
"""What tells a file from any other, by its name in an exhibit."""


def files(sources: Sequence[Source]) -> Files:
    """The files of an exhibit: two exhibits name a file beside both after themselves, and two files may be alike."""
    return {each.name: (each.before, each.sha256) for each in sources if each.before.ctime}


def distinct_rows(exhibits: Sequence[tuple[str, Rows, Files]]) -> tuple[Rows, tuple[Finding, ...]]:
    """The rows of all exhibits, each once, and the findings of the repeated ones, which are left out.

    A row is repeated where an earlier exhibit has it too: the same bytes of the same file, or advice on the same
    configuration. What the details of all say is kept in the first.

    Args:
        exhibits: Name, rows and files of each; files that are not known are told by their names.
    """
    columns: dict[str, list[Cell]] = {}
    for _, rows, _ in exhibits:
        for name, column in rows.columns.items():
            columns.setdefault(name, []).extend(column)
    findings = [own for _, rows, _ in exhibits for own in rows.findings]
    owners = [name for name, rows, _ in exhibits for _ in rows.findings]
    copies: dict[tuple[object, ...], list[int]] = {}
    first = 0
    for _, rows, known in exhibits:
        for row, identity in _identities(rows, known):
            copies.setdefault(identity, []).append(first + row)
        first += len(rows)
    repeats: set[int] = set()
    for kept, *others in copies.values():
        if others:
            columns["detail"][kept] = _detail([(str(columns["detail"][row]), owners[row]) for row in (kept, *others)])
            repeats.update(others)
    distinct = [row for row in range(len(findings)) if row not in repeats]
    chosen = {name: [column[row] for row in distinct] for name, column in columns.items()}
    repeated = tuple(own for row in sorted(repeats) for own in findings[row])
    return Rows(chosen, [findings[row] for row in distinct]).in_order(), repeated


def _identities(rows: Rows, known: Files) -> Iterator[tuple[int, tuple[object, ...]]]:
    """The rows that may be of a shared file, each with its identity: that of the same row of another exhibit.

    Several hits in the same bytes are numbered, so that the first of one exhibit is the first of another.
    """
    numbers: Counter[tuple[object, ...]] = Counter()
    for row, own in enumerate(rows.findings):
        if not own or not all(finding.kind & VALUELESS for finding in own):
            continue
        hunted = all(finding.kind & HUNTED for finding in own)
        source = str(rows.columns["source"][row])
        unnumbered = (own, known.get(source, source), *(rows.columns[name][row] for name in (AT if hunted else ADVICE)))
        yield row, (*unnumbered, numbers[unnumbered])
        numbers[unnumbered] += 1


def _detail(details: Sequence[tuple[str, str]]) -> str:
    """What the rows say of their exhibits. details: what each says, and the name of its exhibit."""
    exhibits: dict[str, list[str]] = {}
    for detail, name in details:
        exhibits.setdefault(detail, []).append(name)
    texts = [
        f"{detail} ({names[0] if len(names) == 1 else plural(len(names), 'evidence item')})"
        for detail, names in exhibits.items()
    ]
    more = [f"and {len(texts) - MOST_DETAILS:,} more"] if len(texts) > MOST_DETAILS else []
    return "; ".join([*texts[:MOST_DETAILS], *more])


def counts_without(
    counts: Mapping[tuple[FindingKind, Severity], int], repeats: Sequence[Finding]
) -> Iterator[tuple[FindingKind, Severity, int]]:
    """Kind, severity and number of the counted findings, less the repeated ones."""
    fewer = Counter((finding.kind, finding.severity) for finding in repeats)
    for (kind, severity), count in counts.items():
        if rest := count - fewer[kind, severity]:
            yield kind, severity, rest
