"""Several responses in one file: the output of `etcdctl get` in a loop. All are read, and what is between is told."""

import base64
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import auditor
from auditor import Audit, Options
from auditor.protobuf.kv_pb2 import KeyValue
from tests.helpers.ciphertexts import ciphertext
from tests.helpers.objects import StoredObject, field

SEALED = (b"/registry/secrets/a/enc", ciphertext("secretbox", b"box", bytes(range(100, 180))))
READABLE = StoredObject(namespace=b"b", name=b"plain", data={b"password": b"CANARY-responses-71"})
EVERY = Options(resources=("*",))
Row = tuple[bytes, bytes]


def as_json(records: Sequence[Row], revision: int = 9, cluster: int = 1, count: int | None = None) -> bytes:
    kvs = [
        {
            "key": base64.b64encode(key).decode(),
            "create_revision": 2,
            "mod_revision": revision,
            "version": 1,
            "value": base64.b64encode(value).decode(),
        }
        for key, value in records
    ]
    header = {"cluster_id": cluster, "member_id": 2, "revision": revision, "raft_term": 2}
    response = {"header": header, "kvs": kvs, "count": len(kvs) if count is None else count}
    return json.dumps(response, separators=(",", ":")).encode() + b"\n"


def as_protobuf(records: Sequence[Row], revision: int = 9, cluster: int = 1, count: int | None = None) -> bytes:
    kvs = [
        KeyValue(key=key, create_revision=2, mod_revision=revision, version=1, value=value).SerializeToString()
        for key, value in records
    ]
    header = bytes([0x08, cluster, 0x10, 2, 0x18, revision, 0x20, 2])
    body = b"".join(field(2, stored) for stored in kvs)
    return field(1, header) + body + bytes([0x20, len(kvs) if count is None else count])


FORMS = pytest.mark.parametrize("form", [as_json, as_protobuf])
Form = Callable[..., bytes]


def scan(folder: Path, raw: bytes) -> Audit:
    (folder / "dump").write_bytes(raw)
    return auditor.scan(folder / "dump", EVERY)


@FORMS
def test_every_response_is_read(tmp_path: Path, form: Form) -> None:
    audit = scan(tmp_path, form([SEALED]) + form([]) + form([(READABLE.key, READABLE.protobuf())]))
    assert set(audit.inventory.key) == {"/registry/secrets/a/enc", "/registry/secrets/b/plain"}
    assert set(audit.inventory.place) == {"latest"}
    assert set(audit.findings.finding) == {"plaintext"}
    assert not audit.gaps
    assert any("3 responses" in note for note in audit.notes)


@FORMS
def test_a_key_of_two_responses_is_in_force_as_it_was_written_last(tmp_path: Path, form: Form) -> None:
    newer, older = form([SEALED], 9), form([(SEALED[0], READABLE.protobuf())], 7)
    audit = scan(tmp_path, newer + older)
    assert dict(zip(audit.inventory.mod_revision, audit.inventory.place, strict=True)) == {9: "latest", 7: "history"}
    assert audit.evidence.backend.revision == 9


@FORMS
def test_a_key_of_two_clusters_is_in_force_in_both(tmp_path: Path, form: Form) -> None:
    audit = scan(tmp_path, form([SEALED], 9, 1) + form([(SEALED[0], READABLE.protobuf())], 7, 3))
    assert set(audit.inventory.place) == {"latest"}
    assert audit.evidence.backend.cluster_id is None


@FORMS
@pytest.mark.parametrize("position", [0, 1])
def test_each_response_must_have_the_keys_that_it_counts(tmp_path: Path, form: Form, position: int) -> None:
    counts = [None, None]
    counts[position] = 3  # type: ignore[call-overload]
    raw = form([SEALED], 9, 1, counts[0]) + form([(READABLE.key, SEALED[1])], 9, 1, counts[1])
    (part,) = [part for part in scan(tmp_path, raw).unexamined if part.decisive]
    assert part.what == "2 keys"
    assert "whether others hold the rest cannot be told" in part.reason


def test_pages_of_one_range_are_not_said_to_lack_what_the_next_one_has(tmp_path: Path) -> None:
    (part,) = [
        part
        for part in scan(tmp_path, as_json([SEALED], 9, 1, 2) + as_json([(READABLE.key, SEALED[1])])).unexamined
        if part.decisive
    ]
    assert part.what == "1 key"
    assert part.reason.startswith("1 response of 2 holds 1 of 2 keys")


def in_strings(raw: bytes) -> bytes:
    """The same response as etcd's gateway to JSON writes it."""
    return re.sub(rb":(\d+)", rb':"\1"', raw)


TEXTS: dict[str, Callable[[bytes], bytes]] = {
    "etcd's gateway": in_strings,
    "a byte order mark": lambda raw: b"\xef\xbb\xbf" + raw,
    "PowerShell": lambda raw: raw.replace(b"\n", b"\r\n").decode().encode("utf-16"),
    "UTF-16, big end first": lambda raw: b"\xfe\xff" + raw.decode().encode("utf-16-be"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_dump_in_another_dress_is_the_same_dump(tmp_path: Path, name: str) -> None:
    raw = as_json([SEALED]) + as_json([(READABLE.key, READABLE.protobuf())])
    plain, audit = scan(tmp_path, raw), scan(tmp_path, TEXTS[name](raw))
    assert audit.complete
    assert not audit.gaps
    assert audit.evidence.kind is plain.evidence.kind
    columns = ["key", "place", "provider", "mod_revision", "encoding"]
    assert audit.inventory[columns].equals(plain.inventory[columns])


def test_utf_16_in_which_a_byte_was_lost_is_a_gap(tmp_path: Path) -> None:
    raw = as_json([(READABLE.key, READABLE.protobuf())]).replace(b'"version"', '"vérsion"'.encode())
    audit = scan(tmp_path, raw.decode().encode("utf-16"))
    assert any("is no ASCII: PowerShell may have made them of other bytes" in gap.reason for gap in audit.gaps)


@FORMS
def test_bytes_behind_a_response_are_a_gap(tmp_path: Path, form: Form) -> None:
    whole = form([SEALED])
    (gap,) = scan(tmp_path, whole + b"\xff command terminated with exit code 1").gaps
    assert gap.offset == len(whole)
    assert gap.length == len(b"\xff command terminated with exit code 1")


def test_bytes_between_two_responses_are_a_gap_and_the_next_one_is_read(tmp_path: Path) -> None:
    audit = scan(tmp_path, as_json([SEALED]) + b"exit 1\n" + as_json([(READABLE.key, READABLE.protobuf())]))
    assert len(audit.inventory) == 2
    (gap,) = audit.gaps
    assert gap.length == len(b"exit 1\n")


@FORMS
def test_a_header_that_holds_more_than_etcds_is_a_gap(tmp_path: Path, form: Form) -> None:
    raw = form([SEALED])
    if form is as_json:
        more = raw.replace(b'"raft_term":2', b'"raft_term":2,"note":"aHVudGVyMg=="')
    else:
        more = field(1, raw[2 : 2 + raw[1]] + field(15, b"hunter2")) + raw[2 + raw[1] :]
    assert any("header" in gap.reason for gap in scan(tmp_path, more).gaps)
