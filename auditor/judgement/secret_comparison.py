"""Secrets that are not current, value by value: which of their data some current Secret still holds."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.join import identical
from auditor.arrays.parallel import chunks, split_by
from auditor.judgement import secret_values
from auditor.judgement.current_values import CurrentValues, Matches
from auditor.judgement.secret_values import SecretValues
from auditor.judgement.selection import Selection
from auditor.kubernetes import common_values
from auditor.model.vocabulary import SameAsLatest
from auditor.text import printable

if TYPE_CHECKING:
    from auditor.encryption.keyring import Keyring

PORTION = 1 << 12
"""Values that are copied at once, to see whether they are common."""


@dataclass(frozen=True, slots=True)
class Habit:
    """What a value must not be, for another Secret that holds it too to say anything."""

    least: int = 8
    """Bytes below which a value is too short."""
    fields: frozenset[str] = frozenset()
    """Names of data whose values are never too common."""

    def common(self, name: bytes, text: bytes, *, unchanged: bool = False) -> bool:
        """Whether a value is public, or stands in many places. unchanged: whether its own Secret's field holds it."""
        if self.fields and printable(name) in self.fields:
            return False
        return bool(common_values.reason(name, text.strip() or text, self.least, unchanged=unchanged))


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The comparison of m Secrets of a selection with the current ones."""

    same: NDArray[np.uint8]
    """Codes of SameAsLatest, shape (m,)."""
    reasons: dict[int, str]
    """By row of the selection, which values are current and where; none where all are."""


def compare(
    values: Selection,
    rows: Ints,
    number: int,
    current: CurrentValues,
    keyring: "Keyring | None",
    habit: Habit,
    *,
    complete: bool,
) -> Verdicts:
    """Some Secrets of a selection in comparison with the current ones.

    Args:
        values: The selection.
        rows: Rows of the Secrets.
        number: Of these Secrets among the leftovers that `current` was made with.
        current: What is current.
        keyring: Opens a Secret once more, where nothing kept what it opened to.
        habit: What is too common to say anything.
        complete: Whether everything that could be current was read.
    """
    read = current.leftovers[number]
    owners = current.owners[number]
    matches = current.match(number)
    known = read.whole if complete else np.zeros(rows.size, np.bool_)
    same = np.where(known, np.uint8(SameAsLatest.NO), np.uint8(SameAsLatest.UNKNOWN))
    yes = _all_in_place(read, matches, owners, current) | _same_bytes(values, rows, owners, current, ~read.whole)
    same[yes] = SameAsLatest.YES
    held = np.flatnonzero((matches.in_own | matches.in_other) & ~yes[read.secret])
    secret = read.secret[held]
    telling = ~_common(values, rows, read, held, matches.in_field[held], keyring, habit)
    own, other = telling & matches.in_own[held], telling & ~matches.in_own[held]
    settled = np.bincount(secret[own | matches.in_field[held]], minlength=rows.size)
    parts, elsewhere = (np.bincount(secret[chosen], minlength=rows.size) > 0 for chosen in (own, other))
    same[elsewhere] = SameAsLatest.ELSEWHERE
    same[parts] = SameAsLatest.PART
    total = np.bincount(read.secret, minlength=rows.size)
    all_of_it = read.whole & (parts | elsewhere) & (settled == total)
    same[all_of_it] = SameAsLatest.YES
    stated = telling & ~all_of_it[secret]
    reasons = _reasons(read, matches, current, held[stated])
    return Verdicts(same, dict(zip(rows[list(reasons)].tolist(), reasons.values(), strict=True)))


def _common(
    values: Selection,
    rows: Ints,
    read: SecretValues,
    held: Ints,
    unchanged: Bools,
    keyring: "Keyring | None",
    habit: Habit,
) -> Bools:
    """Which of the values at some places of `read` are too common to say anything. unchanged: as of Habit.common()."""
    common = np.zeros(held.size, np.bool_)
    public = np.array([name in common_values.PUBLIC_FIELDS for name in read.names], np.bool_)
    in_place = np.flatnonzero(read.at[held] >= 0)
    for part in chunks(in_place.size, PORTION):
        places = in_place[part]
        random = np.zeros(places.size, np.bool_)
        if not habit.fields:
            at, length = read.at[held[places]], read.length[held[places]]
            random = common_values.random_ones(values.batch.data, at, length, habit.least)
            random &= ~public[read.name[held[places]]]
        left = places[~random]
        places = held[left]
        texts = values.batch.data.slices(read.at[places], read.length[places])
        names = map(read.names.__getitem__, read.name[places].tolist())
        common[left] = [
            habit.common(name, text, unchanged=own)
            for name, text, own in zip(names, texts, unchanged[left].tolist(), strict=True)
        ]
    apart = np.flatnonzero(read.at[held] < 0)
    for number, places in split_by(read.secret[held[apart]]):
        texts_by_name = dict(secret_values.text_pairs(values, int(rows[number]), keyring))
        for place in apart[places].tolist():
            name = read.names[read.name[held[place]]]
            common[place] = name in texts_by_name and habit.common(
                name, texts_by_name[name], unchanged=bool(unchanged[place])
            )
    return common


def _all_in_place(read: SecretValues, matches: Matches, owners: Ints, current: CurrentValues) -> Bools:
    """Which Secrets hold only what the current one of their key holds in the same fields."""
    count = owners.size
    total = np.bincount(read.secret, minlength=count)
    in_place = np.bincount(read.secret[matches.in_field], minlength=count)
    owned = read.whole & (owners >= 0)
    empty = np.zeros(count, np.bool_)
    empty[owned] = (current.empty & current.whole)[owners[owned]]
    yes: Bools = owned & (in_place == total) & ((total > 0) | empty)
    return yes


def _same_bytes(values: Selection, rows: Ints, owners: Ints, current: CurrentValues, chosen: Bools) -> Bools:
    """Which of the chosen Secrets are stored as the very bytes of the current one of their key, readable or not."""
    same = np.zeros(rows.size, np.bool_)
    numbers = np.flatnonzero(chosen & (owners >= 0))
    batch = values.batch
    for source, places in split_by(current.source[owners[numbers]]):
        part = numbers[places]
        own, other = rows[part], current.sources[source].batch
        at = current.row[owners[part]]
        same[part] = identical(
            (batch.data, batch.value_at[own], batch.value_size[own]),
            (other.data, other.value_at[at], other.value_size[at]),
        )
    return same


def _reasons(read: SecretValues, matches: Matches, current: CurrentValues, places: Ints) -> dict[int, str]:
    """By number of a Secret which of its values at some places are current, and in which Secret where in another."""
    reasons: dict[int, str] = {}
    in_own = matches.in_own[places]
    shown = [printable(name) for name in read.names]
    own, others = places[in_own], places[~in_own]
    fields: dict[int, list[str]] = {}
    for number, name in zip(read.secret[own].tolist(), read.name[own].tolist(), strict=True):
        fields.setdefault(number, []).append(shown[name])
    for number, names in fields.items():
        reasons[number] = f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} current"
    holders = current.holders(matches.value[others])
    for number, name, holder in zip(read.secret[others].tolist(), read.name[others].tolist(), holders, strict=True):
        text = f"{shown[name]} is current as {holder}"
        reasons[number] = f"{reasons[number]}; {text}" if number in reasons else text
    return reasons
