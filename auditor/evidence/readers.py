"""The readers of all stores: a new kind of store is a line here."""

from dataclasses import replace

from auditor.evidence.etcd import data_dir, etcdctl_dump, range_answer, snapshot
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.gardener import backup
from auditor.evidence.kine import kine, wal_only
from auditor.evidence.reading import Reader, Reading

READERS: dict[Role, Reader] = {
    Role.BACKUP: backup.read,
    Role.DUMP: etcdctl_dump.read,
    Role.SQLITE: kine.read,
    Role.SQLITE_LOG: wal_only.read,
    Role.RANGE: range_answer.read,
    Role.DATABASE: snapshot.read,
}
"""By the role of an exhibit's files, the first that one of them has; a data directory's are read together."""


def read(exhibit: Exhibit, *, quick: bool) -> Reading:
    """What the exhibit holds. Raises UnreadableEvidence where a file that stands by itself holds nothing readable."""
    role = next((role for role in READERS if exhibit.of(role)), Role.DATABASE)
    reader = data_dir.read if exhibit.directory and role is Role.DATABASE else READERS[role]
    reading = reader(exhibit, quick=quick)
    return replace(
        reading,
        gaps=(*exhibit.gaps, *reading.gaps),
        unexamined=(*exhibit.unexamined, *reading.unexamined),
        notes=(*exhibit.notes, *reading.notes),
    )
