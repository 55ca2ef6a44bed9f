"""Archives of nothing but texts in which no value begins, such as OpenShift's of resources: no backups.

Whatever is not understood, not whole, or not small keeps an archive from being one.
"""

import gzip
import io
import tarfile
import zlib
from collections.abc import Callable

from auditor.evidence import beginnings

BLANK = b"\0"
"""What fills up a tar behind its last file."""


def unpacked(raw: bytes, most: int) -> bytes:
    """The tar in a whole stream of gzip; empty where it is none, or has more than so many bytes."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as stream:
            content = stream.read(most + 1)
            return content if len(content) <= most else b""
    except (OSError, EOFError, zlib.error):
        return b""


def holds_texts(raw: bytes, most: int, is_text: Callable[[bytes], bool]) -> bool:
    """Whether bytes are a tar, packed by gzip, of at least one file and of nothing but texts without values.

    Args:
        raw: All of the archive.
        most: Bytes that it may unpack to.
        is_text: Whether the bytes of a file are a text in which no value begins.
    """
    content = unpacked(raw, most)
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            entries = archive.getmembers()
            files = [archive.extractfile(entry) for entry in entries if entry.isreg()]
            texts = all(file is not None and (not (own := file.read()) or is_text(own)) for file in files)
            whole = not content[archive.offset :].strip(BLANK)
    except (tarfile.TarError, EOFError, OSError):
        return False
    plain = all(entry.isreg() or entry.isdir() or entry.issym() or entry.islnk() for entry in entries)
    # between the files, too, and in their names
    return bool(files) and texts and plain and whole and not beginnings.in_bytes(content)
