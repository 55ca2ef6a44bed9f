"""Counts over the stored values: the coverage of every resource, and the tally that the conclusion rests on."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from auditor.arrays import parallel
from auditor.arrays.dictionary import from_columns
from auditor.arrays.dtypes import Bools, Ints
from auditor.encryption.lint import Advice
from auditor.evidence.batch import RecordBatch
from auditor.hunt.hit import Hit
from auditor.judgement import policy, selection
from auditor.judgement.selection import Selection
from auditor.kubernetes.store import Store
from auditor.model.findings import Coverage, Tally
from auditor.model.vocabulary import FindingKind, Opened, Place, Provider, SameAsLatest, Severity

UNREADABLE = FindingKind.UNDECRYPTABLE | FindingKind.ORPHANED
CURRENT = [same for same in SameAsLatest if same.current]
PORTION = 1 << 18
"""Values counted at once."""


def coverage(store: Store) -> tuple[Coverage, ...]:
    """The number of values of every resource, judged or not, by key and place."""
    counts: Counter[tuple[int, Provider, str, Place]] = Counter()
    for part in store.parts:
        labels, label = selection.label_values(part.batch, part.prefixes)
        present = np.flatnonzero(part.stores)
        for chunk in parallel.chunks(present.size, PORTION):
            rows = present[chunk]
            values = from_columns(
                (part.resource[rows], label[rows], part.batch.place[rows]),
                (len(store.resources), len(labels), len(Place)),
                lambda code, number, place, labels=labels: (code, *labels[number].pair, Place(place)),
            )
            counts.update(dict(values.value_counts()))
    entries = (
        Coverage(
            resource=resource.name,
            exempt=resource.exempt,
            prefix=resource.prefix,
            provider=provider,
            key_name=name,
            place=place,
            values=count,
        )
        for (code, provider, name, place), count in counts.items()
        for resource in (store.resources[code],)
    )
    return tuple(sorted(entries, key=lambda row: (row.resource, row.prefix, row.provider, row.key_name, row.place)))


def tally(selections: Sequence[Selection], advice: Sequence[Advice], hits: Sequence[Hit]) -> Tally:
    """The counts over all findings.

    Args:
        selections: the judged values.
        advice: on configurations.
        hits: of a hunt.
    """
    places: Counter[tuple[Place, Provider, str]] = Counter()
    opened: Counter[tuple[Place, Provider, str]] = Counter()
    readable = current_holders = undetermined = 0
    readable_places: set[Place] = set()
    pages: set[int] = set()
    for values in selections:
        places.update(_by_place_and_key(values, values.identified))
        opened.update(_by_place_and_key(values, (values.opened == Opened.YES) & values.identified))
        plain = np.flatnonzero(values.plaintext)
        batch = values.batch
        readable += plain.size
        if not plain.size:
            continue
        current_holders += int(np.isin(values.same_as_latest[plain], CURRENT).sum())
        undetermined += int((values.same_as_latest[plain] == SameAsLatest.UNKNOWN).sum())
        readable_places |= {Place(code) for code in set(batch.place[plain].tolist())}
        if values.authoritative:
            pages |= set(batch.page[plain[batch.place[plain] == Place.FREED]].tolist())
    return Tally(
        places=tuple(sorted((*key, count, opened[key]) for key, count in places.items())),
        findings=_findings(selections, advice, hits),
        readable=readable,
        contents=_contents(selections),
        objects=_objects(_readable(selections)),
        current_holders=current_holders,
        objects_of_holders=_objects(_holders(selections)) if current_holders else 0,
        undetermined=undetermined,
        readable_places=tuple(sorted(readable_places)),
        freed_pages=tuple(sorted(pages)),
        unreadable=_unreadable(selections),
    )


def _unreadable(selections: Sequence[Selection]) -> tuple[int, ...]:
    """Lowest and highest mod revision of the values that the keys at hand do not read; empty without any."""
    revisions = [
        values.batch.mod_revision[((values.findings & np.uint16(UNREADABLE)) != 0) & (values.batch.mod_revision >= 0)]
        for values in selections
    ]
    every = np.concatenate([np.zeros(0, np.int64), *revisions])
    return (int(every.min()), int(every.max())) if every.size else ()


def _by_place_and_key(values: Selection, chosen: Bools) -> dict[tuple[Place, Provider, str], int]:
    """The number of the chosen values in each place under each key."""
    labelled = from_columns(
        (values.batch.place[chosen], values.key_label[chosen]),
        (len(Place), len(values.key_labels)),
        lambda place, number: (Place(place), *values.key_labels[number].pair),
    )
    return dict(labelled.value_counts())


def _findings(
    selections: Sequence[Selection], advice: Sequence[Advice], hits: Sequence[Hit]
) -> tuple[tuple[FindingKind, Severity, int], ...]:
    counts = Counter((FindingKind.CONFIGURATION, advised.severity) for advised in advice if advised.judged)
    counts.update((hit.finding, policy.severity(hit.finding, current=False, same_as_latest=False)) for hit in hits)
    for values in selections:
        for grade, size in values.grades().value_counts():
            for kind in grade.findings:
                counts[kind, grade.severity(kind)] += size
    return tuple(sorted((kind, severity, count) for (kind, severity), count in counts.items()))


def _contents(selections: Sequence[Selection]) -> int:
    """The number of distinct readable values. Within one source their groups suffice, and no value is read."""
    distinct = [(values, _distinct(values.by_value, plain)) for values, plain in _readable(selections)]
    if len(distinct) == 1:
        return distinct[0][1].size
    return len({hash(values.batch.value(row)) for values, rows in distinct for row in rows.tolist()})


def _holders(selections: Sequence[Selection]) -> Iterator[tuple[Selection, Ints]]:
    """Parts with leftovers that hold what is current, and their rows."""
    for values, plain in _readable(selections):
        rows = plain[np.isin(values.same_as_latest[plain], CURRENT)]
        if rows.size:
            yield values, rows


def _objects(parts: Iterable[tuple[Selection, Ints]]) -> int:
    """The number of distinct etcd keys of some rows, including keys that only the value names."""
    stored: list[tuple[RecordBatch, Ints]] = []
    keys: set[bytes] = set()
    for values, plain in parts:
        has_key = values.batch.key_at[plain] >= 0
        stored.append((values.batch, _distinct(values.by_key, plain[has_key])))
        keys.update(filter(None, map(values.key, plain[~has_key].tolist())))
    if len(stored) == 1 and not keys:
        return stored[0][1].size
    for batch, rows in stored:
        keys.update(batch.data.slices(batch.key_at[rows], batch.key_len[rows]))
    return len(keys)


def _readable(selections: Sequence[Selection]) -> list[tuple[Selection, Ints]]:
    """The selections with readable values, and the rows of these."""
    rows = [(values, np.flatnonzero(values.plaintext)) for values in selections]
    return [(values, plain) for values, plain in rows if plain.size]


def _distinct(groups: tuple[Ints, Ints], rows: Ints) -> Ints:
    """One row of each group that the rows belong to."""
    number, heads = groups
    return heads[np.bincount(number[rows], minlength=heads.size) > 0]
