"""One OpenBao for the tests of this folder; and which of them want a machine of their own."""

import os
from collections.abc import Iterator

import pytest

from tests.helpers import opencryptoki
from tests.helpers.openbao import OpenBao

collect_ignore = [] if os.environ.get(opencryptoki.WANTED) else ["test_opencryptoki.py"]
"""Its daemon and its token are the machine's: .ci/long alone takes them."""


@pytest.fixture(scope="package")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    with OpenBao(tmp_path_factory.mktemp("bao")) as server:
        yield server
