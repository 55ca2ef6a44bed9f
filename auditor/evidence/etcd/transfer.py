"""Damage by the way in which a file was copied, which its bytes still show.

A terminal writes 0d 0a for every 0a (termios, ONLCR); a program that takes bytes for UTF-8 writes U+FFFD for what is
none; the redirection of Windows PowerShell writes UTF-16.
"""

from auditor.evidence.file import EvidenceFile
from auditor.model.evidence import Gap

SAMPLE = 1 << 24
"""Leading bytes that are looked at."""
LEAST = 4
"""Line feeds that tell: by chance one of 256 has a carriage return before it."""
LEAST_REPLACED = 8
"""Replacement characters that tell: an object may hold some of its own."""
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}".encode()
_WIDE = b"\xff\xfe"


def cause(file: EvidenceFile) -> str:
    """What became of a file on its way, and the way out; empty where its bytes show nothing of that."""
    head = file.map[:SAMPLE]
    feeds = head.count(b"\n")
    if feeds >= LEAST and head.count(b"\r\n") == feeds:
        return (
            "every line feed of it has a carriage return before it: it went through a terminal; copy it again without "
            "-t"
        )
    if head.startswith(_WIDE) and 2 * head[3::2].count(b"\0") > len(head[3::2]):
        return (
            "it is UTF-16 text, which the redirection of PowerShell makes of bytes: some of them are lost; copy it "
            "again without one"
        )
    if head.count(_REPLACEMENT) >= LEAST_REPLACED and _is_utf8(head):
        return (
            "a program took its bytes for UTF-8 text, and replaced those that are none: they are lost; copy it again "
            "as bytes"
        )
    return ""


def damage(file: EvidenceFile) -> list[Gap]:
    """The gap of a file that was changed on its way; none where its bytes show nothing of that."""
    reason = cause(file)
    return [Gap(file.name, 0, file.size, f"{file.name}: {reason}")] if reason else []


def _is_utf8(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data" and error.start >= len(head) - 3  # a sample may end anywhere
    return True
