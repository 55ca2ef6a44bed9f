"""Bytes of a container that are no member's, padding or checksum: a gap, unless something explains them."""

import base64
import gzip
import io
import json
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import lz4.frame
import pytest
from backports import zstd

import auditor
from auditor import Audit
from auditor.evidence.containers import magic, residue
from tests.helpers import packing
from tests.helpers.bolt_builder import backend, record
from tests.helpers.ciphertexts import ciphertext
from tests.helpers.objects import StoredObject

SECRET = StoredObject(name=b"leak", data={b"password": b"CANARY-residue-31"})
LEAK = SECRET.protobuf()
SNAPSHOT = backend([record(2, b"/registry/secrets/a/b", ciphertext("aescbc", b"key1", bytes(range(48))))]).seal()


def scan(folder: Path, raw: bytes) -> Audit:
    (folder / "backup.bin").write_bytes(raw)
    return auditor.scan(folder / "backup.bin")


def of_members(audit: Audit) -> list[str]:
    """The sources of values that are not the container's own."""
    return [source for source in audit.inventory.source if "!" in source]


def frame(content: bytes, number: int = 0) -> bytes:
    return struct.pack("<II", 0x184D2A50 + number, len(content)) + content


@pytest.mark.parametrize("pack", [zstd.compress, lz4.frame.compress])
@pytest.mark.parametrize("order", [1, -1])
def test_a_skippable_frame_that_nothing_explains_is_a_gap(
    tmp_path: Path, pack: Callable[[bytes], bytes], order: int
) -> None:
    audit = scan(tmp_path, b"".join([frame(LEAK), pack(SNAPSHOT)][::order]))
    assert len(of_members(audit)) == 1
    assert any("skippable frames" in gap.reason for gap in audit.gaps)


def test_a_long_skippable_frame_of_zeros_but_for_its_end_is_a_gap(tmp_path: Path) -> None:
    assert scan(tmp_path, zstd.compress(SNAPSHOT) + frame(bytes(3 << 20) + LEAK)).gaps


@pytest.mark.parametrize("content", [b"", bytes(4000), struct.pack("<IIIB4s", 99, 99, 1, 0, b"\xb1\xea\x92\x8f")])
def test_zeros_and_a_seek_table_are_explained(tmp_path: Path, content: bytes) -> None:
    assert not scan(tmp_path, zstd.compress(SNAPSHOT) + frame(content, 14)).gaps


