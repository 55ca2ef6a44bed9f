"""Toy plugins: a data key that stands in the value itself is known to whoever has it."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor import Options, scan
from tests.helpers.kms_store import Store
from tests.helpers.taint import Taint


def debug(dek: bytes) -> bytes:
    """As Trousseau's provider `debug` beside another one, in any order."""
    return b"vault:-:" + base64.b64encode(b"vault:v1:QUFB") + b"\ndebug:-:" + base64.b64encode(dek) + b"\n"


@pytest.mark.parametrize(
    ("wrap", "reason"),
    [
        (lambda dek: dek, "its data key stands in the value itself: whoever"),
        (base64.b64encode, "in base64"),
        (lambda dek: base64.urlsafe_b64encode(dek).rstrip(b"="), "in base64"),
        (debug, "in base64"),
    ],
)
def test_a_data_key_in_the_value_is_a_known_one(wrap: Callable[[bytes], bytes], reason: str, tmp_path: Path) -> None:
    store = Store()
    store.v1("toy", wrap, 2)
    store.v2("toy", wrap, 2, key_id="1", annotations={"local-kek.kms.kubernetes.io": b"encrypted-local-kek"})
    store.v2("toy", wrap, 2, seed=False)
    result = scan(store.save(tmp_path / "a.db"), Options())
    rows = [row for row in result.inventory.to_dict("records") if "known-key" in row["finding"]]
    assert len(rows) == 6
    assert all(reason in row["detail"] for row in rows)
    assert not Taint([*store.deks, *store.canaries]).within(repr(rows))


def test_wrapped_keys_of_the_same_length_are_none(tmp_path: Path) -> None:
    store = Store()
    store.v1("kms", lambda dek: bytes(a ^ 0x5A for a in dek), 2)
    store.v2("kms", lambda dek: base64.b64encode(bytes(a ^ 0x5A for a in dek)), 2)
    store.v2("kms", lambda dek: b"debug:-:nothing\nvault:-:QUFB\n", 2)
    result = scan(store.save(tmp_path / "a.db"), Options())
    assert not any("known-key" in finding for finding in result.inventory["finding"])
