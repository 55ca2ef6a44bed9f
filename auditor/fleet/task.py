"""One backup's task: an audit in a child process of its own, its rows written by that process, one row for an answer.

The only part of a fleet that a worker runs.
"""

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from auditor import sandbox
from auditor.errors import AuditorError, UsageError, describe
from auditor.evidence.containers.limits import Refused
from auditor.evidence.discovery.remote import Denied, Unreachable
from auditor.evidence.scratch import NoRoom
from auditor.fleet.backup import State
from auditor.fleet.errors import DataSetError
from auditor.fleet.folder import DataSetFolder
from auditor.fleet.settings import Order
from auditor.fleet.tables import Row
from auditor.sandbox import Limits
from auditor.scanning import child
from auditor.scanning.child import Death, Start

if TYPE_CHECKING:
    from auditor.audit.judgement import Judgement
    from auditor.fleet.clusters import Cluster
    from auditor.fleet.key_reading import KeyGathering
    from auditor.model.audit import Audit

PENDING = "pending"
"""The folder of the data set in which workers leave what is not in its tables yet."""
START = Start.SERVER
"""How the process of a backup begins: a worker has threads, and must not be copied itself."""
PRELOADED = (
    "auditor.audit.examine",
    "auditor.encryption.transformers",
    "auditor.evidence.discovery.arguments",
    "auditor.fleet.bucket",
    "auditor.fleet.compare",
    "auditor.fleet.key_reading",
    "auditor.fleet.tables",
    "auditor.hunt.exposed_keys",
    "auditor.hunt.neighbours",
    "auditor.scanning.one",
    "fsspec",
    "hyperscan",
    "pandas",
    "pyarrow.parquet",
)
"""What the process of a backup imports, sooner or later: nearly half of its time for a small one."""
_STATES: tuple[tuple[type[BaseException], State], ...] = (
    (Denied, State.DENIED),
    (Unreachable, State.UNREACHABLE),
    (DataSetError, State.UNREACHABLE),  # of the data set's store: nothing is wrong with the backup
    (NoRoom, State.NO_ROOM),
    (MemoryError, State.NO_ROOM),
    (Refused, State.REFUSED),
    (UsageError, State.REFUSED),
    (AuditorError, State.UNREADABLE),
)
"""The state of a backup by the error that its audit ended with; the first that fits."""


def pending_path(id_: str) -> str:
    """The path of a backup's rows in the data set, until they are in its tables."""
    return f"{PENDING}/{id_}.zip"


def perform(order: Order) -> Row:
    """The row of one backup, which is written to the data set before this returns. Raises DataSetError.

    A passing failure is tried again, as often as the settings say.
    """
    from auditor.fleet import tables

    begin = time.monotonic()
    if order.backup.archived:
        reason = "it lies in an archive's storage class: restore it first"
        written = tables.row(order, State.ARCHIVED, reason)
    else:
        for attempt in range(1, order.settings.retries + 2):
            written = _attempt(order, begin) | {"attempts": attempt}
            if not State(written["state"]).passing:
                break
    if written["state"] != State.EXAMINED.value:
        written["seconds"] = round(time.monotonic() - begin, 3)
        DataSetFolder(order.settings.dataset).write(pending_path(order.id), tables.pack(written, {}))
    return written


def _attempt(order: Order, begin: float) -> Row:
    from auditor.fleet import tables

    sandbox.prepare()
    answer = child.result(child.start(partial(_confined, order, begin), START, PRELOADED))
    if isinstance(answer, Death):
        return tables.row(order, State.KILLED, answer.reason)
    if isinstance(answer, str):
        return tables.row(order, State.FAULT, answer)
    return answer


def _confined(order: Order, begin: float) -> Row:
    """_examine(), in a sandbox."""
    sandbox.enter(limits(order))
    return _examine(order, begin)


def _examine(order: Order, begin: float) -> Row:
    """The row of the audit itself, in the child."""
    from auditor.fleet import tables

    try:
        return _audit(order, begin)
    except Exception as error:  # noqa: BLE001
        fitting = (state for kind, state in _STATES if isinstance(error, kind))
        return tables.row(order, next(fitting, State.FAULT), describe(error))


def limits(order: Order) -> Limits:
    """What the audit of one backup still needs: it writes into a local data set, and connects for --kms-plugin."""
    settings = order.settings
    every = [settings.options, *(each.applied(settings.options) for each in settings.clusters.all)]
    keys = (each.backup.url for each in order.key_backups)
    named = (order.backup.url, settings.dataset, *settings.neighbours, *keys)
    if any("://" in each for each in named) or any(own.kms for own in every):
        return Limits(exemption=sandbox.CLIENTS)
    folders = [settings.dataset, *(own.work_dir for own in every if own.work_dir)]
    return Limits(tuple(map(Path, dict.fromkeys(folders))), connects=any(own.kms_plugins for own in every))


def _audit(order: Order, begin: float) -> Row:
    from auditor.fleet import bucket, compare, key_reading, tables
    from auditor.scanning.one import one

    settings = order.settings
    others = tuple(key_reading.neighbour(each, settings) for each in order.key_backups)
    key = compare.read_key(settings.compare_key) if settings.compare_key else b""
    by_url = settings.clusters.of_url(*order.backup.places)

    def audit(cluster: "Cluster | None") -> "tuple[Audit, compare.ValueIds, KeyGathering]":
        gathered, keys = compare.ValueIds(key), key_reading.KeyGathering(settings.neighbours)
        options = replace(settings.options_of(cluster), rows=True, neighbour_keys=others)

        def listen(judgement: "Judgement") -> None:
            gathered.gather(judgement)
            keys.gather(judgement)

        return one(order.backup.url, options, listener=listen), gathered, keys

    result, gathered, keys = audit(by_url)
    own = settings.clusters.own(by_url, tables.cluster_of(gathered))
    if own is not by_url:  # judged by the configuration of its own cluster, or by none
        result, gathered, keys = audit(own)
    written, rows = tables.of_audit(order, result, gathered)
    written["held_keys"] = order.held_keys or keys.document
    for reason in keys.gaps(order.held_keys):
        tables.add_gap(written, rows, reason)
    if written["readable"]:
        written["hold"] = bucket.hold(order.backup.url)
    written["seconds"] = round(time.monotonic() - begin, 3)
    DataSetFolder(settings.dataset).write(pending_path(order.id), tables.pack(written, rows))
    return written
