"""Files beside evidence that are known to hold no values: texts, read whole and without the beginning of a value.

What is empty, all zero, binary, encoded or named like a backup is never among them: whoever meets it names it as a gap.
"""

import codecs
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from auditor.evidence import beginnings
from auditor.evidence.containers import encoded_texts

LONGEST = 256 << 20
"""Bytes of the longest text that is read to its end; a longer one is not known."""
LISTED = 8
"""Names of them in a remark."""
HEAD = 1 << 16
"""First bytes that hold all of what is_schema knows."""
STEP = 1 << 20
"""Bytes of a block."""
_LIKELY = re.compile(
    r"(^|/)(etcd[^/]*|[^/]*(snapshot|backup)[^/]*|[^/]*\.(db|backup|bak|bolt|dump|sqlite3?|sql|snap|wal|"
    # containers, disks and memory: what begins as a text is none of them
    r"gz|tgz|zip|tar|tbz2?|txz|zstd?|xz|bz2|lz4|7z|rar|img|raw|qcow2|vmdk|vhdx?|e01|iso|bin|core|dmp))"
    r"(\.(part|tmp|old|partial|gpg|pgp|age|enc|b64|base64|hex))*$",
    re.IGNORECASE,
)
_ANOTHER = re.compile(
    r"\.(md|txt|json|jsonl|ya?ml|xml|csv|html?|sarif|conf|cfg|ini|toml|service|timer|cron|list|idx|sh|py|crt|key|pem|pub|"
    r"log|out|err|env|tmpl|meta|metadata|"
    r"sums?|sig|(sha|md)\d+(sums?)?)$",
    re.IGNORECASE,
)
_OF_TOOLS = re.compile(r"(^|/)(\.metadata/[^/]+|control/etcd-cluster-(created|spec)|[^/]+-schema(-\w+)?\.sql)$")
"""Texts about backups that have names like theirs: k3s' (pkg/etcd/snapshot.go), kops' etcd-manager's (pkg/commands),
mydumper's definitions of tables and databases."""
_ROWS = re.compile(rb"\b(?:INSERT|REPLACE|COPY|VALUES)\b", re.IGNORECASE)
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\f\r")) + b"\x7f"
_BLANKS = b" \t\r\n\f"
_ENCODED = re.compile(rb"[A-Za-z0-9+/_-]{512,}=*")
"""A text that is nothing but base64 or hex: what it encodes is not known."""
_ARMOUR = b"-----BEGIN"
"""How PEM and its kin begin, whose lines are judged one run after another."""
_EMPTY = re.compile(r"joined-.*|reset-flag|tombstone|dqlite-lock|etcd-cluster-created")
"""Empty files: those that k3s leaves beside its database and in it (pkg/etcd/etcd.go, pkg/daemons/executor/etcd.go),
dqlite's lock (canonical/dqlite src/server.c), and etcd-manager's mark."""


def note(names: Sequence[str], where: str, *, every: bool = False) -> str:
    """The remark on files that are known to hold no values.

    Args:
        names: Their names.
        where: What they lie in.
        every: Whether all of them are listed.
    """
    listed = names if every else names[:LISTED]
    more = f" and {len(names) - len(listed):,} more" if len(names) > len(listed) else ""
    what = "other file is a text or report" if len(names) == 1 else "other files are texts or reports"
    return f"{len(names):,} {what} in which no value begins, in {where}: {', '.join(listed)}{more}"


def is_likely(path: str) -> bool:
    """Whether a file is named like a backup or a container, whatever it holds."""
    return not any(each.search(path) for each in (_ANOTHER, _OF_TOOLS)) and _LIKELY.search(path) is not None


def is_schema(path: str, head: bytes) -> bool:
    """Whether a file defines a table whose rows stand in another, as mydumper writes them.

    Args:
        path: Its path.
        head: Its first bytes, at least HEAD if it has so many.
    """
    return path.endswith("-schema.sql") and len(head) < HEAD and not _ROWS.search(head)


def is_text(blocks: Iterable[bytes]) -> bool:
    """Whether all blocks together are one text, not empty, in which no value begins."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    search = beginnings.TextSearch()
    size = 0
    tail = b""
    encoded = False
    for block in blocks:
        size += len(block)
        if size > LONGEST or len(block.translate(None, _CONTROLS)) < len(block):
            return False
        try:
            decoder.decode(block)
        except UnicodeDecodeError:
            return False
        if size == len(block):  # of the first block: a longer text is encoded throughout, or not at all
            letters = block.translate(None, _BLANKS)
            encoded = not letters.startswith(_ARMOUR) and _ENCODED.fullmatch(letters) is not None
        if search.holds(block) or encoded_texts.holds_one(tail + block):
            return False
        tail = block[-beginnings.OVERLAP :]
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return bool(size) and not encoded


def holds_readable(path: Path) -> bool:
    """Whether a value begins in a file that does not claim to be encrypted. Raises OSError."""
    search = beginnings.TextSearch(readable=True)
    return any(search.holds(block) for block in _blocks(path))


def is_bystander(path: Path) -> bool:
    """Whether a file is known to hold no values. A link, a device or an unreadable file is not."""
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            return False
        if not status.st_size:
            return _EMPTY.fullmatch(path.name) is not None
        return not is_likely(path.as_posix()) and is_text(_blocks(path))
    except OSError:
        return False


def is_empty(path: str, peek: Callable[[int], bytes]) -> bool:
    """Whether this is an empty file that k3s leaves beside its database."""
    return _EMPTY.fullmatch(path.rpartition("/")[2]) is not None and not peek(1)


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(STEP):
            yield block
