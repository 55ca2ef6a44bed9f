"""The metadata of readable and opened objects, as columns of reports."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple, TypeVar

import numpy as np

from auditor.arrays.dictionary import encode, from_table_if_smaller, with_cells
from auditor.judgement.selection import Selection
from auditor.kubernetes import fragments, objects
from auditor.model.vocabulary import Opened, Provider
from auditor.text import moments, printables

T = TypeVar("T")

NOT_KNOWN = "unknown"
HOLDERS = frozenset({"secrets", fragments.UNIDENTIFIED.name})
"""Resources of values that hold credentials, or may."""


class Facts(NamedTuple):
    """Metadata of readable and opened objects, one entry a row; `unknown` for other values."""

    uid: Sequence[str]
    """Uid of the object."""
    type: Sequence[str]
    """Type of a Secret."""
    data_keys: Sequence[str]
    """Names of the data, joined with ;."""
    valid_until: Sequence[str]
    """Last day of what authenticates in a Secret; empty for other objects."""
    selectors: Sequence[tuple[str, ...]]
    """Controllers that select a Secret by its labels."""
    created: Sequence[str]
    """Creation time, UTC."""
    named: Sequence[tuple[str, str]]
    """Namespace and name; empty for values that are not readable."""
    problem: Sequence[str]
    """Why the object does not decode; empty where it does."""


def facts_of(values: Selection) -> Facts:
    """The metadata of all values; each distinct value is decoded once."""
    readable = values.prefixes.provider == Provider.IDENTITY
    readable[list(values.objects)] = True
    rows = np.flatnonzero(readable)
    # the readable rows by distinct value: first row of each value, and `inverse`, the value of each row
    which = values.by_value[0][rows] if rows.size else rows
    distinct, first, inverse = np.unique(which, return_index=True, return_inverse=True)
    decoded = [object_ or objects.Object() for object_ in values.decoded(rows[first], content=False, credentials=True)]
    slot = np.full(len(values), distinct.size)  # the last slot is for values that are not readable
    slot[rows] = inverse
    undecoded = np.array([bool(object_.problem) for object_ in decoded], np.bool_)
    opened = values.opened[rows[first]] > Opened.NOT_TRIED if rows.size else undecoded
    slot[rows[(undecoded & opened)[inverse]]] = distinct.size
    flat = iter(printables([key for object_ in decoded for key in object_.data_keys]))
    keys = [";".join(islice(flat, len(object_.data_keys))) for object_ in decoded]
    created = [object_.created for object_ in decoded]
    namespaces = printables([object_.namespace for object_ in decoded])
    pairs = zip(namespaces, printables([object_.name for object_ in decoded]), strict=True)

    def column(cells: Iterable[T], default: T) -> Sequence[T]:
        return from_table_if_smaller([*cells, default], slot)

    return Facts(
        uid=column(printables([object_.uid for object_ in decoded]), NOT_KNOWN),
        type=column(printables([object_.type for object_ in decoded]), NOT_KNOWN),
        data_keys=column(keys, NOT_KNOWN),
        valid_until=_ends(values, column([_end(object_) for object_ in decoded], NOT_KNOWN)),
        selectors=column([object_.selectors for object_ in decoded], ()),
        created=column(moments(created), NOT_KNOWN),
        named=column(pairs, ("", "")),
        problem=column([object_.problem for object_ in decoded], ""),
    )


def _end(object_: objects.Object) -> str:
    """`valid_until` of an object, which is unknown of one that does not decode."""
    return NOT_KNOWN if object_.problem else object_.valid_until


def _ends(values: Selection, ends: Sequence[str]) -> Sequence[str]:
    """The column `valid_until`: nothing for what is no Secret."""
    others = np.array([bool(entry.name) and entry.name not in HOLDERS for entry in values.resources], np.bool_)
    rows = np.flatnonzero(others[values.resource])
    return with_cells(encode(ends), dict.fromkeys(rows.tolist(), "")) if rows.size else ends
