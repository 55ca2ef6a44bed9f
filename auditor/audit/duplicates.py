"""Duplicates: other places of the same value under the same key, in one source or in several."""

import hashlib
from collections.abc import Sequence

import numpy as np

from auditor.arrays.dtypes import Ints
from auditor.arrays.parallel import run_starts
from auditor.judgement.selection import Selection
from auditor.model.vocabulary import Place

LABELS = [*(place.label for place in Place), ""]
"""Labels by the codes that best() returns."""


def best(selections: Sequence[Selection]) -> list[Ints]:
    """The best other place of each row with the same key and stored bytes; the last code where there is none."""
    if len(selections) == 1 and selections[0].by_key[1].size == len(selections[0]):
        return [np.full(len(selections[0]), len(Place))]
    pairs = [_pairs(values) for values in selections]
    if len(selections) > 1:
        _merge(selections, pairs)
    others = []
    for values, (number, first, second, _) in zip(selections, pairs, strict=True):
        other = np.where(values.batch.place == first[number], second[number], first[number])
        other[values.batch.key_at < 0] = len(Place)
        others.append(other.astype(np.int64))
    return others


def _pairs(values: Selection) -> tuple[Ints, Ints, Ints, Ints]:
    """Number of every row's pair of key and bytes; by pair the best place, the next best, and one of its rows."""
    (key, _), (value, heads) = values.by_key, values.by_value
    _, number = np.unique(key * max(heads.size, 1) + value, return_inverse=True)
    order = np.lexsort((values.batch.place, number))
    starts = run_starts(number[order])
    place = np.append(values.batch.place[order].astype(np.int64), len(Place))
    sizes = np.diff(starts, append=order.size)
    return (
        number,
        place[starts],
        np.where(sizes > 1, place[np.minimum(starts + 1, order.size)], len(Place)),
        order[starts],
    )


def _merge(selections: Sequence[Selection], pairs: list[tuple[Ints, Ints, Ints, Ints]]) -> None:
    """Give equal pairs of several sources the two best places among all of them."""
    groups: dict[tuple[bytes, bytes], list[tuple[int, int]]] = {}
    for source, (values, (_, _, _, rows)) in enumerate(zip(selections, pairs, strict=True)):
        for pair, row in enumerate(rows.tolist()):
            digest = hashlib.blake2b(values.batch.value(row), digest_size=16).digest()
            groups.setdefault((values.batch.key(row), digest), []).append((source, pair))
    for group in groups.values():
        if len(group) > 1:
            places = sorted(
                place for source, pair in group for place in (pairs[source][1][pair], pairs[source][2][pair])
            )
            for source, pair in group:
                pairs[source][1][pair], pairs[source][2][pair] = places[:2]
