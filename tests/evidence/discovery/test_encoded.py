"""A snapshot that stands there as text, or not from the first byte of its file on, is read from where it begins."""

import base64
import gzip
from pathlib import Path

import pytest

import auditor
from auditor.model.audit import Audit
from auditor.model.vocabulary import Severity
from auditor.options import Options
from tests.helpers import bolt_builder, members_on_disk, packing
from tests.helpers.members_on_disk import LEAK, clean, leaking, snapshot, write

SNAPSHOT = snapshot()
BASE64 = base64.b64encode(SNAPSHOT)
LINE = b'Defaulted container "etcd" out of: etcd, wait (init)\r\n'
RAW = bolt_builder.backend(clean(), trailer=False, txids=(3, 4)).seal()


def lines(text: bytes, width: int, end: bytes = b"\n") -> bytes:
    return b"".join(text[at : at + width] + end for at in range(0, len(text), width))


def scan(content: bytes, folder: Path, name: str = "a.db") -> tuple[int, Audit]:
    options = Options(encryption_configs=(members_on_disk.configuration(folder),))
    audit = auditor.scan(write(folder / name, content), options)
    return audit.exit_code(Severity.MEDIUM), audit


ENCODED = {
    "plain": BASE64,
    "in lines": lines(BASE64, 76),
    "in lines of another system": lines(BASE64, 64, b"\r\n"),
    "in short lines": lines(BASE64, 3),
    "for URLs": base64.urlsafe_b64encode(SNAPSHOT),
    "without padding": BASE64.rstrip(b"="),
    "before blank lines": BASE64 + b"\n" * 5000,
    "armoured": b"-----BEGIN SNAPSHOT-----\nVersion: 1\n\n" + lines(BASE64, 64) + b"-----END SNAPSHOT-----\n",
    "of uuencode": b"begin-base64 644 snapshot.db\n" + lines(BASE64, 60) + b"====\n",
    "of PowerShell": lines(BASE64, 76, b"\r\n").decode().encode("utf-16"),
    "hex": SNAPSHOT.hex().encode(),
    "hex in lines": lines(SNAPSHOT.hex().upper().encode(), 60),
    "of a packed one": lines(base64.b64encode(gzip.compress(SNAPSHOT)), 76),
    "packed": gzip.compress(lines(BASE64, 76)),
    "twice": base64.b64encode(lines(BASE64, 76)),
}


@pytest.mark.parametrize("form", ENCODED)
def test_text_that_stands_for_a_snapshot_is_read_and_named(form: str, tmp_path: Path) -> None:
    code, audit = scan(ENCODED[form], tmp_path)
    assert code == 0
    assert audit.evidence.backend.revision == 4
    assert any("text: offsets are of the bytes that it stands for" in note for note in audit.notes)


@pytest.mark.parametrize(
    "readable", [BASE64, base64.b64encode(snapshot(leaking())), snapshot(leaking()).hex().encode()]
)
@pytest.mark.parametrize("behind", [b"\nroot@node:~# \n", b"\n(done)\n", b"=!" * 4000])
def test_what_follows_such_a_text_is_a_gap(readable: bytes, behind: bytes, tmp_path: Path) -> None:
    code, audit = scan(readable + behind, tmp_path)
    assert code == (3 if readable is BASE64 else 1)
    assert audit.gaps


def test_the_fields_of_an_armour_are_looked_at(tmp_path: Path) -> None:
    hidden = b'Comment: {"kind":"Secret","data":{}}\n\n'
    text = b"-----BEGIN SNAPSHOT-----\n" + hidden + lines(BASE64, 64) + b"-----END SNAPSHOT-----\n"
    assert scan(text, tmp_path)[0] == 3


@pytest.mark.parametrize("half", [BASE64[: len(BASE64) // 2 + 1], SNAPSHOT.hex().encode()[: len(SNAPSHOT) + 1]])
def test_a_text_that_is_cut_is_a_gap(half: bytes, tmp_path: Path) -> None:
    code, audit = scan(half, tmp_path)
    assert code == 3
    assert any("its end is no" in gap.reason for gap in audit.gaps)


BEFORE = {
    "a line": LINE,
    "three lines": LINE * 3,
    "a mark": b"\xef\xbb\xbf",
    "an empty line": b"\n",
    "a header": b"\x01" * 512,
    "a header where a page would begin": b"\x01" * 1024,
    "zeros": bytes(4096),
}


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("content", [SNAPSHOT, RAW], ids=["snapshot", "raw"])
def test_a_database_behind_other_bytes_is_read_from_where_it_begins(
    before: str, content: bytes, tmp_path: Path
) -> None:
    code, audit = scan(BEFORE[before] + content, tmp_path)
    assert code == 3
    assert audit.evidence.backend.revision == 4
    (gap,) = audit.gaps
    assert (gap.source, gap.offset, gap.length) == ("a.db", 0, len(BEFORE[before]))
    assert f"begins at offset {len(BEFORE[before]):,}" in gap.reason
    assert scan(BEFORE[before] + snapshot(leaking()), tmp_path)[0] == 1


@pytest.mark.parametrize(
    "packed", [gzip.compress(SNAPSHOT), lines(BASE64, 76), packing.tar({"a.db": SNAPSHOT})], ids=["gz", "base64", "tar"]
)
def test_a_container_behind_the_lines_of_a_terminal_too(packed: bytes, tmp_path: Path) -> None:
    code, audit = scan(LINE * 2 + packed, tmp_path)
    assert code == 3
    assert audit.evidence.backend.revision == 4


def test_kine_behind_a_line_and_a_member_of_a_tar_too(tmp_path: Path) -> None:
    members_on_disk.kine(tmp_path / "k.db").close()
    assert scan(LINE + (tmp_path / "k.db").read_bytes(), tmp_path)[0] == 3
    assert scan(packing.tar({"x/a.db": LINE + SNAPSHOT}), tmp_path, "b.tar")[0] == 3


@pytest.mark.parametrize(
    "behind", [b"\n", b"x" * 480, b"x" * 512, bytes(4064), b"command terminated with exit code 1\r\n"]
)
def test_bytes_behind_a_snapshot_are_named_where_its_trailer_matches(behind: bytes, tmp_path: Path) -> None:
    code, audit = scan(SNAPSHOT + behind, tmp_path)
    assert code == 3
    assert audit.evidence.description == "API snapshot"
    (gap,) = audit.gaps
    assert (gap.offset, gap.length) == (len(SNAPSHOT), len(behind))
    assert "with its trailer, which matches" in gap.reason


def test_a_readable_value_behind_a_snapshot_is_a_finding(tmp_path: Path) -> None:
    assert scan(SNAPSHOT + LEAK.protobuf().ljust(480, b"\0"), tmp_path)[0] == 1


@pytest.mark.parametrize("behind", [b"\n", b"y" * 512])
def test_bytes_behind_a_raw_database_are_a_gap(behind: bytes, tmp_path: Path) -> None:
    code, audit = scan(RAW + behind, tmp_path)
    assert code == 3
    assert any("no whole number of 4,096-byte pages" in gap.reason for gap in audit.gaps)
