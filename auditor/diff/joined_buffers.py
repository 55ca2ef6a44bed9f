"""The current values of a store whose bytes lie in several files or buffers, as one selection in memory.

kine's database and its WAL, values on overflow pages, Gardener's increments: of every key one value is current,
wherever it lies.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Ints
from auditor.evidence.batch import RecordBatch
from auditor.judgement.selection import KeyLabel, Selection
from auditor.kubernetes.prefixes import Prefixes
from auditor.model.vocabulary import Place


def concatenate(parts: Sequence[Selection]) -> Selection:
    """Current values of one store as one selection, whose batch has no offsets in a file.

    parts: selections with the same resources.
    """
    batches = [part.batch for part in parts]
    keys = [key for batch in batches for key in batch.data.slices(batch.key_at, batch.key_len)]
    values = [value for batch in batches for value in batch.data.slices(batch.value_at, batch.value_len)]
    key_len, value_len = np.array([*map(len, keys)], np.int64), np.array([*map(len, values)], np.int64)
    end = np.cumsum(key_len + value_len)
    value_at = end - value_len
    batch = RecordBatch.of(
        batches[0].source,
        Buffer(b"".join([piece for pair in zip(keys, values, strict=True) for piece in pair])),
        mapped=False,
        place=Place.LATEST,
        key_at=value_at - key_len,
        key_len=key_len,
        value_at=value_at,
        value_len=value_len,
        mod_revision=np.concatenate([each.mod_revision for each in batches]),
        create_revision=np.concatenate([each.create_revision for each in batches]),
        version=np.concatenate([each.version for each in batches]),
        state=np.concatenate([each.state for each in batches]),
    )
    labels, label = _labels(parts)
    together = replace(
        parts[0],
        batch=batch,
        prefixes=_prefixes(parts, value_at),
        resource=np.concatenate([part.resource for part in parts]),
        findings=np.concatenate([part.findings for part in parts]),
        key_labels=labels,
        key_label=label,
        same_as_latest=np.concatenate([part.same_as_latest for part in parts]),
        opened=np.concatenate([part.opened for part in parts]),
        objects={start + row: opened for start, part in _starts(parts) for row, opened in part.objects.items()},
        reasons={start + row: reason for start, part in _starts(parts) for row, reason in part.reasons.items()},
        plaintexts={},
    )
    return together.take(_newest(together))


def _starts(parts: Sequence[Selection]) -> list[tuple[int, Selection]]:
    """Each part with the row at which it begins."""
    starts = np.cumsum([0, *map(len, parts)]).tolist()
    return list(zip(starts, parts, strict=False))


def _prefixes(parts: Sequence[Selection], value_at: Ints) -> Prefixes:
    """The prefixes, the names of keys at their new places."""
    joined = Prefixes.concatenate([part.prefixes for part in parts])
    before = np.concatenate([part.batch.value_at for part in parts])
    return replace(joined, name_at=joined.name_at - before + value_at)


def _labels(parts: Sequence[Selection]) -> tuple[tuple[KeyLabel, ...], Ints]:
    """One table of labels, and the label of each value in it."""
    numbers: dict[KeyLabel, int] = {}
    columns = []
    for part in parts:
        renumbered = [numbers.setdefault(label, len(numbers)) for label in part.key_labels]
        columns.append(np.array(renumbered, np.int64)[part.key_label])
    return tuple(numbers), np.concatenate(columns)


def _newest(values: Selection) -> Ints:
    """Of each key the row of the highest revision, in the order of the rows."""
    group, _ = values.by_key
    order = np.lexsort((values.batch.mod_revision, group))
    last = np.append(group[order][1:] != group[order][:-1], True) if order.size else np.zeros(0, np.bool_)
    return np.sort(order[last])
