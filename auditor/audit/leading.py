"""The objects that a summary names: those with the most severe findings, without a row for every value."""

from collections.abc import Sequence

import numpy as np

from auditor.arrays.dtypes import Ints
from auditor.audit.provider_rows import KIND
from auditor.judgement.selection import Selection


def values(selections: Sequence[Selection], objects: int) -> list[Selection]:
    """Of each selection the values with findings of its objects with the most severe ones, in the order they had.

    Args:
        selections: the judged values.
        objects: number of objects of each selection, at most.
    """
    return [selection.take(_rows(selection, objects)) for selection in selections]


def _rows(selection: Selection, objects: int) -> Ints:
    """The rows of a selection, ascending. Values without an etcd key count as one object each."""
    grades = selection.grades()
    levels = np.array(
        [
            max((int(grade.severity(kind)) for kind in grade.findings if kind is not KIND), default=-1)
            for grade in grades.values
        ],
        np.int64,
    )[grades.codes]
    flagged = np.flatnonzero(levels >= 0)
    if not flagged.size:
        return flagged
    number, heads = selection.by_key
    owner = np.where(selection.batch.key_at >= 0, number, heads.size + np.arange(len(selection)))[flagged]
    distinct, code = np.unique(owner, return_inverse=True)
    highest = np.full(distinct.size, -1, np.int64)
    np.maximum.at(highest, code, levels[flagged])
    chosen = np.zeros(distinct.size, np.bool_)
    chosen[np.argsort(-highest, kind="stable")[:objects]] = True
    return flagged[chosen[code]]
