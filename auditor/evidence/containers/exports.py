"""Exports of a store's keys, identified by their first bytes: etcdctl's dumps, increments of Gardener's backups, SQL.

Formats: etcd etcdctl/ctlv3/command/printer.go (json, pb, fields, simple), etcd-backup-restore
pkg/snapshot/snapshotter/snapshotter.go. SQL: the first lines of pg_dump, pg_dumpall, mysqldump, mariadb-dump (the
newer ones begin with a command that is a comment to others) and sqlite3's .dump.
"""

import re

from auditor.errors import UnreadableEvidence
from auditor.evidence import protobuf_wire
from auditor.evidence.expressions import repeated
from auditor.model.vocabulary import EvidenceKind

DUMP_HEAD = 512
"""Leading bytes that identify a dump."""
INCREMENT_HEAD = 64
"""Leading bytes that identify an increment."""
JSON_DUMP = re.compile(rb'\s*\{\s*"header"\s*:\s*(\{[^{}]{0,400}\})\s*(,\s*"kvs"\s*:\s*\[|,\s*"count"|\})')
"""The beginning of a dump in JSON: its header, and the field behind it."""
_FIELDS = re.compile(rb'"ClusterID" : \d+\n"MemberID" : \d+\n')
_EVENTS = re.compile(rb'\s*\[\s*(\{\s*"etcdEvent"|\])')
SQL_HEAD = 1 << 16
"""Leading bytes that identify a dump in SQL."""
REMARK = (
    rb"(?:(?:mysqldump|mariadb-dump|pg_dump(?:all)?): |[Ww]arning: |Defaulted container |Unable to use a TTY )"
    rb"[^\n]{0,1000}\n"
)
"""The expression of a line of a dump's program, or of kubectl exec, for people: `2>&1` has it stand in the dump."""
_REMARKS = re.compile(repeated(REMARK))
_POSTGRES = re.compile(repeated(rb"-- ?\r?\n|\s") + rb"-- PostgreSQL database")
_MYSQL = re.compile(rb"(?:/\*M?!.{0,80}?\*/;?\s*|--\s*)*-- (?:MySQL|MariaDB) dump", re.DOTALL)
_SQLITE = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:PRAGMA [a-z_]+\s*=\s*\w+;\s*)?BEGIN TRANSACTION;", re.IGNORECASE)
_COMMENTS = repeated(
    rb"\s++|--[^\n]{0,400}\n|/\*.{0,400}?\*/;?|SET [^;]{0,400};|\\[a-z]{1,20} [^\n]{0,400}\n", rb"comments"
)
_KINE = rb"(?:[`\"]?\w++[`\"]?\.)?(?P<quote>[`\"]?)kine[`\"]?[\s(]"
_WITHOUT_HEADER = re.compile(
    _COMMENTS
    + rb"(?:DROP TABLE[^;]{0,200};\s*)?"
    + repeated(rb"/\*.{0,400}?\*/;?\s*", rb"more")
    + rb"(?P<verb>INSERT INTO|REPLACE INTO|COPY|CREATE TABLE(?: IF NOT EXISTS)?)\s+"
    + _KINE,
    re.IGNORECASE | re.DOTALL,
)


def has_comment(head: bytes) -> bool:
    """Whether a dump in SQL begins with its program's comment: then it ends with one too."""
    head = _without_remarks(head)
    return (_POSTGRES.match(head) or _MYSQL.match(head)) is not None


def sql_dump(head: bytes) -> EvidenceKind | None:
    """The kind of a dump in SQL by a file's first SQL_HEAD bytes; None where it is none.

    One without its program's header, made with --compact or cut, is identified by kine's table, which comes first.
    """
    head = _without_remarks(head)
    if _POSTGRES.match(head):
        return EvidenceKind.POSTGRES_DUMP
    if _MYSQL.match(head):
        return EvidenceKind.MYSQL_DUMP
    if _SQLITE.match(head):
        return EvidenceKind.SQLITE_DUMP
    match = _WITHOUT_HEADER.match(head)
    if match is None or b"\0" in head[:DUMP_HEAD]:
        return None
    if match["verb"].upper() == b"COPY" or re.search(rb"\bbytea\b|'\\{1,2}x[0-9a-f]", head) or b" public." in head:
        return EvidenceKind.POSTGRES_DUMP
    return EvidenceKind.MYSQL_DUMP if match["quote"] == b"`" else EvidenceKind.SQLITE_DUMP


def _without_remarks(head: bytes) -> bytes:
    match = _REMARKS.match(head)
    return head[match.end() :] if match is not None else head


def dump(head: bytes) -> EvidenceKind | None:
    """The kind of dump by a file's first DUMP_HEAD bytes; None where it is none.

    Raises UnreadableEvidence, with the remedy, for output of etcdctl in a form that loses bytes.
    """
    if JSON_DUMP.match(head):
        return EvidenceKind.JSON_DUMP
    if _FIELDS.match(head):
        raise UnreadableEvidence("this is etcdctl's output for -w fields: make the dump again with -w json")
    if head.startswith(b"/registry/") and b"\n" in head:
        raise UnreadableEvidence("this is etcdctl's output for -w simple: make the dump again with -w json")
    if len(head) > 2 and head[0] == 0x0A and head[1] < 0x60 and 2 + head[1] < len(head):
        header = protobuf_wire.numbers(head[2 : 2 + head[1]])
        following = head[2 + head[1] : 3 + head[1]]
        if header and set(header) <= {1, 2, 3, 4} and 3 in header and following in (b"\x12", b"\x18", b"\x20"):
            return EvidenceKind.PROTOBUF_DUMP
    return None


def is_increment(head: bytes) -> bool:
    """Whether a file is an unpacked increment by its first INCREMENT_HEAD bytes, or more."""
    return bool(_EVENTS.match(head)) and b"etcdEvent" in head[:INCREMENT_HEAD]
