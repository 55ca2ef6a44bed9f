"""What the sweep meets outside every row is judged, in whatever writing it stands; inside readable ones nothing is."""

import base64
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

import auditor
from auditor import Options, Severity
from auditor.model.audit import Audit
from tests.helpers.ciphertexts import ciphertext
from tests.helpers.objects import StoredObject

THING = StoredObject(name=b"planted", data={b"password": b"planted-value-0123456789"})
VALUE = THING.protobuf()
JSON = b'{ "apiVersion" : "v1",\n "data": {"password": "cGxhbnRlZA=="},\n "kind" : "Secret" }'
SEALED = ciphertext("secretbox", b"box", bytes(range(100, 180)))
Row = tuple[bytes, bytes]


def backslashes(raw: bytes) -> bytes:
    for octet, escape in ((b"\\", b"\\\\"), (b"\0", b"\\0"), (b"\n", b"\\n"), (b"'", b"\\'"), (b'"', b'\\"')):
        raw = raw.replace(octet, escape)
    return b"'" + raw + b"'"


WRITINGS: dict[str, Callable[[bytes], bytes]] = {
    "base64": base64.b64encode,
    "base64, one byte before": lambda raw: base64.b64encode(b"x" + raw),
    "base64, two bytes before": lambda raw: base64.b64encode(b"xy" + raw),
    "base64 in lines": lambda raw: base64.encodebytes(b"x" * 50 + raw),
    "base64 in indented lines": lambda raw: base64.encodebytes(raw).replace(b"\n", b"\r\n      "),
    "hex": lambda raw: raw.hex().encode(),
    "HEX": lambda raw: raw.hex().upper().encode(),
    "SQL": lambda raw: b"X'" + raw.hex().encode() + b"'",
    "bytea": lambda raw: b"\\\\x" + raw.hex().encode(),
    "backslashes": backslashes,
    "JSON": lambda raw: json.dumps(raw.decode("latin1")).encode(),
}


def dump(*rows: Row) -> bytes:
    kvs = [
        {
            "key": base64.b64encode(key).decode(),
            "create_revision": 2,
            "mod_revision": 3 + number,
            "version": 1,
            "value": base64.b64encode(value).decode(),
        }
        for number, (key, value) in enumerate(rows)
    ]
    header = {"cluster_id": 1, "member_id": 2, "revision": 90, "raft_term": 2}
    return json.dumps({"header": header, "kvs": kvs, "count": len(kvs)}, separators=(",", ":")).encode()


def scan(folder: Path, raw: bytes, *resources: str) -> Audit:
    (folder / "evidence").write_bytes(raw)
    return auditor.scan(folder / "evidence", Options(resources=resources or ("secrets",)))


def readable(audit: Audit) -> list[tuple[int, int]]:
    """Offset and size of every readable Secret."""
    rows = audit.inventory[(audit.inventory.provider == "identity") & (audit.inventory.resource == "secrets")]
    return list(zip(rows.offset.tolist(), rows["size"].tolist(), strict=True))


def note(audit: Audit) -> str:
    return next(text for text in audit.notes if text.startswith("sweep of"))


CASES = [(VALUE, writing) for writing in WRITINGS]
CASES += [(JSON, writing) for writing in WRITINGS if writing not in {"backslashes", "JSON"}]
"""Of JSON escaped quotation marks are the plain signature's."""


@pytest.mark.parametrize(("value", "writing"), CASES, ids=[f"{value[:1]!r} {writing}" for value, writing in CASES])
def test_a_value_behind_a_dump(value: bytes, writing: str, tmp_path: Path) -> None:
    body = dump((b"/registry/secrets/a/sealed", SEALED))
    planted = WRITINGS[writing](value)
    audit = scan(tmp_path, body + b"\n-- " + planted + b" --\n")
    (row,) = readable(audit)
    assert len(body) + 4 <= row[0] < row[0] + row[1] <= len(body) + 4 + len(planted)
    assert row[1] >= len(planted) - 80 or "lines" in writing
    assert audit.exit_code(Severity.MEDIUM) == 1
    assert not audit.complete


@pytest.mark.parametrize("before", range(3))
@pytest.mark.parametrize("value", [VALUE, JSON], ids=["protobuf", "json"])
def test_a_value_inside_what_claims_to_be_encrypted(value: bytes, before: int, tmp_path: Path) -> None:
    stored = SEALED + b"x" * ((before - len(SEALED)) % 3) + value + b"zz"
    body = dump((b"/registry/secrets/a/sealed", stored))
    audit = scan(tmp_path, body)
    (row,) = readable(audit)
    start = body.index(b'"value":"') + len(b'"value":"')
    assert start < row[0] < row[0] + row[1] <= start + len(base64.b64encode(stored))
    assert audit.exit_code(Severity.MEDIUM) == 1


@pytest.mark.parametrize("writing", WRITINGS)
def test_a_text_of_no_known_kind(writing: str, tmp_path: Path) -> None:
    planted = WRITINGS[writing](VALUE)
    audit = scan(tmp_path, b"INSERT INTO notes VALUES (1, " + planted + b", 2);\n" * 3)
    assert len(readable(audit)) == 1
    assert [gap.offset for gap in audit.gaps] == [0]
    assert audit.exit_code(Severity.MEDIUM) == 1


