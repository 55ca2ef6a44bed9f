"""Counts over what was judged: coverage of every resource, and the tally that the conclusion is made from."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from auditor import columns, policy, selection
from auditor.batch import Batch
from auditor.columns import Ints
from auditor.encryption.advice import Advice
from auditor.hunt.hit import Hit
from auditor.model import Coverage, Finding, Opened, Place, Provider, Tally
from auditor.selection import SAME, UNKNOWN, Selection
from auditor.storage import keys, values


def coverage(batches: Sequence[Batch], stored: Sequence[values.Values], found: keys.Keys) -> tuple[Coverage, ...]:
    counts: Counter[tuple[int, Provider, str, Place]] = Counter()
    for batch, each, resource in zip(batches, stored, found.resource, strict=True):
        labels, label = selection.label_values(batch, each)
        present = ~values.no_value(batch)
        shape = (len(found.table), len(labels), len(Place))
        codes = np.ravel_multi_index((resource[present], label[present], batch.place[present]), shape)
        for code, size in columns.counts(codes):
            of, which, place = np.unravel_index(code, shape)
            counts[int(of), *labels[which], Place(int(place))] += size
    rows_ = (
        Coverage(entry.name, entry.exempt, entry.prefix, provider, name, place, count)
        for (of, provider, name, place), count in counts.items()
        for entry in (found.table[of],)
    )
    return tuple(sorted(rows_, key=lambda row: (row.resource, row.prefix, row.provider, row.key_name, row.place)))


def tally(selections: Sequence[Selection], advice: Sequence[Advice], hits: Sequence[Hit]) -> Tally:
    places: Counter[tuple[Place, Provider, str]] = Counter()
    opened: Counter[tuple[Place, Provider, str]] = Counter()
    marks = Counter((Finding.CONFIGURATION, each.severity) for each in advice if each.judged)
    marks.update((hit.finding, policy.severity(hit.finding, current=False, same_as_latest=False)) for hit in hits)
    alone = len(selections) == 1  # one source tells its own values and keys apart by their groups: none need be read
    readable = in_use = undetermined = different = named_objects = 0
    contents: set[int] = set()
    objects_: set[bytes] = set()
    where: set[Place] = set()
    pages: set[int] = set()
    for each in selections:
        judged = each.told
        for code, size in columns.counts((each.label * len(Place) + each.batch.place)[judged]):
            places[Place(code % len(Place)), *each.labels[code // len(Place)]] += size
        done = (each.opened == Opened.YES) & judged
        for code, size in columns.counts(each.label[done] * len(Place) + each.batch.place[done]):
            opened[Place(code % len(Place)), *each.labels[code // len(Place)]] += size
        for code, size in columns.counts(each.mark_codes()):
            current, same = bool(code & 4), code & 3 == SAME
            for finding in Finding(code >> 8):
                marks[finding, policy.severity(finding, current=current, same_as_latest=same)] += size
        plain = np.flatnonzero(each.plaintext)
        batch = each.batch
        readable += plain.size
        if not plain.size:
            continue
        some = _distinct(each.by_value, plain)
        if alone:
            different = some.size
        else:
            contents.update(hash(batch.value(row)) for row in some.tolist())
        named = batch.key_at[plain] >= 0
        some = _distinct(each.by_key, plain[named])
        told = set(filter(None, map(each.key, plain[~named].tolist())))
        if alone and not told:
            named_objects = some.size
        else:
            objects_ |= told
            objects_.update(batch.data.slices(batch.key_at[some], batch.key_len[some].astype(np.int64)))
        in_use += int((each.same[plain] == SAME).sum())
        undetermined += int((each.same[plain] == UNKNOWN).sum())
        where |= {Place(code) for code in set(batch.place[plain].tolist())}
        if each.main:
            pages |= set(batch.page[plain[batch.place[plain] == Place.FREED]].tolist())
    return Tally(
        places=tuple(sorted((*key, count, opened[key]) for key, count in places.items())),
        marks=tuple(sorted((finding, severity, count) for (finding, severity), count in marks.items())),
        readable=readable,
        contents=different + len(contents),
        objects=named_objects + len(objects_),
        in_use=in_use,
        undetermined=undetermined,
        readable_places=tuple(sorted(where)),
        freed_pages=tuple(sorted(pages)),
    )


def _distinct(groups: tuple[Ints, Ints], rows_: Ints) -> Ints:
    """One row of each group that these rows belong to."""
    number, heads = groups
    return heads[np.bincount(number[rows_], minlength=heads.size) > 0]
