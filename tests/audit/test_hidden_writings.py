"""Values in another writing, where no reader decodes: in etcd keys, names of keys, what claims to be encrypted."""

import base64
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

import auditor
from auditor import Options, Severity
from auditor.evidence.etcd import buckets
from auditor.model.audit import Audit
from auditor.protobuf import kubernetes_pb2 as pb
from tests.audit.test_agreement import dump
from tests.helpers import members_on_disk
from tests.helpers.bolt_builder import backend, record
from tests.helpers.ciphertexts import PREFIXES, ciphertext
from tests.helpers.members_on_disk import LEAK, clean, write
from tests.helpers.objects import StoredObject, envelope

JSON = json.dumps(LEAK.tree(), separators=(",", ":")).encode()
YAML = b"apiVersion: v1\nkind: Secret\ndata:\n  password: Q0FOQVJZ\n"
RAW = pb.Unknown.FromString(LEAK.protobuf()[4:]).raw
WRITINGS: dict[str, bytes] = {
    "an escape in the kind's name": JSON.replace(b'"kind"', b'"k\\u0069nd"'),
    "an escape in the kind": JSON.replace(b'"Secret"', b'"S\\u0065cret"'),
    "base64": base64.b64encode(LEAK.protobuf()),
    "base64 of JSON": base64.b64encode(JSON),
    "hex": LEAK.protobuf().hex().encode(),
    "YAML": YAML,
    "a URL": quote(JSON).encode(),
    "hex with colons": LEAK.protobuf().hex(":").encode(),
    "hexadecimal numbers": b",".join(b"0x%02x" % octet for octet in LEAK.protobuf()),
    "numbers": b",".join(b"%d" % octet for octet in LEAK.protobuf()),
    "octal escapes": b"".join(b"\\%03o" % octet for octet in LEAK.protobuf()),
    "entities of HTML": JSON.replace(b'"', b"&quot;"),
    "base64 of base64": base64.b64encode(base64.b64encode(LEAK.protobuf())),
    "base64 without its beginning": base64.b64encode(LEAK.protobuf())[3:],
    "UTF-16": JSON.decode().encode("utf-16"),
}
NOISE = bytes(range(100, 180))
POD = StoredObject(kind=b"Pod", name=b"a").protobuf()


def audited(folder: Path, key: bytes, value: bytes, *, keys: bool = True) -> Audit:
    path = write(folder / "a.db", backend([*clean(), record(9, key, value)]).seal())
    configs = (members_on_disk.configuration(folder),) if keys else ()
    return auditor.scan(path, Options(encryption_configs=configs))


@pytest.mark.parametrize("writing", WRITINGS)
@pytest.mark.parametrize("path", [b"/registry/pods/a/", b"/another/", b"/registry/secrets/a/"])
def test_in_an_etcd_key(path: bytes, writing: str, tmp_path: Path) -> None:
    value = ciphertext("secretbox", b"other", NOISE) if b"secrets" in path else POD
    audit = audited(tmp_path, path + WRITINGS[writing], value, keys=b"secrets" not in path)
    assert audit.exit_code(Severity.MEDIUM)


def test_an_ordinary_key_is_none(tmp_path: Path) -> None:
    for name in (b"kind-of-secret", b"system:k8s:enc:reader", b"azhz-6b3873"):
        assert audited(tmp_path, b"/registry/pods/a/" + name, POD).exit_code(Severity.MEDIUM) == 0


HELD: dict[str, Callable[[bytes], tuple[bytes, bytes]]] = {
    "in a key": lambda raw: (b"/registry/pods/a/" + raw, POD),
    "in an encrypted value": lambda raw: (
        b"/registry/secrets/default/leak",
        PREFIXES["secretbox"] + b"k:" + NOISE + raw,
    ),
}
INSERT = (
    b"CREATE TABLE kine (id INTEGER PRIMARY KEY, name TEXT, created INTEGER, deleted INTEGER, create_revision INTEGER,"
    b" prev_revision INTEGER, lease INTEGER, value BLOB, old_value BLOB);\n"
    b"INSERT INTO kine VALUES(1,'%s',1,0,0,0,0,X'%s',NULL);\nCOMMIT;\n"
)
DUMPS: dict[str, Callable[[bytes, bytes], bytes]] = {
    "etcdctl": lambda key, value: dump((key, value)),
    "hex of kine's table": lambda key, value: INSERT % (key.replace(b"'", b"''"), value.hex().encode()),
}


IN_DUMPS = [
    (held, writing)
    for held in HELD
    for writing in (*WRITINGS, "CBOR")
    # a key stands in SQL as a text
    if held != "in a key" or (writing != "CBOR" and b"\0" not in WRITINGS[writing])
]


@pytest.mark.parametrize(("held", "writing"), IN_DUMPS)
@pytest.mark.parametrize("store", DUMPS)
def test_in_a_dump_that_is_a_text(store: str, held: str, writing: str, tmp_path: Path) -> None:
    key, value = HELD[held](WRITINGS.get(writing, LEAK.cbor()))
    path = write(tmp_path / "dump", DUMPS[store](key, value))
    audit = auditor.scan(path, Options())
    assert any("holds the beginning of a readable one" in gap.reason for gap in audit.gaps)
    assert audit.exit_code(Severity.MEDIUM)


