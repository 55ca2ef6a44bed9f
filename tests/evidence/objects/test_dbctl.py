"""Backups of MicroK8s' dbctl: each key with its value, packed and as a folder."""

import io
import tarfile
from pathlib import Path

import pytest

import auditor
from auditor.model.vocabulary import Severity
from tests.helpers.ciphertexts import ciphertext
from tests.helpers.objects import StoredObject

LEAK = StoredObject(name=b"leak", data={b"password": b"CANARY-of-dbctl"})
SEALED = StoredObject(name=b"sealed")
FILES = {
    "0.data": ciphertext("aescbc", b"key1", bytes(range(96))),
    "0.key": SEALED.key,
    "1.data": LEAK.protobuf(),
    "1.key": LEAK.key,
}


def packed(folder: Path, files: dict[str, bytes]) -> Path:
    """What dbctl makes: a folder of its own in a tar, packed with gzip."""
    path = folder / "backup-2026-11-24-10-00-00.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        own = tarfile.TarInfo("backup-2026-11-24-10-00-00")
        own.type = tarfile.DIRTYPE
        archive.addfile(own)
        for name, content in files.items():
            member = tarfile.TarInfo(f"{own.name}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def laid(folder: Path, files: dict[str, bytes]) -> Path:
    """The folder itself."""
    (folder / "db").mkdir()
    for name, content in files.items():
        (folder / "db" / name).write_bytes(content)
    return folder / "db"


@pytest.mark.parametrize("make", [packed, laid])
def test_each_key_has_its_value(make, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    audit = auditor.scan(make(tmp_path, FILES))
    assert not audit.gaps
    assert audit.inventory[["place", "name"]].values.tolist() == [["latest", "sealed"], ["latest", "leak"]]
    assert audit.exit_code(Severity.MEDIUM) == 1


@pytest.mark.parametrize(
    ("left_out", "words"),
    [("0.key", "has no key beside it"), ("0.data", "has no value beside it"), ("0", "of its 2 objects are not there")],
)
def test_what_is_missing_is_a_gap(left_out: str, words: str, tmp_path: Path) -> None:
    audit = auditor.scan(packed(tmp_path, {name: raw for name, raw in FILES.items() if not name.startswith(left_out)}))
    assert any(words in gap.reason for gap in audit.gaps)
    assert audit.tally.readable
    assert not audit.complete
