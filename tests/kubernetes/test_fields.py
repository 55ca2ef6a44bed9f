"""Fields of objects by name: whatever the bytes are, names are printable and nothing is raised."""

import json

from hypothesis import given
from hypothesis import strategies as st

from auditor.kubernetes import fields
from auditor.model.vocabulary import Encoding
from tests.helpers.objects import StoredObject, envelope, field


@given(st.binary(max_size=200), st.sampled_from(list(Encoding)))
def test_arbitrary_bytes(raw: bytes, encoding: Encoding) -> None:
    for value in (raw, b"k8s\0" + raw, envelope(b"v1", b"Secret", raw)):
        found = fields.named(value, encoding)
        assert found is None or all(name.isprintable() for name in found)


@given(st.dictionaries(st.binary(min_size=1, max_size=8), st.binary(min_size=1, max_size=20), min_size=1))
def test_all_data_are_there(data: dict[bytes, bytes]) -> None:
    found = fields.named(StoredObject(data=data).protobuf(), Encoding.PROTOBUF)
    assert found is not None
    assert sorted(value for name, value in found.items() if name.startswith("data.")) == sorted(data.values())


def test_kinds_that_are_not_known_are_told_apart_by_numbers() -> None:
    raw = field(1, field(1, b"name")) + field(2, b"spec") + field(3, b"a") + field(3, b"b")
    found = fields.named(envelope(b"apps/v1", b"Thing", raw), Encoding.PROTOBUF)
    assert found is not None
    assert (found["metadata.name"], found["field 2"], found["field 3"]) == (b"name", b"spec", b"ab")


def test_trees_are_flattened() -> None:
    tree = {"kind": "Widget", "spec": {"size": 3, "parts": ["a", {"b": None}], "none": {}}}
    found = fields.named(json.dumps(tree).encode(), Encoding.JSON)
    assert found == {
        "kind": b"Widget",
        "spec.size": b"3",
        "spec.parts[0]": b"a",
        "spec.parts[1].b": b"null",
        "spec.none": b"{}",
    }
    assert fields.named(b"[1]", Encoding.JSON) is None
    assert fields.named(b"{" * 5000, Encoding.JSON) is None
