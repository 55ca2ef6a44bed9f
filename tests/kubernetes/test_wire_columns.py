"""Fields of many messages at once: the same as protobuf's own parser reads, and damage that is said."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from auditor.arrays.buffer import Buffer
from auditor.evidence.protobuf_wire import encoded_varint
from auditor.kubernetes.wire_columns import FEW, Leaves, schema, unwrap, walk
from auditor.protobuf import references_pb2 as pb
from tests.helpers.objects import envelope

SCHEMA = schema(pb)


def walked(texts: list[bytes], message: str = "Pod") -> tuple[list[tuple[int, str, str, bytes | int]], list[bool]]:
    """Row, message, field and content of every leaf, and which texts are malformed."""
    size = np.array([len(text) for text in texts], np.int64)
    buffer = Buffer(b"".join(texts) + b"\xff" * 3)
    leaves, bad = walk(buffer, np.cumsum(size) - size, size, np.full(len(texts), SCHEMA.roots[message]), SCHEMA)
    every = leaves.of(SCHEMA.roots, {field for _, field in SCHEMA.leaves})
    return cells(buffer, every), bad.tolist()


def cells(buffer: Buffer, leaves: Leaves) -> list[tuple[int, str, str, bytes | int]]:
    found = []
    for row, field, at, size in zip(leaves.row, leaves.field, leaves.at, leaves.size, strict=True):
        content = int(at) if size < 0 else buffer.slice(int(at), int(size))
        found.append((int(row), *SCHEMA.leaves[int(field)], content))
    return sorted(found, key=repr)


def expected(row: int, message: object) -> list[tuple[int, str, str, bytes | int]]:
    """The same by protobuf's own parser."""
    found: list[tuple[int, str, str, bytes | int]] = []
    for field, value in message.ListFields():  # type: ignore[attr-defined]
        for part in value if field.is_repeated else [value]:
            if field.message_type is not None:
                found.extend(expected(row, part))
            else:
                found.append((row, message.DESCRIPTOR.name, field.name, part))  # type: ignore[attr-defined]
    return found


def padding(number: int, size: int) -> bytes:
    """A field that is not declared."""
    return encoded_varint(number << 3 | 2) + encoded_varint(size) + b"\x0a" * size


texts = st.binary(max_size=300)


@st.composite
def pods(draw: st.DrawFn) -> bytes:
    pod = pb.Pod()
    for _ in range(draw(st.integers(0, 3))):
        pod.metadata.annotations.add(key=draw(texts), value=draw(texts))
        pod.metadata.owner_references.add(kind=draw(texts), controller=draw(st.booleans()))
        container = pod.spec.containers.add()
        container.env.add().value_from.secret_key_ref.inline.name = draw(texts)
        container.env_from.add().secret_ref.inline.name = draw(texts)
        pod.spec.volumes.add().inline.projected.sources.add().secret.inline.name = draw(texts)
    strange = st.sampled_from(
        [
            b"",
            padding(3, 200),
            padding(2047, 1),
            padding(1 << 20, 70_000),
            b"\x18" + b"\xff" * 9 + b"\x01",  # a negative number
            b"\x19" + b"\0" * 8 + b"\x1d" + b"\0" * 4,
            b"\x18\xff\xff\xff\xff\x7f",
        ]
    )
    return draw(strange) + pod.SerializeToString() + draw(strange)


@given(st.lists(pods(), max_size=2 * FEW))
def test_as_the_parser_reads_it(raw: list[bytes]) -> None:
    found, bad = walked(raw)
    want = [cell for row, text in enumerate(raw) for cell in expected(row, pb.Pod.FromString(text))]
    assert found == sorted(((row, name, field, _plain(value)) for row, name, field, value in want), key=repr)
    assert not any(bad)


def _plain(value: bytes | int) -> bytes | int:
    return int(value) if isinstance(value, bool) else value


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=3 * FEW))
def test_damage_is_said(raw: list[bytes]) -> None:
    _, bad = walked(raw)
    for text, said in zip(raw, bad, strict=True):
        if not said:  # only the declared fields are walked: what is good for us may be none for a parser of all
            continue
        alone = walked([text])
        assert alone[1] == [True]


def test_damage_in_columns_and_in_the_loop_is_the_same() -> None:
    pod = pb.Pod()
    pod.spec.containers.add().env.add().value_from.secret_key_ref.inline.name = b"db"
    good = pod.SerializeToString()
    bad = [
        good[:-1],
        good + b"\x0b",
        good + b"\x12",
        good + b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x80" * 11,
    ]
    assert walked(bad)[1] == [True] * len(bad)
    many = walked([*bad, good] * FEW)
    assert many[1] == ([True] * len(bad) + [False]) * FEW
    assert (len(bad), "LocalObjectReference", "name", b"db") in many[0]


def test_a_message_of_a_million_fields_is_read_in_a_loop() -> None:
    found, bad = walked([b"\x18\x01" * 500_000 + pb.Pod(metadata=pb.ObjectMeta()).SerializeToString()] * 2)
    assert (found, bad) == ([], [False, False])


def test_envelopes() -> None:
    raw = [envelope(b"v1", b"Pod", b"x" * size) for size in (0, 1, 127, 128, 70_000)]
    raw += [
        b"k8s\0",
        b"k8s\0\x0a\x05",
        b"k8s\0\x0a\x02ab\x12\xff\x7f",
        b"k8s\0\x12\x01a",
        b"k8s\0\x0a\x90\x01" + b"a" * 144,
    ]
    size = np.array([len(text) for text in raw], np.int64)
    buffer = Buffer(b"".join(raw))
    at, length, whole = unwrap(buffer, np.cumsum(size) - size, size)
    contents = [buffer.slice(*cell) for cell in zip(at[whole].tolist(), length[whole].tolist(), strict=True)]
    assert contents == [b"x" * count for count in (0, 1, 127, 128, 70_000)]
    assert whole.tolist() == [True] * 5 + [False] * 5