FRAMES: dict[str, Callable[[bytes], bytes]] = {
    "behind a nonce": lambda raw: PREFIXES["aesgcm"] + b"k:" + NOISE + raw,
    "in a name": lambda raw: PREFIXES["secretbox"] + raw + b":" + NOISE,
    "in the wrapped key of KMS v1": lambda raw: PREFIXES["kms v1"] + b"k:" + len(raw).to_bytes(2, "big") + raw + NOISE,
    "in an annotation of KMS v2": lambda raw: (
        PREFIXES["kms v2"] + b"k:" + part(1, NOISE) + part(2, b"id") + part(4, part(1, b"a.io") + part(2, raw))
    ),
    "in an id of KMS v2": lambda raw: PREFIXES["kms v2"] + b"k:" + part(1, NOISE) + part(2, raw) + part(3, NOISE),
}


def part(number: int, content: bytes) -> bytes:
    size, length = len(content), bytearray()
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([number << 3 | 2, *length, size]) + content


@pytest.mark.parametrize("writing", WRITINGS)
@pytest.mark.parametrize("frame", FRAMES)
def test_in_what_claims_to_be_encrypted(frame: str, writing: str, tmp_path: Path) -> None:
    audit = audited(tmp_path, b"/registry/secrets/default/leak", FRAMES[frame](WRITINGS[writing]), keys=False)
    assert audit.exit_code(Severity.MEDIUM)
    assert WRITINGS[writing].decode("latin-1")[:40] not in "".join(audit.inventory.key_name)


@pytest.mark.parametrize(
    "payload",
    [
        part(9, b"a field of no object") + RAW,
        b"\x60\x03" + RAW,
        b"\x49" + bytes(8) + RAW,
        gzip.compress(RAW),
        LEAK.cbor()[3:],
    ],
    ids=["text first", "number first", "fixed first", "gzip", "CBOR without its tag"],
)
@pytest.mark.parametrize("provider", ["secretbox", "aesgcm", "kms v2"])
def test_an_object_as_a_payload(provider: str, payload: bytes, tmp_path: Path) -> None:
    if provider == "kms v2":
        payload = part(1, payload) + part(2, b"id") + part(3, NOISE)
    audit = audited(tmp_path, b"/registry/secrets/default/leak", PREFIXES[provider] + b"k:" + payload, keys=False)
    assert "unrecognised" in set(audit.findings.finding)


@pytest.mark.parametrize(
    "value",
    [YAML, base64.b64encode(JSON), LEAK.protobuf().hex().encode(), gzip.compress(JSON), JSON.decode().encode("utf-16")],
    ids=["YAML", "base64", "hex", "gzip", "UTF-16"],
)
@pytest.mark.parametrize("key", [b"/registry/configmaps/a/b", b"compact_rev_key", b"/registry/health", b"/another/key"])
def test_a_value_of_no_known_encoding(key: bytes, value: bytes, tmp_path: Path) -> None:
    audit = audited(tmp_path, key, value)
    assert [part.what for part in audit.unexamined if part.decisive] == ["1 value of no known encoding"]


@pytest.mark.parametrize("text", [b"17", b"it says k8s:enc:aescbc:v1:key1: here", b"# kinds\n- Secrets\n", b"x" * 200])
def test_what_another_application_stores_is_none(text: bytes, tmp_path: Path) -> None:
    assert audited(tmp_path, b"/another/key", text).exit_code(Severity.MEDIUM) == 0


def test_a_list_of_secrets(tmp_path: Path) -> None:
    tree = {"kind": "SecretList", "apiVersion": "v1", "items": [LEAK.tree()]}
    values = [json.dumps({**tree, "kind": kind}).encode() for kind in ("SecretList", "List")]
    values += [envelope(b"v1", b"SecretList", part(1, b"") + part(2, RAW))]
    values += [envelope(b"v1", b"List", part(1, b"") + part(2, part(1, LEAK.protobuf())))]
    for value in values:
        assert "plaintext" in set(audited(tmp_path, b"/registry/configmaps/a/b", value).findings.finding)


def test_a_list_of_other_objects_is_none(tmp_path: Path) -> None:
    pod = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a", "annotations": {"kind": "Secret"}}}
    value = json.dumps({"kind": "List", "apiVersion": "v1", "items": [pod]}).encode()
    assert audited(tmp_path, b"/another/key", value).exit_code(Severity.MEDIUM) == 0


def test_no_kind_takes_a_value_out_of_the_secrets(tmp_path: Path) -> None:
    twice = JSON[:-1] + b',"kind":"ConfigMap"}'
    assert "plaintext" in set(audited(tmp_path, b"/registry/secrets/a/b", twice).findings.finding)


@pytest.mark.parametrize("bucket", [b"authRoles", b"authUsers", b"members"])
@pytest.mark.parametrize("writing", ["base64", "hex"])
def test_a_name_in_a_bucket(writing: str, bucket: bytes) -> None:
    text = WRITINGS[writing][:400]
    pair = (text, part(1, text)) if bucket != b"members" else (b"8e9e05c52164694d", b'{"name": "%b"}' % text)
    assert not buckets.known(bucket, *pair)
    plain = (b"root", part(1, b"root")) if bucket != b"members" else (b"8e9e05c52164694d", b'{"name": "etcd-0.svc"}')
    assert buckets.known(bucket, *plain)


def test_many_that_may_be_beginnings_take_no_longer_than_their_bytes(tmp_path: Path) -> None:
    escapes = b"\\u0041" * 40_000
    for payload, code in ((NOISE + escapes, 0), (NOISE + escapes + WRITINGS["base64"], 1), (NOISE * 3_000, 0)):
        value = PREFIXES["secretbox"] + b"k:" + payload
        audit = audited(tmp_path, b"/registry/secrets/default/leak", value, keys=False)
        assert bool(audit.gaps) == bool(code)
