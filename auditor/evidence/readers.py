"""The readers of all stores, by the role of the file that decides."""

from dataclasses import dataclass, replace
from importlib import import_module

from auditor.errors import UnreadableEvidence
from auditor.evidence.containers import magic
from auditor.evidence.etcd import snapshot, transfer
from auditor.evidence.exhibit import Exhibit, Role, role_of
from auditor.evidence.reading import Reader, Reading


@dataclass(frozen=True, slots=True)
class LazyReader:
    """The read() of a module, imported when an exhibit needs it: most runs read one database and nothing else."""

    module: str

    def __call__(self, exhibit: Exhibit, *, quick: bool) -> Reading:
        reader: Reader = import_module(self.module).read
        return reader(exhibit, quick=quick)


READERS: dict[Role, Reader] = {
    Role.IMAGE: LazyReader("auditor.evidence.images.image"),
    Role.BACKUP: LazyReader("auditor.evidence.gardener.backup"),
    Role.DUMP: LazyReader("auditor.evidence.etcd.etcdctl_dump"),
    Role.SQL_DUMP: LazyReader("auditor.evidence.sql.dump"),
    Role.DQLITE_LOG: LazyReader("auditor.evidence.dqlite.folder"),
    Role.DQLITE_SNAPSHOT: LazyReader("auditor.evidence.dqlite.folder"),
    Role.DQLITE_META: LazyReader("auditor.evidence.dqlite.folder"),
    Role.SQLITE: LazyReader("auditor.evidence.kine.kine"),
    Role.SQLITE_LOG: LazyReader("auditor.evidence.kine.wal_only"),
    Role.OBJECT_BACKUP: LazyReader("auditor.evidence.objects.backup"),
    Role.OBJECTS: LazyReader("auditor.evidence.objects.files"),
    Role.RANGE: LazyReader("auditor.evidence.etcd.range_answer"),
    Role.DATABASE: snapshot.read,
}
"""By role: the first one that a file of the exhibit has decides."""
_TEXTS = frozenset(
    {Role.DUMP, Role.SQL_DUMP, Role.OBJECTS, Role.BACKUP, Role.RANGE, Role.COMPANION, Role.TEXT, Role.IMAGE}
)
"""Roles of files that may be text, or anything: their line ends say nothing."""
DATA_DIRECTORY: Reader = LazyReader("auditor.evidence.etcd.data_dir")
"""Reads databases, WALs and raft snapshots together."""


RAW_BYTES = "if it is a disk image, a partition or a memory dump, --carve looks for stored values in it"
"""The way out where nothing identifies a file."""


def _is_unknown(exhibit: Exhibit) -> bool:
    """Whether nothing identifies the exhibit's one file: it was read as a database whose first pages are damaged."""
    files = exhibit.of(Role.DATABASE)
    return len(exhibit.known) == 1 and bool(files) and role_of(bytes(files[0].map[: magic.HEAD])) is None


def read(exhibit: Exhibit, *, quick: bool) -> Reading:
    """The reading of an exhibit by its reader. Raises UnreadableEvidence where its only file holds nothing readable."""
    if exhibit.foreign:
        raise UnreadableEvidence(exhibit.foreign)
    role = next((role for role in READERS if exhibit.of(role)), Role.DATABASE)
    reader = DATA_DIRECTORY if exhibit.directory and role is Role.DATABASE else READERS[role]
    try:
        reading = reader(exhibit, quick=quick)
    except UnreadableEvidence as error:
        causes = filter(None, (transfer.cause(file) for _, file in exhibit.files))
        ways = [RAW_BYTES] if _is_unknown(exhibit) else []
        raise UnreadableEvidence("; ".join([str(error), *dict.fromkeys(causes), *ways])) from None
    damaged = {gap.source for gap in reading.gaps}
    binary = [file for role, file in exhibit.files if role not in _TEXTS and file.name in damaged]
    return replace(
        reading,
        gaps=(*exhibit.gaps, *(gap for file in binary for gap in transfer.damage(file)), *reading.gaps),
        unexamined=(*exhibit.unexamined, *reading.unexamined),
        notes=(*exhibit.notes, *reading.notes),
    )
