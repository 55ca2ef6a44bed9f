"""What every test of an evidence reader needs: a file of given bytes, read or audited."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import TypeAlias

import pytest

from auditor.evidence.etcd import snapshot
from auditor.evidence.file import EvidenceFile
from auditor.evidence.reading import Reading
from tests.helpers import members

Write: TypeAlias = Callable[[bytes], Path]
Read: TypeAlias = Callable[[bytes], Reading]


@pytest.fixture(scope="session", params=members.programs())
def program(request: pytest.FixtureRequest) -> str:
    """The etcd of the wheel, and the system's: whatever takes it is run against both."""
    return members.program(request.param)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Bytes -> a new file that holds them; an older one may still be mapped."""
    numbers = count()

    def make(data: bytes) -> Path:
        path = tmp_path / f"built-{next(numbers)}.db"
        path.write_bytes(data)
        return path

    return make


@pytest.fixture
def read(write: Write) -> Read:
    """Bytes -> what the evidence layer reads in a file of them."""

    def make(data: bytes) -> Reading:
        with EvidenceFile.open(write(data), hashed=False) as file:
            return snapshot.read_file(file)

    return make
