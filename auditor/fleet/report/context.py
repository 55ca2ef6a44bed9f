"""The data set in DuckDB: views of its tables, and the few tables that every question starts from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from auditor.errors import MissingExtra, UsageError
from auditor.fleet.dataset import LISTING, DataSet
from auditor.fleet.errors import DataSetError
from auditor.fleet.folder import DataSetFolder
from auditor.fleet.report import damage
from auditor.fleet.schema import TABLES
from auditor.kubernetes.trees import seconds
from auditor.text import moment, shown

MEMORY = "700MB"
"""What DuckDB may hold before it writes to its folder of temporary files."""
SEVERITIES = ("low", "medium", "high", "critical")
SKEW = 600
"""Seconds by which the clock that dated a backup may be ahead of the report's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """What a report is asked."""

    as_of: str = ""
    """The time by which ages count, ISO 8601; now where empty."""
    max_age: int = 26 * 3600
    """Seconds after which a cluster's newest backup is too old."""
    retention: int = 0
    """Seconds within which a backup's findings count; 0 for that of its cluster, or for ever."""
    restore_days: int = 7
    """Days around a backup within which another one is a restore point in its place."""
    fail_on: str = "medium"
    new_only: bool = False
    """Whether findings count that an earlier report does not have, and no others."""


class Context:
    """An open data set.

    connection: of DuckDB. about: of the listing. compared: whether value ids tell equal values. at: the time by which
    ages count, seconds since 1970.
    """

    def __init__(self, folder: DataSetFolder, questions: Questions) -> None:
        """Raises DataSetError, MissingExtra without DuckDB, and UsageError for a time that is none."""
        try:
            import duckdb
        except ImportError:
            raise MissingExtra("fleet report", "duckdb", "fleet") from None
        self.folder, self.questions = folder, questions
        data = DataSet(folder)
        raw = folder.read(LISTING)
        if not data.about or raw is None:
            raise DataSetError(f"{folder.shown} is no data set of `fleet scan`, or of one that never began")
        listing, self.about = damage.listing(raw, folder)
        check = data.about.get("compare")
        self.compared = bool(check) and any(file.table == "values" for file in data.files.values())
        self.at = instant("--as-of", questions.as_of) if questions.as_of else int(datetime.now(UTC).timestamp())
        self.connection = duckdb.connect(config={"memory_limit": MEMORY, "preserve_insertion_order": False})
        if not folder.local:
            self.connection.register_filesystem(folder.system)
        self.connection.register("listing_arrow", listing)
        self._files = list(data.files.values())
        try:
            for name in TABLES:
                self._view(name, [folder.location(file.path) for file in self._files if file.table == name])
            self.connection.execute(damage.STORED)
            # without the whole table of value ids, which may be kept elsewhere, revisions alone are compared; a run
            # that begins it anew may have ended before it listed its sources
            own = self.compared and self.about.get("compare") == check
            damaged = damage.of_contents(self.connection, folder, self._files, compared=own)
            if damaged is None:
                self._prepare()
        except (duckdb.Error, OSError) as error:
            raise self._failure(error) from None
        if damaged is not None:
            raise damaged

    @property
    def as_of(self) -> str:
        """The time by which ages count, ISO 8601 in UTC."""
        return moment(self.at)

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """The answer to a query."""
        return self.named(query, list(parameters) or None)

    def named(self, query: str, parameters: object) -> list[tuple[Any, ...]]:
        """The answer to a query with parameters by name."""
        import duckdb

        try:
            answer: list[tuple[Any, ...]] = self.connection.execute(query, parameters).fetchall()
        except (duckdb.Error, OSError) as error:
            raise self._failure(error) from None
        return answer

    def number(self, query: str, *parameters: object) -> int:
        """The one number that a query answers with."""
        return int(self.rows(query, *parameters)[0][0] or 0)

    def _failure(self, error: Exception) -> Exception:
        """What DuckDB cannot read, by name; a fault of ours where each file can be read."""
        import duckdb

        damaged = damage.of_tables(self.folder, self._files)
        if damaged is None and isinstance(error, duckdb.IOException | OSError):
            damaged = DataSetError(
                f"{self.folder.shown}: a file of its tables cannot be read; another run may be writing it: try again"
            )
        return damaged or error

    def _view(self, name: str, files: Sequence[str]) -> None:
        if files:
            listed = ", ".join("'" + path.replace("'", "''") + "'" for path in files)
            source = f"SELECT * FROM read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"  # noqa: S608
            if name in damage.GROWN:  # of an earlier version of the tool they may lack columns
                self.connection.register(f"no_{name}", TABLES[name].empty_table())
                source = f"SELECT * FROM no_{name} UNION ALL BY NAME {source}"  # noqa: S608
            self.connection.execute(f"CREATE VIEW all_{name} AS {source}")
        else:
            self.connection.register(f"all_{name}", TABLES[name].empty_table())

    def _clusters(self) -> None:
        """The table of the clusters that the file of --clusters names."""
        clusters = {each["name"]: each for each in self.about["clusters"]}
        spans = pa.table(
            {
                "name": pa.array(clusters, pa.string()),
                "retention": pa.array([each["retention"] for each in clusters.values()], pa.int64()),
                "every": pa.array([each["every"] for each in clusters.values()], pa.int64()),
                "api_servers": pa.array([each.get("api_servers", 0) for each in clusters.values()], pa.int64()),
            }
        )
        self.connection.register("clusters_arrow", spans)
        self.connection.execute("CREATE TABLE clusters AS SELECT * FROM clusters_arrow")

    def _prepare(self) -> None:
        """The tables of all questions.

        population: one row a backup of the listing, with `who` (its cluster's name, or the uid, marked as such where a
        cluster has it for its name) and what became of it. A row of `backups` that holds no more, as the listing says,
        is none until the listing's own run has written it anew.
        `store` is what backups are compared within: the cluster, or the backup alone where that is not known. `timed`:
        its time is known, and not later than the report's. `retention` and `inside`: --retention, else the cluster's.
        newest: the newest examined backup of each store; of the same second the one of the highest revision. One that
        is not timed may be the newest, and has a row of its own.
        contrary: clusters of which backups are newer by time and older by revision, how many, and whether all times
        stand in names. held: the credentials that are readable in each backup.
        live: those that the newest backups hold as current. doubtful: stores of which the newest backup does not show
        all that is current: some was not decrypted, it was read in part, it is bare of Secrets that older ones have, or
        it is overtaken by one that was not examined. blind: those, or all without value ids: that something is not
        current cannot be told there.
        """
        self._clusters()
        self.connection.execute(_NAMES)
        mark = uid_mark([name for (name,) in self.connection.execute("SELECT name FROM names").fetchall()])
        run = self.about.get("run", "")
        self.connection.execute(_POPULATION, [mark, mark, run, self.at + SKEW, self.questions.retention, self.at])
        self.connection.execute("""
            CREATE TABLE newest AS
            SELECT store, any_value(who) AS who, any_value(known) AS known, any_value(timed) AS timed,
                arg_max(backup, (stamp, revision, url)) AS backup, max(stamp) AS stamp
            FROM population WHERE state = 'examined' GROUP BY store, CASE WHEN timed THEN '' ELSE backup END""")
        self.connection.execute(_CONTRARY)
        if self.compared:
            held, live = _BY_VALUE
        else:
            held, live = _BY_REVISION
        self.connection.execute(f"CREATE TABLE held AS {held}")
        self.connection.execute(_DOUBTFUL)
        self.connection.execute(f"CREATE TABLE blind AS {_BLIND if self.compared else _ALL}")
        self.connection.execute(f"CREATE TABLE live AS {live}")