@pytest.mark.parametrize("pack", [zstd.compress, lz4.frame.compress])
def test_a_skippable_frame_may_state_the_length_of_the_next_frame_and_nothing_else(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    packed = pack(SNAPSHOT)
    length = struct.pack("<I", len(packed))
    assert not scan(tmp_path, frame(length) + packed).gaps
    assert not scan(tmp_path, frame(length) + packed + frame(b"")).gaps
    wrong = (
        frame(struct.pack("<I", len(packed) + 1)) + packed,
        frame(length) + frame(length) + packed,
        packed + frame(length),
        frame(length + b"k8s:enc:") + packed,
        b"".join(frame(LEAK[at : at + 16]) for at in range(0, len(LEAK), 16)) + packed,
        b"".join(frame(LEAK[at : at + 4]) for at in range(0, len(LEAK), 4)) + packed,
    )
    for raw in wrong:
        assert any("skippable frames" in gap.reason for gap in scan(tmp_path, raw).gaps)


def gnu_tar(*members: tuple[bytes, str, bytes]) -> bytes:
    """A tar of members with their type, name and content."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for kind, name, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


FILE = (b"0", "backup/a.db", SNAPSHOT)


@pytest.mark.parametrize(
    "member",
    [
        (b"V", "nightly of /dev/sda1", b""),
        (b"V", "/dev/sda1 ../x", b""),
        (b"D", "backup/", b"Ya.db\0Nb.db\0Dlower\0\0"),
        (b"D", "backup/", b"\0"),
        (b"D", "backup/", b""),
    ],
)
def test_labels_and_lists_of_gnu_tar_are_its_own(tmp_path: Path, member: tuple[bytes, str, bytes]) -> None:
    audit = scan(tmp_path, gnu_tar(member, FILE))
    assert of_members(audit) == ["backup.bin!backup/a.db"]
    assert not audit.gaps


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        ((b"V", "nightly", LEAK), "of a type"),
        ((b"D", "backup/", LEAK), "no list"),
        ((b"D", "backup/", b"Y" + base64.b64encode(LEAK) + b"\0\0"), "headers"),
        ((b"D", "backup/", b"Ya.db\0" + bytes(range(1, 40)) + b"\0"), "no list"),
        ((b"M", "b.db", SNAPSHOT[4096:]), "earlier volume"),
        ((b"N", "names", b"Rename a to b\n\0"), "of a type"),
        ((b"Q", "names", SNAPSHOT), "of a type"),
    ],
)
def test_what_else_they_may_hold_is_a_gap(tmp_path: Path, member: tuple[bytes, str, bytes], reason: str) -> None:
    for members in ((member, FILE), (FILE, member)):
        audit = scan(tmp_path, gnu_tar(*members))
        assert "backup.bin!backup/a.db" in of_members(audit)
        assert any(reason in gap.reason for gap in audit.gaps)


TEXTS = (
    base64.b64encode(json.dumps(SECRET.tree(), indent=2).encode()),
    json.dumps(SECRET.tree()).encode().replace(b'"Secret"', b'"\\u0053ecret"'),
    base64.b64encode(SECRET.cbor()),
)


@pytest.mark.parametrize("text", TEXTS)
def test_every_writing_of_a_value_in_headers_and_comments_is_a_gap(tmp_path: Path, text: bytes) -> None:
    def comment(archive: zipfile.ZipFile, _: zipfile.ZipInfo) -> None:
        archive.comment = text

    def of_member(_: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
        info.comment = text

    out = io.BytesIO()
    headers = {"comment": text.decode()}
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, pax_headers=headers) as archive:
        info = tarfile.TarInfo("a.db")
        info.size = len(SNAPSHOT)
        archive.addfile(info, io.BytesIO(SNAPSHOT))
    for raw in (in_zip(comment), in_zip(of_member), in_gzip(16, text + b"\0"), out.getvalue()):
        assert scan(tmp_path, raw).gaps


def test_a_seek_table_of_another_length_is_not(tmp_path: Path) -> None:
    assert not residue.is_explained(LEAK + struct.pack("<IB4s", 3, 0, b"\xb1\xea\x92\x8f"))


def in_gzip(flags: int, fields: bytes) -> bytes:
    plain = gzip.compress(SNAPSHOT, mtime=0)
    return plain[:3] + bytes([flags]) + plain[4:10] + fields + plain[10:]


@pytest.mark.parametrize(
    ("flags", "fields"),
    [(4, struct.pack("<H", len(LEAK)) + LEAK), (8, b'{"kind":"Secret"}\0'), (24, b"name\0k8s:enc:aescbc:v1:\0")],
)
def test_a_value_in_the_header_of_a_gzip_is_a_gap(tmp_path: Path, flags: int, fields: bytes) -> None:
    audit = scan(tmp_path, in_gzip(flags, fields))
    assert len(of_members(audit)) == 1
    assert any("gzip header" in gap.reason for gap in audit.gaps)


@pytest.mark.parametrize(("flags", "fields"), [(8, b"snapshot.db\0"), (4, b"\6\0BC\2\0\0\0"), (12, b"\1\0xn\0")])
def test_a_name_and_an_extra_field_are_none(tmp_path: Path, flags: int, fields: bytes) -> None:
    assert not scan(tmp_path, in_gzip(flags, fields)).gaps


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_bytes_in_the_padding_of_a_tar_are_a_gap(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    raw = bytearray(packing.tar({"a.db": SNAPSHOT, "note.txt": b"hello"}))
    at = raw.find(b"hello") + 5
    raw[at : at + len(LEAK)] = LEAK
    audit = scan(tmp_path, pack(bytes(raw)))
    assert "backup.bin!a.db" in of_members(audit)
    assert any("padding" in gap.reason for gap in audit.gaps)


def test_a_value_in_the_header_of_a_tar_is_a_gap(tmp_path: Path) -> None:
    raw = bytearray(packing.tar({"note.txt": b"hello", "a.db": SNAPSHOT}))
    raw[20 : 20 + 40] = LEAK[:40]
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw[:512])
    assert any("headers" in gap.reason for gap in scan(tmp_path, bytes(raw)).gaps)


def in_zip(change: Callable[[zipfile.ZipFile, zipfile.ZipInfo], None]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo("a.db")
        change(archive, info)
        archive.writestr(info, SNAPSHOT)
    return out.getvalue()


def _comment(archive: zipfile.ZipFile, _: zipfile.ZipInfo) -> None:
    archive.comment = LEAK


def _of_member(_: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    info.comment = LEAK


def _extra(_: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    info.extra = struct.pack("<HH", 0x7777, len(LEAK)) + LEAK


@pytest.mark.parametrize("change", [_comment, _of_member, _extra])
def test_a_value_beside_the_members_of_a_zip_is_a_gap(
    tmp_path: Path, change: Callable[[zipfile.ZipFile, zipfile.ZipInfo], None]
) -> None:
    audit = scan(tmp_path, in_zip(change))
    assert len(of_members(audit)) == 1
    assert any("comments or extra fields" in gap.reason for gap in audit.gaps)


@pytest.mark.parametrize("mode", [0o010600, 0o020600, 0o120777, 0o040700])
@pytest.mark.parametrize("name", ["-", "a.db", "a.db/"])
def test_a_member_of_a_zip_that_has_data_is_data_whatever_its_mode(tmp_path: Path, mode: int, name: str) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        archive.writestr(info, SNAPSHOT)
    audit = scan(tmp_path, out.getvalue())
    assert len(of_members(audit)) == 1
    assert not audit.gaps


@pytest.mark.parametrize("folders", range(1, 32))
def test_a_tar_whose_database_begins_where_a_page_would_is_a_tar(tmp_path: Path, folders: int) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for number in range(folders):
            info = tarfile.TarInfo("d/" * (number + 1))
            info.type = tarfile.DIRTYPE
            archive.addfile(info)
        info = tarfile.TarInfo("d/snapshot.db")
        info.size = len(SNAPSHOT)
        archive.addfile(info, io.BytesIO(SNAPSHOT))
    assert magic.sniff(out.getvalue()[: magic.HEAD]) is magic.Kind.TAR
    if folders in {1, 3}:
        assert not scan(tmp_path, zlib.compress(out.getvalue())).gaps


def test_a_database_without_its_first_meta_page_is_still_one() -> None:
    raw = bytearray(SNAPSHOT)
    raw[:80] = bytes(80)
    assert magic.sniff(bytes(raw)[: magic.HEAD]) is magic.Kind.DATABASE
