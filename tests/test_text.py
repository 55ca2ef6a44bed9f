"""Names as text: safe to print, and the stored bytes again when asked."""

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from auditor.text import moment, printable, printables, restore

RAW = st.one_of(st.binary(max_size=60), st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")))


@given(RAW)
@example(b"")
@example(b"\\")
@example(b"\\x41")
@example(b"\\\\x41")
@example(b"\xed\xa0\x80")
@example(b"a\xffb\\\n")
def test_round_trip(raw: bytes) -> None:
    text = printable(raw)
    assert text.isprintable()
    assert restore(text) == raw


@given(RAW, RAW)
def test_different_bytes_are_different_texts(one: bytes, other: bytes) -> None:
    assert (printable(one) == printable(other)) == (one == other)


@given(st.lists(st.one_of(RAW, st.text("abc/.", max_size=8).map(str.encode)), max_size=8))
@example([])
@example([b""])
@example([b"", b""])
@example([b"a\nb"])
@example([b"a", b"\n", b"b"])
def test_printables_is_printable_of_each(raw: list[bytes]) -> None:
    assert printables(raw) == [printable(each) for each in raw]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"plain/name-1", "plain/name-1"),
        ("später/名前".encode(), "später/名前"),
        (b"\x1b[31mred", "\\x1b[31mred"),
        (b"a\r\nb\tc\0", "a\\x0d\\x0ab\\x09c\\x00"),
        ("a\u202eb".encode(), "a\\xe2\\x80\\xaeb"),
        ("a\u2028b\u00a0\u200b".encode(), "a\\xe2\\x80\\xa8b\\xc2\\xa0\\xe2\\x80\\x8b"),
        (b"\x9b31m", "\\x9b31m"),
        ("\u009b31m".encode(), "\\xc2\\x9b31m"),
        (b"C:\\x41", "C:\\\\x41"),
        (b"\xff", "\\xff"),
    ],
)
def test_examples(raw: bytes, text: str) -> None:
    assert printable(raw) == text


def test_moment() -> None:
    assert moment(0) == "1970-01-01T00:00:00Z"
    assert moment(1_790_000_000.9) == "2026-09-21T14:13:20Z"
    assert moment(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()) == "9999-12-31T23:59:59Z"


@pytest.mark.parametrize("seconds", [None, -1, -0.5, 253402300800, 1e300, float("inf"), float("nan"), 1 << 70])
def test_no_moment(seconds: float | None) -> None:
    assert moment(seconds) == ""
