"""The data set: its manifest, which says what is in, and the way of a worker's file into the tables.

Nothing is appended to and nothing is changed in place. New files of the tables are written, then a manifest that names
them, then what they replace is removed: whatever stops this, and whenever, leaves files that no manifest names, which
the next run removes, and files of workers that are not in yet, which the next run takes.

    dataset.json        the version of the format, and what holds for all of it
    manifest.json       every file of the tables
    listing.parquet     what the last run met in its sources, and which id each has: reports are about these alone
    key-objects.parquet where keys lie in the sources, if any do
    TABLE/cluster=UID/month=YYYY-MM/*.parquet
    pending/            files of workers that are not in the tables yet
"""

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from auditor.errors import UsageError
from auditor.fleet import lock, manifest, tables
from auditor.fleet.backup import State
from auditor.fleet.errors import DataSetError
from auditor.fleet.folder import DataSetFolder
from auditor.fleet.key_objects import KeyObject
from auditor.fleet.manifest import ABOUT, FORMAT, MANIFEST, TableFile
from auditor.fleet.schema import TABLES, VERSION, Partition
from auditor.fleet.tables import Row
from auditor.fleet.task import PENDING, pending_path
from auditor.version import __version__

LISTING, KEY_OBJECTS = "listing.parquet", "key-objects.parquet"
PROBES = (ABOUT, LISTING, f"{PENDING}/0.zip", Partition("0", "0").path("backups") + "/0.parquet")
"""Files of a data set: a pattern that one of them fits would take them for backups."""
SMALL = 8 << 20
"""Bytes below which a file of a table is merged with others of its partition."""
MOST_SMALL = 8
"""Small files of a partition that are left apart."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the tables hold of one backup."""

    state: State
    beside: str
    """Digest of the objects whose keys were tried on it."""
    local: bool
    """Whether it holds values under keys that may lie in a file."""
    cluster: str
    """Uid of its cluster, as far as it showed one."""
    applied: str
    """How it was judged and named: of Settings.applied()."""
    etcd_cluster: str
    held_keys: str
    """Where keys lie readable in it: of KeyGathering.document."""
    tried_keys: str
    """Digest of the keys of other backups that were tried on it."""
    tried_from: str
    """Ids of the backups in which these lie."""


