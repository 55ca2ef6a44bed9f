"""The use of keys: number, places and resources of the values under each provider, key and KEK id."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from auditor.arrays.dictionary import from_columns
from auditor.arrays.dtypes import Ints
from auditor.arrays.factorize import factorize
from auditor.arrays.parallel import split_by, value_counts
from auditor.encryption.configuration import Configuration
from auditor.encryption.kms import naming
from auditor.judgement import unwrapping
from auditor.judgement.criteria import Criteria
from auditor.judgement.selection import Selection
from auditor.kubernetes import prefixes, wrapped_keys
from auditor.model.findings import KeyUsage
from auditor.model.kms import Kek
from auditor.model.vocabulary import Opened, Place, Provider
from auditor.text import printable, printables, shown

MOST_OBJECTS = 1000
"""Objects that are listed for one key."""
NO_CONFIGURATION = "no configuration"
"""Origin of a key that the evidence holds, or that is published."""
NO_ORIGIN = "another origin"
"""Origin of the key of values that none of several keys of its name opens."""


class _Row(NamedTuple):
    """What tells the keys of values apart, as in KeyUsage."""

    provider: Provider
    key_name: str
    kek_id: str
    kek_version: str
    origin: str
    kek: Kek | None

    @property
    def order(self) -> tuple[Provider, str, str, str, str, str]:
        """What the rows are sorted by."""
        return self.provider, self.key_name, self.kek_id, self.kek_version, self.origin, repr(self.kek)


def count(selections: Sequence[Selection], criteria: Criteria) -> tuple[KeyUsage, ...]:
    """One entry for each key of the selected values, and one for each configured key that none of them needs.

    Keys of one name that differ are one entry each, and so are the values under this name that none of them opens.

    Args:
        selections: The values, opened.
        criteria: With the configurations, and the clients of --kms.
    """
    configurations = criteria.configurations
    origins = _origins(selections, configurations)
    namesakes = {pair for pair, _ in origins}
    rows: dict[_Row, list[tuple[Selection, Ints]]] = {}
    for values in selections:
        at, length = prefixes.kek_ids(values.batch, values.prefixes)
        with_kek = np.flatnonzero(length >= 0)
        # `number`: of each value the index of its KEK id in `ids`, of which the first is none
        number = np.zeros(len(values), np.int64)
        number[with_kek], heads = factorize(values.batch.data, at[with_kek], length[with_kek])
        number[with_kek] += 1
        ids = ["", *map(printable, values.batch.data.slices(at[with_kek[heads]], length[with_kek[heads]]))]
        # of each value: whether one of several keys of its name opens it
        several = np.array([label.pair in namesakes for label in values.key_labels], np.bool_)[values.key_label]
        told = (several & (values.opened == Opened.YES)).astype(np.int64)
        version, versions = wrapped_keys.versions(values.batch, values.prefixes)
        kek, keks = naming.keks(values.batch, values.prefixes)
        sizes = (len(values.key_labels), len(ids), len(versions), 2, len(keks))
        keys = from_columns((values.key_label, number, version, told, kek), sizes, lambda *codes: codes)
        for code, group in split_by(keys.codes):
            label, identity, wrapping, opened, wrapper = keys.values[code]
            pair = values.key_labels[label].pair
            origin = origins[pair, values.key_labels[label].secret] if opened else NO_ORIGIN * (pair in namesakes)
            row = _Row(pair[0], pair[1], ids[identity], versions[wrapping], origin, keks[wrapper])
            rows.setdefault(row, []).append((values, group))
    configured: set[tuple[Provider, str, str]] = {
        (provider, name, origins.get(((provider, name), secret), ""))
        for provider, name, secret, _ in _configured(configurations)
    }
    used = [
        _use(row, parts, {key[:2] for key in configured}, criteria)
        for row, parts in sorted(rows.items(), key=lambda item: item[0].order)
    ]
    unused = configured - {(use.provider, use.key_name, use.origin) for use in used}
    used += [_unused(*key) for key in unused]
    return tuple(sorted(used, key=lambda use: (use.provider, use.key_name, use.kek_id, use.kek_version, use.origin)))


def _unused(provider: Provider, name: str, origin: str) -> KeyUsage:
    """A configured key that no value needs."""
    return KeyUsage(
        provider=provider,
        key_name=name,
        kek_id="",
        kek_version="",
        places=(),
        resources=(),
        oldest=None,
        newest=None,
        values=0,
        opened=0,
        failed=0,
        origin=origin,
        configured=True,
        objects=(),
    )


def _configured(configurations: Sequence[Configuration]) -> Iterator[tuple[Provider, str, bytes, tuple[str, str]]]:
    """Provider, printable name and bytes of each configured key, and the file and the path in it."""
    sources = [configuration.source for configuration in configurations]
    for number, configuration in enumerate(configurations, 1):
        several = sources.count(configuration.source) > 1
        source = f"{configuration.source} (file {number})" if several else configuration.source
        for entry in configuration.providers:
            for position, key in enumerate(entry.keys):
                yield entry.provider, shown(key.name), key.secret, (source, f"{entry.path}.keys[{position}]")
            if not entry.keys and entry.provider is not Provider.IDENTITY:
                yield entry.provider, shown(entry.name), b"", (source, entry.path)


def _origins(
    selections: Sequence[Selection], configurations: Sequence[Configuration]
) -> dict[tuple[tuple[Provider, str], bytes], str]:
    """The origin of each key whose name others have too: its files, with the path where one file has several."""
    places: dict[tuple[tuple[Provider, str], bytes], dict[str, str]] = {}
    for provider, name, secret, (source, path) in _configured(configurations):
        places.setdefault(((provider, name), secret), {}).setdefault(source, path)
    for values in selections:
        for number, label in enumerate(values.key_labels):
            if label.secret and ((values.key_label == number) & (values.opened == Opened.YES)).any():
                places.setdefault((label.pair, label.secret), {})
    numbers = Counter(pair for pair, _ in places)
    in_file = Counter((pair, source) for (pair, _), files in places.items() for source in files)
    return {
        (pair, secret): ", ".join(
            f"{source} {path}" if in_file[pair, source] > 1 else source for source, path in files.items()
        )
        or NO_CONFIGURATION
        for (pair, secret), files in places.items()
        if numbers[pair] > 1
    }


def _use(
    row: _Row, parts: list[tuple[Selection, Ints]], configured: set[tuple[Provider, str]], criteria: Criteria
) -> KeyUsage:
    """The use of one key.

    Args:
        row: The key.
        parts: Selections, and their rows under the key.
        configured: Provider and name of every configured key.
        criteria: With the clients of --kms.
    """
    places: dict[Place, int] = {}
    resources: set[str] = set()
    objects: dict[str, None] = {}
    revisions: list[int] = []
    opened = failed = 0
    for values, rows in parts:
        for place, size in value_counts(values.batch.place[rows].astype(np.int64)):
            places[Place(place)] = places.get(Place(place), 0) + size
        resources |= {values.resources[code].name for code, _ in value_counts(values.resource[rows].astype(np.int64))}
        opened += int((values.opened[rows] == Opened.YES).sum())
        named = rows[values.batch.key_at[rows] >= 0]
        # one without its etcd key may have lost a part of itself: it does not say that another key is needed
        failed += int((values.opened[named] == Opened.FAILED).sum())
        own = values.batch.mod_revision[rows]
        own = own[own >= 0]
        revisions += [int(own.min()), int(own.max())] if own.size else []
        first = named[:MOST_OBJECTS]
        keys = values.batch.data.slices(values.batch.key_at[first], values.batch.key_len[first])
        objects.update(dict.fromkeys(printables(keys)))
    return KeyUsage(
        provider=row.provider,
        key_name=row.key_name,
        kek_id=row.kek_id,
        kek_version=row.kek_version,
        places=tuple(sorted(places.items())),
        resources=tuple(sorted(resources)),
        oldest=min(revisions, default=None),
        newest=max(revisions, default=None),
        values=sum(places.values()),
        opened=opened,
        failed=failed,
        origin=row.origin,
        configured=(row.provider, row.key_name) in configured,
        objects=tuple(list(objects)[:MOST_OBJECTS]),
        kek=row.kek,
        answered=_answered(parts, criteria),
    )


def _answered(parts: list[tuple[Selection, Ints]], criteria: Criteria) -> tuple[str, ...]:
    """The keys that really unwrapped the values' data keys."""
    if not criteria.clients:
        return ()
    return tuple(sorted({key for values, rows in parts for key in unwrapping.answering(values, rows, criteria)}))