def test_values_that_follow_each_other_in_one_text(tmp_path: Path) -> None:
    audit = scan(tmp_path, base64.encodebytes(VALUE * 40))
    rows = readable(audit)
    assert len(rows) == 40
    assert all(one[0] + one[1] <= other[0] for one, other in pairwise(rows))


def test_readable_objects_may_hold_manifests(tmp_path: Path) -> None:
    """Honest evidence: a ConfigMap with a manifest, an annotation with one, a Helm release, a text about encryption."""
    manifest = THING.json()
    compact = json.dumps(THING.tree(), separators=(",", ":")).encode()
    config_map = {b"a.yaml": manifest, b"doc.md": b"values begin with k8s:enc:aescbc:v1:key1:", b"raw": VALUE}
    applied = {b"kubectl.kubernetes.io/last-applied-configuration": compact}
    crd = json.dumps(
        {"apiVersion": "x.io/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"template": THING.tree()}}
    ).encode()
    rows: list[Row] = [
        (b"/registry/secrets/a/sealed", SEALED),
        (b"/registry/configmaps/a/one", StoredObject(kind=b"ConfigMap", name=b"one", data=config_map).protobuf()),
        (b"/registry/pods/a/two", StoredObject(kind=b"Pod", name=b"two", labels=applied).protobuf()),
        (b"/registry/x.io/widgets/a/w", crd),
    ]
    audit = scan(tmp_path, dump(*rows))
    assert audit.exit_code(Severity.MEDIUM) == 0
    assert "manifests inside readable objects: see --hunt" in note(audit)


@pytest.mark.parametrize(
    "row",
    [
        (b"/registry/clusterroles/system:controller:k8s:enc:reader", StoredObject(kind=b"ClusterRole").protobuf()),
        (b'/app/{"kind":"Secret"}/x', b'{"state": "on"}'),
        (b"/app/it's a key", b"text that says k8s:enc: and no more"),
        (b'/registry/configmaps/a/"quoted"', StoredObject(kind=b"ConfigMap", name=b"q", data={}).protobuf()),
        (b"/app/list", json.dumps([{"kind": "Secrets", "items": [1, 2]}]).encode()),
        (b"/app/state", json.dumps({"kind": "Job", "ref": {"kind": "Secret", "name": "x"}}).encode()),
    ],
    ids=["colons", "braces", "apostrophe", "quotes", "list", "reference"],
)
def test_unusual_keys_and_the_data_of_others_are_honest(row: Row, tmp_path: Path) -> None:
    audit = scan(tmp_path, dump((b"/registry/secrets/a/sealed", SEALED), row))
    assert audit.exit_code(Severity.MEDIUM) == 0, [*audit.gaps, *audit.unexamined]


@pytest.mark.parametrize(
    ("asked", "kind", "found"),
    [
        ("configmaps", "ConfigMap", "configmaps"),
        ("networkpolicies.networking.k8s.io", "NetworkPolicy", "networkpolicies.networking.k8s.io"),
        ("widgets.x.io", "Widget", "widgets.x.io"),
        ("*", "Widget", "widgets.x.io"),
    ],
)
def test_other_resources_that_must_be_encrypted(asked: str, kind: str, found: str, tmp_path: Path) -> None:
    group = found.partition(".")[2]
    version = f"{group}/v1" if group else "v1"
    text = json.dumps({"metadata": {"name": "w"}, "kind": kind, "apiVersion": version}).encode()
    body = dump((b"/registry/secrets/a/sealed", SEALED + text))
    audit = scan(tmp_path, body, "secrets", asked)
    (row,) = audit.inventory[audit.inventory.provider == "identity"].itertuples()
    assert (row.resource, row.judged) == (found, "finding")
    assert scan(tmp_path, body).exit_code(Severity.MEDIUM) != 1, "nobody asked for it"


@pytest.mark.parametrize(
    ("text", "findings"),
    [
        ("kind: EncryptionConfiguration\n# text that says k8s:enc:aescbc:v1:key1:\n", 0),
        ('# EncryptionConfiguration\n{"kind": "ConfigMap", "metadata": {"name": "x"}}\n', 0),
        ("# EncryptionConfiguration\n" + THING.json().decode(), 1),
        ("# EncryptionConfiguration\nblob: " + base64.b64encode(VALUE).decode() + "\n", 1),
    ],
    ids=["a prefix", "a ConfigMap", "a Secret", "a Secret in base64"],
)
def test_of_a_companion_only_a_secret_is_a_finding(text: str, findings: int, tmp_path: Path) -> None:
    (tmp_path / "enc.yaml").write_text(text)
    audit = scan(tmp_path, dump((b"/registry/secrets/a/sealed", SEALED)))
    rows = audit.inventory[audit.inventory.source == "enc.yaml"]
    assert list(rows.judged) == ["finding"] * findings
    assert (audit.exit_code(Severity.MEDIUM) == 1) is bool(findings)