_NAMES = """
CREATE TABLE names AS
SELECT name FROM clusters UNION SELECT label FROM all_backups WHERE label <> '' UNION
SELECT label FROM listing_arrow WHERE label <> ''"""
_POPULATION = """
CREATE TABLE population AS
WITH met AS (
    SELECT l.backup, l.url, l.taken, l.size, l.chosen, l.source_argument, l.label AS expected_label,
        coalesce(nullif(greatest(epoch(TRY_CAST(l.taken AS TIMESTAMP)), 0), 0), -1) AS stamp,
        CASE WHEN b.state IS NOT NULL THEN b.state WHEN l.chosen THEN 'not yet' ELSE 'left out' END AS state,
        coalesce(b.reason, '') AS reason, coalesce(b.label, l.label) AS label,
        CASE WHEN coalesce(b.label, l.label) <> '' THEN coalesce(b.label, l.label)
            WHEN b.cluster IN (SELECT name FROM names) OR starts_with(b.cluster, ?) THEN ? || b.cluster
            WHEN b.cluster IS NOT NULL AND b.cluster <> 'unknown' THEN b.cluster
            WHEN l.label <> '' THEN l.label ELSE 'unknown' END AS who,
        coalesce(b.cluster, 'unknown') AS cluster, coalesce(b.owner, '') AS owner,
        coalesce(b.severity, '') AS severity, coalesce(b.complete, false) AS complete,
        coalesce(b.readable, 0) AS readable, coalesce(b.readable_latest, 0) AS readable_latest,
        coalesce(b.unopened_latest, 0) AS unopened_latest, coalesce(b.undetermined, 0) AS undetermined,
        coalesce(b.unread_secrets, 0) AS unread_secrets, coalesce(b.common_values, 0) AS common_values,
        coalesce(b.sha256, '') AS sha256, coalesce(b.gaps, 0) AS gaps, coalesce(b.trailer, '') AS trailer,
        coalesce(b.readable_alone, b.readable, 0) AS readable_alone, coalesce(b.hold, '') AS hold,
        coalesce(b.known_keys, '') AS known_keys, coalesce(b.version, false) AS version,
        coalesce(b.revision, 0) AS revision, l.taken <> l.modified[1:19] || 'Z' AS named
    FROM listing_arrow l LEFT JOIN all_backups b
        ON b.backup = l.backup AND (NOT coalesce(l.due, false) OR b.run = ?)),
dated AS (
    SELECT m.*, who NOT IN ('unknown', 'several') AS known, stamp > 0 AND stamp <= ? AS timed,
        coalesce(nullif(?, 0), k.retention, 0) AS retention,
        CASE WHEN stamp > 0 THEN left(taken, 10) ELSE '' END AS day
    FROM met m LEFT JOIN clusters k ON k.name = m.who)
SELECT *, CASE WHEN known THEN who ELSE backup END AS store,
    state = 'examined' AND complete AND unopened_latest = 0 AND trailer <> 'does not match' AS sound,
    retention = 0 OR NOT timed OR stamp >= ? - retention AS inside
FROM dated"""
_CONTRARY = """
CREATE TABLE contrary AS
SELECT who, count(*) FILTER (before > revision) AS backups, bool_and(named) AS named FROM (
    SELECT who, revision, named, max(revision) OVER (
        PARTITION BY who ORDER BY stamp RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
    FROM population WHERE state = 'examined' AND revision > 0 AND known AND timed)
GROUP BY who HAVING count(*) FILTER (before > revision) > 0"""
"""A file's own time is lost by a copy, and one in a name is not: only the latter is believed against a revision."""
_BY_VALUE = (
    """SELECT DISTINCT v.backup, p.who, p.stamp, v.value_id AS credential, v.id, v.field
       FROM all_values v JOIN population p USING (backup) WHERE v.readable AND p.state = 'examined'""",
    """SELECT DISTINCT v.value_id AS credential, n.who, v.id, v.field, v.backup
       FROM all_values v JOIN newest n USING (backup) WHERE v.current""",
)
"""Held and live credentials by value."""
_BY_REVISION = (
    """SELECT DISTINCT i.backup, n.who, n.stamp, i.id, '' AS field,
            concat_ws(chr(10), n.store, i.key, i.mod_revision) AS credential
        FROM all_inventory i JOIN population n USING (backup)
        WHERE n.state = 'examined' AND i.resource = 'secrets' AND i.mod_revision IS NOT NULL
            AND (i.provider = 'identity' OR i.finding LIKE '%known-key%')""",
    """SELECT DISTINCT n.who, i.id, '' AS field, i.backup,
            concat_ws(chr(10), n.store, i.key, i.mod_revision) AS credential
        FROM all_inventory i JOIN newest n USING (backup)
        WHERE i.resource = 'secrets' AND i.place = 'latest' AND i.mod_revision IS NOT NULL""",
)
"""Without value ids: the same object at the same mod revision of the same cluster."""
_DOUBTFUL = """
CREATE TABLE doubtful AS
WITH own AS (
    SELECT n.store, n.who, p.unopened_latest AS undecrypted,
        NOT p.complete OR p.trailer = 'does not match' AS part,
        coalesce(s.secrets, 0) = 0 AND n.store IN (
            SELECT store FROM population JOIN stored USING (backup) WHERE state = 'examined' AND secrets > 0) AS bare,
        n.known AND n.timed AND n.store IN (
            SELECT o.store FROM population o JOIN newest l USING (store)
            WHERE o.state <> 'examined' AND o.chosen AND o.timed AND l.timed AND o.stamp > l.stamp) AS overtaken
    FROM newest n JOIN population p USING (backup) LEFT JOIN stored s USING (backup))
SELECT * FROM own WHERE undecrypted > 0 OR part OR bare OR overtaken"""
_BLIND = "SELECT DISTINCT store, who FROM doubtful"
_ALL = "SELECT store, who FROM newest"


def uid_mark(names: Sequence[str]) -> str:
    """What stands before the uid of a cluster that is another one's name: no name begins with it.

    A uid is what a backup says; no backup is to pass for one of a cluster that somebody has named.
    """
    mark = "uid "
    while any(name.startswith(mark) for name in names):
        mark = f"uid {mark}"
    return mark


def instant(option: str, text: str) -> int:
    """The time that an option names, seconds since 1970; without a zone it is UTC. Raises UsageError."""
    at = seconds(text)
    if at is None:
        raise UsageError(f"{option} {shown(text)}: expected a time in ISO 8601, such as 2026-11-28T06:00:00Z")
    return max(at, 0)


def day(seconds: float | None) -> str:
    """The day of a time; empty for none."""
    return moment(seconds)[:10]
