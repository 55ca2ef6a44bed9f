"""The values that are current: every data value of every current Secret, whatever its name, and where it stands."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.join import Strings, groups
from auditor.arrays.parallel import split_by
from auditor.judgement import secret_values
from auditor.judgement.secret_values import SecretValues
from auditor.judgement.selection import Selection
from auditor.model.vocabulary import Place
from auditor.text import object_names, printable


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
    """The current Secrets of some selections, and their data values among those of leftovers.

    `empty` and `whole` say of each whether it holds no data, and whether it was read; `source` and `row` where it
    stands in `sources`, the selections. `leftovers` are the values of the others, and `owners` says of each of these
    Secrets the number of the current one with its etcd key; -1 where there is none.
    """

    def __init__(self, selections: Sequence[Selection], leftovers: Sequence[tuple[Selection, Ints]]) -> None:
        self.sources = tuple(selections)
        self.leftovers = [secret_values.read(values, rows) for values, rows in leftovers]
        reads: list[SecretValues] = []
        whole: list[Bools] = []
        source, row, owner = ([np.zeros(0, np.int64)] for _ in range(3))
        for number, values in enumerate(selections):
            rows = np.flatnonzero(current(values) & secret_values.are_secrets(values))
            read = secret_values.read(values, rows)
            whole.append(read.whole)
            source.append(np.full(rows.size, number))
            row.append(rows)
            owner.append(read.secret + sum(part.size for part in row[:-1]))
            reads.append(read)
        self.whole: Bools = np.concatenate([np.zeros(0, np.bool_), *whole])
        self.source, self.row = np.concatenate(source), np.concatenate(row)
        self.owners = self._owners_of(leftovers)
        values_of, self._count = secret_values.equal_values([*reads, *self.leftovers])
        names, self._field_names = secret_values.equal_names([*reads, *self.leftovers])
        self._numbers = list(zip(values_of[len(reads) :], names[len(reads) :], strict=True))
        value, name = (np.concatenate([np.zeros(0, np.int64), *column[: len(reads)]]) for column in (values_of, names))
        self._owner = np.concatenate(owner)
        self.empty: Bools = np.bincount(self._owner, minlength=self.row.size) == 0
        order = np.argsort(value, kind="stable")
        self._owner, self._name = self._owner[order], name[order]
        # by value the first place that holds it, and at last the end
        self._first = np.searchsorted(value[order], np.arange(self._count + 1))
        # pairs of owner and value, and pairs with their field: each sorted, and looked up by searchsorted()
        pair = self._pairs(self._owner, value[order])
        self._every_pair = np.sort(pair)
        self._pair = _distinct(self._every_pair)
        field = np.searchsorted(self._pair, pair) * len(self._field_names) + self._name
        self._field = _distinct(np.sort(field))

    @property
    def unread(self) -> int:
        """The number of current Secrets whose values were not all read."""
        return int((~self.whole).sum())

    def _owners_of(self, leftovers: Sequence[tuple[Selection, Ints]]) -> list[Ints]:
        """What `owners` says."""
        places = list(split_by(self.source))
        current = [_keys(self.sources[number], self.row[rows]) for number, rows in places]
        codes, count = groups([*current, *(_keys(values, rows) for values, rows in leftovers)])
        number_of = np.full(count, -1)
        for (_, rows), code in zip(places, codes, strict=False):
            number_of[code] = rows
        return [number_of[code] for code in codes[len(places) :]]

    def match(self, number: int) -> Matches:
        """The values of leftovers among the current ones. number: of these leftovers among all."""
        value, name = self._numbers[number]
        own = self.owners[number][self.leftovers[number].secret]
        at, in_own = _find(self._pair, self._pairs(own, value))
        in_own &= own >= 0
        _, in_field = _find(self._field, at * len(self._field_names) + name)
        holders = self._first[value + 1] - self._first[value]
        in_other = holders > self._fields_of_own(own, value, in_own)
        return Matches(np.where(holders > 0, value, -1), in_field & in_own, in_own, in_other)

    def holders(self, value: Ints) -> list[str]:
        """Of each value `FIELD of SECRET`, of one that holds it, and in how many more fields it stands.

        value: Numbers of values, as match() returns them.
        """
        first = self._first[value]
        more = self._first[value + 1] - first - 1
        secrets = self._secrets(self._owner[first])
        fields = [printable(name) for name in self._field_names]
        return [
            f"{fields[name]} of {secret} and {count:,} more" if count else f"{fields[name]} of {secret}"
            for secret, name, count in zip(secrets, self._name[first].tolist(), more.tolist(), strict=True)
        ]

    def _secrets(self, owners: Ints) -> list[str]:
        """Namespace and name of some current Secrets, marked."""
        keys = np.empty(owners.size, object)
        for number, places in split_by(self.source[owners]):
            batch, rows = self.sources[number].batch, self.row[owners[places]]
            keys[places] = batch.data.slices(batch.key_at[rows], batch.key_size[rows])
        return object_names([tuple(key.rsplit(b"/", 2)[-2:]) for key in keys.tolist()])

    def _pairs(self, owner: Ints, value: Ints) -> Ints:
        return owner * self._count + value

    def _fields_of_own(self, own: Ints, value: Ints, in_own: Bools) -> Ints:
        """The number of fields in which each value's own Secret holds it."""
        count = np.zeros(value.size, np.int64)
        pair = self._pairs(own[in_own], value[in_own])
        count[in_own] = np.searchsorted(self._every_pair, pair, "right") - np.searchsorted(self._every_pair, pair)
        return count


def _keys(values: Selection, rows: Ints) -> Strings:
    """The etcd key of each Secret; of a fragment that of its object."""
    batch = values.batch
    lost = batch.key_at[rows] < 0
    if not lost.any():
        return batch.data, batch.key_at[rows], batch.key_size[rows]
    keys = batch.data.slices(np.maximum(batch.key_at[rows], 0), batch.key_size[rows])
    for number in np.flatnonzero(lost).tolist():
        keys[number] = values.key(int(rows[number]))
    length = np.array([len(key) for key in keys], np.int64)
    return Buffer(b"".join(keys)), np.cumsum(length) - length, length


def current(values: Selection) -> Bools:
    """Which values are the current ones of their keys, in a file whose latest values the API server reads."""
    latest = values.batch.at(Place.LATEST)
    return latest if values.authoritative else np.zeros_like(latest)


def _distinct(ascending: Ints) -> Ints:
    """The distinct ones of numbers in order: np.unique() hashes them first, which takes ten times as long."""
    distinct: Ints = ascending[np.append(True, ascending[1:] != ascending[:-1])[: ascending.size]]
    return distinct


def _find(ascending: Ints, wanted: Ints) -> tuple[Ints, Bools]:
    """Where each number stands among others in order, and whether it is there."""
    if not ascending.size:
        return np.zeros_like(wanted), np.zeros(wanted.shape, np.bool_)
    at = np.minimum(np.searchsorted(ascending, wanted), ascending.size - 1)
    return at, ascending[at] == wanted
