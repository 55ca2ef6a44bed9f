"""Files that lie among backups and are no store: named for what they are, with the way out. None of them is read.

Marks: the first lines of pg_dump, mysqldump and sqlite3's .dump, and PGDMP of the custom format of pg_dump; RFC 9580
(packets of OpenPGP); sops' `ENC[AES256_GCM`; rancher/backup-restore-operator pkg/resourcesets/collector.go (paths of
objects); etcd server/storage/wal (names of segments).
"""

import json
import re
from typing import NamedTuple

from auditor.evidence.containers import text_encodings

HEAD = 1 << 16
"""Leading bytes that name a file."""
_KINE = "kine's table in it is not read"


class _Mark(NamedTuple):
    """The words for a file that matches an expression."""

    pattern: re.Pattern[bytes]
    words: str


def _mark(pattern: bytes, words: str, flags: int = 0) -> _Mark:
    return _Mark(re.compile(pattern, flags | re.DOTALL), words)


_SQL = (
    "load it into its database, copy the table kine into an SQLite database with the same columns, and scan that; "
    "encrypted or not, its values stand there as they were stored"
)
_OBJECTS = (
    "objects as an API server answers with, decrypted whatever etcd holds: Secrets in it are readable, and what etcd "
    "stores is not in it; scan an etcd snapshot"
)
_BLANKS = rb"(?:\xef\xbb\xbf)?\s*"
_MARKS = (
    _mark(
        rb"PGDMP",
        "an archive of pg_dump, cut, or without its tables: give all of its folder, or make a text of it (pg_restore)",
    ),
    _mark(
        rb"[^\0]{0,8192}?\b(?:INSERT INTO|COPY|CREATE TABLE)\s+(?:\w+\.)?[`\"]?kine[`\"]?[\s(]",
        f"an SQL dump: {_KINE}; {_SQL}",
        re.IGNORECASE,
    ),
    _mark(
        rb"(?:\x8c[\x08-\x40]\x04|\xc3[\x08-\x40][\x04-\x06])",
        "encrypted by OpenPGP with a passphrase: decrypt it, and scan what it holds",
    ),
    _mark(
        rb"(?:[\x84\x85].{1,2}\x03|\xc1.{1,2}[\x03\x06])", "encrypted by OpenPGP: decrypt it, and scan what it holds"
    ),
    _mark(rb"[^\0]{0,65536}?ENC\[AES256_GCM,data:", "encrypted by sops: decrypt it, and scan what it holds"),
    _mark(_BLANKS + rb"<\?xml[^>]{0,200}>\s{0,16}<mysqldump", "mysqldump's XML: make the dump again without --xml"),
    _mark(
        _BLANKS + rb"<(?:\?xml|!DOCTYPE|html|Error)\b",
        "an XML or HTML page, such as a server sends in place of an object: fetch the backup again",
        re.IGNORECASE,
    ),
    _mark(rb"HTTP/[0-9.]{1,3} \d{3}", "an answer of a web server, its header included: fetch the backup again"),
    _mark(
        _BLANKS + rb"\{[^\0]{0,4096}?\"kind\"\s*:\s*\"Status\"",
        "a Status of an API server, an error in place of an answer: fetch the backup again",
    ),
)
_VALUES = ((b"k8s\0", "an object in protobuf that is not encrypted"), (b"k8s:enc:", "encrypted by its prefix"))
"""Beginnings of what kube-apiserver stores under one key (apiserver pkg/storage/value), and the words for it."""
_TABLE = re.compile(rb"(?:NAMESPACE +)?NAME +[A-Z][A-Z() -]+\r?\n")
_RANCHER = re.compile(r"(?:^|[/!])[a-z0-9]+\.[a-z0-9.-]*#v\d\w*/(?:[^/]+/)?[^/]+\.json$")
_RAFT = re.compile(r"(?:^|[/!])[0-9a-f]{16}-[0-9a-f]{16}\.(?:wal|snap)$")
_BEFORE = re.compile(rb"(?:[%#][^\n]*\n|---(?=\s)|\s)*")
"""What may stand before a document of YAML: directives, comments, its mark."""
_FLOW_FIELDS = (
    re.compile(rb"[{,\s][\"']?apiVersion[\"']?\s{0,16}:\s{0,16}[\"']?\w"),
    re.compile(rb"[{,\s][\"']?kind[\"']?\s{0,16}:\s{0,16}[\"']?[A-Z]"),
)
_MANIFEST = re.compile(
    rb"(?:- )?(?:apiVersion|kind): ?[\"']?[A-Za-z0-9./-]+[\"']?\s"
    rb"[^\0]*?\n\s*(?:- )?(?:kind|metadata|items|resources):"
)
_ENCRYPTED = re.compile(r"\.(?:gpg|pgp|age|enc|aes|crypt)$", re.IGNORECASE)


