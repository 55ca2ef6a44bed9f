"""Whether a file is a container, which may hold several exhibits, by its magic number."""

from pathlib import Path

from auditor.evidence.containers import magic
from auditor.evidence.containers.magic import Kind


def is_container(path: Path) -> bool:
    """Whether a file is a container by magic number; an unreadable one is none, and is refused later in words."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return is_packed(file.read(magic.HEAD))
    except OSError:
        return False


def is_packed(head: bytes) -> bool:
    """Whether a file is a container, or holds a store behind other bytes, by its first magic.HEAD bytes."""
    kind = magic.sniff(head)
    if kind in magic.CONTAINERS:
        return True
    if kind in magic.STORES and (kind is not Kind.DATABASE or magic.begins_with_meta(head)):
        return False
    from auditor.evidence.discovery import embedded  # numpy

    return embedded.start(head) > 0
