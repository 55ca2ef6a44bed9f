"""The sweep against the same thing said in plain Python, whatever the windows."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.evidence.file import EvidenceFile
from auditor.evidence.hashing import trailer_length
from auditor.evidence.signatures import SIGNATURES, Form, Mark, Signature, Writing, text_marks
from auditor.evidence.sweep import CROWDED, LEAST, FileSweep, Search
from tests.helpers.sweeps import sample

PIECES = [
    b"k8s\0\n", b"k8s:enc:aescbc:v1:", b'"kind":"Secret"', b'{ "kind" :\n "Secret" }', b'\\"kind\\":\\"Secret\\"',
    b"\xd9\xd9\xf7\xa2dkind", b"\xd9\xd9\xf7" + b"x" * 64 + b"apiVersion", b"k8s", b"\0\n", b"k8s:en", b"c:",
    b'"kind":"Pod"', b"\xd9",
]  # fmt: skip
SEAMS = 2 * 16
"""Hits of a seam, most of which its window has too."""


TEXT = text_marks()


def searched(raw: bytes, step: int, signatures: Sequence[Signature] = SIGNATURES) -> set[tuple[int, int]]:
    search = Search(signatures)
    for at in range(0, len(raw), step):
        search.feed(memoryview(raw)[at : at + step], at)
    hits = search.hits()
    assert not hits.crowded
    return set(zip(hits.signature.tolist(), hits.end.tolist(), strict=True))


def expected(raw: bytes) -> set[tuple[int, int]]:
    """Every end at which a signature matches; of several lengths that end alike the sweep tells one."""
    found = set()
    for number, signature in enumerate(SIGNATURES):
        whole = re.compile(signature.pattern, re.DOTALL)
        for start in range(len(raw)):
            for end in range(start + 1, min(start + signature.longest, len(raw)) + 1):
                if whole.fullmatch(raw, start, end):
                    found.add((number, end))
    return found


@settings(deadline=None)  # the database is compiled anew for each
@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=3), max_size=8), st.integers(1, 200))
def test_what_is_met_is_what_stands_there_whatever_the_windows(pieces: list[bytes], step: int) -> None:
    raw = b"".join(pieces)
    assert searched(raw, step) == expected(raw)


@pytest.mark.parametrize("signature", SIGNATURES)
def test_a_match_is_no_longer_than_it_says(signature: Signature) -> None:
    longest = {Form.PROTOBUF: b"k8s\0\n", Form.ENCRYPTED: b"k8s:enc:"}
    quote = b'\\\\\\""'
    longest[Form.JSON] = b'"kind' + quote + b" " * 16 + b":" + b" " * 16 + quote + b'Secret"'
    longest[Form.CBOR] = b"\xd9\xd9\xf7"
    form = Form(SIGNATURES.index(signature))
    assert len(longest[form]) == SIGNATURES[form].longest
    assert re.fullmatch(SIGNATURES[form].pattern, longest[form], re.DOTALL)


@pytest.mark.parametrize(
    "mark", sample([mark for mark in TEXT if mark.letters and mark.writing is not Writing.PLAIN], 5)
)
def test_letters_are_met_wherever_lines_break(mark: Mark) -> None:
    letters = mark.signature.opening.lower() if mark.writing is Writing.HEX else mark.signature.opening
    for width in range(1, len(letters) + 1):
        lines = b"\r\n    ".join(letters[at : at + width] for at in range(0, len(letters), width))
        text = b"zz" * 70 + b" " + lines + b" zz"
        end = text.index(lines) + len(lines)
        for step in (7, 1000):
            hits = searched(text, step, [each.signature for each in TEXT])
            assert (TEXT.index(mark), end) in hits
    assert re.fullmatch(mark.whole, mark_bytes(mark), re.DOTALL)


def mark_bytes(mark: Mark) -> bytes:
    return b'"kind": "Secret"' if mark.form is Form.JSON else {0: b"k8s\0\n", 1: b"k8s:enc:"}[mark.form]


def test_a_crowded_window_is_not_searched_to_its_end() -> None:
    raw = b"k8s\0\n" * 400_000
    search = Search(SIGNATURES)
    half = len(raw) // 2
    search.feed(memoryview(raw)[:half], 0)
    search.feed(memoryview(raw)[half:], half)
    hits = search.hits()
    assert hits.end.size <= 2 * (LEAST + half // CROWDED + 1) + SEAMS
    (first, second) = [stretch for stretch in hits.crowded if stretch[1] - stretch[0] > 1000]
    assert (first[1], second[1]) == (half, len(raw))
    assert not set(hits.end.tolist()) & set(range(first[0] + 1, first[1]))


def test_a_file_is_searched_to_its_end(tmp_path: Path) -> None:
    raw = bytes(9_000_000) + b"k8s\0\n" + bytes(77) + b"k8s:enc:"
    (tmp_path / "evidence").write_bytes(raw)
    with EvidenceFile.open(tmp_path / "evidence", hashed=True) as file:
        hits = FileSweep(file, SIGNATURES).result()
        assert hits.end.tolist() == [9_000_005, len(raw)]
        assert hits.signature.tolist() == [Form.PROTOBUF, Form.ENCRYPTED]


@pytest.mark.parametrize("tail", [b"", b"x" * 70 + b"k8s:enc:" + b"y" * 30])
def test_holes_are_zeros_and_what_lies_between_them_is_met(tail: bytes, tmp_path: Path) -> None:
    size, places = 40 << 20, (5 << 20, (17 << 20) + 9)
    with (tmp_path / "evidence").open("wb") as file:
        for at in places:
            file.seek(at)
            file.write(b"k8s\0\n")
        file.truncate(size)
        file.seek(size)
        file.write(tail)
    raw = (tmp_path / "evidence").read_bytes()
    expected = [at + 5 for at in places] + ([size + 78] if tail else [])
    with EvidenceFile.open(tmp_path / "evidence", hashed=True) as evidence:
        assert FileSweep(evidence, SIGNATURES).result().end.tolist() == expected
        assert evidence.hashing.result()[0] == hashlib.sha256(raw).hexdigest()
        assert evidence.hashing.result()[1] == hashlib.sha256(raw[: len(raw) - trailer_length(len(raw))]).hexdigest()


def test_a_search_that_ends_early_has_no_result(tmp_path: Path) -> None:
    (tmp_path / "evidence").write_bytes(bytes(1 << 26))
    with EvidenceFile.open(tmp_path / "evidence", hashed=True) as file:
        file.hashing.stop()
        if file.hashing.done < file.size:
            with pytest.raises(RuntimeError, match="before the end"):
                FileSweep(file, SIGNATURES).result()


def test_a_failure_is_raised_by_the_result(tmp_path: Path) -> None:
    (tmp_path / "evidence").write_bytes(b"abc")
    with EvidenceFile.open(tmp_path / "evidence", hashed=True) as file:
        sweep = FileSweep(file, [Signature(b"(", b"(", 1)])
        with pytest.raises(Exception, match=r"(?i)parenthes|compil|error"):
            sweep.result()


def hits_of(signatures: Sequence[Signature], content: bytes, step: int) -> tuple[list[int], list[int], object]:
    search = Search(signatures)
    for at in range(0, len(content), step):
        search.feed(memoryview(content)[at : at + step], at)
    hits = search.hits()
    return hits.end.tolist(), hits.signature.tolist(), hits.crowded


def test_signatures_in_engines_of_their_own_are_met_alike() -> None:
    """And a window with too many of them ends where the first of the engines ended."""
    together = (Signature(b"ab", b"ab", 2), Signature(rb"_\x00{3}", b"_\0\0\0", 4), Signature(b"x", b"x", 1))
    apart = (together[0], together[1]._replace(apart=True), together[2]._replace(apart=True))
    window = (b"ab_\0\0\0 x" * 40 + bytes(200)) * 30
    for content in (window, b"x" * (LEAST + len(window)) + window, window + b"x" * 5 * LEAST + b"ab" * 9):
        assert hits_of(together, content + window, len(content)) == hits_of(apart, content + window, len(content))


WHOLE = (Signature(b"ab", b"ab", 2), Signature(rb"_\x00{3}", b"_\0\0\0", 4), Signature(rb"SQ\.l\x00", b"SQ.l\0", 5))
PARTED = (WHOLE[0], Signature(b"_", b"_", 4, behind=b"\0\0\0"), Signature(b"SQ", b"SQ.l\0", 5, behind=b".l\0"))


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([b"ab", b"_", b"\0", b"\0\0", b"SQ", b".l", b"l", b"SQ.l\0", b"_\0\0\0"]), max_size=30),
    st.integers(1, 40),
)
def test_what_stands_behind_a_match_belongs_to_it(pieces: list[bytes], step: int) -> None:
    content = b"".join(pieces)
    assert hits_of(PARTED, content, step) == hits_of(WHOLE, content, step)


@pytest.mark.parametrize("filling", [b"_", b"SQ.l", b"_\0\0\0", b"ab", b"_SQ.l\0"])
def test_matches_without_what_stands_behind_them_do_not_crowd(filling: bytes) -> None:
    content = b"ab" + filling * 5 * LEAST + b"_\0\0\0 SQ.l\0"
    for step in (len(content), 3 * LEAST):
        assert hits_of(PARTED, content, step) == hits_of(WHOLE, content, step)


def test_a_signature_may_begin_or_end_in_a_hole(tmp_path: Path) -> None:
    signatures = (Signature(rb"_\x00{3}", b"_\0\0\0", 4), Signature(rb"\x00{2}k", b"\0\0k", 3))
    with (tmp_path / "evidence").open("wb") as file:
        for at, content in ((0, b"x" * ((1 << 20) - 1) + b"_"), (13 << 20, b"k" + b"x" * 4095)):
            file.seek(at)
            file.write(content)
        file.truncate(30 << 20)
    with EvidenceFile.open(tmp_path / "evidence", hashed=True) as evidence:
        assert FileSweep(evidence, signatures).result().end.tolist() == [(1 << 20) + 3, (13 << 20) + 1]
