"""Readable values decoded: what they say they are, damage that never raises, and digests that compare data alone."""

import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.kubernetes import objects, times
from auditor.kubernetes.plausibility import NO_NAME
from auditor.model.vocabulary import Encoding
from auditor.protobuf import kubernetes_pb2 as pb
from tests.helpers.fixtures import PLAINTEXT, stored_secrets
from tests.helpers.objects import CBOR, CREATED, StoredObject, envelope
from tests.helpers.sweeps import everything

MARK = b"MARK-d8f3b7"
SECRET = StoredObject(b"payments", b"db", {b"password": MARK, b"user": b"app"}, b"kubernetes.io/basic-auth")
ENCODERS: dict[str, tuple[Encoding, Callable[[StoredObject], bytes]]] = {
    "protobuf": (Encoding.PROTOBUF, StoredObject.protobuf),
    "json": (Encoding.JSON, StoredObject.json),
    "cbor as kube-apiserver writes it": (Encoding.CBOR, StoredObject.cbor),
    "cbor of text strings": (Encoding.CBOR, StoredObject.text_cbor),
}
MAGIC = {Encoding.PROTOBUF: b"k8s\0", Encoding.JSON: b"{", Encoding.CBOR: CBOR}
every_encoding = pytest.mark.parametrize("encoder", ENCODERS)


def decode_object(thing: StoredObject, encoder: str) -> objects.Object:
    encoding, encode = ENCODERS[encoder]
    return objects.decode(encode(thing), encoding)


@every_encoding
def test_a_secret(encoder: str) -> None:
    found = decode_object(SECRET, encoder)
    assert not found.problem
    assert (found.api_version, found.kind) == (b"v1", b"Secret")
    assert (found.namespace, found.name, found.uid) == (b"payments", b"db", SECRET.uid)
    assert found.created == CREATED
    assert found.type == b"kubernetes.io/basic-auth"
    assert sorted(found.data_keys) == [b"password", b"user"]


@every_encoding
def test_a_secret_without_data(encoder: str) -> None:
    found = decode_object(replace(SECRET, data=None), encoder)
    assert not found.problem
    assert found.data_keys == ()
    assert found.content


@every_encoding
@pytest.mark.parametrize(
    ("api_version", "kind"),
    [(b"v1", b"ConfigMap"), (b"v1", b"Namespace"), (b"apps/v1", b"Deployment"), (b"x/v1", b"Secret")],
)
def test_other_kinds(encoder: str, api_version: bytes, kind: bytes) -> None:
    found = decode_object(StoredObject(b"n", b"a", None, kind=kind, api_version=api_version), encoder)
    assert not found.problem
    assert (found.api_version, found.kind, found.namespace, found.name) == (api_version, kind, b"n", b"a")
    assert found.created == CREATED
    assert found.content


@every_encoding
def test_config_maps_tell_their_keys(encoder: str) -> None:
    found = decode_object(StoredObject(b"n", b"a", {b"b.yaml": b"1", b"a.yaml": b"2"}, kind=b"ConfigMap"), encoder)
    assert sorted(found.data_keys) == [b"a.yaml", b"b.yaml"]


def test_a_lease_tells_when_it_was_renewed() -> None:
    lease = pb.Lease()
    lease.metadata.name = b"controller"
    lease.spec.renew_time.seconds = CREATED + 77
    stored = envelope(b"coordination.k8s.io/v1", b"Lease", lease.SerializeToString())
    assert times.newest(stored, Encoding.PROTOBUF) == CREATED + 77


def test_managed_fields_tell_the_newest_time() -> None:
    meta = pb.ObjectMeta(name=b"a")
    meta.creation_timestamp.seconds = CREATED
    for later in (5, 9, 2):
        meta.managed_fields.add().time.seconds = CREATED + later
    raw = pb.Object(metadata=meta).SerializeToString()
    assert times.newest(envelope(b"v1", b"Pod", raw), Encoding.PROTOBUF) == CREATED + 9


@every_encoding
def test_the_time_of_its_making_is_the_newest_where_there_is_no_other(encoder: str) -> None:
    encoding, encode = ENCODERS[encoder]
    assert times.newest(encode(SECRET), encoding) == CREATED


@pytest.mark.parametrize("encoding", Encoding)
def test_what_does_not_decode_names_no_time(encoding: Encoding) -> None:
    assert times.newest(b'{"metadata": 7}', encoding) == times.newest(b"k8s\0\xff", encoding) == 0


def test_texts_that_are_no_utf8() -> None:
    found = decode_object(StoredObject(b"\xff", b"\xfe\0", {b"\xfd": b"1"}, b"\xfc", uid=b"\xfb"), "protobuf")
    assert (found.namespace, found.name, found.data_keys) == (b"\xff", b"\xfe\0", (NO_NAME,))
    assert (found.type, found.uid, found.problem) == (b"\xfc", b"", "")


