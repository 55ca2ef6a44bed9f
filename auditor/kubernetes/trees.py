"""Objects in JSON or CBOR, as trees of plain values."""

import base64
import binascii
import io
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from auditor.kubernetes import json_text
from auditor.model.vocabulary import Encoding
from auditor.text import decode

SELF_DESCRIBED = b"\xd9\xd9\xf7"
DEEPEST = 200
"""Levels of CBOR."""
LARGEST = 1 << 26
"""Bytes of JSON or CBOR that are decoded as one object; etcd's default limit for a request is 1.5 MB."""


def parse(value: bytes, encoding: Encoding) -> Any:
    """The object in JSON or CBOR. Raises the errors that objects.decode() catches."""
    if len(value) > LARGEST:
        raise ValueError("larger than an object can be")
    return json_text.parse(value) if encoding is Encoding.JSON else _texts(_cbor(value), 0)


def item_length(value: bytes) -> int:
    """Bytes of the CBOR item that a value begins with, its tag included; 0 where there is none."""
    try:
        return _item(value)[1]
    except ValueError:
        return 0


def _cbor(value: bytes) -> Any:
    """The one item of a value: kube-apiserver refuses what has more behind it (fxamacker/cbor, ExtraneousDataError)."""
    tree, end = _item(value)
    if end != len(value):
        raise ValueError("more than one item")
    return tree


def _item(value: bytes) -> tuple[Any, int]:
    """The first item of a value, and the position behind it. Raises ValueError."""
    import cbor2  # rare (alpha gate CBORServingAndStorage): not worth an import in every run

    stream = io.BytesIO(value[len(SELF_DESCRIBED) :])
    try:
        tree = cbor2.CBORDecoder(stream, semantic_decoders={28: _refuse, 29: _refuse}).decode()
    except Exception:  # noqa: BLE001 - its tags run code of other libraries, which may raise anything
        tree = None
    if tree is None:
        raise ValueError("no CBOR")
    return tree, len(SELF_DESCRIBED) + stream.tell()


def _refuse(*_: Any) -> Any:
    """Refuse tags of shared values, a few bytes of which can stand for gigabytes."""
    raise ValueError("a shared value")


def _texts(part: Any, depth: int) -> Any:
    """A tree of CBOR without tags, and with texts for keys, which kube-apiserver writes as byte strings."""
    if depth > DEEPEST:
        raise ValueError("nested too deep")
    if hasattr(part, "tag") and hasattr(part, "value"):
        return _texts(part.value, depth + 1)
    if isinstance(part, Mapping):
        return {_text(key): _texts(value, depth + 1) for key, value in part.items()}
    if isinstance(part, (list, tuple)):
        return [_texts(value, depth + 1) for value in part]
    return part


def _text(key: Any) -> Any:
    return decode(key) if isinstance(key, bytes) else key


def as_bytes(text: Any) -> bytes:
    """The stored bytes of a text of a tree; empty for anything else."""
    if isinstance(text, bytes):
        return text
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else b""


def data_value(value: Any) -> bytes:
    """The bytes of a Secret's data value, which is base64 in JSON and bytes in CBOR."""
    if isinstance(value, bytes):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError, TypeError):
        return as_bytes(value)


def seconds(text: Any) -> int | None:
    """A time stamp in seconds since 1970 UTC; None for anything else."""
    if isinstance(text, bytes):
        text = text.decode("ascii", "replace")
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())
