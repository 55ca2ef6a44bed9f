"""The readers of all stores: a new kind of store is a line here."""

from dataclasses import dataclass, replace
from importlib import import_module

from auditor.evidence.etcd import snapshot
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.reading import Reader, Reading


@dataclass(frozen=True, slots=True)
class LazyReader:
    """The read() of a module, imported when an exhibit needs it: most runs read one database and nothing else."""

    module: str

    def __call__(self, exhibit: Exhibit, *, quick: bool) -> Reading:
        reader: Reader = import_module(self.module).read
        return reader(exhibit, quick=quick)


READERS: dict[Role, Reader] = {
    Role.BACKUP: LazyReader("auditor.evidence.gardener.backup"),
    Role.DUMP: LazyReader("auditor.evidence.etcd.etcdctl_dump"),
    Role.SQLITE: LazyReader("auditor.evidence.kine.kine"),
    Role.SQLITE_LOG: LazyReader("auditor.evidence.kine.wal_only"),
    Role.RANGE: LazyReader("auditor.evidence.etcd.range_answer"),
    Role.DATABASE: snapshot.read,
}
"""By role: the first one that a file of the exhibit has decides."""
DATA_DIRECTORY: Reader = LazyReader("auditor.evidence.etcd.data_dir")
"""Reads databases, WALs and raft snapshots together."""


def read(exhibit: Exhibit, *, quick: bool) -> Reading:
    """The reading of an exhibit by its reader. Raises UnreadableEvidence where its only file holds nothing readable."""
    role = next((role for role in READERS if exhibit.of(role)), Role.DATABASE)
    reader = DATA_DIRECTORY if exhibit.directory and role is Role.DATABASE else READERS[role]
    reading = reader(exhibit, quick=quick)
    return replace(
        reading,
        gaps=(*exhibit.gaps, *reading.gaps),
        unexamined=(*exhibit.unexamined, *reading.unexamined),
        notes=(*exhibit.notes, *reading.notes),
    )