@every_encoding
@pytest.mark.parametrize("lost", [0, 12, 30], ids=lambda lost: f"{lost} bytes lost")
def test_no_changed_byte_makes_a_text_of_a_value(encoder: str, lost: int) -> None:
    """A length that runs over a value, a tag that makes it a name: texts of an object are shown, values never."""
    text = b"hidden-CANARY-41c7ab"
    thing = StoredObject(b"default", b"stolen", {b"password": text, b"zz": text[::-1]})
    encoding, encode = ENCODERS[encoder]
    whole = encode(thing)
    for at in range(len(whole)):
        for octet in range(256) if everything() else (*range(96), *range(0xD0, 0xE0)):
            changed = whole[:at] + bytes([octet]) + whole[at + 1 :]
            changed = changed[: len(changed) - lost]
            found = objects.decode(changed, encoding, cut=bool(lost), content=not lost)
            shown = [found.kind, found.api_version, found.namespace, found.name, found.uid, found.type]
            shown += [*found.data_keys, *(name for name, _ in found.values), found.problem.encode()]
            assert not any(part in each for each in shown for part in (b"CANARY", b"YRANAC")), (at, octet)


# digests


@every_encoding
@pytest.mark.parametrize(
    "other",
    [
        replace(SECRET, uid=b"another"),
        replace(SECRET, created=CREATED + 1),
        replace(SECRET, labels={b"note": b"rewritten"}),
        replace(SECRET, data={b"user": b"app", b"password": MARK}),
    ],
)
def test_metadata_and_order_do_not_count(encoder: str, other: StoredObject) -> None:
    assert decode_object(SECRET, encoder).content == decode_object(other, encoder).content


@every_encoding
@pytest.mark.parametrize(
    "other",
    [
        replace(SECRET, data={b"password": MARK + b"2", b"user": b"app"}),
        replace(SECRET, data={b"password": MARK}),
        replace(SECRET, data={b"password": b"app", b"user": MARK}),
        replace(SECRET, data={b"passwordu": MARK, b"ser": b"app"}),
        replace(SECRET, data=None),
        replace(SECRET, type=b"Opaque"),
    ],
)
def test_data_and_type_count(encoder: str, other: StoredObject) -> None:
    assert decode_object(SECRET, encoder).content != decode_object(other, encoder).content


@given(
    st.dictionaries(st.text("abc.-", max_size=6).map(str.encode), st.binary(max_size=40), min_size=1, max_size=5),
    st.binary(max_size=40),
)
def test_one_content_in_every_encoding(data: dict[bytes, bytes], other: bytes) -> None:
    contents = {decode_object(replace(SECRET, data=data), encoder).content for encoder in ENCODERS}
    assert len(contents) == 1
    assert contents != {b""}
    changed = {**data, next(iter(data)): other}
    assert (decode_object(replace(SECRET, data=changed), "json").content in contents) == (changed == data)


@every_encoding
def test_other_kinds_compare_all_but_metadata(encoder: str) -> None:
    one = StoredObject(b"n", b"a", {b"k": b"v"}, kind=b"ConfigMap")
    assert decode_object(one, encoder).content == decode_object(replace(one, labels={b"a": b"b"}), encoder).content
    assert decode_object(one, encoder).content != decode_object(replace(one, data={b"k": b"w"}), encoder).content


@every_encoding
def test_repr_shows_nothing(encoder: str) -> None:
    found = decode_object(SECRET, encoder)
    assert repr(found) == "Object(...)"
    assert str(found) == f"{found}" == "Object(...)"


# damage


def harmless(value: bytes, encoding: Encoding) -> objects.Object:
    """decode() that did not raise, with a problem that quotes nothing of the value."""
    found = objects.decode(value, encoding)
    assert found.problem in PROBLEMS
    assert bool(found.problem) != bool(found.content)
    return found


PROBLEMS = {
    "",
    "no protobuf envelope",
    "an envelope that names no kind",
    "an object that names no kind",
    "text that is not UTF-8",
    "does not decode as json",
    "does not decode as cbor",
    "does not decode as protobuf",
    "no known encoding",
}


@pytest.mark.parametrize("encoding", MAGIC, ids=lambda encoding: encoding.label)
@given(st.binary(max_size=120))
def test_any_bytes_behind_a_magic(encoding: Encoding, raw: bytes) -> None:
    harmless(MAGIC[encoding] + raw, encoding)


@pytest.mark.parametrize("encoding", MAGIC, ids=lambda encoding: encoding.label)
@pytest.mark.parametrize("length", range(8))
def test_hardly_any_bytes(encoding: Encoding, length: int) -> None:
    assert harmless((MAGIC[encoding] + b"\0" * 8)[:length], encoding).problem


@every_encoding
@given(st.data())
def test_mutated_values(encoder: str, data: st.DataObject) -> None:
    encoding, encode = ENCODERS[encoder]
    value = bytearray(encode(SECRET))
    for _ in range(data.draw(st.integers(1, 4))):
        value[data.draw(st.integers(len(MAGIC[encoding]), len(value) - 1))] = data.draw(st.integers(0, 255))
    found = harmless(bytes(value[: data.draw(st.integers(4, len(value)))]), encoding)
    assert MARK.decode() not in found.problem


REAL = [value for value, _ in stored_secrets(PLAINTEXT)]


