"""Whether a fleet's migration to a provider is complete, by its backups since a day."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from auditor.errors import UsageError
from auditor.fleet.report.context import Context, instant
from auditor.fleet.report.model import Answer, Cells, Grid, Section
from auditor.fleet.report.population import missing
from auditor.text import moment, shown

PROVIDERS = {
    "kms": ("kms v1", "kms v2"),
    "aescbc": ("aescbc",),
    "aesgcm": ("aesgcm",),
    "secretbox": ("secretbox",),
}
"""The providers of a target, as the column `provider` names them."""


HEADER = (
    *("cluster", "verdict", "first backup in which all is encrypted with it", "backups", "later with exceptions"),
    *("current values decrypted to their objects", "by prefix only", "backups not read", "providers still listed"),
    *("leftovers inside the retention", "the last one leaves the store", "API servers' configurations"),
)


class Outcome(Enum):
    """The verdict on one cluster, or on all."""

    COMPLETE = "COMPLETE"
    INCOMPLETE = "INCOMPLETE"
    NOT_PROVEN = "NOT PROVEN"


ANSWERS = {Outcome.COMPLETE: Answer.NONE, Outcome.INCOMPLETE: Answer.FINDINGS, Outcome.NOT_PROVEN: Answer.UNKNOWN}


class Counts(NamedTuple):
    """The values of one backup."""

    at: int
    """When it was taken, seconds since 1970."""
    revision: int
    """Of its store; 0 where that is not known."""
    current: int
    """Current values of the policy's resources."""
    exceptions: int
    """Of these, those that are encrypted otherwise."""
    opened: int
    """Of these, those that were decrypted to the object that their key names."""
    by_prefix: int
    """Of these, those of which the prefix alone says how they are encrypted."""
    otherwise: int
    """Values in any place that are encrypted otherwise, or not."""
    asked: int
    """1 where it was taken since the time in question, else 0."""
    inside: int
    """1 where it is inside the retention, else 0."""
    retention: int
    """Seconds after which it leaves the store; 0 for never."""

    def follows(self, other: "Counts") -> bool:
        """Whether it may have been taken after another one: of the same second revisions tell, where both are known."""
        tied = self.at == other.at and (self.revision >= other.revision or not (self.revision and other.revision))
        return self.at > other.at or tied


@dataclass(frozen=True, slots=True)
class Target:
    """What was migrated to, and the time from which backups are looked at."""

    provider: str
    name: str
    at: int
    """That time, seconds since 1970."""

    @classmethod
    def of(cls, text: str, since: str) -> "Target":
        """The target of --migration PROVIDER[:NAME]. Raises UsageError."""
        provider, _, name = text.partition(":")
        if provider not in PROVIDERS:
            raise UsageError(f"--migration {shown(text)}: expected {', '.join(PROVIDERS)}, and perhaps :NAME")
        if not since:
            raise UsageError("--migration needs --from DATE: the day from which backups are looked at")
        return cls(provider, name, instant("--from", since))

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
        count(*) FILTER (NOT fits) AS leftovers
    FROM (SELECT *, list_contains(?::VARCHAR[], provider) AND (? = '' OR key_name = ?) AS fits
          FROM all_inventory WHERE judged <> 'out of scope') i GROUP BY i.backup)
SELECT p.who, p.url, p.stamp, p.revision, coalesce(c.current, 0), coalesce(c.exceptions, 0), coalesce(c.opened, 0),
    coalesce(c.by_prefix, 0), coalesce(c.leftovers, 0), (p.stamp >= ?)::INTEGER,
    p.inside::INTEGER, p.retention
FROM population p LEFT JOIN counted c USING (backup)
WHERE p.state = 'examined' ORDER BY p.who, p.stamp, p.revision, p.url"""
_UNREAD = """
SELECT who, count(*) FROM population
WHERE (state <> 'examined' OR NOT complete) AND (stamp >= ? OR NOT timed) GROUP BY who"""
_UNSURE = """
SELECT who FROM contrary WHERE NOT named UNION SELECT who FROM population WHERE NOT timed OR NOT known"""
"""Clusters of which the order of the backups is not known, and what stands for the backups of no known one."""
_LISTED = """
SELECT n.who, string_agg(DISTINCT rtrim(k.provider || '/' || k.key_name, '/')
    || CASE WHEN b.configurations > 1 THEN ' (in ' || k.configurations || ' of ' || b.configurations || ')'
        ELSE '' END, ', '), max(coalesce(b.configurations, 0))
