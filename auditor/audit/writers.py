"""What the order of revisions shows of those who write: API servers that differ; and values that no key at hand reads.

The outcome is notes, never findings.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from auditor.arrays.dtypes import Ints
from auditor.audit.tally import UNREADABLE
from auditor.judgement.selection import Selection
from auditor.model.vocabulary import Opened, Place, Provider
from auditor.text import KEY, marked, printable

RECENT = 32
"""Newest values of a resource that are looked at."""
SWITCHES = 3
"""Changes from one key to others and back that one migration, rotation or return does not explain."""
MOST = 5
"""Revisions or objects named in one note."""

WriteKey = tuple[Provider, str, bool]
"""Provider, key name, and whether the key supplied under this name fails."""


def observe(selections: Sequence[Selection], names: Sequence[str], *, configured: bool) -> Iterator[str]:
    """Notes on resources whose newest values are written under two keys by turns.

    Args:
        selections: the judged values that an API server reads.
        names: names of the resources.
        configured: whether there is a configuration.
    """
    for name in names:
        written = sorted((revision, key) for values in selections for revision, key in _written(values, name))[-RECENT:]
        keys = [key for _, key in written]
        turning = [key for key in dict.fromkeys(keys) if _switches(keys, key) >= SWITCHES]
        if turning:
            plain = [key for key in turning if key[0] is Provider.IDENTITY]
            odd = plain[0] if plain else min(turning, key=keys.count)
            yield _by_turns(name, written, odd, configured=configured)


def unread(selections: Sequence[Selection]) -> Iterator[str]:
    """A note that names the first values that no key at hand reads."""
    etcd_keys: list[str] = []
    count = 0
    for values in selections:
        rows = np.flatnonzero((values.findings & np.uint16(UNREADABLE)) != 0)
        count += rows.size
        etcd_keys += [printable(values.key(row)) for row in rows[: MOST - len(etcd_keys)].tolist()]
    named = [marked(key, KEY) for key in dict.fromkeys(filter(None, etcd_keys))]
    if named:
        more = f" and {count - len(etcd_keys):,} more" if count > len(etcd_keys) else ""
        noun = "value" if count == 1 else "values"
        yield f"with the configurations and keys at hand no API server reads the {noun} of {', '.join(named)}{more}"


def _written(values: Selection, name: str) -> list[tuple[int, WriteKey]]:
    """Revision and key of the newest values of a resource that a root leads to."""
    batch = values.batch
    of_resource = np.array([resource.name == name for resource in values.resources], np.bool_)[values.resource]
    rows: Ints = np.flatnonzero(of_resource & (batch.place <= Place.DELETED) & (batch.mod_revision >= 0))
    rows = rows[np.argsort(batch.mod_revision[rows], kind="stable")[-RECENT:]]
    return [
        (
            int(batch.mod_revision[row]),
            (*values.key_labels[values.key_label[row]].pair, bool(values.opened[row] == Opened.FAILED)),
        )
        for row in rows.tolist()
        if values.prefixes.provider[row] != Provider.UNKNOWN
    ]


def _switches(keys: Sequence[WriteKey], own: WriteKey) -> int:
    """Changes between one key and all others."""
    return sum((before == own) != (after == own) for before, after in pairwise(keys))


def _by_turns(name: str, written: Sequence[tuple[int, WriteKey]], odd: WriteKey, *, configured: bool) -> str:
    plain = odd[0] is Provider.IDENTITY
    others = [revision for revision, key in written if key != odd]
    revisions = [revision for revision, key in written if key == odd and revision > others[0]]
    more = f" and {len(revisions) - MOST:,} more" if len(revisions) > MOST else ""
    listed = ", ".join(f"{revision:,}" for revision in revisions[-MOST:]) + more
    what = "plain values" if plain else f"values under {_label(odd)}"
    after = "encrypted ones" if plain else "those under another key"
    which = "this" if configured else "one"
    return (
        f"{what} of {name} were written after {after} and between them (revisions {listed}; theirs are "
        f"{others[0]:,} to {others[-1]:,}): more than one API server writes, not all with {which} configuration; "
        "make them equal before rewriting"
    )


def _label(key: WriteKey) -> str:
    provider, name, fails = key
    return "/".join(filter(None, (provider.label, name))) + (" that the key supplied does not decrypt" if fails else "")
