"""Protobuf by position: varints as protobuf writes them, and fields that go on no further than their message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.evidence import protobuf_wire
from auditor.evidence.protobuf_wire import BYTES, FIXED32, FIXED64, VARINT, WireError
from auditor.protobuf.kv_pb2 import KeyValue


@given(st.integers(0, (1 << 64) - 1), st.binary(max_size=3), st.binary(max_size=3))
def test_a_varint_is_read_back(number: int, before: bytes, rest: bytes) -> None:
    raw = before + protobuf_wire.encoded_varint(number) + rest
    assert protobuf_wire.varint_at(raw, len(before), len(raw)) == (number, len(raw) - len(rest))


@pytest.mark.parametrize("raw", [b"", b"\x80", b"\xff" * 10, b"\xff" * 11 + b"\0"], ids=repr)
def test_a_varint_without_an_end_is_none(raw: bytes) -> None:
    assert protobuf_wire.varint_at(raw, 0, len(raw)) is None
    with pytest.raises(WireError):
        protobuf_wire.varint(raw, 0, len(raw))


@given(st.binary(max_size=40), st.integers(1, 1 << 62))
def test_fields_are_those_of_the_message(key: bytes, revision: int) -> None:
    raw = KeyValue(key=b"k" + key, mod_revision=revision).SerializeToString()
    (one, two) = protobuf_wire.fields(raw, 0, len(raw))
    assert one[:2] == (1, BYTES)
    assert raw[one[2] : one[3]] == b"k" + key
    assert two == (3, VARINT, revision, 0)
    assert protobuf_wire.numbers(raw) == {3: revision}
    assert list(protobuf_wire.leading_fields(raw)) == [(1, b"k" + key)]


@pytest.mark.parametrize("raw", [b"\x0a\x02a", b"\x09aaaaaaa", b"\x0daaa", b"\x0b", b"\x08\x80"], ids=repr)
def test_what_does_not_hold_is_no_message(raw: bytes) -> None:
    with pytest.raises(WireError):
        list(protobuf_wire.fields(raw, 0, len(raw)))
    assert protobuf_wire.numbers(raw) is None


def test_fixed_fields_lie_where_they_are() -> None:
    raw = b"\x09" + b"a" * 8 + b"\x0d" + b"b" * 4
    assert list(protobuf_wire.fields(raw, 0, len(raw))) == [(1, FIXED64, 1, 9), (1, FIXED32, 10, 14)]


def test_the_last_leading_field_may_be_cut() -> None:
    assert list(protobuf_wire.leading_fields(b"\x0a\x01a\x12\x09bc")) == [(1, b"a"), (2, b"bc")]
    assert list(protobuf_wire.leading_fields(b"\x0a\x01a\x10\x01")) == [(1, b"a")]
    assert list(protobuf_wire.leading_fields(b"\x0a\x80")) == []
