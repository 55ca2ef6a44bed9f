"""Where else the same value of the same key lies: in other places of one source, and in others."""

import hashlib
from collections.abc import Sequence

import numpy as np

from auditor.arrays.dtypes import Ints
from auditor.judgement.selection import Selection
from auditor.model.vocabulary import Place

LABELS = [*(place.label for place in Place), ""]
"""What best() answers with numbers of."""


def best(selections: Sequence[Selection]) -> list[Ints]:
    """For each row: the best other place that holds the same key with identical stored bytes; the last where none."""
    if len(selections) == 1 and selections[0].by_key[1].size == len(selections[0]):
        return [np.full(len(selections[0]), len(Place))]
    pairs = [_pairs(each) for each in selections]
    if len(selections) > 1:
        _merge(selections, pairs)
    also = []
    for each, (number, best, second, _) in zip(selections, pairs, strict=True):
        other = np.where(each.batch.place == best[number], second[number], best[number])
        other[each.batch.key_at < 0] = len(Place)
        also.append(other.astype(np.int64))
    return also


def _pairs(each: Selection) -> tuple[Ints, Ints, Ints, Ints]:
    """Number of every row's pair of key and bytes; by pair its best place, the next best, and one of its rows."""
    (key, _), (value, heads) = each.by_key, each.by_value
    _, number = np.unique(key * max(heads.size, 1) + value, return_inverse=True)
    order = np.lexsort((each.batch.place, number))
    starts = np.flatnonzero(np.diff(number[order], prepend=-1))
    place = np.append(each.batch.place[order].astype(np.int64), len(Place))
    sizes = np.diff(starts, append=order.size)
    return (
        number,
        place[starts],
        np.where(sizes > 1, place[np.minimum(starts + 1, order.size)], len(Place)),
        order[starts],
    )


def _merge(selections: Sequence[Selection], pairs: list[tuple[Ints, Ints, Ints, Ints]]) -> None:
    """The same pairs in several sources: their two best places become each other's."""
    held: dict[tuple[bytes, bytes], list[tuple[int, int]]] = {}
    for source, (each, (_, _, _, rows)) in enumerate(zip(selections, pairs, strict=True)):
        for pair, row in enumerate(rows.tolist()):
            digest = hashlib.blake2b(each.batch.value(row), digest_size=16).digest()
            held.setdefault((each.batch.key(row), digest), []).append((source, pair))
    for those in held.values():
        if len(those) > 1:
            places = sorted(
                place for source, pair in those for place in (pairs[source][1][pair], pairs[source][2][pair])
            )
            for source, pair in those:
                pairs[source][1][pair], pairs[source][2][pair] = places[:2]
