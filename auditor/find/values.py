"""The values to look for, from a file or standard input: never from the command line, where others read them."""

import codecs
import sys
from pathlib import Path

from auditor.errors import UsageError
from auditor.text import shown

LEAST = 4
"""Bytes of the shortest value: a shorter one stands everywhere."""
LARGEST = 1 << 26
"""Bytes of the largest file of values."""
STDIN = "-"


def load(name: str, *, whole: bool) -> tuple[bytes, ...]:
    """The values of a file.

    Args:
        name: Path of the file; `-` for standard input.
        whole: Whether the file's bytes are one value; else every line that is not empty is one.

    Raises:
        UsageError: The file cannot be read, holds no value, or one that is too short. Nothing of it is quoted.
    """
    what = "standard input" if name == STDIN else shown(name)
    try:
        if name == STDIN:
            content = sys.stdin.buffer.read(LARGEST + 1)
        else:
            with Path(name).open("rb") as file:
                content = file.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(f"--value-file {what}: {error.strerror}") from None
    if len(content) > LARGEST:
        raise UsageError(f"--value-file {what}: larger than {LARGEST:,} bytes")
    if content[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
        raise UsageError(f"--value-file {what}: it is UTF-16, which no store of Kubernetes is: write it as UTF-8")
    if content.startswith(codecs.BOM_UTF8) and not whole:
        content = content.removeprefix(codecs.BOM_UTF8)
    lines = [content] if whole else [line.removesuffix(b"\r") for line in content.split(b"\n")]
    values = tuple(filter(None, lines))
    if not values:
        raise UsageError(f"--value-file {what}: it holds no value")
    for number, value in enumerate(values, 1):
        if len(value) < LEAST:
            raise UsageError(f"--value-file {what}: value {number:,} is too short to be looked for")
    return values
