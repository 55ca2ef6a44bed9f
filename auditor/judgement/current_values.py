"""The values that are current: every data value of every current Secret, whatever its name, and where it stands."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auditor.arrays.dtypes import Bools, Ints
from auditor.judgement import secret_values
from auditor.judgement.secret_values import SecretValues
from auditor.judgement.selection import Selection
from auditor.model.vocabulary import Place


@dataclass(frozen=True, slots=True)
class Matches:
    """How n data values of leftovers stand to the current ones: columns of shape (n,)."""

    value: Ints
    """Number of the current value with the same bytes; -1 where there is none."""
    in_field: Bools
    """Whether the leftover's own Secret holds it now in the field of the same name."""
    in_own: Bools
    """Whether the leftover's own Secret holds it now in any field."""
    in_other: Bools
    """Whether a Secret of another key holds it now."""


class CurrentValues:
    """The current Secrets of some selections, and their data values by digest.

    `owners` are their etcd keys; `empty` and `whole` say of each whether it holds no data, and whether it was read;
    `source` and `row` where it stands in `sources`, the selections.
    """

    def __init__(self, selections: Sequence[Selection]) -> None:
        self.sources = tuple(selections)
        self.owners: list[bytes] = []
        self._values: dict[bytes, int] = {}
        self._names: dict[bytes, int] = {}
        whole: list[Bools] = []
        source, row, owner, value, name = ([np.zeros(0, np.int64)] for _ in range(5))
        for number, values in enumerate(selections):
            rows = np.flatnonzero(current(values) & secret_values.are_secrets(values))
            read = secret_values.read(values, rows)
            whole.append(read.whole)
            source.append(np.full(rows.size, number))
            row.append(rows)
            owner.append(read.secret + len(self.owners))
            value.append(_numbers(self._values, read.digests))
            name.append(_numbers(self._names, read.names))
            self.owners += values.batch.data.slices(values.batch.key_at[rows], values.batch.key_len[rows])
        self.whole: Bools = np.concatenate([np.zeros(0, np.bool_), *whole])
        self.source, self.row = np.concatenate(source), np.concatenate(row)
        self._owner, self._value, self._name = (np.concatenate(column) for column in (owner, value, name))
        self.empty: Bools = np.bincount(self._owner, minlength=len(self.owners)) == 0
        self._field_names = list(self._names)
        self._number = {key: number for number, key in enumerate(self.owners)}
        order = np.argsort(self._value, kind="stable")
        self._owner, self._value, self._name = self._owner[order], self._value[order], self._name[order]
        # pairs of owner and value, and pairs with their field: each sorted, and looked up by searchsorted()
        pair = self._pairs(self._owner, self._value)
        self._pair = _distinct(pair)
        self._field = _distinct(np.searchsorted(self._pair, pair) * len(self._names) + self._name)

    @property
    def unread(self) -> int:
        """The number of current Secrets whose values were not all read."""
        return int((~self.whole).sum())

    def owner(self, keys: Sequence[bytes]) -> Ints:
        """The number of the current Secret with each etcd key; -1 where there is none."""
        return np.array([self._number.get(key, -1) for key in keys], np.int64)

    def match(self, read: SecretValues, owners: Ints) -> Matches:
        """The values of leftovers among the current ones.

        Args:
            read: Values of leftovers.
            owners: Of each leftover what owner() says of its key.
        """
        value = np.array([self._values.get(digest, -1) for digest in read.digests], np.int64)
        name = np.array([self._names.get(name, -1) for name in read.names], np.int64)
        own = owners[read.secret]
        at, in_own = _find(self._pair, self._pairs(own, value))
        in_own &= (own >= 0) & (value >= 0)
        _, in_field = _find(self._field, at * len(self._names) + name)
        holders = np.searchsorted(self._value, value, "right") - np.searchsorted(self._value, value)
        own_fields = self._fields_of_own(own, value, in_own)
        return Matches(value, in_field & in_own & (name >= 0), in_own, (value >= 0) & (holders > own_fields))

    def holders(self, value: Ints) -> list[tuple[bytes, bytes, int]]:
        """Of each value the etcd key of a Secret that holds it and the field, and in how many more fields it stands.

        value: Numbers of values, as match() returns them.
        """
        first = np.searchsorted(self._value, value)
        more = np.searchsorted(self._value, value, "right") - first - 1
        owners, names = self._owner[first].tolist(), self._name[first].tolist()
        return [
            (self.owners[owner], self._field_names[name], count)
            for owner, name, count in zip(owners, names, more.tolist(), strict=True)
        ]

    def _pairs(self, owner: Ints, value: Ints) -> Ints:
        return owner * (len(self._values) + 1) + value

    def _fields_of_own(self, own: Ints, value: Ints, in_own: Bools) -> Ints:
        """The number of fields in which each value's own Secret holds it."""
        every = np.sort(self._pairs(self._owner, self._value))
        pair = self._pairs(own, value)
        count = np.searchsorted(every, pair, "right") - np.searchsorted(every, pair)
        return np.where(in_own, count, 0)


def current(values: Selection) -> Bools:
    """Which values are the current ones of their keys, in a file whose latest values the API server reads."""
    latest = values.batch.at(Place.LATEST)
    return latest if values.authoritative else np.zeros_like(latest)


def _numbers(known: dict[bytes, int], texts: Sequence[bytes]) -> Ints:
    """The number of each text; new ones get the next."""
    return np.array([known.setdefault(text, len(known)) for text in texts], np.int64)


def _distinct(numbers: Ints) -> Ints:
    """The distinct numbers in order: np.unique() hashes them first, which takes ten times as long."""
    ascending = np.sort(numbers)
    distinct: Ints = ascending[np.append(True, ascending[1:] != ascending[:-1])[: ascending.size]]
    return distinct


def _find(ascending: Ints, wanted: Ints) -> tuple[Ints, Bools]:
    """Where each number stands among others in order, and whether it is there."""
    if not ascending.size:
        return np.zeros_like(wanted), np.zeros(wanted.shape, np.bool_)
    at = np.minimum(np.searchsorted(ascending, wanted), ascending.size - 1)
    return at, ascending[at] == wanted
