"""Files beside evidence that are known to hold no values: texts, read whole and without the beginning of a value.

What is empty, all zero, binary, encoded or named like a backup is never among them: whoever meets it names it as a gap.
"""

import codecs
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from auditor.evidence.containers.residue import TEXTS

LONGEST = 256 << 20
"""Bytes of the longest text that is read to its end; a longer one is not known."""
LISTED = 8
"""Names of them in a remark."""
STEP = 1 << 20
"""Bytes of a block."""
_LIKELY = re.compile(
    r"(^|/)(etcd[^/]*|[^/]*snapshot[^/]*|[^/]*\.(db|backup|bak|bolt|dump|sqlite3?|sql|snap|wal))"
    r"(\.(part|tmp|old|partial|gpg|pgp|age|enc|b64|base64|hex))*$",
    re.IGNORECASE,
)
_ANOTHER = re.compile(
    r"\.(md|txt|json|jsonl|ya?ml|xml|csv|html?|sarif|conf|service|sh|crt|key|pem|pub|log|env|tmpl|meta|metadata|"
    r"sums?|sig|(sha|md)\d+(sums?)?)$",
    re.IGNORECASE,
)
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\f\r")) + b"\x7f"
_BLANKS = b" \t\r\n\f"
_SIGNS = re.compile(
    TEXTS + rb"|k8s\\x00|k8s(?:%00|&#0)"
    # a manifest in YAML
    rb"|(?:^|\n)[ \t-]{0,64}kind:[ \t]{0,16}[\"']?Secret(?:List)?[\"']?(?:\s|\Z)"
)
"""The beginnings of what Kubernetes stores, as they stand in a text: by themselves, escaped, in hex and in base64."""
_OVERLAP = 128
_ENCODED = re.compile(rb"[A-Za-z0-9+/_-]{512,}=*")
"""A text that is nothing but base64 or hex: what it encodes is not known."""
_JOINED = re.compile(r"joined-.*")
"""What k3s leaves beside its database: an empty file (pkg/etcd/etcd.go)."""


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
    """Whether a file is named like a backup, whatever it holds."""
    return _LIKELY.search(path) is not None and _ANOTHER.search(path) is None


def is_text(blocks: Iterable[bytes]) -> bool:
    """Whether all blocks together are one text, not empty, in which no value begins."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    tail = joined_tail = b""
    size = 0
    encoded = False
    for block in blocks:
        size += len(block)
        if size > LONGEST or len(block.translate(None, _CONTROLS)) < len(block):
            return False
        try:
            decoder.decode(block)
        except UnicodeDecodeError:
            return False
        joined = joined_tail + block.translate(None, _BLANKS)  # lines may break an encoded value anywhere
        if size == len(block):  # of the first block: a longer text is encoded throughout, or not at all
            encoded = _ENCODED.fullmatch(joined) is not None
        text = tail + block
        if _SIGNS.search(text) or _SIGNS.search(joined):
            return False
        tail, joined_tail = text[-_OVERLAP:], joined[-_OVERLAP:]
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return bool(size) and not encoded


def is_bystander(path: Path) -> bool:
    """Whether a file is known to hold no values. A link, a device or an unreadable file is not."""
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            return False
        if not status.st_size:
            return _JOINED.fullmatch(path.name) is not None
        return not is_likely(path.name) and is_text(_blocks(path))
    except OSError:
        return False


def is_joined(path: str, peek: Callable[[int], bytes]) -> bool:
    """Whether this is the empty file that k3s leaves beside its database."""
    return _JOINED.fullmatch(path.rpartition("/")[2]) is not None and not peek(1)


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(STEP):
            yield block