def describe(head: bytes, path: str) -> str:
    """The words for a file without a magic number of a store, behind `FILE is`; empty where nothing names it.

    Args:
        head: Its first HEAD bytes, or all of them.
        path: Its path, which tells the backups that are trees of objects.
    """
    if not head:
        return "empty: 0 bytes, an etcd snapshot has at least two pages"
    if _RANCHER.search(path):
        return (
            "an object of a backup of Rancher's backup-restore-operator, which is not read: plain Secrets in it are "
            "readable, and what is encrypted is so by the configuration that the backup was made with"
        )
    if words := next((mark.words for mark in _MARKS if mark.pattern.match(head)), ""):
        return words
    if words := _kubernetes(head):
        return words
    if _RAFT.search(path):
        return "a file of a member's data directory, by its name: give the directory, not one file of it"
    if text_encodings.decoded_head(head):
        form = "hex" if text_encodings.is_hex(head) else "base64"
        return f"a text, perhaps {form}, and what it would stand for is nothing that is recognised"
    if _ENCRYPTED.search(path):
        return "encrypted, by its name: decrypt it, and scan what it holds"
    return _text(head)


def _kubernetes(head: bytes) -> str:
    """The words for what kube-apiserver, kubectl or a user of theirs writes; empty for anything else."""
    if _is_object(head):
        if b"EncryptionConfig" in head:
            return "an EncryptionConfiguration, or holds one: give it with --encryption-config"
        return f"Kubernetes {_OBJECTS}"
    if words := next((words for start, words in _VALUES if head.startswith(start)), ""):
        return f"one stored value of etcd's, {words}, and no database: scan the snapshot that it is of"
    if _TABLE.match(head):
        return "the table that `kubectl get` prints: no value is in it; scan an etcd snapshot"
    return ""


def _text(head: bytes) -> str:
    """The words for a text of no known form; empty for what is none."""
    if not _is_text(head):
        return ""
    form = "JSON" if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in {b"{", b"["} else "a text"
    return f"{form}, and no export of a store that is known"


def is_objects(head: bytes) -> bool:
    """Whether a text begins as objects of Kubernetes that are no configuration of encryption, and no error."""
    if any(mark.pattern.match(head) for mark in _MARKS):
        return False
    return b"EncryptionConfig" not in head[:4096] and _is_object(head)


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        text = head[: error.start].decode("utf-8") if error.start >= len(head) - 3 else ""
    return bool(text) and not any(character < " " and character not in "\t\n\f\r" for character in text)


def _is_object(head: bytes) -> bool:
    """Whether a text begins as an object of Kubernetes, or a list of them, in JSON or YAML."""
    text = head.removeprefix(b"\xef\xbb\xbf")
    before = _BEFORE.match(text)
    text = text[before.end() if before is not None else 0 :]
    if text[:1] in {b"{", b"["}:
        return _is_flow_object(text)
    return b"\0" not in head and _MANIFEST.match(text) is not None


def _is_flow_object(text: bytes) -> bool:
    """Whether JSON states an apiVersion and a kind at its top, or in its first element.

    Where it is cut, or YAML in JSON's form, whether it states both anywhere.
    """
    decoded = text.decode("utf-8", "replace")
    try:
        document, _ = json.JSONDecoder().raw_decode(decoded)
    except (ValueError, RecursionError):
        return all(field.search(text) is not None for field in _FLOW_FIELDS)
    first = document[0] if isinstance(document, list) and document else document
    return isinstance(first, dict) and isinstance(first.get("apiVersion"), str) and isinstance(first.get("kind"), str)
