"""Data that is compressed where it stands: gzip, and base64 of gzip as Helm writes its releases.

helm.sh/helm/v3 pkg/storage/driver/util.go: a release is JSON, compressed and coded, in the field `release`.
"""

import base64
import binascii
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.find.model import Occurrence
from auditor.hunt.matcher import NeedleMatcher
from auditor.hunt.needles import Needle
from auditor.judgement.selection import Selection
from auditor.kubernetes import objects
from auditor.model.vocabulary import Encoding, Place, Provider, State
from auditor.text import printable

GZIP, CODED = b"\x1f\x8b", b"H4sI"
"""How gzip begins, and base64 of it."""
LARGEST = 1 << 26
"""Bytes that one value may unpack to."""
RESOURCES = frozenset({"secrets", "configmaps"})


@dataclass(frozen=True, slots=True)
class Unpacked:
    """One compressed data value."""

    values: Selection
    """The selection that holds it."""
    row: int
    """Row of its object."""
    field: str
    """Path of the field."""
    text: bytes | None
    """What it unpacks to; None where it does not, or to more than LARGEST bytes."""

    def __repr__(self) -> str:
        return "Unpacked(...)"


def unpacked(opened: Sequence[Selection]) -> Iterator[Unpacked]:
    """The compressed data of every readable or opened Secret and ConfigMap."""
    for values in opened:
        kept = np.array([resource.name in RESOURCES for resource in values.resources], np.bool_)[values.resource]
        readable = (values.prefixes.provider == Provider.IDENTITY) & kept
        for row in np.flatnonzero(readable).tolist():
            encoding = Encoding(int(values.prefixes.encoding[row]))
            stored = values.batch.value(row)
            if GZIP not in stored and CODED not in stored and encoding is Encoding.PROTOBUF:
                continue
            if values.batch.state[row] & (State.TAIL_LOST | State.HEAD_LOST):
                yield Unpacked(values, row, "", None)  # what is compressed may be what is cut
                continue
            yield from _of(values, row, objects.data(stored, encoding))
        for row, plaintext in values.plaintexts.items():
            if kept[row]:
                yield from _of(values, row, objects.data(plaintext, Encoding(int(values.prefixes.encoding[row]))))


def _of(values: Selection, row: int, pairs: Sequence[tuple[bytes, bytes]]) -> Iterator[Unpacked]:
    for name, value in pairs:
        if value.startswith((GZIP, CODED)):
            yield Unpacked(values, row, f"data.{printable(name)}", _unpack(value))


def _unpack(value: bytes) -> bytes | None:
    try:
        raw = base64.b64decode(value, validate=True) if value.startswith(CODED) else value
        machine = zlib.decompressobj(wbits=31)
        text = machine.decompress(raw, LARGEST)
    except (zlib.error, binascii.Error, ValueError):
        return None
    return text if machine.eof else None


def occurrences(needles: Sequence[Needle], parts: Sequence[Unpacked], served: frozenset[str]) -> Iterator[Occurrence]:
    """Where the values stand inside compressed data.

    Args:
        needles: What is looked for.
        parts: Compressed data.
        served: Names of the files whose latest values the API server reads.
    """
    matcher = NeedleMatcher(needles)
    for part in parts:
        found = {(form.needle.number, form.kind) for form, _, _ in matcher.matches(Buffer(part.text or b""))}
        batch, row = part.values.batch, part.row
        place = Place(int(batch.place[row]))
        resource = part.values.resources[part.values.resource[row]].name
        for number, kind in sorted(found):
            yield Occurrence(
                value=number,
                source=batch.source,
                offset=int(batch.offset[row]) if batch.located else -1,
                place=place,
                form=f"{kind} in gzip",
                decrypted=row in part.values.plaintexts,
                resource=resource,
                key=printable(part.values.key(row)),
                field=part.field,
                mod_revision=int(batch.mod_revision[row]),
                page=int(batch.page[row]),
                current=place is Place.LATEST and batch.source in served,
            )
