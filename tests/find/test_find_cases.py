"""find over every case of the fixtures: each canary that stands in its bytes, and nothing that nobody wrote."""

import base64
import binascii
import gzip
import io
import re
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditor.find.everywhere import everywhere
from auditor.options import Options
from tests.helpers.fixtures import FIXTURES, MIGRATION, name_of

CASES = FIXTURES / "cases"
CANARY = re.compile(rb"CANARY[A-Za-z0-9_-]{4,}")
CODED = re.compile(rb"[A-Za-z0-9+/]{16,}={0,2}")
ABSENT = [b"CANARY-that-nobody-wrote-%02d-9f3a" % number for number in range(3)]
FOLDERS = ("data-dir-of-k3s/etcd", "stopped-member-same-root/data", "v2-store-leftovers/data")
"""Data directories; the files in one are no evidence of their own."""
KINDS = {".db", ".pb", ".tgz", ".gz", ".zip"}


def items() -> list[Path]:
    folders = [CASES / each for each in FOLDERS]
    files = [
        path
        for path in sorted(CASES.rglob("*"))
        if path.is_file()
        and (path.suffix in KINDS or path.name == "dump.json")
        and not any(path.is_relative_to(folder) for folder in folders)
    ]
    return [MIGRATION / "data-dir.tar.gz", *folders, *files]


def layers(raw: bytes) -> Iterator[bytes]:
    """The bytes, and those of what they hold packed."""
    yield raw
    try:
        if raw.startswith(b"\x1f\x8b"):
            yield from layers(gzip.decompress(raw))
        elif raw.startswith(b"PK\x03\x04"):
            with zipfile.ZipFile(io.BytesIO(raw)) as archive:
                for name in archive.namelist():
                    yield from layers(archive.read(name))
        elif raw[257:262] == b"ustar":
            with tarfile.open(fileobj=io.BytesIO(raw)) as archive_:
                for member in archive_:
                    if (file := archive_.extractfile(member)) is not None:
                        yield from layers(file.read())
    except (OSError, EOFError, zipfile.BadZipFile, tarfile.TarError):
        return


def canaries(path: Path) -> list[bytes]:
    """Every canary in the bytes of a file or folder, in base64 too."""
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    found: set[bytes] = set()
    for raw in (layer for file in files for layer in layers(file.read_bytes())):
        found.update(CANARY.findall(raw))
        for run in CODED.findall(raw):
            for shift in range(4):
                part = run[shift:]
                try:
                    found.update(CANARY.findall(base64.b64decode(part[: len(part) // 4 * 4])))
                except binascii.Error:
                    continue
    return sorted(found)


ITEMS = items()


@pytest.mark.parametrize("path", ITEMS, ids=name_of)
def test_each_canary_is_found_and_nothing_else(path: Path) -> None:
    own = canaries(path)
    findings = everywhere([str(path)], Options(resources=("*",)), [*own, *ABSENT])
    missed = [text for number, text in enumerate(own, 1) if number not in findings.found]
    assert missed == []
    assert max(findings.found, default=0) <= len(own)
    assert findings.exit_code in ({1} if own else {0, 2, 3})


def test_the_cases_hold_canaries() -> None:
    assert sum(len(canaries(path)) for path in ITEMS) > 60
