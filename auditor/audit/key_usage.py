"""Which keys the evidence needs: how much each provider, key and KEK id holds, in which places, of which resources."""

from collections.abc import Sequence

import numpy as np

from auditor.arrays import parallel
from auditor.arrays.factorize import factorize
from auditor.encryption.configuration import Configuration
from auditor.judgement.selection import Selection
from auditor.kubernetes import prefixes
from auditor.model.findings import KeyUsage
from auditor.model.vocabulary import Opened, Place, Provider
from auditor.text import printable, printables, shown

MOST_OBJECTS = 1000
"""Objects that are named for each key."""


def count(selections: Sequence[Selection], configurations: Sequence[Configuration]) -> tuple[KeyUsage, ...]:
    """One entry for each key seen in the selected values, and one for each configured key that none needs."""
    rows: dict[tuple[Provider, str, str], list[tuple[Selection, np.ndarray[tuple[int], np.dtype[np.int64]]]]] = {}
    for each in selections:
        at, length = prefixes.kek_ids(each.batch, each.prefixes)
        named = np.flatnonzero(length >= 0)
        number = np.zeros(len(each), np.int64)
        number[named], heads = factorize(each.batch.data, at[named], length[named])
        number[named] += 1
        ids = ["", *map(printable, each.batch.data.slices(at[named[heads]], length[named[heads]]))]
        codes = each.key_label * len(ids) + number
        order = np.argsort(codes, kind="stable")
        starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
        for mine in np.split(order, starts[1:]) if order.size else []:
            code = int(codes[mine[0]])
            label, kek = each.key_labels[code // len(ids)], ids[code % len(ids)]
            rows.setdefault((*label, kek), []).append((each, mine))
    configured: set[tuple[Provider, str]] = {
        (entry.provider, shown(name))
        for each in configurations
        for rule in each.rules
        for entry in rule.providers
        if entry.provider is not Provider.IDENTITY
        for name in ([key.name for key in entry.keys] or [entry.name])
    }
    used = [_use(label, parts, configured) for label, parts in rows.items()]
    unused = configured - {(use.provider, use.key_name) for use in used}
    used += [KeyUsage(provider, name, "", (), (), None, None, 0, 0, True, ()) for provider, name in unused]
    return tuple(sorted(used, key=lambda use: (use.provider, use.key_name, use.kek_id)))


def _use(
    label: tuple[Provider, str, str],
    parts: list[tuple[Selection, np.ndarray[tuple[int], np.dtype[np.int64]]]],
    configured: set[tuple[Provider, str]],
) -> KeyUsage:
    places: dict[Place, int] = {}
    resources: set[str] = set()
    objects: dict[str, None] = {}
    revisions: list[int] = []
    opened = 0
    for each, rows in parts:
        for place, size in parallel.value_counts(each.batch.place[rows].astype(np.int64)):
            places[Place(place)] = places.get(Place(place), 0) + size
        resources |= {each.resources[of].name for of, _ in parallel.value_counts(each.resource[rows].astype(np.int64))}
        opened += int((each.opened[rows] == Opened.YES).sum())
        known = each.batch.mod_revision[rows]
        revisions += [int(known.min()), int(known.max())]
        some = rows[:MOST_OBJECTS]
        keys = each.batch.data.slices(each.batch.key_at[some], each.batch.key_len[some].astype(np.int64))
        objects.update(dict.fromkeys(printables(keys)))
    provider, name, kek = label
    return KeyUsage(
        provider=provider,
        key_name=name,
        kek_id=kek,
        places=tuple(sorted(places.items())),
        resources=tuple(sorted(resources)),
        oldest=min(revisions),
        newest=max(revisions),
        values=sum(places.values()),
        opened=opened,
        configured=(provider, name) in configured,
        objects=tuple(list(objects)[:MOST_OBJECTS]),
    )
