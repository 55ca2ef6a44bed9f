"""What values hold beside their one envelope, document or payload."""

import json
from pathlib import Path

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

import auditor
from auditor import Options
from auditor.kubernetes import framing
from auditor.protobuf.envelope_pb2 import EncryptedObject
from tests.helpers import bolt_builder as bolt
from tests.helpers.ciphertexts import ciphertext
from tests.helpers.fixtures import SNAPSHOTS, name_of
from tests.helpers.objects import StoredObject
from tests.helpers.planting import FORMS

POD = StoredObject(name=b"p", api_version=b"v1", kind=b"Pod", data={})
SEALED = ciphertext("aescbc", b"key1", bytes(range(48)))
TREE = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "p", "annotations": {"a": "}} x {", "b": "}\\n"}}}
DOCUMENTS = {
    "json": json.dumps(TREE, separators=(",", ":")).encode() + b"\n",
    "json, spaced": json.dumps(TREE, indent=2).encode(),
    "cbor": b"\xd9\xd9\xf7" + cbor2.dumps(TREE),
    "protobuf": POD.protobuf(),
    "kms v2": b"k8s:enc:kms:v2:vault:"
    + EncryptedObject(
        encrypted_data=bytes(range(60)),
        key_id=b"kek-1",
        encrypted_dek_source=bytes(range(48)),
        annotations={"a.example.com": b"1", "b.example.com": b"2"},
        encrypted_dek_source_type=1,
    ).SerializeToString(),
}


def scanned(folder: Path, value: bytes, key: bytes = b"/registry/pods/a/p") -> "auditor.Audit":
    secrets = [bolt.record(2 + number, b"/registry/secrets/a/s%d" % number, SEALED) for number in range(2)]
    (folder / "a.db").write_bytes(bolt.backend([*secrets, bolt.record(9, key, value)]).seal())
    return auditor.scan(folder / "a.db", Options(resources=("secrets",)))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_honest_values_hold_nothing_beside(tmp_path: Path, document: str) -> None:
    audit = scanned(tmp_path, DOCUMENTS[document])
    assert audit.complete
    assert set(audit.inventory.place) == {"latest"}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_stands_behind_a_value_is_told(tmp_path: Path, document: str, form: str) -> None:
    audit = scanned(tmp_path, DOCUMENTS[document] + FORMS[form])
    assert "plaintext" in set(audit.findings.finding) or not audit.complete


@pytest.mark.parametrize("document", ["protobuf", "kms v2"])
def test_a_field_more_or_twice_is_told(tmp_path: Path, document: str) -> None:
    for field in (b"\x0a\x05hello", b"\x7a\x05hello", b"\x0a\xff", b"\x80"):
        audit = scanned(tmp_path, DOCUMENTS[document] + field)
        assert not audit.complete, field


def test_a_type_that_is_too_long_is_told(tmp_path: Path) -> None:
    long = StoredObject(name=b"p", api_version=b"v1" + b"x" * 600, kind=b"Pod", data={})
    assert not scanned(tmp_path, long.protobuf()).complete


def test_a_field_beside_is_told_once_with_those_in_it(tmp_path: Path) -> None:
    # a second TypeMeta, which holds a field that none has
    audit = scanned(tmp_path, DOCUMENTS["protobuf"] + b"\x0a\x0e\x0a\x02v1\x12\x03Pod\x1a\x03abc")
    fragments = audit.inventory[audit.inventory.name == "unknown"].sort_values("offset")
    assert len(fragments)
    assert (fragments.offset.iloc[1:].to_numpy() >= (fragments.offset + fragments["size"]).iloc[:-1].to_numpy()).all()


@pytest.mark.parametrize("path", SNAPSHOTS, ids=name_of)
def test_fixtures_hold_nothing_beside(path: Path) -> None:
    inventory = auditor.scan(path, Options(resources=("*",))).inventory
    assert not inventory.duplicated(["source", "offset"]).any()
    assert not (inventory.key == "").any()


TREES = st.recursive(st.none() | st.text(), lambda each: st.lists(each) | st.dictionaries(st.text(), each))


@given(TREES)
def test_the_length_of_a_document_is_found(tree: object) -> None:
    for text in (json.dumps({"a": tree}), json.dumps({"a": tree}, ensure_ascii=False, indent=1)):
        raw = text.encode("utf-8", "surrogatepass")
        assert framing.document_length(raw + b"{}\xff") == len(raw)
