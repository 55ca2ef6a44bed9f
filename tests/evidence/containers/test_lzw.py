"""LZW as Go writes it: an encoder of the tests' own, vectors of Go's, and snapshots packed so."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import auditor
from auditor.evidence.containers import magic
from auditor.evidence.containers.lzw import LzwDecompressor, LzwError
from tests.helpers.command import run
from tests.helpers.fixtures import DEFRAGMENTED, PLAINTEXT
from tests.helpers.packing import lzw, unlzw

TO_BE = b"TOBEORNOTTOBEORTOBEORNOT"


def unpacked(raw: bytes, fed: int = 1 << 16, most: int = -1) -> bytes:
    one, made, at = LzwDecompressor(), [], 0
    while not one.eof:
        block = b""
        if one.needs_input:
            block, at = raw[at : at + fed], at + fed
            assert block, "it asks for more than there is"
        part = one.decompress(block, most)
        assert most < 0 or len(part) <= most
        made.append(part)
    assert one.unused_data == b""
    return b"".join(made)


def test_go_s_own_vector() -> None:
    """golang/go src/compress/lzw/reader_test.go, `tobe;LSB;8`."""
    raw = bytes.fromhex("549e0829f2448a932754041234b8b0e0c1840101")
    assert unpacked(raw) == TO_BE
    assert lzw(TO_BE, clear=False)[: len(raw)] == raw


@pytest.mark.parametrize("clear", [True, False])
@pytest.mark.parametrize("raw", [b"", b"a", b"a" * 100_000, bytes(range(256)) * 40, PLAINTEXT.read_bytes()])
def test_it_gives_back_what_was_packed(raw: bytes, clear: bool) -> None:
    assert unpacked(lzw(raw, clear=clear)) == raw


@given(st.binary(max_size=3000), st.integers(1, 400), st.integers(1, 400), st.booleans(), st.booleans())
@settings(max_examples=60)
def test_in_any_steps(raw: bytes, fed: int, most: int, clear: bool, emptied: bool) -> None:
    assert unpacked(lzw(raw * 5, clear=clear, emptied=emptied), fed, most) == raw * 5


def test_a_table_that_is_full_stays_as_it_is() -> None:
    raw = DEFRAGMENTED.read_bytes()
    packed = lzw(raw, emptied=False)
    assert packed != lzw(raw)
    assert unpacked(packed, 997, 5000) == raw


@given(st.binary(max_size=400))
def test_bytes_that_are_none_are_read_as_far_as_a_reader_of_code_by_code_does(raw: bytes) -> None:
    one = LzwDecompressor()
    expected, sound = unlzw(raw)
    try:
        assert one.decompress(raw) == expected
    except LzwError:
        assert not expected
    assert one.eof == sound
    assert len(expected) <= len(raw) * 8 * 400


@pytest.mark.parametrize("most", [-1, 100])
def test_what_stands_before_a_code_that_no_table_holds_is_given(most: int) -> None:
    """Up to two thousand codes of the same width before it were lost with it."""
    raw = PLAINTEXT.read_bytes()
    packed = bytearray(lzw(raw))
    packed[1000:] = b"\xff" * 500  # the highest codes of all, long before the table reaches them
    one = LzwDecompressor()
    made = part = one.decompress(bytes(packed), most)
    while 0 < most == len(part):
        made += (part := one.decompress(b"", most))
    assert not one.eof
    assert not one.needs_input
    with pytest.raises(LzwError):
        one.decompress(b"", most)
    assert len(made) > 1000
    assert raw.startswith(made)


def test_only_what_begins_as_evidence_is_told_by_its_content() -> None:
    for clear in (True, False):
        packed = lzw(PLAINTEXT.read_bytes()[:4096], clear=clear)
        assert magic.sniff(packed) is magic.Kind.LZW
        assert magic.sniff(lzw(b'[{"etcdEvent":{"kv":{}}}]', clear=clear)) is magic.Kind.LZW
        assert magic.sniff(lzw(b"something else", clear=clear)) is magic.Kind.OTHER
    for head in (b"", b"\0", bytes(100), b"\0\1\0\0", b"[1, 2]"):
        assert magic.sniff(head) is magic.Kind.OTHER


def test_a_packed_snapshot_gives_the_findings_of_the_plain_one(tmp_path: Path) -> None:
    path = tmp_path / "backup.bin"
    path.write_bytes(lzw(PLAINTEXT.read_bytes()))
    audit, plain = auditor.scan(path), auditor.scan(PLAINTEXT)
    assert {**audit.rows.columns, "source": None} == {**plain.rows.columns, "source": None}
    assert audit.evidence.sha256 == plain.evidence.sha256
    assert audit.gaps == ()


def test_a_cut_one_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "backup.bin"
    packed = lzw(PLAINTEXT.read_bytes())
    path.write_bytes(packed[: len(packed) * 3 // 4])
    audit = auditor.scan(path)
    assert audit.tally.readable
    assert any("the LZW data ends early" in gap.reason for gap in audit.gaps)


def test_what_stands_behind_it_is_a_gap(tmp_path: Path) -> None:
    path = tmp_path / "backup.bin"
    path.write_bytes(lzw(DEFRAGMENTED.read_bytes()) + b"something else")
    audit = auditor.scan(path)
    assert any("14 bytes behind the LZW data" in gap.reason for gap in audit.gaps)


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.bin"
    path.write_bytes(lzw(PLAINTEXT.read_bytes()[:4096] + bytes(1 << 20)))
    done = run("scan", path, "--max-unpacked", "100000")
    assert done.returncode == 2
    assert "raise --max-unpacked" in done.stderr
