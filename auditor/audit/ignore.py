"""The ignore file: findings that are accepted, with a reason and until a date. They count for all but the exit code.

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
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path

from auditor import inputs
from auditor.encryption.strict_yaml import LARGEST, ConfigurationError, Reader
from auditor.model.findings import Acceptance, Finding, Rows
from auditor.model.vocabulary import FindingKind, Place, Severity
from auditor.text import printable

GLOBS = ("finding", "resource", "namespace", "name", "place")
FIELDS = {*GLOBS, "reason", "expires"}
LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class IgnoreRule:
    """One entry of an ignore file."""

    path: str
    """Path of the rule in the file, such as `accepted[0]`."""
    globs: tuple[str, ...]
    """Patterns in the order of GLOBS, for texts as reports show them."""
    reason: str
    """Reason for the acceptance."""
    expires: date
    """Last day on which the rule counts, UTC."""

    def fits(self, cells: Sequence[str]) -> bool:
        """Whether the cells in the order of GLOBS match the patterns."""
        return all(fnmatchcase(cell, glob) for cell, glob in zip(cells, self.globs, strict=True))


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of the rules on the rows."""

    rows: Rows
    """Rows with the acceptance of each finding."""
    entries: tuple[Acceptance, ...]
    """Rules, with the number of findings that each fits."""
    accepted: tuple[tuple[FindingKind, Severity, int], ...]
    """Kind, severity and number of accepted findings."""
    notes: tuple[str, ...]
    """Notes on rules that accept nothing."""


def load(path: Path) -> tuple[IgnoreRule, ...]:
    """The rules of an ignore file. Raises ConfigurationError, which never quotes the file."""
    name = inputs.name(path)
    try:
        raw = inputs.read(path, LARGEST)
    except FileNotFoundError:
        raise ConfigurationError(f"{name}: no such file") from None
    except OSError as error:
        raise ConfigurationError(f"{name} cannot be read: {error.strerror}") from None
    if len(raw) > LARGEST:
        raise ConfigurationError(f"{name}: larger than {LARGEST:,} bytes: no ignore file")
    reader = Reader(name, "ignore file", as_kubernetes=False)
    top = reader.mapping(reader.parse(raw), "", {"accepted"})
    return tuple(
        _rule(reader, value, f"accepted[{number}]") for number, value in enumerate(reader.sequence(top, "accepted", ""))
    )


def _rule(reader: Reader, value: object, path: str) -> IgnoreRule:
    fields = reader.mapping(value, path, FIELDS)
    globs = {name: reader.text(fields, name, path, "" if name == "finding" else "*") for name in GLOBS}
    if not globs["finding"]:
        reader.fail(f"{path}.finding", "missing: name a finding, or write '*' for every one")
    for name, members in (("finding", FindingKind), ("place", Place)):
        if not any(fnmatchcase(member.label, globs[name]) for member in members):
            reader.fail(f"{path}.{name}", f"fits none of {', '.join(member.label for member in members)}")
    reason = reader.text(fields, "reason", path).strip()
    if not reason or len(reason) > LONGEST_REASON:
        reader.fail(f"{path}.reason", f"expected a reason of 1 to {LONGEST_REASON} characters")
    try:
        expires = date.fromisoformat(reader.text(fields, "expires", path))
    except ValueError:
        reader.fail(f"{path}.expires", "expected the date on which it ends, such as 2027-01-31")
    shown = printable(reason.encode("utf-8", "surrogatepass"))
    return IgnoreRule(path, tuple(globs[name] for name in GLOBS), shown, expires)


def apply(rules: Sequence[IgnoreRule], rows: Rows, name: str, day: date) -> Outcome:
    """Accept findings. The first rule that fits a finding and has not expired accepts it.

    Args:
        rules: of the ignore file.
        rows: with the findings.
        name: of the file, printable.
        day: on which entries have expired.
    """
    matches: Counter[str] = Counter()
    accepted: Counter[tuple[FindingKind, Severity]] = Counter()
    fitting: dict[tuple[str, ...], list[IgnoreRule]] = {}
    columns = [rows.columns.get(column, ()) for column in GLOBS[1:]]
    table: list[tuple[Finding, ...]] = []
    for number, findings in enumerate(rows.findings):
        own = []
        for finding in findings:
            if finding.grouped:
                own.append(finding)
                continue
            cells = (finding.kind.label, *(str(column[number]) for column in columns))
            if cells not in fitting:
                fitting[cells] = [rule for rule in rules if rule.fits(cells)]
            matches.update(rule.path for rule in fitting[cells])
            rule = next((rule for rule in fitting[cells] if rule.expires >= day), None)
            if rule is None:
                own.append(finding)
                continue
            accepted[finding.kind, finding.severity] += finding.values or 1
            own.append(replace(finding, accepted=f"accepted until {rule.expires.isoformat()}: {rule.reason}"))
        table.append(tuple(own))
    acceptances = tuple(
        Acceptance(rule.path, rule.reason, rule.expires.isoformat(), rule.expires < day, matches[rule.path])
        for rule in rules
    )
    counts = tuple(sorted((finding, severity, count) for (finding, severity), count in accepted.items()))
    return Outcome(replace(rows, findings=table), acceptances, counts, tuple(_notes(acceptances, name)))


def _notes(acceptances: Sequence[Acceptance], name: str) -> Iterator[str]:
    """Notes on rules that have expired or fit nothing."""
    for rule in acceptances:
        count = f"{rule.matches:,} finding{'' if rule.matches == 1 else 's'}"
        if rule.expired:
            yield f"{name}: {rule.path} expired on {rule.expires} and accepts nothing; it fits {count}"
        elif not rule.matches:
            yield f"{name}: {rule.path} fits no finding"
