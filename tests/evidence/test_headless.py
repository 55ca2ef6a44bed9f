"""Beginnings that follow each other closely: the last one begins a fragment, and so does one that names its type."""

import pytest

from auditor.arrays.buffer import Buffer
from auditor.evidence.headless import CARVED, without_record
from tests.helpers.objects import StoredObject

PREFIX = b"k8s:enc:secretbox:v1:key1:"
SECRET = StoredObject(data={b"password": b"planted-value-0123456789"}).protobuf()
JSON = b'{"kind":"Secret","z":"k8s:enc:","data":{"password":"cGxhbnRlZA=="}}'


def starts(raw: bytes) -> list[int]:
    """Where fragments begin in bytes, as carving goes on behind each of them."""
    begins, at = list[int](), 0
    while at < len(raw):
        at = min((place for each in CARVED if (place := raw.find(each, at)) >= 0), default=len(raw))
        if at < len(raw):
            begins.append(at)
            at = without_record(Buffer(raw), at, at, len(raw)).end
    return begins


@pytest.mark.parametrize("between", [0, 1, 4, 8, 40])
@pytest.mark.parametrize("before", [PREFIX, PREFIX * 2, PREFIX * 3, b"k8s\0\n", b"k8s\0\nxx", b'{"kind":"'])
@pytest.mark.parametrize("value", [SECRET, JSON], ids=["protobuf", "JSON"])
@pytest.mark.parametrize("behind", [b"", PREFIX + bytes(range(128, 200))], ids=["the last", "one behind it"])
def test_a_value_close_behind_a_beginning(before: bytes, between: int, value: bytes, behind: bytes) -> None:
    raw = before + b"\xff" * between + value + behind
    assert len(before) + between in starts(raw)


def test_beginnings_without_a_value_are_one_fragment() -> None:
    assert starts(PREFIX * 1000) == [0, 999 * len(PREFIX)]
