"""Backups in which keys lie readable, and the backups that are examined again with the keys of these.

What tells one key from another is where it lies: the cluster, the newest mod revision that holds it, its name. So of
many backups with the same object one is read again, and nothing of a key is compared here.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from auditor.fleet.backup import ID, State
from auditor.fleet.clusters import STRAYS
from auditor.fleet.dataset import DataSet, Known
from auditor.fleet.key_objects import KeyObject
from auditor.fleet.settings import KeyBackup, Order
from auditor.text import encode


class HeldKey(NamedTuple):
    """A key that lies readable in some backups, by where it lies."""

    cluster: str
    """Uid of the cluster and etcd's own; the backup's id where the revision or the cluster is not known."""
    revision: int
    """Newest mod revision that holds it; -1 where it is not known."""
    label: str
    """PROVIDER/NAME."""


def objects(every: Iterable[Order], known: Mapping[str, Known]) -> list[KeyObject]:
    """The backups that hold keys. every: those of the listing."""
    return [
        KeyObject(order.backup.kept, order.id, labels, backup=True)
        for order in every
        if order.id in known and (labels := _labels(_held(order.id, known[order.id])))
    ]


def due(data: DataSet, known: Mapping[str, Known], chosen: Sequence[Order], every: Sequence[Order]) -> list[Order]:
    """The backups that are to be examined again, with the backups whose keys are tried on each.

    They hold values under names of keys that lie in other backups, and these keys are not those that were tried, or
    lie in none of the backups any more that they were read in.

    Args:
        data: With all that the first pass says.
        known: What it holds of each backup, by id.
        chosen: What this run examines.
        every: The listing, whose backups may all hold keys.
    """
    holders = {order.id: held for order in every if order.id in known and (held := _held(order.id, known[order.id]))}
    if not holders and not any(each.tried_keys for each in known.values()):
        return []
    newest: dict[HeldKey, Order] = {}
    by_label: dict[str, set[HeldKey]] = defaultdict(set)
    for order in sorted(every, key=lambda each: (each.backup.taken, each.backup.url)):
        for key in holders.get(order.id, ()):
            newest[key] = order
            by_label[key.label].add(key)
    names = _names_of_values(data)
    again = []
    for order in chosen:
        own = known.get(order.id)
        if own is None or own.state is not State.EXAMINED:
            continue
        fitting = (held for label, held in by_label.items() if any(_fits(label, name) for name in names[order.id]))
        needed = set().union(*fitting) - holders.get(order.id, frozenset())
        digest = _digest(needed)
        if digest != own.tried_keys or not set(own.tried_from.split()) <= set(holders):
            sources = tuple(_sources(needed, newest, holders))
            again.append(replace(order, key_backups=sources, tried_keys=digest, held_keys=own.held_keys))
    return again


def recorded(known: Known) -> bool:
    """Whether a record of k3s lies in a backup, in which a token of another object may read further keys."""
    return bool(json.loads(known.held_keys or "{}").get("recorded"))


def _held(id_: str, known: Known) -> frozenset[HeldKey]:
    """The keys in a backup."""
    places = json.loads(known.held_keys or "{}").get("keys", ())
    cluster = id_ if known.cluster in STRAYS else f"{known.cluster} {known.etcd_cluster}"
    return frozenset(HeldKey(cluster if revision >= 0 else id_, revision, label) for label, revision in places)


def _labels(held: Iterable[HeldKey]) -> tuple[str, ...]:
    return tuple(sorted({key.label for key in held}))


def _names_of_values(data: DataSet) -> dict[str, set[tuple[str, str]]]:
    """Provider and key name of the values of each backup, by its id."""
    names: dict[str, set[tuple[str, str]]] = defaultdict(set)
    columns = ["backup", "provider", "key_name", "values"]
    for backup, provider, name, values in zip(*data.table("keys", columns).to_pydict().values(), strict=True):
        if values:
            names[backup].add((provider, name or ""))
    return names


def _fits(label: str, value: tuple[str, str]) -> bool:
    """Whether values may be under a key: where a name with colons ends cannot always be told from the value alone."""
    provider, _, name = label.partition("/")
    shorter, longer = sorted((f"{name}:", f"{value[1]}:"), key=len)
    return provider == value[0] and (not value[1] or longer.startswith(shorter))


def _digest(keys: Iterable[HeldKey]) -> str:
    """What tells one set of keys from another by where they lie; empty for none."""
    places = sorted(keys)
    return hashlib.sha256(encode(json.dumps(places))).hexdigest()[:ID] if places else ""


def _sources(
    needed: set[HeldKey], newest: Mapping[HeldKey, Order], holders: Mapping[str, frozenset[HeldKey]]
) -> Iterator[KeyBackup]:
    """Backups that hold all of some keys, newest first: what one holds is not read in another one too."""
    orders = {newest[key].id: newest[key] for key in needed}
    for order in sorted(orders.values(), key=lambda each: (each.backup.taken, each.backup.url), reverse=True):
        if own := needed & holders[order.id]:
            needed = needed - own
            yield KeyBackup(order.id, order.backup, _labels(own))
