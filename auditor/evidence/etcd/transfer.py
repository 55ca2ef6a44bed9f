"""Damage by the way in which a file was copied: a terminal writes 0d 0a for every 0a (termios, ONLCR)."""

from collections.abc import Iterator

from auditor.evidence.file import EvidenceFile
from auditor.model.evidence import Gap

SAMPLE = 1 << 24
"""Leading bytes that are looked at."""
LEAST = 8
"""Line feeds that tell: by chance one of 256 has a carriage return before it."""


def damage(file: EvidenceFile) -> Iterator[Gap]:
    """The gap of a database that went through a terminal."""
    head = file.map[:SAMPLE]
    feeds = head.count(b"\n")
    if feeds >= LEAST and head.count(b"\r\n") == feeds:
        reason = "every line feed of it has a carriage return before it: it went through a terminal"
        yield Gap(file.name, 0, file.size, f"{file.name}: {reason}; copy it again without -t")
