"""Findings that somebody accepted, with a reason and until a date: counted and shown like all, without a say in the
exit code.

    accepted:
      - finding: plaintext          # as in the CSV; the other four are globs too, and `*` where left out
        resource: secrets
        namespace: kube-system
        name: bootstrap-token-*
        place: freed
        reason: expired tokens, see RISK-17
        expires: 2027-01-31         # the last day on which it counts, UTC
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from pathlib import Path

from auditor.encryption.strict_yaml import LARGEST, ConfigurationError, Reader
from auditor.model.findings import Acceptance, Finding, Rows
from auditor.model.vocabulary import FindingKind, Place, Severity
from auditor.text import printable, shown

GLOBS = ("finding", "resource", "namespace", "name", "place")
FIELDS = {*GLOBS, "reason", "expires"}
LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class IgnoreRule:
    """globs: in the order of GLOBS, against texts as reports show them."""

    path: str
    globs: tuple[str, ...]
    reason: str
    expires: date

    def fits(self, cells: Sequence[str]) -> bool:
        return all(fnmatchcase(cell, glob) for cell, glob in zip(cells, self.globs, strict=True))


@dataclass(frozen=True, slots=True)
class Applied:
    """The rows with what is accepted marked, the entries with what became of them, and what is to be said."""

    rows: Rows
    entries: tuple[Acceptance, ...]
    accepted: tuple[tuple[FindingKind, Severity, int], ...]
    notes: tuple[str, ...]


def load(path: Path) -> tuple[IgnoreRule, ...]:
    """Raises ConfigurationError, which never quotes the file."""
    name = shown(path.name)
    try:
        if not path.is_file():
            raise ConfigurationError(f"{name}: no such file")
        if path.stat().st_size > LARGEST:
            raise ConfigurationError(f"{name}: larger than {LARGEST:,} bytes: no ignore file")
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{name} cannot be read: {error.strerror}") from None
    reader = Reader(name, "ignore file", "")
    top = reader.mapping(reader.parse(raw), "", {"accepted"})
    return tuple(
        _entry(reader, each, f"accepted[{number}]") for number, each in enumerate(reader.sequence(top, "accepted", ""))
    )


def _entry(reader: Reader, value: object, path: str) -> IgnoreRule:
    fields = reader.mapping(value, path, FIELDS)
    globs = {name: reader.text(fields, name, path, "" if name == "finding" else "*") for name in GLOBS}
    if not globs["finding"]:
        reader.fail(f"{path}.finding", "missing: name a finding, or write '*' for every one")
    for name, known in (("finding", FindingKind), ("place", Place)):
        if not any(fnmatchcase(each.label, globs[name]) for each in known):
            reader.fail(f"{path}.{name}", f"fits none of {', '.join(each.label for each in known)}")
    reason = reader.text(fields, "reason", path).strip()
    if not reason or len(reason) > LONGEST_REASON:
        reader.fail(f"{path}.reason", f"expected a reason of 1 to {LONGEST_REASON} characters")
    try:
        expires = date.fromisoformat(reader.text(fields, "expires", path))
    except ValueError:
        reader.fail(f"{path}.expires", "expected the date on which it ends, such as 2027-01-31")
    shown = printable(reason.encode("utf-8", "surrogatepass"))
    return IgnoreRule(path, tuple(globs[name] for name in GLOBS), shown, expires)


def apply(entries: Sequence[IgnoreRule], rows: Rows, name: str, today: date | None = None) -> Applied:
    """name: of the file, printable. The first entry that fits a finding and has not expired accepts it."""
    today = today or datetime.now(UTC).date()
    matched: Counter[str] = Counter()
    accepted: Counter[tuple[FindingKind, Severity]] = Counter()
    known: dict[tuple[str, ...], list[IgnoreRule]] = {}
    columns = [rows.columns.get(column, ()) for column in GLOBS[1:]]
    marks: list[tuple[Finding, ...]] = []
    for number, mine in enumerate(rows.findings):
        made = []
        for mark in mine:
            cells = (mark.kind.label, *(str(column[number]) for column in columns))
            if cells not in known:
                known[cells] = [entry for entry in entries if entry.fits(cells)]
            matched.update(entry.path for entry in known[cells])
            by = next((entry for entry in known[cells] if entry.expires >= today), None)
            if by is not None:
                accepted[mark.kind, mark.severity] += 1
                mark = replace(mark, accepted=f"accepted until {by.expires.isoformat()}: {by.reason}")
            made.append(mark)
        marks.append(tuple(made))
    told = tuple(
        Acceptance(entry.path, entry.reason, entry.expires.isoformat(), entry.expires < today, matched[entry.path])
        for entry in entries
    )
    counts = tuple(sorted((finding, severity, count) for (finding, severity), count in accepted.items()))
    return Applied(replace(rows, findings=marks), told, counts, tuple(_notes(told, name)))


def _notes(told: Sequence[Acceptance], name: str) -> Iterator[str]:
    for each in told:
        count = f"{each.matches:,} finding{'' if each.matches == 1 else 's'}"
        if each.expired:
            yield f"{name}: {each.path} expired on {each.expires} and accepts nothing; it fits {count}"
        elif not each.matches:
            yield f"{name}: {each.path} fits no finding"
