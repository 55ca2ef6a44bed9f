"""A readable Secret that is planted anywhere in honest, encrypted evidence keeps the audit from ending with 0.

Whatever it destroys where it is written, checksums are made right again: nothing but its own bytes gives it away.
"""

from pathlib import Path

import cbor2
import pytest

import auditor
from auditor import Options, Severity
from auditor.errors import UnreadableEvidence
from tests.helpers import kine_stages
from tests.helpers.fixtures import MIGRATION, repair
from tests.helpers.objects import StoredObject
from tests.helpers.sweeps import sample

THING = StoredObject(name=b"planted", data={b"password": b"planted-value-0123456789"})
TREE = THING.tree()
FORMS = {
    "protobuf": THING.protobuf(),
    "json": THING.json(),
    "json, sorted and spaced": b'{ "apiVersion" : "v1",\n "data": {"password": "cGxhbnRlZA=="},\n "kind" : "Secret" }',
    "cbor": b"\xd9\xd9\xf7" + cbor2.dumps(dict(sorted(TREE.items()))),
}
STEP = 509
"""Bytes between two places: a prime, so that they fall on every part of an element."""


def ends_with_0(path: Path, config: Path) -> bool:
    try:
        audit = auditor.scan(path, Options(encryption_configs=(str(config),), rows=False))
    except UnreadableEvidence:
        return False
    return audit.exit_code(Severity.MEDIUM) == 0


def planted(raw: bytes, form: bytes, at: int) -> bytes:
    return raw[:at] + form + raw[at + len(form) :]


def places(path: Path, size: int, first: int) -> list[int]:
    """Where a Secret of this size may be planted: anywhere but inside one readable value, whose part it then is."""
    rows = auditor.scan(path, Options(resources=("*",))).inventory
    rows = rows[rows.provider == "identity"]
    readable = [(at, at + length) for at, length in zip(rows.offset.tolist(), rows["size"].tolist(), strict=True)]
    end = path.stat().st_size - 32 - size
    every = [*range(first, end, STEP), end]
    return [at for at in every if not any(begin < at and at + size <= stop for begin, stop in readable)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("stage", ["5-defragmented", "7-rotated"])
def test_in_a_snapshot(stage: str, form: str, tmp_path: Path) -> None:
    snapshot, config = MIGRATION / f"{stage}.db", MIGRATION / f"{stage}.encryption.json"
    assert ends_with_0(snapshot, config)
    raw = snapshot.read_bytes()
    for at in sample(places(snapshot, len(FORMS[form]), 2 * 4096), 25):
        (tmp_path / "planted.db").write_bytes(repair(planted(raw, FORMS[form], at)))
        assert not ends_with_0(tmp_path / "planted.db", config), f"{form} at {at}"


@pytest.mark.parametrize("form", FORMS)
def test_in_a_database_of_kine(form: str, tmp_path: Path) -> None:
    """None of its stages ends with 0: their leftovers are what they are for. The Secret itself must be told."""
    stage = kine_stages.STAGES[0]
    folder = kine_stages.unpack(stage, tmp_path)
    raw = (folder / "state.db").read_bytes()
    for at in sample(places(folder / "state.db", len(FORMS[form]), 100), 15):
        (folder / "state.db").write_bytes(planted(raw, FORMS[form], at))
        audit = auditor.scan(folder / "state.db", Options(encryption_configs=(kine_stages.configuration(stage),)))
        rows = audit.inventory[audit.inventory.source == "state.db"]
        around = (rows.offset < at + len(FORMS[form])) & (rows.offset + rows["size"] > at)
        assert around.any() or not audit.complete, f"{form} at {at}"
