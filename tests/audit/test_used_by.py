"""Who refers to a Secret: every kind of reference, in every encoding, current or of the leftover's own revision."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import auditor
from auditor.arrays.buffer import Buffer
from auditor.kubernetes import references
from auditor.model.audit import Audit
from tests.helpers import users
from tests.helpers.etcd import snapshot_after
from tests.helpers.fixtures import FIXTURES

EVERY = json.loads((FIXTURES / "cases" / "every-reference" / "objects.json").read_text())


@pytest.mark.parametrize("resource", EVERY)
def test_every_field_of_the_api_that_refers_to_a_secret(resource: str) -> None:
    """Objects in which every field is filled, encoded by the API's own descriptions; all other names are decoys."""
    raw = base64.b64decode(EVERY[resource]["object"])
    buffer, one = Buffer(raw), np.array([len(raw)])
    extract = references.of_protobuf(buffer, np.array([0]), one, np.array([references.message_code(resource)]))
    found = extract.references
    names = [name.decode() for name in buffer.slices(found.name_at, found.name_size)]
    assert sorted(names) == sorted(EVERY[resource]["secrets"])
    assert not extract.malformed.any()


def cells(audit: Audit, column: str = "used_by", place: str = "latest") -> dict[str, str]:
    columns = audit.rows.columns
    rows = zip(*(columns[name] for name in ("place", "namespace", "name", column)), strict=True)
    return {f"{namespace}/{name}": str(cell) for where, namespace, name, cell in rows if where == place}


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    return snapshot_after(tmp_path_factory.mktemp("users"), users.fill)


@pytest.mark.etcd
def test_every_kind_of_reference(snapshot: Path) -> None:
    assert cells(auditor.scan(snapshot)) == users.EXPECTED
