"""The rows of a comparison: from the columns of a Diff to one row an object, ready to be written."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.dtypes import Ints
from auditor.arrays.parallel import value_counts
from auditor.diff.objects import Content, Diff, FormChange
from auditor.judgement import policy
from auditor.judgement.selection import Selection
from auditor.kubernetes import prefixes
from auditor.model.findings import Cell
from auditor.model.vocabulary import FindingKind, Opened, Provider, Severity
from auditor.text import printables

SIDE_COLUMNS = {
    "provider": "identity, aescbc, aesgcm, secretbox, kms v1, kms v2 or unknown: what the prefix claims",
    "key_name": "the key's or the KMS plugin's name",
    "kek_id": "KMS v2's keyID, which stands in clear",
    "decrypted": "yes, no key, failed or not tried; empty for what needs no key",
    "mod_revision": "etcd's mod revision",
    "size": "bytes of the stored value",
}
"""The columns of either side, and what they hold."""
COLUMNS: dict[str, str] = {
    "form": "became encrypted, re-keyed, still plaintext, turned to plaintext, appeared, vanished, unchanged, unknown",
    "content": "whether type and data of a Secret (of others all but the metadata) are the same on both sides: same, "
    "changed, unknown; empty where one side has no such object",
    "resource": "as an EncryptionConfiguration names it",
    "namespace": "from the etcd key; empty for cluster-scoped objects",
    "name": "from the etcd key",
    "key": "the etcd key, of AFTER where it is there",
    **{
        f"{side}_{name}": f"{text}; in {side.upper()}"
        for side in ("before", "after")
        for name, text in SIDE_COLUMNS.items()
    },
    "finding": "what a scan of AFTER finds of this value, joined with ;",
    "severity": "the highest of those findings",
    "detail": "what else there is to say",
}
NUMBERS = frozenset(f"{side}_{name}" for side in ("before", "after") for name in ("mod_revision", "size"))


def problems(diff: Diff) -> Ints:
    """The objects that are not as they should be, changed, or of unknown form: numbers into the Diff."""
    bits = diff.findings()
    serious = [code for code, _ in value_counts(bits) if _finding(code)[1] not in {"", Severity.LOW.label}]
    wrong = np.isin(bits, serious) | (diff.content == Content.CHANGED) | (diff.form == FormChange.UNKNOWN)
    return np.flatnonzero(wrong)


def columns(diff: Diff, selection: Ints | None = None, most: int | None = None) -> Mapping[str, Sequence[Cell]]:
    """One row an object, in the order of their etcd keys: COLUMNS, ready to be written.

    Args:
        diff: The comparison.
        selection: Numbers of objects; all where it is None.
        most: The number of rows, from the first on; all where it is None.
    """
    keys = _etcd_keys(diff, np.arange(len(diff)) if selection is None else selection)
    numbers = np.array([number for _, number in (sorted(keys)[:most])], np.int64)
    rows = diff.rows[:, numbers]
    before, after = (_side(side, side_rows) for side, side_rows in zip((diff.before, diff.after), rows, strict=True))
    sides = [after if present else before for present in (rows[1] >= 0).tolist()]
    key, path, resource = ([side[name][row] for row, side in enumerate(sides)] for name in ("key", "path", "resource"))
    names = [str(text)[int(length) + 1 :].rpartition("/") for text, length in zip(key, path, strict=True)]
    bits = diff.findings()[numbers]
    findings = {code: _finding(code) for code, _ in value_counts(bits)}
    labels = [findings[code] for code in bits.tolist()]
    cells: dict[str, Sequence[Cell]] = {
        "form": _labels(diff.form[numbers], [form.label for form in FormChange]),
        "content": _labels(diff.content[numbers], [content.label for content in Content]),
        "resource": resource,
        "namespace": [namespace for namespace, _, _ in names],
        "name": [name for _, _, name in names],
        "key": key,
        **{f"before_{name}": before[name] for name in SIDE_COLUMNS},
        **{f"after_{name}": after[name] for name in SIDE_COLUMNS},
        "finding": [finding for finding, _ in labels],
        "severity": [level for _, level in labels],
        "detail": np.where(diff.recreated[numbers], "deleted and created again", "").tolist(),
    }
    return {name: cells[name] for name in COLUMNS}


def _etcd_keys(diff: Diff, numbers: Ints) -> list[tuple[bytes, int]]:
    """The etcd key of each object, of AFTER where it is there, and its number."""
    pairs: list[tuple[bytes, int]] = []
    absent = diff.rows[1][numbers] < 0
    for values, side, objects in ((diff.after, 1, numbers[~absent]), (diff.before, 0, numbers[absent])):
        rows, batch = diff.rows[side][objects], values.batch
        keys = batch.data.slices(batch.key_at[rows], batch.key_len[rows])
        pairs += zip(keys, objects.tolist(), strict=True)
    return pairs


def _side(side: Selection, rows: Ints) -> dict[str, list[Cell]]:
    """The cells of one side for every object, empty where it has none; `path` is the length of its resource's path."""
    present = np.flatnonzero(rows >= 0)
    complete = present.size == rows.size
    present_rows = rows[present]
    batch = side.batch.take(present_rows)
    stored_prefixes = side.prefixes.take(present_rows)
    at, length = prefixes.kek_ids(batch, stored_prefixes)
    paths = [len(resource.path) for resource in side.resources]

    def spread(cells: Sequence[Cell]) -> list[Cell]:
        if complete:
            return list(cells)
        column: list[Cell] = [""] * rows.size
        for place, cell in zip(present.tolist(), cells, strict=True):
            column[place] = cell
        return column

    opened = ["", *(state.label for state in Opened if state)]
    return {
        "key": spread(printables(batch.data.slices(batch.key_at, batch.key_size))),
        "path": spread(_labels(side.resource[present_rows], paths)),
        "resource": spread(_labels(side.resource[present_rows], [resource.name for resource in side.resources])),
        "provider": spread(_labels(stored_prefixes.provider, [provider.label for provider in Provider])),
        "key_name": spread(_labels(side.key_label[present_rows], [label.name for label in side.key_labels])),
        "kek_id": spread(printables(batch.data.slices(at, np.maximum(length, 0)))),
        "decrypted": spread(_labels(side.opened[present_rows], opened)),
        "mod_revision": spread(batch.mod_revision.tolist()),
        "size": spread(batch.value_len.tolist()),
    }


def _labels(codes: NDArray[np.generic], meaning: Sequence[Cell]) -> list[Cell]:
    return [meaning[code] for code in codes.tolist()]


def _finding(bits: int) -> tuple[str, str]:
    """Findings of a current value, joined, and the highest severity."""
    kinds = list(FindingKind(bits))
    levels = [policy.severity(each, current=True, same_as_latest=False) for each in kinds]
    return ";".join(each.label for each in kinds), max(levels, default=Severity.LOW).label if kinds else ""
