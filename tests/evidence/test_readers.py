"""The table of readers: each of its modules is there, and reads as the others do."""

import inspect
from importlib import import_module

import pytest

from auditor.evidence.readers import DATA_DIRECTORY, READERS, LazyReader

LAZY = [reader for reader in (*READERS.values(), DATA_DIRECTORY) if isinstance(reader, LazyReader)]


@pytest.mark.parametrize("reader", LAZY, ids=lambda reader: reader.module.rpartition(".")[2])
def test_a_module_of_the_table_has_a_reader(reader: LazyReader) -> None:
    assert inspect.signature(import_module(reader.module).read).parameters.keys() == {"exhibit", "quick"}
