"""The use of keys: number, places and resources of the values under each provider, key and KEK id."""

from collections.abc import Sequence

import numpy as np

from auditor.arrays.dictionary import from_columns
from auditor.arrays.dtypes import Ints
from auditor.arrays.factorize import factorize
from auditor.arrays.parallel import split_by, value_counts
from auditor.encryption.configuration import Configuration
from auditor.judgement.selection import Selection
from auditor.kubernetes import prefixes
from auditor.model.findings import KeyUsage
from auditor.model.vocabulary import Opened, Place, Provider
from auditor.text import printable, printables, shown

MOST_OBJECTS = 1000
"""Objects that are listed for one key."""


def count(selections: Sequence[Selection], configurations: Sequence[Configuration]) -> tuple[KeyUsage, ...]:
    """One entry for each key of the selected values, and one for each configured key that none of them needs."""
    rows: dict[tuple[Provider, str, str], list[tuple[Selection, Ints]]] = {}
    for values in selections:
        at, length = prefixes.kek_ids(values.batch, values.prefixes)
        with_kek = np.flatnonzero(length >= 0)
        # `number`: of each value the index of its KEK id in `ids`, of which the first is none
        number = np.zeros(len(values), np.int64)
        number[with_kek], heads = factorize(values.batch.data, at[with_kek], length[with_kek])
        number[with_kek] += 1
        ids = ["", *map(printable, values.batch.data.slices(at[with_kek[heads]], length[with_kek[heads]]))]
        keys = from_columns((values.key_label, number), (len(values.key_labels), len(ids)), lambda *pair: pair)
        for code, group in split_by(keys.codes):
            label, kek = keys.values[code]
            rows.setdefault((*values.key_labels[label].pair, ids[kek]), []).append((values, group))
    configured: set[tuple[Provider, str]] = {
        (entry.provider, shown(name))
        for configuration in configurations
        for entry in configuration.providers
        if entry.provider is not Provider.IDENTITY
        for name in ([key.name for key in entry.keys] or [entry.name])
    }
    used = [_use(label, parts, configured) for label, parts in rows.items()]
    unused = configured - {(use.provider, use.key_name) for use in used}
    used += [
        KeyUsage(
            provider=provider,
            key_name=name,
            kek_id="",
            places=(),
            resources=(),
            oldest=None,
            newest=None,
            values=0,
            opened=0,
            configured=True,
            objects=(),
        )
        for provider, name in unused
    ]
    return tuple(sorted(used, key=lambda use: (use.provider, use.key_name, use.kek_id)))


def _use(
    label: tuple[Provider, str, str],
    parts: list[tuple[Selection, Ints]],
    configured: set[tuple[Provider, str]],
) -> KeyUsage:
    """The use of one key. parts: selections, and their rows under the key."""
    places: dict[Place, int] = {}
    resources: set[str] = set()
    objects: dict[str, None] = {}
    revisions: list[int] = []
    opened = 0
    for values, rows in parts:
        for place, size in value_counts(values.batch.place[rows].astype(np.int64)):
            places[Place(place)] = places.get(Place(place), 0) + size
        resources |= {values.resources[code].name for code, _ in value_counts(values.resource[rows].astype(np.int64))}
        opened += int((values.opened[rows] == Opened.YES).sum())
        own = values.batch.mod_revision[rows]
        revisions += [int(own.min()), int(own.max())]
        first = rows[:MOST_OBJECTS]
        keys = values.batch.data.slices(values.batch.key_at[first], values.batch.key_len[first])
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
