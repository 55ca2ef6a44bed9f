"""What values say they are, as Go decodes them: in any order, spelling and place, under every key."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import cbor2
import numpy as np
import pytest

import auditor
from auditor import Options, Severity
from auditor.arrays.buffer import Buffer
from auditor.evidence.protobuf_wire import encoded_varint
from auditor.kubernetes import payloads, store, type_meta
from auditor.model.vocabulary import Encoding
from auditor.protobuf import kubernetes_pb2 as pb
from tests.helpers import bolt_builder as bolt
from tests.helpers import members_on_disk, sealing
from tests.helpers.batches import batch, values_batch
from tests.helpers.ciphertexts import PREFIXES
from tests.helpers.objects import CBOR, StoredObject, field

THING = StoredObject(name=b"leak", data={b"password": b"planted-value-0123456789"})
RAW = pb.Unknown.FromString(THING.protobuf()[4:]).raw
TREE = THING.tree()
TEXT = THING.json()
END = b"\x1a\0\x22\0"
VERSION, KIND = field(1, b"v1"), field(2, b"Secret")


def number(field_number: int, wide: int = 0) -> bytes:
    return encoded_varint(field_number << 3) + b"\x81" * wide + b"\x01"


def tagged(tag: bytes, content: bytes) -> bytes:
    return tag + encoded_varint(len(content)) + content


ENVELOPES = {
    "kind before version": field(1, KIND + VERSION) + field(2, RAW) + END,
    "the last of two kinds": field(1, VERSION + field(2, b"ConfigMap") + KIND) + field(2, RAW) + END,
    "two TypeMetas": field(1, VERSION + field(2, b"Pod")) + field(1, KIND) + field(2, RAW) + END,
    "TypeMeta last": field(2, RAW) + field(1, VERSION + KIND),
    "a long length": b"\x0a\x8c\x00" + VERSION + KIND + field(2, RAW) + END,
    "a length of ten bytes": b"\x0a\x8c" + b"\x80" * 8 + b"\x00" + VERSION + KIND + field(2, RAW) + END,
    "a tag of ten bytes": tagged(b"\x8a" + b"\x80" * 8 + b"\x00", VERSION + KIND) + field(2, RAW),
    "a field number of more than 32 bits": tagged(encoded_varint((1 + (1 << 32)) << 3 | 2), VERSION + KIND) + END,
    "an unknown number in TypeMeta": field(1, number(9) + VERSION + KIND) + field(2, RAW) + END,
    "a group before": b"\x4b" + number(1) + b"\x4c" + field(1, VERSION + KIND) + field(2, RAW) + END,
    "no version": field(1, KIND) + field(2, RAW) + END,
    "the core group's slash": field(1, field(1, b"/v1") + KIND) + field(2, RAW) + END,
    "no end": field(1, VERSION + KIND) + field(2, RAW),
    "cut": (field(1, KIND + VERSION) + field(2, RAW))[:-5],
}
JSON = {
    "an escaped kind": TEXT.replace(b'"Secret"', b'"\\u0053ecret"'),
    "an escaped name": TEXT.replace(b'"kind"', b'"\\u006bind"'),
    "a name in capitals": TEXT.replace(b'"kind"', b'"KIND"'),
    "the last of two": b'{"kind":"Pod",' + TEXT[1:],
    "a null behind": TEXT[:-1] + b',"kind":null}',
    "a number of many digits": TEXT[:-1] + b',"x":' + b"9" * 5000 + b"}",
    "many levels": TEXT[:-1] + b',"x":' + b"[" * 3000 + b"]" * 3000 + b"}",
    "levels and digits": b'{"x":' + b'{"a":' * 900 + b"9" * 5000 + b"}" * 900 + b"," + TEXT[1:],
    "no UTF-8": TEXT[:-1] + b',"x":"\xff\xfe"}',
    "no UTF-8, an escaped kind": TEXT.replace(b'"Secret"', b'"\\u0053ecret"')[:-1] + b',"x":"\xff"}',
    "half a surrogate": TEXT[:-1] + b',"x":"\\ud800"}',
    "cut": TEXT[:-5],
    "NULs behind": TEXT + bytes(40),
    "blanks": b"{ \r\n\t" + TEXT[1:],
}
ITEMS = THING.cbor()
CBORS = {
    "chunks": ITEMS.replace(b"\x46Secret", b"\x5f\x43Sec\x43ret\xff"),
    "text in chunks": ITEMS.replace(b"\x46Secret", b"\x7f\x63Sec\x63ret\xff"),
    "no end in sight": CBOR + b"\xbf" + ITEMS[4:] + b"\xff",
    "a tag before": CBOR + ITEMS,
    "far": CBOR + cbor2.dumps({"zz": "q" * 100, **TREE}),
    "a bad time": CBOR + cbor2.dumps({**TREE, "t": cbor2.CBORTag(0, "notatime")}),
    "many levels": CBOR + b"\xa4" + cbor2.dumps("x") + b"\x81" * 5000 + b"\x00" + ITEMS[4:],
    "cut": ITEMS[:-5],
}
FORMS: dict[str, bytes] = {
    **{f"protobuf, {name}": b"k8s\0" + value for name, value in ENVELOPES.items()},
    **{f"JSON, {name}": value for name, value in JSON.items()},
    **{f"CBOR, {name}": value for name, value in CBORS.items()},
}
KEYS = (b"/registry/foos/a/b", b"/registry/configmaps/a/b", b"/registry/masterleases/a", b"compact_rev_key", b"x")


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_in_any_writing_is_one_under_every_key(form: str) -> None:
    classified = store.classify([batch([(key, FORMS[form]) for key in KEYS])])
    (part,) = [part for part in classified.parts if len(part) == len(KEYS)]
    assert [classified.resources[code].name for code in part.resource.tolist()] == ["secrets"] * len(KEYS)


def record(value: bytes, key: bytes = b"/registry/foos/a/b") -> list[bolt.Pair]:
    return [bolt.record(50, key, value)]


def ends(path: Path) -> int:
    return auditor.scan(path, Options()).exit_code(Severity.MEDIUM)


@pytest.mark.parametrize("form", ["protobuf, kind before version", "JSON, no UTF-8", "CBOR, chunks"])
@pytest.mark.parametrize("place", ["latest", "history", "freed", "log"])
def test_it_is_a_finding_in_every_place(form: str, place: str, tmp_path: Path) -> None:
    value, key, path = FORMS[form], b"/registry/foos/a/b", tmp_path / "a.db"
    clean = members_on_disk.clean()
    if place == "log":
        from tests.evidence.etcd.test_wal import put

        path = members_on_disk.data_directory(tmp_path / "data", put(key, value))
    elif place == "freed":
        kv = field(1, key) + b"\x10\x32\x18\x32\x20\x01" + field(5, value)
        members_on_disk.write(path, bolt.backend(clean, freed=[bolt.leaf("<", 2, [(0, bolt.revision(50), kv)])]).seal())
    else:
        later = [bolt.record(51, key, members_on_disk.sealed(b"later")[1])] if place == "history" else []
        members_on_disk.write(path, bolt.backend([*clean, bolt.record(50, key, value), *later]).seal())
    assert ends(path) == 1


UNREADABLE = {
    "JSON whose kind does not come": b'{"a":nonsense,"b":{"kind":"Secret","data":{"p":"cGxhbnRlZA=="}}}',
    "JSON of another kind": b'{"kind":"Pod","a":' + b"\x01" + b',"b":' + TEXT + b"}",
    "CBOR whose kind does not come": CBOR + b"\xa3\x41a\xfc" + b"\x44kind\x46Secret",
    "an envelope that ends early": b"k8s\0" + field(2, RAW)[:-3],
}


@pytest.mark.parametrize("form", UNREADABLE)
def test_what_does_not_decode_and_may_be_a_secret_is_decisive(form: str, tmp_path: Path) -> None:
    for number_, key in enumerate(KEYS):
        path = tmp_path / f"{number_}.db"
        members_on_disk.write(path, bolt.backend([*members_on_disk.clean(), *record(UNREADABLE[form], key)]).seal())
        assert ends(path) in {1, 3}, key


HONEST = {
    "a template": b'{{ if .Values.x }} it speaks of a Secret and of "kind" {{ end }}',
    "another's kind": json.dumps({"kind": "Job", "ref": {"kind": "Secret"}, "html": "\\u003c \\u0041"}).encode(),
    "another group's Secret": json.dumps({"apiVersion": "example.com/v1", "kind": "Secret"}).encode(),
    "digits": b'{"kind":"Pod","apiVersion":"v1","x":' + b"9" * 5000 + b',"y":{"kind":"Secret"}}',
}


@pytest.mark.parametrize("form", HONEST)
def test_what_is_no_secret_is_none(form: str, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    members_on_disk.write(path, bolt.backend([*members_on_disk.clean(), *record(HONEST[form])]).seal())
    assert ends(path) == 0


KEY_OF = {"whole": TEXT, "behind a prefix": b"/registry/x/" + TEXT}


@pytest.mark.parametrize("form", KEY_OF)
def test_a_key_that_is_an_object_is_judged(form: str, tmp_path: Path) -> None:
    for number_, value in enumerate((b"", b"x", b'{"a":1}')):
        path = tmp_path / f"{number_}.db"
        members_on_disk.write(path, bolt.backend([*members_on_disk.clean(), *record(value, KEY_OF[form])]).seal())
        assert ends(path) in {1, 3}


KMS_1 = (4).to_bytes(2, "big") + b"dek!"
BEHIND: dict[str, Callable[[bytes], bytes]] = {
    **{
        provider: lambda payload, provider=provider: PREFIXES[provider] + b"key1:" + payload  # type: ignore[misc]
        for provider in ("aesgcm", "secretbox", "kms v2")
    },
    "kms v1, its framing": lambda payload: PREFIXES["kms v1"] + b"key1:" + KMS_1 + payload,
    "kms v2, its framing": lambda payload: PREFIXES["kms v2"] + b"key1:" + field(1, payload) + field(2, b"kek"),
}
PAYLOADS = {
    "the object alone": RAW,
    "an envelope": b"k8s\0" + ENVELOPES["TypeMeta last"],
    "an escaped kind": JSON["an escaped kind"],
    "blanks": b"\n  " + JSON["an escaped kind"],
    "no UTF-8": b'{"x":"\xff\xff",' + TEXT[1:],
    "CBOR": CBORS["chunks"],
    "YAML": b"kind: Secret\napiVersion: v1\ndata:\n  password: cGxhbnRlZA==\n",
}


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("prefix", BEHIND)
def test_a_readable_payload_is_malformed(payload: str, prefix: str) -> None:
    (part,) = store.classify([values_batch([BEHIND[prefix](PAYLOADS[payload])])]).parts[:1]
    assert part.prefixes.malformed.tolist() == [True]


def test_ciphertexts_are_not() -> None:
    rng = random.Random(18)
    for form in sealing.FORMS:
        values = [sealing.seal(form, "key1", sealing.KEY, THING, rng) for _ in range(20)]
        (part,) = store.classify([values_batch(values)]).parts
        assert not part.prefixes.malformed.any(), form
    assert not any(payloads.readable(rng.randbytes(size)) for size in (28, 32, 40, 300) for _ in range(5_000))
    assert not any(payloads.readable(b"\x0a" + rng.randbytes(size)) for size in (28, 40, 300) for _ in range(5_000))


def test_columns_tell_what_go_writes() -> None:
    values = [thing.protobuf() for thing in (THING, StoredObject(kind=b"Pod", name=b"n" * 500), StoredObject(name=b""))]
    values += [b"k8s\0" + value for value in ENVELOPES.values()]
    at = np.cumsum([0, *map(len, values)])
    canonical, kind_at = type_meta.canonical(
        Buffer(b"".join(values)), at[:-1], np.diff(at), np.zeros(len(values), np.bool_)
    )
    assert canonical.tolist() == [True] * 3 + [name == "the core group's slash" for name in ENVELOPES]
    joined = b"".join(values)
    assert [joined[place + 1 : place + 7] for place in kind_at[[0, 2]].tolist()] == [b"Secret"] * 2


def test_what_is_random_is_told_without_an_error() -> None:
    rng = random.Random(7)
    for encoding, head in ((Encoding.PROTOBUF, b"k8s\0"), (Encoding.JSON, b"{"), (Encoding.CBOR, CBOR)):
        for _ in range(2_000):
            stated = type_meta.of(head + rng.randbytes(rng.randrange(60)), encoding)
            assert not stated.resource
    for value, encoding in ((TEXT, Encoding.JSON), (ITEMS, Encoding.CBOR), (THING.protobuf(), Encoding.PROTOBUF)):
        for end in range(4, len(value)):
            type_meta.of(value[:end], encoding)
