"""Counts over what was judged: coverage of every resource, and the tally that the conclusion is made from."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from auditor.arrays import parallel
from auditor.arrays.dtypes import Ints
from auditor.encryption.lint import Advice
from auditor.evidence.batch import RecordBatch
from auditor.hunt.hit import Hit
from auditor.judgement import policy, selection
from auditor.judgement.selection import SAME, UNKNOWN, Selection
from auditor.kubernetes.store import Store
from auditor.model.findings import Coverage, Tally
from auditor.model.vocabulary import FindingKind, Opened, Place, Provider

PORTION = 1 << 18
"""Values counted at once."""


def coverage(store: Store) -> tuple[Coverage, ...]:
    counts: Counter[tuple[int, Provider, str, Place]] = Counter()
    for part in store.parts:
        labels, label = selection.label_values(part.batch, part.prefixes)
        present = np.flatnonzero(part.stores)
        shape = (len(store.resources), len(labels), len(Place))
        for chunk in parallel.chunks(present.size, PORTION):
            rows = present[chunk]
            codes = np.ravel_multi_index((part.resource[rows], label[rows], part.batch.place[rows]), shape)
            for code, size in parallel.value_counts(codes):
                of, which, place = np.unravel_index(code, shape)
                counts[int(of), *labels[which], Place(int(place))] += size
    rows_ = (
        Coverage(entry.name, entry.exempt, entry.prefix, provider, name, place, count)
        for (of, provider, name, place), count in counts.items()
        for entry in (store.resources[of],)
    )
    return tuple(sorted(rows_, key=lambda row: (row.resource, row.prefix, row.provider, row.key_name, row.place)))


def tally(selections: Sequence[Selection], advice: Sequence[Advice], hits: Sequence[Hit]) -> Tally:
    places: Counter[tuple[Place, Provider, str]] = Counter()
    opened: Counter[tuple[Place, Provider, str]] = Counter()
    marks = Counter((FindingKind.CONFIGURATION, each.severity) for each in advice if each.judged)
    marks.update((hit.finding, policy.severity(hit.finding, current=False, same_as_latest=False)) for hit in hits)
    readable = in_use = undetermined = 0
    where: set[Place] = set()
    pages: set[int] = set()
    for each in selections:
        told = each.identified
        for code, size in parallel.value_counts((each.key_label * len(Place) + each.batch.place)[told]):
            places[Place(code % len(Place)), *each.key_labels[code // len(Place)]] += size
        done = (each.opened == Opened.YES) & told
        for code, size in parallel.value_counts(each.key_label[done] * len(Place) + each.batch.place[done]):
            opened[Place(code % len(Place)), *each.key_labels[code // len(Place)]] += size
        for code, size in parallel.value_counts(each.mark_codes()):
            current, same = bool(code & 4), code & 3 == SAME
            for finding in FindingKind(code >> 8):
                marks[finding, policy.severity(finding, current=current, same_as_latest=same)] += size
        plain = np.flatnonzero(each.plaintext)
        batch = each.batch
        readable += plain.size
        if not plain.size:
            continue
        in_use += int((each.same_as_latest[plain] == SAME).sum())
        undetermined += int((each.same_as_latest[plain] == UNKNOWN).sum())
        where |= {Place(code) for code in set(batch.place[plain].tolist())}
        if each.authoritative:
            pages |= set(batch.page[plain[batch.place[plain] == Place.FREED]].tolist())
    return Tally(
        places=tuple(sorted((*key, count, opened[key]) for key, count in places.items())),
        findings=tuple(sorted((finding, severity, count) for (finding, severity), count in marks.items())),
        readable=readable,
        contents=_contents(selections),
        objects=_objects(selections),
        in_use=in_use,
        undetermined=undetermined,
        readable_places=tuple(sorted(where)),
        freed_pages=tuple(sorted(pages)),
    )


def _contents(selections: Sequence[Selection]) -> int:
    """How many different values are readable. One source tells its own apart by their groups: none need be read."""
    distinct = [(each, _distinct(each.by_value, plain)) for each, plain in _readable(selections)]
    if len(distinct) == 1:
        return distinct[0][1].size
    return len({hash(each.batch.value(row)) for each, rows in distinct for row in rows.tolist()})


def _objects(selections: Sequence[Selection]) -> int:
    """How many different etcd keys they lie under; as above, but for keys that only the value names."""
    named: list[tuple[RecordBatch, Ints]] = []
    told: set[bytes] = set()
    for each, plain in _readable(selections):
        stored = each.batch.key_at[plain] >= 0
        named.append((each.batch, _distinct(each.by_key, plain[stored])))
        told.update(filter(None, map(each.key, plain[~stored].tolist())))
    if len(named) == 1 and not told:
        return named[0][1].size
    for batch, rows in named:
        told.update(batch.data.slices(batch.key_at[rows], batch.key_len[rows]))
    return len(told)


def _readable(selections: Sequence[Selection]) -> list[tuple[Selection, Ints]]:
    """The selections that hold a readable value, and its rows."""
    rows_ = [(each, np.flatnonzero(each.plaintext)) for each in selections]
    return [(each, plain) for each, plain in rows_ if plain.size]


def _distinct(groups: tuple[Ints, Ints], rows_: Ints) -> Ints:
    """One row of each group that these rows belong to."""
    number, heads = groups
    return heads[np.bincount(number[rows_], minlength=heads.size) > 0]
