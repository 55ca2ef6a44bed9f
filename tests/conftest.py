"""Markers, Hypothesis' profiles, and what every test of an evidence reader needs: a file of given bytes, read."""

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, settings

from auditor.evidence.etcd import snapshot
from auditor.evidence.file import EvidenceFile
from auditor.evidence.reading import Reading
from tests.helpers import markers, members
from tests.helpers.sweeps import everything

Write: TypeAlias = Callable[[bytes], Path]
Read: TypeAlias = Callable[[bytes], Reading]

PROFILE = "ETCD_AUDITOR_TEST_PROFILE"
"""Hypothesis' profile: `ci` (the same examples every time) where CI is set, else `dev`; `nightly` looks for longer."""
# a deadline would be an assertion on time, and so is the health check of a slow machine
relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("dev", relaxed)
settings.register_profile("ci", relaxed, derandomize=True, max_examples=50)
settings.register_profile("nightly", relaxed, max_examples=2000)
settings.load_profile(os.environ.get(PROFILE) or ("ci" if os.environ.get("CI") else "dev"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function):
            markers.mark(item)
    if not everything() and "night" not in config.option.markexpr:
        of_night = [item for item in items if item.get_closest_marker("night")]
        config.hook.pytest_deselected(items=of_night)
        items[:] = [item for item in items if not item.get_closest_marker("night")]
    # modules that take minutes come first: else one worker would have them when the others have nothing left
    items.sort(key=lambda item: not item.nodeid.startswith(markers.LONGEST))


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
