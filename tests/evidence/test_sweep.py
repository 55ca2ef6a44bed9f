"""The sweep against the same thing said in plain Python, whatever the windows."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.evidence.sweep import CROWDED, LEAST, Sweep
from auditor.kubernetes.signatures import SIGNATURES, Form

PIECES = [
    b"k8s\0\n", b"k8s:enc:aescbc:v1:", b'"kind":"Secret"', b'{ "kind" :\n "Secret" }', b'\\"kind\\":\\"Secret\\"',
    b"\xd9\xd9\xf7\xa2dkind", b"\xd9\xd9\xf7" + b"x" * 64 + b"apiVersion", b"k8s", b"\0\n", b"k8s:en", b"c:",
    b'"kind":"Pod"', b"\xd9",
]  # fmt: skip
SEAMS = 2 * 16
"""Hits of a seam, most of which its window has too."""


def searched(raw: bytes, step: int) -> set[tuple[int, int]]:
    sweep = Sweep(SIGNATURES)
    for at in range(0, len(raw), step):
        sweep.feed(memoryview(raw)[at : at + step], at)
    hits = sweep.result()
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
def test_a_match_is_no_longer_than_it_says(signature: object) -> None:
    longest = {Form.PROTOBUF: b"k8s\0\n", Form.ENCRYPTED: b"k8s:enc:"}
    quote = b'\\\\\\"'
    longest[Form.JSON] = quote + b"kind" + quote + b" " * 16 + b":" + b" " * 16 + quote + b"Secret" + quote
    longest[Form.CBOR] = b"\xd9\xd9\xf7" + b"x" * 64 + b"apiVersion"
    form = Form(SIGNATURES.index(signature))  # type: ignore[arg-type]
    assert len(longest[form]) == SIGNATURES[form].longest
    assert re.fullmatch(SIGNATURES[form].pattern, longest[form], re.DOTALL)


def test_a_crowded_window_is_not_searched_to_its_end() -> None:
    raw = b"k8s\0\n" * 400_000
    sweep = Sweep(SIGNATURES)
    half = len(raw) // 2
    sweep.feed(memoryview(raw)[:half], 0)
    sweep.feed(memoryview(raw)[half:], half)
    hits = sweep.result()
    assert hits.end.size <= 2 * (LEAST + half // CROWDED + 1) + SEAMS
    (first, second) = [stretch for stretch in hits.crowded if stretch[1] - stretch[0] > 1000]
    assert (first[1], second[1]) == (half, len(raw))
    assert not set(hits.end.tolist()) & set(range(first[0] + 1, first[1]))


def test_a_failure_is_told_by_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = Sweep([SIGNATURES[0]._replace(pattern=b"(")])
    sweep.feed(memoryview(b"abc"), 0)
    sweep.feed(memoryview(b"abc"), 3)
    with pytest.raises(Exception, match=r"(?i)parenthes|compil|error"):
        sweep.result()
