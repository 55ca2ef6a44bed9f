"""One OpenBao for the tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.helpers.openbao import OpenBao


@pytest.fixture(scope="package")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    with OpenBao(tmp_path_factory.mktemp("bao")) as server:
        yield server