@given(st.data())
def test_mutated_real_values(data: st.DataObject) -> None:
    value = bytearray(data.draw(st.sampled_from(REAL)))
    for _ in range(data.draw(st.integers(1, 4))):
        value[data.draw(st.integers(4, len(value) - 1))] = data.draw(st.integers(0, 255))
    harmless(bytes(value[: data.draw(st.integers(4, len(value)))]), Encoding.PROTOBUF)


def test_real_values_decode() -> None:
    assert len(REAL) >= 29
    for value in REAL:
        found = harmless(value, Encoding.PROTOBUF)
        assert found.kind == b"Secret"
        assert found.data_keys


HOSTILE = {
    "json: deep": (b'{"kind":' + b"[" * 200_000, Encoding.JSON),
    "json: a long number": (b'{"kind":"X","a":' + b"9" * 100_000 + b"}", Encoding.JSON),
    "json: not an object": (b"[1]", Encoding.JSON),
    "json: a kind that is no text": (b'{"kind":{"a":1}}', Encoding.JSON),
    "json: half a surrogate": (b'{"kind":"\\ud800","metadata":{"name":"\\udfff"}}', Encoding.JSON),
    "json: metadata that is none": (b'{"kind":"Secret","metadata":7,"data":[1],"type":null}', Encoding.JSON),
    "json: data that is no base64": (b'{"kind":"Secret","data":{"a":"%%","b":7,"c":null}}', Encoding.JSON),
    "json: times of no calendar": (
        (
            b'{"kind":"X","metadata":{"creationTimestamp":"9999-12-31T23:59:59-23:59",'
            b'"managedFields":[{"time":"0001-01-01T00:00:00+23:59"},7]}}'
        ),
        Encoding.JSON,
    ),
    "json: no utf-8": (b'{"kind":"\xff\xfe"}', Encoding.JSON),
    "cbor: deep": (CBOR + b"\x81" * 200_000, Encoding.CBOR),
    "cbor: deep tags": (CBOR + b"\xc1" * 200_000, Encoding.CBOR),
    "cbor: a huge text": (CBOR + b"\x7b\x7f" + b"\xff" * 7, Encoding.CBOR),
    "cbor: a huge list": (CBOR + b"\x9b\x00\xff" + b"\xff" * 6, Encoding.CBOR),
    "cbor: a huge map": (CBOR + b"\xbb\x00\xff" + b"\xff" * 6, Encoding.CBOR),
    "cbor: a break alone": (CBOR + b"\xff", Encoding.CBOR),
    "cbor: divided by zero": (CBOR + b"\xa1\x61a\xd8\x1e\x82\x01\x00", Encoding.CBOR),
    "cbor: a pattern that is none": (CBOR + b"\xd8\x23\x61(", Encoding.CBOR),
    "cbor: a reference to nothing": (CBOR + b"\xd8\x1d\x00", Encoding.CBOR),
    "cbor: a list that holds itself": (CBOR + b"\xa2\x64kind\x61X\x61a\xd8\x1c\x81\xd8\x1d\x00", Encoding.CBOR),
    "cbor: keys of several types": (CBOR + cbor2.dumps({"kind": "X", "a": {1: 2, "b": 3, b"c": 4}}), Encoding.CBOR),
    "cbor: a key that is a map": (CBOR + b"\xa1\xa0\xa0", Encoding.CBOR),
    "cbor: bytes behind the object": (CBOR + cbor2.dumps({"kind": "X"}) + b"more", Encoding.CBOR),
    "protobuf: a kind alone": (b"k8s\0\x0a\x03\x12\x01X", Encoding.PROTOBUF),
    "protobuf: no object inside": (envelope(b"v1", b"Secret", b"\xff\xff"), Encoding.PROTOBUF),
    "protobuf: metadata of no end": (envelope(b"v1", b"Pod", b"\x0a\xff\xff\xff\xff\xff"), Encoding.PROTOBUF),
    "protobuf: groups": (b"k8s\0" + b"\x0b" * 20_000, Encoding.PROTOBUF),
}


@pytest.mark.parametrize(("value", "encoding"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_values(value: bytes, encoding: Encoding) -> None:
    harmless(value, encoding)


def test_nothing_decodes_where_no_encoding_is_known() -> None:
    assert objects.decode(SECRET.json(), Encoding.NONE).problem


@pytest.mark.parametrize("key", [b"kind", "kind"], ids=["byte strings", "text strings"])
def test_references_do_not_multiply_work(key: str | bytes) -> None:
    """150 bytes of CBOR whose lists each hold the one before eight times: 8^6 numbers if written out."""
    out = CBOR + b"\xa2" + cbor2.dumps(key) + cbor2.dumps(b"X" if isinstance(key, bytes) else "X") + b"\x61a"
    out += b"\x87\xd8\x1c\x81\x00" + b"".join(b"\xd8\x1c\x88" + (b"\xd8\x1d" + bytes([i])) * 8 for i in range(6))
    objects.decode(CBOR + cbor2.dumps({"kind": "X"}), Encoding.CBOR)  # imports what decoding needs
    tracemalloc.start()
    try:
        objects.decode(out, Encoding.CBOR)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100_000
