"""A readable Secret that is planted in a container, beside its members, is a finding at its offset.

Checksums are made right again: of a tar's header, of a zip's and a gzip's content, of frames.
"""

import base64
import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import lz4.frame
import pytest
from backports import zstd

import auditor
from auditor import Audit, Options, Severity
from tests.helpers import packing
from tests.helpers.bolt_builder import backend, record
from tests.helpers.ciphertexts import ciphertext
from tests.helpers.objects import StoredObject

THING = StoredObject(name=b"planted", data={b"password": b"planted-value-0123456789"})
VALUE = THING.protobuf()
SPACED = b'{ "apiVersion" : "v1",\n "data": {"p": "cGxhbnRlZA=="},\n "kind" : "Secret" }'
LETTERS = base64.b64encode(VALUE)
SNAPSHOT = backend(
    [record(2, b"/registry/secrets/a/b", ciphertext("secretbox", b"box", bytes(range(160, 240))))]
).seal()
Plant = Callable[[bytes], tuple[bytes, int]]
"""A container with a Secret, and where it stands in it."""


def audited(folder: Path, raw: bytes) -> Audit:
    (folder / "backup").write_bytes(raw)
    return auditor.scan(folder / "backup", Options())


def at(raw: bytes, value: bytes) -> tuple[bytes, int]:
    return raw, raw.index(value)


def with_checksum(raw: bytearray, header: int) -> bytes:
    raw[header + 148 : header + 156] = b" " * 8
    raw[header + 148 : header + 156] = b"%06o\0 " % sum(raw[header : header + 512])
    return bytes(raw)


def tar() -> bytearray:
    return bytearray(packing.tar({"a.db": SNAPSHOT, "note.txt": b"hello"}))


def in_tar_header(value: bytes) -> tuple[bytes, int]:
    raw = tar()
    header = 512 + (len(SNAPSHOT) + 511) // 512 * 512
    raw[header + 345 : header + 345 + len(value)] = value[:155]
    return at(with_checksum(raw[: len(raw)], header), value[:20])


def in_tar_padding(value: bytes) -> tuple[bytes, int]:
    raw = tar()
    begin = raw.index(b"hello") + 5
    raw[begin : begin + len(value)] = value
    return bytes(raw), begin


def behind_tar(value: bytes) -> tuple[bytes, int]:
    raw = bytes(tar())
    return raw + value, len(raw)


def in_pax_record(value: bytes) -> tuple[bytes, int]:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("a.db")
        info.size = len(SNAPSHOT)
        info.pax_headers = {"comment": value.decode("utf-8", "surrogateescape")}
        archive.addfile(info, io.BytesIO(SNAPSHOT))
    return at(out.getvalue(), value)


