"""The time in a backup's name: a time with its zone, or a day with the file's own time.

A name without a zone is in UTC. Of several readings the one counts by which no finding leaves the retention early.
"""

import re
from datetime import UTC, datetime, timedelta, timezone

from auditor.text import moment

_DAY = r"(?<!\d)(?P<year>20\d\d)(?P<dash>[-_]?)(?P<month>\d\d)(?P=dash)(?P<day>\d\d)"
_TIME = r"(?P<hour>\d\d)(?P<colon>[:\-_]?)(?P<minute>\d\d)"
_SECOND = r"(?P=colon)(?P<second>\d\d)(?!\d)(?:[.,]\d{1,9})?"
_OFFSET = r"(?P<sign>[+-])(?P<hours>0\d|1[0-4])[:\-_]?(?P<minutes>00|15|30|45)|\+(?P<east>0\d|1[0-4])"
_ZONE = rf"(?:[ _]?(?:{_OFFSET})(?![\dA-Za-z]))?"
_PATTERNS = (
    re.compile(f"{_DAY}[T_\\-. ]?{_TIME}{_SECOND}{_ZONE}"),
    re.compile(f"{_DAY}[T_\\-. ]?{_TIME}(?!\\d){_ZONE}"),
)
"""etcd-snapshot-2026-11-23T035916Z, snapshot_2026-11-23_035916.db, 2026-11-23T03:59:16-05:00; 2026-11-23_0359.

An hour alone is no zone but behind a plus: behind a hyphen it is any other number.
"""
_BARE = re.compile(f"{_DAY}(?!\\d)")
"""2026-11-23.db."""
_EPOCH = re.compile(r"(?<!\d)(1[4-9]\d{8}|2\d{9})(?!\d)")
"""Seconds since 1970, which k3s and RKE2 end a snapshot's name with."""


def of(name: str, modified: str) -> str:
    """The time in a name, ISO 8601 in UTC; empty where there is none, or none that a calendar has.

    A day alone is the file's own time where that falls on it, else its last second.

    modified: last modification, ISO 8601 in UTC.
    """
    for pattern in _PATTERNS:
        for match in pattern.finditer(name):
            if text := _time(match):
                return text
    epoch = _EPOCH.search(name)
    own = moment(int(epoch[1])) if epoch else ""
    for match in _BARE.finditer(name):
        if day := _moment(match, hour=23, minute=59, second=59, zone=UTC):
            return next((each for each in (own, f"{modified[:19]}Z") if each[:10] == day[:10]), day)
    return own


def _time(match: re.Match[str]) -> str:
    """The time that a pattern has found; empty for one that no calendar has."""
    cells = match.groupdict()
    hours, minutes = int(cells["hours"] or cells["east"] or 0), int(cells["minutes"] or 0)
    offset = timedelta(hours=hours, minutes=minutes) * (-1 if cells["sign"] == "-" else 1)
    hour, minute, second = int(cells["hour"]), int(cells["minute"]), int(cells.get("second") or 0)
    return _moment(match, hour=hour, minute=minute, second=second, zone=timezone(offset))


def _moment(match: re.Match[str], *, hour: int, minute: int, second: int, zone: timezone) -> str:
    year, month, day = (int(match[name]) for name in ("year", "month", "day"))
    try:
        return moment(datetime(year, month, day, hour, minute, second, tzinfo=zone).timestamp())
    except ValueError:
        return ""
