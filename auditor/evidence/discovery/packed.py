"""Whether a file is a container, by its magic number: of several exhibits, or of a configuration alone."""

from pathlib import Path

from auditor.errors import AuditorError
from auditor.evidence.containers import magic
from auditor.evidence.containers.limits import Limits
from auditor.evidence.containers.magic import Kind
from auditor.evidence.discovery import config_files
from auditor.evidence.file import EvidenceFile

MOST_UNPACKED = 64 << 20
"""Bytes that a container of a configuration may unpack to."""


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


def is_configuration_container(path: Path) -> bool:
    """Whether a small container holds an EncryptionConfiguration, and beside it nothing but texts without values."""
    try:
        if path.stat().st_size > config_files.LARGEST or not is_container(path):
            return False
        from auditor.evidence.containers.extracted import Extractor
        from auditor.evidence.discovery import unpack  # the libraries of archives wait until there is one

        with EvidenceFile.open(path, hashed=False) as file:
            extraction = unpack.unpack(file, Limits(largest=MOST_UNPACKED), Extractor(""))
            try:
                return bool(extraction.companions) and not extraction.members and not extraction.gaps
            finally:
                extraction.close()
    except (OSError, AuditorError):
        return False
