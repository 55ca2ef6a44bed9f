"""Two reports of the same evidence: finding by finding, and figure by figure."""

import re
from collections.abc import Iterator, Mapping
from itertools import islice, zip_longest
from typing import Any

from auditor.audit.chronology import BY_FILE_SYSTEM
from auditor.model.chronology import TimeKind
from auditor.model.table import COLUMNS
from auditor.verify import report
from auditor.verify.checks import MOST_DIFFERENCES, Check, differs, safe, same

ANOTHER = "another audit"
LEFT_OUT = frozenset({"format", "version", "schema", "columns", "findings", "run", "hashes"})
"""Sections that are not of the evidence, and the findings, which are compared row by row."""
TIMES = frozenset({"modified", "before", "after"})
"""Members of files that depend on where a copy of the evidence lies."""
_ABSENT = object()


def documents(name: str, before: dict[str, Any], now: dict[str, Any], renamed: Mapping[str, str]) -> Iterator[Check]:
    """The checks of one report against another.

    Args:
        name: The report's name, for the checks.
        before: The report.
        now: The document of another audit.
        renamed: Names of files in the other audit, with those in the report.
    """
    names = _Names(renamed)
    yield from _findings(name, report.rows(before), [names.row(row) for row in now["findings"]])
    figures: dict[str, tuple[Any, Any]] = {}
    for section in (section for section in now if section not in LEFT_OUT):
        was, is_ = dict(_leaves(before.get(section))), dict(_leaves(names.value(now[section])))
        paths = dict.fromkeys([*is_, *was])
        figures |= {f"{section}{path}": (was.get(path, _ABSENT), is_.get(path, _ABSENT)) for path in paths}
    differences = [f"{safe(path)}: {_both(*pair)}" for path, pair in figures.items() if pair[0] != pair[1]]
    yield from _limited(name, differences, "figures")
    if not differences:
        yield same(name, f"{len(figures):,} figures are those of another audit")


def _findings(name: str, before: list[dict[str, Any]], now: list[dict[str, Any]]) -> Iterator[Check]:
    """Rows of the same id and finding against each other; copies in their order."""
    groups: dict[tuple[str, str], tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {}
    for side, rows in enumerate((before, now)):
        for row in rows:
            groups.setdefault((str(row["id"]), str(row["finding"])), ([], []))[side].append(row)
    differences = []
    for old, new in (pair for group in groups.values() for pair in zip_longest(*group)):
        if new is None:
            differences.append(f"{_finding(old)} is in the report, and this evidence has none such")
        elif old is None:
            differences.append(f"{_finding(new)} is in the evidence, and the report does not have it")
        else:
            differences += [
                f"{_finding(old)}: {column}: {_both(old[column], new[column])}"
                for column in COLUMNS
                if old[column] != new[column]
            ]
    yield from _limited(name, differences, "findings")
    if not differences:
        yield same(name, f"{len(now):,} findings are those of another audit, row by row")


def _limited(name: str, differences: list[str], what: str) -> Iterator[Check]:
    yield from (differs(name, text) for text in islice(differences, MOST_DIFFERENCES))
    if (more := len(differences) - MOST_DIFFERENCES) > 0:
        yield differs(name, f"{more:,} more differences of {what}")


def _finding(row: dict[str, Any]) -> str:
    what = "/".join(str(row[name]) for name in ("namespace", "name") if row[name])
    where = f", offset {safe(row['offset'])}" if row["offset"] != "" else ""
    return f"finding {safe(row['id'])} ({safe(row['finding'])} of {safe(row['resource'])} {safe(what)}{where})"


def _both(before: Any, now: Any) -> str:
    said, is_ = ("nothing" if each is _ABSENT else safe(each) or "nothing" for each in (before, now))
    return f"the report says {said}, the evidence {is_}"


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Path and value of each leaf of a tree, but the times of files; an empty object or list is one."""
    if isinstance(value, dict) and value:
        of_file = value.get("kind") == TimeKind.FILE.value and "bound" in value
        for name, part in value.items():
            if name not in TIMES and not (of_file and name == "time"):
                yield from _leaves(part, f"{path}.{name}")
    elif isinstance(value, list) and value:
        lasting = [part for part in value if not str(part).startswith(BY_FILE_SYSTEM)]
        for number, part in enumerate(lasting):
            yield from _leaves(part, f"{path}[{number}]")
    else:
        yield path, value


class _Names:
    """Names of files in another audit, by those that the report knows them by."""

    def __init__(self, renamed: Mapping[str, str]) -> None:
        self._renamed = dict(renamed)
        parts = "|".join(re.escape(name) for name in sorted(renamed, key=len, reverse=True))
        self._pattern = re.compile(rf"(?<![\w.\-/])(?:{parts})(?![\w.\-])") if renamed else None

    def text(self, text: str) -> str:
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda match: self._renamed[match[0]], text)

    def value(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self.text(name): self.value(part) for name, part in value.items()}
        if isinstance(value, list):
            return [self.value(part) for part in value]
        return self.text(value) if isinstance(value, str) else value

    def row(self, row: dict[str, Any]) -> dict[str, Any]:
        return {**row, "source": self.text(str(row["source"])), "detail": self.text(str(row["detail"]))}