class DataSet:
    """A data set, opened for the one run that writes it, or for reading.

    about: what holds for all of it. files: those of the tables, by path.
    """

    def __init__(self, folder: DataSetFolder) -> None:
        """Raises DataSetError for a folder that holds anything else, and for a later version of the format."""
        self.folder = folder
        self.about = manifest.about(folder)
        self.files = manifest.files(folder)
        self._ids: set[str] | None = None
        if not self.about and set(folder.names()) - {lock.NAME}:
            raise DataSetError(f"{folder.shown} holds files and no data set of ours: name another folder or prefix")

    def create(self, **facts: str) -> None:
        """Say what holds for all of it: check value of the key of value ids, method of the pseudonyms.

        Raises UsageError where it was begun with something else.
        """
        self.check(**facts)
        begun = {"format": FORMAT, "version": VERSION, "tool": __version__}
        self.about = {**begun, "restarts": self.restarts, **facts}
        self.folder.write(ABOUT, _json(self.about))

    def check(self, **facts: str) -> None:
        """Raises UsageError where it was begun with something else than some of create()'s facts."""
        for name, value in facts.items():
            if self.about and self.about.get(name, "") != value:
                raise UsageError(f"{self.folder.shown} was begun with {_FACTS[name]}: {_WAYS_OUT[name]}")

    @property
    def restarts(self) -> int:
        """How often the table of value ids was begun anew: what was examined before is to be examined again."""
        return int(self.about.get("restarts", 0))

    def restart_values(self, compare: str) -> None:
        """Forget every value id: another key is to make new ones. compare: check value of that key."""
        # whatever stops this, no run goes on with the earlier key as if its value ids were still there
        self.about |= {"compare": "none: they are begun anew", "restarts": self.restarts + 1}
        self.folder.write(ABOUT, _json(self.about))
        self._replace([each for each in self.files.values() if each.table == "values"], [])
        self.about["compare"] = compare

    def tidy(self) -> None:
        """Remove what a run that was killed has left: files that no manifest names, and parts of files."""
        named = {*self.files, ABOUT, MANIFEST, LISTING, KEY_OBJECTS}
        for name in self.folder.names():
            in_table = name.partition("/")[0] in TABLES
            if name.endswith(".partial") or (in_table and name not in named):
                self.folder.remove([name])

    def pending(self) -> list[str]:
        """The ids of backups whose rows are not in the tables yet."""
        files = self.folder.names(PENDING)
        return [name.removeprefix(f"{PENDING}/").removesuffix(".zip") for name in files if name.endswith(".zip")]

    def known(self) -> dict[str, Known]:
        """What the tables hold of every backup, by id."""
        names = ["backup", "state", "beside", "local_values", "cluster", "applied", "etcd_cluster"]
        names += ["held_keys", "tried_keys", "tried_from"]
        columns = self.table("backups", names)
        rows = zip(*(columns[name].to_pylist() for name in names), strict=True)
        return {
            id_: Known(State(state), beside or "", bool(values), cluster, *(text or "" for text in texts))
            for id_, state, beside, values, cluster, *texts in rows
        }

    def key_objects(self) -> list[KeyObject]:
        """The small objects, and the backups that hold keys, that the last run knew."""
        raw = self.folder.read(LISTING)
        if raw is None:
            return []
        try:
            about = json.loads((pq.read_schema(pa.BufferReader(raw)).metadata or {}).get(b"run", b"{}"))
            return [KeyObject.of(each) for each in about.get("beside", ())]
        except (pa.ArrowException, OSError, ValueError, TypeError, LookupError, AttributeError):
            raise DataSetError(f"{self.folder.shown}: {LISTING} is damaged: remove it, and scan again") from None

    def conclusions(self, ids: Sequence[str]) -> tuple[dict[str, int], dict[str, int], int]:
        """Some backups by state, those that were examined by severity, and how many of these are incomplete."""
        table = self.table("backups", ["backup", "state", "severity", "complete"])
        table = table.filter(pc.is_in(table["backup"], pa.array(ids, pa.string())))
        examined = table.filter(pc.equal(table["state"], State.EXAMINED.value))
        incomplete = int(pc.sum(pc.invert(examined["complete"])).as_py() or 0)
        return _counts(table["state"]), _counts(examined["severity"]), incomplete

    def table(self, table: str, columns: list[str]) -> pa.Table:
        """Some columns of one table."""
        files = [self._read(file, columns) for file in self.files.values() if file.table == table]
        schema = pa.schema([TABLES[table].field(name) for name in columns])
        return pa.concat_tables([schema.empty_table(), *files], promote_options="default")

    def take(self, ids: Iterable[str]) -> None:
        """Bring the rows of pending backups into the tables; an earlier row of a backup is replaced."""
        parts: dict[tuple[str, Partition], list[pa.Table]] = {}
        taken: list[str] = []
        for id_ in ids:
            raw = self.folder.read(pending_path(id_))
            if raw is None:
                continue
            try:
                backup, rows = tables.unpack(raw)
            except ValueError:
                raise DataSetError(
                    f"{self.folder.shown}: {pending_path(id_)} is damaged: remove it, and scan again"
                ) from None
            taken.append(id_)
            partition = Partition(backup["cluster"], backup["taken"][:7])
            for name, part in {"backups": tables.of_rows([backup]), **rows}.items():
                parts.setdefault((name, partition), []).append(part)
        if taken:
            if self._ids is None:
                self._ids = set(self.known())
            earlier = self._ids.intersection(taken)
            self._ids.update(taken)
            old, kept = self._without(earlier) if earlier else ([], [])
            new = [self._write(name, partition, _joined(some)) for (name, partition), some in parts.items()]
            self._replace(old, [*kept, *new])
            self.folder.remove(map(pending_path, taken))

    def compact(self) -> None:
        """Merge the small files of each partition that has many."""
        small: dict[tuple[str, str, str], list[TableFile]] = {}
        for file in self.files.values():
            if file.size < SMALL:
                small.setdefault((file.table, file.cluster, file.month), []).append(file)
        many = {place: some for place, some in small.items() if len(some) > MOST_SMALL}
        new = [
            self._write(table, Partition(cluster, month), _joined(self._read(file) for file in some))
            for (table, cluster, month), some in many.items()
        ]
        if new:
            self._replace([file for some in many.values() for file in some], new)

    def save_listing(self, rows: list[Row], about: Mapping[str, object], objects: Sequence[KeyObject]) -> None:
        """Say what the run met in its sources. objects: the small ones, looked at for keys, and backups with some."""
        held = [
            dict(zip(KEY_OBJECTS_SCHEMA.names, cells, strict=True))
            for each in objects
            if each
            for provider, _, name in (label.partition("/") for label in each.labels or ("",))
            for cells in ((tables.legible(each.url), provider, name, each.tokens, each.backup),)
        ]
        if held:
            self.folder.write(KEY_OBJECTS, tables.to_parquet(pa.Table.from_pylist(held, KEY_OBJECTS_SCHEMA)))
        else:
            self.folder.remove([KEY_OBJECTS])
        about = {**about, "beside": [each.document() for each in objects]}
        table = pa.Table.from_pylist(list(map(tables.legible_row, rows)), LISTING_SCHEMA).replace_schema_metadata(
            {"run": json.dumps(about)}
        )
        self.folder.write(LISTING, tables.to_parquet(table))

    def _without(self, ids: set[str]) -> tuple[list[TableFile], list[TableFile]]:
        """The files that hold rows of these backups, and new files of all their other rows."""
        old: list[TableFile] = []
        new: list[TableFile] = []
        wanted = pa.array(sorted(ids), pa.string())
        for file in list(self.files.values()):
            if file.table == "backups" and pc.any(pc.is_in(self._read(file, ["backup"])["backup"], wanted)).as_py():
                old += [
                    each for each in self.files.values() if (each.cluster, each.month) == (file.cluster, file.month)
                ]
        for file in dict.fromkeys(old):
            rows = self._read(file)
            kept = rows.filter(pc.invert(pc.is_in(rows["backup"], wanted)))
            if kept.num_rows:
                new.append(self._write(file.table, Partition(file.cluster, file.month), kept))
        return list(dict.fromkeys(old)), new

    def _read(self, file: TableFile, columns: list[str] | None = None) -> pa.Table:
        raw = self.folder.read(file.path)
        if raw is None:
            raise DataSetError(f"{self.folder.shown}: {file.path} is in the manifest and not there: restore it")
        try:
            return pq.ParquetFile(pa.BufferReader(raw)).read(columns=columns)
        except (pa.ArrowException, OSError):
            raise DataSetError(f"{self.folder.shown}: {file.path} is damaged: restore it") from None

    def _write(self, table: str, partition: Partition, rows: pa.Table) -> TableFile:
        name = f"{partition.path(table)}/{uuid.uuid4().hex}.parquet"
        whole = pa.concat_tables([TABLES[table].empty_table(), rows], promote_options="default")
        raw = tables.to_parquet(whole.select(TABLES[table].names).cast(TABLES[table]))
        self.folder.write(name, raw)
        return TableFile(name, table, partition.cluster, partition.month, rows.num_rows, len(raw))

    def _replace(self, old: list[TableFile], new: list[TableFile]) -> None:
        gone = {file.path for file in old}
        self.files = {path: file for path, file in self.files.items() if path not in gone}
        self.files.update((file.path, file) for file in new)
        files = [asdict(file) for file in sorted(self.files.values(), key=lambda file: file.path)]
        self.folder.write(MANIFEST, _json({"format": FORMAT, "version": VERSION, "files": files}))
        self.folder.remove(gone)


