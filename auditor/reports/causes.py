"""Causes of plaintext by place, and remedies that keep it out of the next backup: for etcd, and for kine."""

from auditor.model.audit import Audit
from auditor.model.vocabulary import EXPORTS, EvidenceKind, Place

NEXT_PLACE = {
    Place.LATEST: "rewrite what is readable in latest under an encrypting provider",
    Place.HISTORY: "compact the history",
    Place.DELETED: "compact the history",
    Place.PREVIOUS_ROOT: "defragment every member",
    Place.FREED: "defragment every member",
    Place.SLACK: "defragment every member",
    Place.WAL: "replace each member's data directory, WAL included",
    Place.V2_STORE: "replace each member's data directory, raft snapshots included",
}
CAUSES = {
    Place.LATEST: (
        "it was written while no encrypting provider came first, and not rewritten since",
        "rewrite every object of the resource under the write provider",
    ),
    Place.HISTORY: (
        "a rewrite adds a revision; the older one stays until it is compacted",
        "compact to the current revision, then defragment every member",
    ),
    Place.DELETED: (
        "the object was deleted; its revisions stay until they are compacted",
        "compact to the current revision, then defragment every member",
    ),
    Place.OLD_VALUE: (
        "kine repeats the previous value in the current row",
        "really change the object, then compact",
    ),
    Place.PREVIOUS_ROOT: (
        "the tree before the last commit: its pages are freed, and not reused yet",
        "defragment every member; a snapshot carries it as freed pages",
    ),
    Place.FREED: (
        "compaction or a rewrite freed the page, and bbolt does not wipe it; snapshots and restores copy it",
        "defragment every member",
    ),
    Place.SLACK: (
        "bytes that bbolt leaves zero: how they came there is undetermined",
        "find out what wrote this file; defragmentation drops them",
    ),
    Place.WAL: (
        "the write-ahead log keeps every write until its segment is purged; API snapshots do not carry it",
        "replace each member's data directory; destroy backups of the disk",
    ),
    Place.V2_STORE: (
        "a migration from etcd's v2 API copies and does not remove; raft snapshots keep the v2 store ever since",
        "replace each member's data directory; destroy backups of the disk",
    ),
    Place.UNPLACED: (
        "no valid root leads to it: whether it is current cannot be told",
        "audit a whole copy of this file",
    ),
}
"""Cause and remedy by place."""
_ROTATE = "rotate the encryption key and rewrite every object, or really change them; then compact"
_RESTART = "VACUUM (kine 0.14.15 and later does at start-up), then restart kine once more to fold its log in"
KINE_NEXT = {
    Place.LATEST: NEXT_PLACE[Place.LATEST],
    Place.HISTORY: "let compaction pass (kine keeps the last 1,000 revisions)",
    Place.DELETED: "let compaction pass (kine keeps the last 1,000 revisions)",
    Place.OLD_VALUE: _ROTATE,
    Place.PREVIOUS_ROOT: "restart kine, which folds its log into the database",
    Place.FREED: "VACUUM the database, and truncate its log",
    Place.SLACK: "VACUUM the database, and truncate its log",
    Place.WAL: "truncate the log (kine 0.14.11 and later does at start-up)",
}
KINE_CAUSES = {
    Place.LATEST: CAUSES[Place.LATEST],
    Place.HISTORY: (
        "a rewrite adds a row; the older one stays until compaction, which keeps the last 1,000 revisions",
        "write on, and compact to a revision past the rewrite",
    ),
    Place.DELETED: (
        "a deletion adds a row that repeats the last value; it stays until compaction passes it",
        "write on, and compact to a revision past the deletion",
    ),
    Place.OLD_VALUE: (
        "each row repeats the value that it replaced, and neither compaction nor VACUUM removes that",
        f"{_ROTATE}: a rewrite under the same key changes nothing and is skipped",
    ),
    Place.PREVIOUS_ROOT: (
        "the database file is behind its log: these pages are replaced at the next checkpoint",
        "restart kine, which folds its log into the database; then audit again",
    ),
    Place.FREED: (
        "SQLite does not wipe a page that it frees (secure_delete is off); backups of pages copy it",
        _RESTART,
    ),
    Place.SLACK: ("SQLite does not wipe the bytes of a row that it deletes (secure_delete is off)", _RESTART),
    Place.WAL: (
        "the log keeps older images of pages until they are written over; a clean stop does not fold it in",
        "restart kine, which truncates its log (0.14.11 and later); destroy copies of state.db-wal",
    ),
    Place.V2_STORE: CAUSES[Place.V2_STORE],
    Place.UNPLACED: CAUSES[Place.UNPLACED],
}
"""Cause and remedy by place for kine's SQLite, which has no defragmentation."""
_ANEW = (
    "take a node at a time out of the cluster, destroy its directory, and add it again (of a single node: restore a "
    "backup by dbctl into a new one)"
)
DQLITE_NEXT = KINE_NEXT | dict.fromkeys((Place.FREED, Place.SLACK, Place.WAL), _ANEW)
DQLITE_CAUSES = KINE_CAUSES | {
    Place.FREED: ("dqlite keeps two snapshots, and SQLite does not wipe a page that it frees", _ANEW),
    Place.SLACK: ("SQLite does not wipe the bytes of a row that it deletes (secure_delete is off)", _ANEW),
    Place.WAL: (
        "raft's log keeps every change of a page until snapshots have passed it by thousands of entries",
        f"write on, until its segments are removed; or {_ANEW}",
    ),
}
"""The same for dqlite, which nobody can tell to VACUUM, and whose log nobody truncates."""
EXPORT_NEXT = {Place.LATEST: "encrypt this export or restrict access to it, and what makes others like it"}
EXPORT_CAUSES = CAUSES | {
    Place.LATEST: (
        "an API server answers with objects decrypted, and they were written as they came",
        EXPORT_NEXT[Place.LATEST],
    )
}
"""The same for what an API server answered with: nothing that is done to a store changes it."""
_BESIDE = "remove database files that lie beside a member's own, once no member needs them"
DIRECTORY_NEXT = NEXT_PLACE | {Place.UNPLACED: _BESIDE}
DIRECTORY_CAUSES = CAUSES | {
    Place.UNPLACED: (
        "no root of the member's database leads to it: another database file holds it (a defragmentation's, a "
        "leader's), or a damaged one",
        f"{_BESIDE}; of a damaged one, audit a whole copy",
    )
}
"""The same for a data directory, which may hold other databases than the member's own."""
DUMPS = frozenset({EvidenceKind.JSON_DUMP, EvidenceKind.PROTOBUF_DUMP})


def is_kine(audit: Audit) -> bool:
    return audit.evidence.kind.is_kine


def of(audit: Audit) -> dict[Place, tuple[str, str]]:
    """Cause and remedy by place, for evidence of this kind."""
    return by_kind(audit.evidence.kind)


def by_kind(kind: EvidenceKind) -> dict[Place, tuple[str, str]]:
    """The same of a kind of evidence."""
    return _tables(kind)[0]


def next_of(audit: Audit) -> dict[Place, str]:
    """What to do next, by place."""
    return _tables(audit.evidence.kind)[1]


def _tables(kind: EvidenceKind) -> tuple[dict[Place, tuple[str, str]], dict[Place, str]]:
    if kind is EvidenceKind.DQLITE_DIRECTORY:
        return DQLITE_CAUSES, DQLITE_NEXT
    if kind is EvidenceKind.DATA_DIRECTORY:
        return DIRECTORY_CAUSES, DIRECTORY_NEXT
    if kind in EXPORTS:
        return EXPORT_CAUSES, EXPORT_NEXT
    return (KINE_CAUSES, KINE_NEXT) if kind.is_kine else (CAUSES, NEXT_PLACE)
