"""The hashes of a file, made beside the scan: whatever its size, and whatever becomes of it meanwhile."""

import hashlib
from pathlib import Path
from random import Random

import pytest

from auditor.errors import UnreadableEvidence
from auditor.evidence import hashing
from auditor.evidence.file import EvidenceFile
from auditor.evidence.hashing import TRAILER, FileHash

STEP = 512
SIZES = [1, STEP - 1, STEP, STEP + 1, STEP + TRAILER, 2 * STEP, 2 * STEP + TRAILER, 5 * STEP + 7, 8 * STEP + TRAILER]


@pytest.mark.parametrize("window", [1, 100, STEP, 1 << 20])
@pytest.mark.parametrize("size", SIZES)
def test_whole_and_all_but_the_trailer(size: int, window: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "WINDOW", window)
    raw = Random(size).randbytes(size)
    path = tmp_path / "some.db"
    path.write_bytes(raw)
    with EvidenceFile.open(path, hashed=True) as opened:
        head = raw[:-TRAILER] if size % STEP == TRAILER else raw
        assert opened.hashing.result() == (hashlib.sha256(raw).hexdigest(), hashlib.sha256(head).hexdigest())
        assert opened.hashing.done == size


def test_a_file_that_has_become_shorter(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    path.write_bytes(bytes(5000))
    with path.open("rb") as opened:
        hashing = FileHash(opened.fileno(), 8192)
        with pytest.raises(UnreadableEvidence, match=r"shrank .*it ends at offset 5,000"):
            hashing.result()


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    path.write_bytes(bytes(5000))
    with path.open("ab") as opened:  # for writing alone
        hashing = FileHash(opened.fileno(), 5000)
        with pytest.raises(UnreadableEvidence, match=r"unreadable .*\(Bad file descriptor at offset 0\); nothing was"):
            hashing.result()


def test_one_that_is_not_wanted_ends(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    with path.open("wb+") as opened:
        opened.truncate(1 << 40)
        hashing = FileHash(opened.fileno(), 1 << 40)
        hashing.stop()
        assert not hashing.alive()
        assert hashing.done < 1 << 40
        with pytest.raises(UnreadableEvidence, match="ended at offset"):
            hashing.result()
