"""Whether a fleet's migration to a provider is complete, by its backups since a day."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from auditor.errors import UsageError
from auditor.fleet.report.context import Context
from auditor.fleet.report.model import Answer, Cells, Grid, Section
from auditor.text import moment, shown

PROVIDERS = {
    "kms": ("kms v1", "kms v2"),
    "aescbc": ("aescbc",),
    "aesgcm": ("aesgcm",),
    "secretbox": ("secretbox",),
}
"""The providers of a target, as the column `provider` names them."""


class Outcome(Enum):
    """The verdict on one cluster, or on all."""

    COMPLETE = "COMPLETE"
    INCOMPLETE = "INCOMPLETE"
    NOT_PROVEN = "NOT PROVEN"


@dataclass(frozen=True, slots=True)
class Target:
    """What was migrated to, and since when backups must show it."""

    provider: str
    name: str
    since: str
    """A day, ISO 8601."""

    @classmethod
    def of(cls, text: str, since: str) -> "Target":
        """The target of --migration PROVIDER[:NAME]. Raises UsageError."""
        provider, _, name = text.partition(":")
        if provider not in PROVIDERS:
            raise UsageError(f"--migration {shown(text)}: expected {', '.join(PROVIDERS)}, and perhaps :NAME")
        if not since:
            raise UsageError("--migration needs --from DATE: since when every backup must show it")
        return cls(provider, name, since)

    @property
    def label(self) -> str:
        return f"{self.provider}:{self.name}" if self.name else self.provider


_BACKUPS = """
WITH counted AS (
    SELECT i.backup,
        count(*) FILTER (place = 'latest') AS current,
        count(*) FILTER (place = 'latest' AND NOT fits) AS exceptions,
        count(*) FILTER (place = 'latest' AND fits AND decrypted = 'yes') AS opened,
        count(*) FILTER (place = 'latest' AND fits AND decrypted <> 'yes') AS by_prefix,
        count(*) FILTER (place <> 'latest' AND NOT fits) AS leftovers
    FROM (SELECT *, list_contains(?::VARCHAR[], provider) AND (? = '' OR key_name = ?) AS fits
          FROM all_inventory WHERE judged <> 'out of scope') i GROUP BY i.backup)
SELECT p.who, p.url, p.stamp, coalesce(c.current, 0), coalesce(c.exceptions, 0), coalesce(c.opened, 0),
    coalesce(c.by_prefix, 0), coalesce(c.leftovers, 0)
FROM population p LEFT JOIN counted c USING (backup)
WHERE p.state = 'examined' AND p.taken >= ? ORDER BY p.who, p.stamp, p.url"""
_UNREAD = """
SELECT who, count(*) FROM population WHERE (state <> 'examined' OR NOT complete) AND taken >= ? GROUP BY who"""
_LISTED = """
SELECT p.who, string_agg(DISTINCT rtrim(k.provider || '/' || k.key_name, '/'), ', ')
FROM all_keys k JOIN newest n USING (backup) JOIN population p USING (backup) WHERE k.configured GROUP BY p.who"""


def section(context: Context, target: Target, missing: Mapping[str, int]) -> tuple[Section, Outcome]:
    """The section, and the verdict on the whole fleet. missing: of population.missing()."""
    by_cluster: dict[str, list[tuple[int, ...]]] = {}
    places: dict[str, list[tuple[str, int]]] = {}
    rows = context.rows(_BACKUPS, list(PROVIDERS[target.provider]), target.name, target.name, target.since)
    for who, url, at, *counts in rows:
        by_cluster.setdefault(who, []).append((int(at), *counts))
        places.setdefault(who, []).append((url, int(counts[1])))
    unread = dict(context.rows(_UNREAD, target.since))
    listed = dict(context.rows(_LISTED))
    retention = dict(context.rows("SELECT name, retention FROM clusters WHERE retention > 0"))
    lines: list[Cells] = []
    outcomes: list[Outcome] = []
    names = {*by_cluster, *(who for (who,) in context.rows("SELECT DISTINCT who FROM population")), *missing}
    for who in sorted(names):
        backups = by_cluster.get(who, [])
        first = next((at for at, current, exceptions, *_ in backups if current and not exceptions), None)
        later = [each for each in backups if first is not None and each[0] > first and each[2]]
        blind = unread.get(who, 0) + missing.get(who, 0)
        by_prefix = sum(each[4] for each in backups)
        leftovers = [each for each in backups if each[5] or each[2]]
        outcome = Outcome.COMPLETE
        if not backups or blind or by_prefix or who not in listed:
            outcome = Outcome.NOT_PROVEN
        if backups and (first is None or later):
            outcome = Outcome.INCOMPLETE
        outcomes.append(outcome)
        gone = moment(max(each[0] for each in leftovers) + retention[who]) if leftovers and who in retention else ""
        lines.append(
            (
                *(who, outcome.value, moment(first), len(backups), len(later), sum(each[3] for each in backups)),
                *(by_prefix, blind, listed.get(who, "no configuration"), sum(each[5] for each in backups)),
                gone or ("no retention in --clusters" if leftovers else ""),
            )
        )
    exceptions: list[Cells] = [(who, url, count) for who, own in places.items() for url, count in own if count]
    order = (Outcome.INCOMPLETE, Outcome.NOT_PROVEN)
    whole = next((each for each in order if each in outcomes), Outcome.COMPLETE) if outcomes else Outcome.NOT_PROVEN
    header = (
        *("cluster", "verdict", "first backup in which all is encrypted with it", "backups", "later with exceptions"),
        *("current values decrypted to their objects", "by prefix only", "backups not read", "providers still listed"),
        *("leftovers of others", "the last one leaves the store"),
    )
    sentence = f"{whole.value}: migration to {target.label}, by backups since {target.since}."
    answers = {Outcome.COMPLETE: Answer.NONE, Outcome.INCOMPLETE: Answer.FINDINGS, Outcome.NOT_PROVEN: Answer.UNKNOWN}
    grids = (
        Grid("migration", header, lines),
        Grid("exceptions", ("cluster", "backup", "current values encrypted otherwise"), exceptions[:5000]),
    )
    return Section("migration", f"Migration to {target.label}", answers[whole], (sentence,), grids), whole