LISTING_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("backup", "url", "source_argument", "modified", "etag", "taken", "label")]
    + [("size", pa.int64()), ("chosen", pa.bool_()), ("due", pa.bool_())]
)
"""One row a backup of a source: `chosen` unless --since, --sample or --newest-per-cluster left it out; `due` where what
the tables held of it then, if anything, holds no more: it is examined once the listing's run has written its row."""
KEY_OBJECTS_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("url", "provider", "key_name")] + [("tokens", pa.int64()), ("backup", pa.bool_())]
)
"""One row a key in an object of the sources; one without a key where there are only tokens. `backup`: it is a backup,
and the key lies among its values.
"""
_FACTS = {"compare": "another --compare-key, or without one", "redaction": "other names: --redact-names, --redact-key"}
_WAYS_OUT = {
    "compare": "give the same, or start the table of value ids anew with --new-compare-key",
    "redaction": "give the same, or another --dataset",
}


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    """How often each text stands in a column."""
    return {each["values"] or "": each["counts"] for each in pc.value_counts(column).to_pylist()}


def _joined(parts: Iterable[pa.Table]) -> pa.Table:
    """Rows of one table together; those of an earlier version of the tool lack columns."""
    return pa.concat_tables(list(parts), promote_options="default")


def _json(document: Mapping[str, object]) -> bytes:
    return (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()