def zipped(change: Callable[[zipfile.ZipFile, zipfile.ZipInfo], None]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo("a.db")
        change(archive, info)
        archive.writestr(info, SNAPSHOT)
    return out.getvalue()


def in_zip_comment(value: bytes) -> tuple[bytes, int]:
    return at(zipped(lambda archive, _: setattr(archive, "comment", value)), value)


def in_zip_extra(value: bytes) -> tuple[bytes, int]:
    extra = struct.pack("<HH", 0x7777, len(value)) + value
    return at(zipped(lambda _, info: setattr(info, "extra", extra)), value)


def before_zip(value: bytes) -> tuple[bytes, int]:
    raw = zipped(lambda *_: None)
    end = raw.rindex(b"PK\5\6")
    directory = raw.index(b"PK\1\2")
    entry = bytearray(raw[directory:end])
    tail = bytearray(raw[end:])
    tail[16:20] = struct.pack("<I", directory + len(value))
    return raw[:directory] + value + bytes(entry) + bytes(tail), directory


def in_gzip_comment(value: bytes) -> tuple[bytes, int]:
    plain = gzip.compress(SNAPSHOT, mtime=0)
    extra = struct.pack("<H", len(value)) + value
    return plain[:3] + b"\4" + plain[4:10] + extra + plain[10:], 12


def behind_gzip(value: bytes) -> tuple[bytes, int]:
    plain = gzip.compress(SNAPSHOT)
    return plain + value, len(plain)


def frame(content: bytes) -> bytes:
    return struct.pack("<II", 0x184D2A50, len(content)) + content


def framed(pack: Callable[[bytes], bytes], *, first: bool) -> Plant:
    def plant(value: bytes) -> tuple[bytes, int]:
        packed = pack(SNAPSHOT)
        return (frame(value) + packed, 8) if first else (packed + frame(value), len(packed) + 8)

    return plant


def behind_zstd(value: bytes) -> tuple[bytes, int]:
    packed = zstd.compress(SNAPSHOT)
    return packed + value, len(packed)


def in_packed(inner: Plant) -> Plant:
    """In a layer of its own: positions are those of the unpacked bytes."""

    def plant(value: bytes) -> tuple[bytes, int]:
        raw, begin = inner(value)
        return gzip.compress(raw), begin

    return plant


PLANTS: dict[str, Plant] = {
    "tar header": in_tar_header,
    "tar padding": in_tar_padding,
    "behind a tar": behind_tar,
    "tar.gz padding": in_packed(in_tar_padding),
    "behind a tar in gzip": in_packed(behind_tar),
    "zip comment": in_zip_comment,
    "zip extra field": in_zip_extra,
    "before a zip's directory": before_zip,
    "gzip extra field": in_gzip_comment,
    "behind gzip": behind_gzip,
    "zstd frame before": framed(zstd.compress, first=True),
    "zstd frame behind": framed(zstd.compress, first=False),
    "lz4 frame behind": framed(lz4.frame.compress, first=False),
    "behind zstd": behind_zstd,
}


LAYERS = ("tar.gz padding", "behind a tar in gzip")
CASES = [(name, value) for name in PLANTS for value in (VALUE, SPACED, LETTERS) if name != "tar header"]
CASES += [("tar header", SPACED), ("pax record", SPACED), ("pax record", LETTERS)]
"""A header holds nothing longer, and a record of pax is a text."""


@pytest.mark.parametrize(("name", "value"), CASES, ids=[f"{name} {value[:2]!r}" for name, value in CASES])
def test_beside_the_members_of_a_container(name: str, value: bytes, tmp_path: Path) -> None:
    raw, begin = {**PLANTS, "pax record": in_pax_record}[name](value)
    audit = audited(tmp_path, raw)
    rows = audit.inventory[audit.inventory.provider == "identity"]
    assert begin in set(rows.offset), f"{name}: {list(rows.offset)}, expected {begin}"
    assert set(rows.source) == {"backup!unpacked" if name in LAYERS else "backup"}
    assert set(rows.resource) == {"secrets"}
    assert audit.exit_code(Severity.MEDIUM) == 1
    assert not audit.complete


def test_the_containers_themselves_are_honest(tmp_path: Path) -> None:
    for raw in (bytes(tar()), zipped(lambda *_: None), gzip.compress(SNAPSHOT), zstd.compress(SNAPSHOT)):
        audit = audited(tmp_path, raw)
        assert audit.exit_code(Severity.MEDIUM) == 0, audit.gaps


@pytest.mark.parametrize("form", [VALUE, SPACED, LETTERS], ids=["protobuf", "json", "base64"])
def test_in_a_file_of_no_known_kind_beside_a_snapshot(form: bytes, tmp_path: Path) -> None:
    other = bytes(range(256)) + form if form is not LETTERS else b"-- dump\n" + form + b"\n"
    audit = audited(tmp_path, packing.tar({"a.db": SNAPSHOT, "b.bin": other}))
    (row,) = audit.inventory[audit.inventory.provider == "identity"].itertuples()
    assert (row.source, row.offset) == ("backup!b.bin", other.index(form))
    assert any(gap.source == "backup!b.bin" for gap in audit.gaps)
    alone = audited(tmp_path, packing.tar({"b.bin": other}))
    assert alone.exit_code(Severity.MEDIUM) == 1
