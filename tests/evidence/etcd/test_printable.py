"""Texts in columns: printable or not as Python says."""

import base64
import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from auditor.arrays.buffer import Buffer
from auditor.evidence.etcd.wire import LONGEST_TEXT, printable
from tests.helpers.objects import StoredObject

OCTETS = st.sampled_from(b" ~aZ/.-") | st.sampled_from(b"\0\x1f\x7f\x80\xa0\xff")
TEXTS = st.lists(st.lists(OCTETS, max_size=20).map(bytes) | st.text("ab/", max_size=90).map(str.encode), max_size=9)


@given(TEXTS)
def test_texts_are_printable_as_python_says(texts: list[bytes]) -> None:
    texts = [*texts, b"a" * LONGEST_TEXT, b"a" * (LONGEST_TEXT + 1)]
    length = np.array([len(text) for text in texts], np.int64)
    sound = printable(Buffer(b"".join(texts)), np.cumsum(length) - length, length)
    assert sound.tolist() == [
        len(text) <= LONGEST_TEXT and text.isascii() and text.decode().isprintable() for text in texts
    ]


def test_a_long_text_in_which_a_value_begins_is_no_name() -> None:
    value = StoredObject(name=b"leak", data={b"password": b"CANARY-printable"}).protobuf()
    texts = [
        base64.b64encode(value),
        value.hex().encode(),
        b"/app/" + json.dumps({"kind": "Secret", "data": {"password": "Q0FOQVJZ"}}).encode(),
        b"/app/" + b",".join(b"%d" % octet for octet in value)[:400],
        b"/app/" + value.hex(":").encode()[:400],
        b"/registry/rolebindings/kube-system/k8s:enc:aescbc:v1:key1:as-one-may-name-it",
        b"/registry/events/kube-system/coredns-5d78c9869d-abcde.17a3b0c1d2e3f405",
    ]
    length = np.array([len(text) for text in texts], np.int64)
    assert printable(Buffer(b"".join(texts)), np.cumsum(length) - length, length).tolist() == [False] * 5 + [True] * 2