FROM all_keys k JOIN newest n USING (backup) JOIN all_backups b USING (backup) WHERE k.configured GROUP BY n.who"""


class Facts(NamedTuple):
    """What is known of a cluster beside the values of its backups."""

    blind: int
    """Backups since the time in question that are missing, were not read, or not whole."""
    sure: bool
    """Whether the order of its backups is known."""
    providers: str
    """Those that the newest backup's configurations list."""
    configurations: int
    servers: int
    """API servers that it is said to have; 0 where that is not said."""


def section(context: Context, target: Target) -> tuple[Section, Outcome]:
    """The section, and the verdict on the whole fleet."""
    by_cluster: dict[str, list[Counts]] = {}
    places: dict[str, list[tuple[str, int]]] = {}
    asked = (list(PROVIDERS[target.provider]), target.name, target.name, target.at)
    for who, url, *counts in context.rows(_BACKUPS, *asked):
        backup = Counts(*map(int, counts))
        by_cluster.setdefault(who, []).append(backup)
        if backup.asked:
            places.setdefault(who, []).append((url, backup.exceptions))
    absent = missing(context, target.at)
    unread = dict(context.rows(_UNREAD, target.at))
    listed = {who: (providers, count) for who, providers, count in context.rows(_LISTED)}
    servers = dict(context.rows("SELECT name, api_servers FROM clusters WHERE api_servers > 0"))
    unsure = {who for (who,) in context.rows(_UNSURE)}
    lines: list[Cells] = []
    outcomes: list[Outcome] = []
    for who in sorted({who for (who,) in context.rows("SELECT who FROM population")}.union(absent)):
        blind = unread.get(who, 0) + absent.get(who, 0)
        facts = Facts(blind, who not in unsure, *listed.get(who, ("no configuration", 0)), servers.get(who, 0))
        outcome, line = _line(who, by_cluster.get(who, []), facts)
        outcomes.append(outcome)
        lines.append(line)
    whole = _whole(outcomes)
    sentence = f"{whole.value}: migration to {target.label}, by backups since {moment(target.at)}."
    title, grids = f"Migration to {target.label}", _grids(lines, places)
    return Section("migration", title, ANSWERS[whole], (sentence,), grids), whole


def _line(who: str, own: list[Counts], facts: Facts) -> tuple[Outcome, Cells]:
    """The verdict on a cluster, and its row. own: all its backups that were examined."""
    backups = [each for each in own if each.asked]
    first = next((each for each in backups if each.current and not each.exceptions), None)
    later = [each for each in backups if first is not None and each.exceptions and each.follows(first)]
    by_prefix = sum(each.by_prefix for each in backups)
    leftovers = [each for each in own if each.otherwise and each.inside]
    known = not facts.blind and not by_prefix and facts.sure and facts.configurations >= max(facts.servers, 1)
    outcome = _outcome(bool(backups), failed=first is None or bool(later), known=known)
    return outcome, (
        *(who, outcome.value, moment(first.at) if first is not None else "", len(backups), len(later)),
        sum(each.opened for each in backups),
        *(by_prefix, facts.blind, facts.providers, sum(each.otherwise for each in leftovers), _gone(leftovers)),
        f"{facts.configurations} of {facts.servers}" if facts.servers else facts.configurations,
    )


def _gone(leftovers: list[Counts]) -> str:
    """When the last one leaves the store."""
    if not leftovers:
        return ""
    if not all(each.retention for each in leftovers):
        return "no retention given"
    if not all(each.at > 0 for each in leftovers):
        return "unknown"
    return moment(max(each.at + each.retention for each in leftovers))


def _outcome(examined: bool, *, failed: bool, known: bool) -> Outcome:
    """The verdict on a cluster: whether a backup was examined, one is not as it must be, and nothing is left open."""
    if examined and failed:
        return Outcome.INCOMPLETE
    return Outcome.COMPLETE if examined and known else Outcome.NOT_PROVEN


def _grids(lines: list[Cells], places: Mapping[str, list[tuple[str, int]]]) -> tuple[Grid, Grid]:
    """The tables. places: URL and number of exceptions of each backup, by cluster."""
    exceptions: list[Cells] = [(who, url, count) for who, own in places.items() for url, count in own if count]
    header = ("cluster", "backup", "current values encrypted otherwise")
    return Grid("migration", HEADER, lines), Grid("exceptions", header, exceptions[:5000])


def _whole(outcomes: list[Outcome]) -> Outcome:
    """The verdict on all clusters: the worst of theirs; of none nothing is proven."""
    order = (Outcome.INCOMPLETE, Outcome.NOT_PROVEN)
    return next((each for each in order if each in outcomes), Outcome.COMPLETE) if outcomes else Outcome.NOT_PROVEN
