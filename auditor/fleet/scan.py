"""The scan of a fleet: what the sources hold is compared with what the data set holds, and the rest is examined."""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from auditor.errors import UsageError
from auditor.fleet import engine, key_backups, key_objects, listing, lock, places, tables
from auditor.fleet.backup import Backup, State, public_url
from auditor.fleet.dataset import PROBES, DataSet, Known
from auditor.fleet.engine import Engine
from auditor.fleet.folder import DataSetFolder
from auditor.fleet.key_objects import KeyObject
from auditor.fleet.listing import Listing
from auditor.fleet.selection import FirstLook
from auditor.fleet.settings import Order, Settings
from auditor.fleet.tables import Row
from auditor.fleet.task import pending_path
from auditor.model.vocabulary import Severity
from auditor.text import moment
from auditor.version import __version__

BATCH = 256
"""Backups whose rows go into the tables together."""
MOST_FILES = 4096
"""Files of the tables from which on small ones are merged during a run, too: the manifest names each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetScan:
    """One scan of a fleet."""

    sources: tuple[str, ...]
    settings: Settings
    engine: Engine = field(default_factory=Engine)
    look: FirstLook = field(default_factory=FirstLook)
    retry_failed: bool = False
    """Whether backups that failed for good are examined again."""
    redaction: str = ""
    """Method and check value of the pseudonyms; empty where names stay."""
    new_compare_key: bool = False
    """Whether the table of value ids begins anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What a scan has before it."""

    found: int
    chosen: int
    examined_before: int
    todo: int
    size: int
    """Bytes of what is to be examined."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a scan ends with, over every backup of the listing that was chosen."""

    found: int
    chosen: int
    states: dict[str, int]
    incomplete: int
    """Backups that were examined with gaps or without a conclusion."""
    severities: dict[str, int]
    """Backups by the highest severity of their findings; empty for none."""
    newly: int
    """Backups that this run examined, or failed to."""
    unversioned: tuple[str, ...]
    """Sources whose earlier versions of objects were not looked at."""
    first_look: bool
    """Whether --since, --sample or --newest-per-cluster were given, whatever they left out."""

    def exit_code(self, fail_on: Severity) -> int:
        """1: a finding at or above a severity. 3: a first look, no backup, or one that failed or is incomplete."""
        if any(level is not None and level >= fail_on for level in map(tables.severity, self.severities)):
            return 1
        examined = self.states.get(State.EXAMINED.value, 0)
        return 0 if 0 < examined == self.found and not self.incomplete and not self.first_look else 3


def scan(request: FleetScan, begun: Callable[[Begun], None], done: Callable[[Row], None]) -> Summary:
    """Examine what the data set does not hold yet.

    Args:
        request: The scan.
        begun: Called before the first backup, and again where some are examined again with keys of others.
        done: Called with the row of every backup, each time that it is examined or given up.

    Raises:
        UsageError: A source cannot be listed, or the data set was begun with other keys.
        DataSetError: The data set cannot be read or written.
        EngineLost: The scheduler is gone, or its workers are.
    """
    request.engine.check()
    request.look.check()
    folder = DataSetFolder(request.settings.dataset)
    sources = listing.expand((*request.sources, *request.settings.clusters.sources))
    listed = listing.listing(sources)
    _refuse_own(sources, listed.backups, folder)
    with lock.held(folder):
        data = DataSet(folder)
        _begin(data, request)
        beside = key_objects.inspected(listed.small, data.key_objects())
        request = _with_facts(request, beside, data)
        every = list(key_objects.backups(listed.backups, beside))
        chosen = request.look.choose(every, request.settings.clusters)
        orders = request.settings.orders(every)
        known = data.known()
        due = {url for url, order in orders.items() if _is_due(known.get(order.id), order, request)}
        rows, about = _listing(request, orders.values(), ({backup.url for backup in chosen}, due), (listed, beside))

        def save(known: Mapping[str, Known], *, keys_tried: bool) -> None:
            holders = key_backups.objects(orders.values(), known)
            data.save_listing(rows, {**about, "keys_tried": keys_tried}, [*beside, *holders])

        ordered = [orders[backup.url] for backup in chosen]
        save(known, keys_tried=False)  # what a run that is stopped before its second pass leaves is no pass
        todo = [order for order in ordered if order.backup.url in due]
        begun(_begun(len(every), ordered, todo))
        _examine(data, request, todo, done)
        known = data.known() if todo else known
        if again := key_backups.due(data, known, ordered, list(orders.values())):
            begun(_begun(len(every), ordered, again))
            _examine(data, request, again, done)
        save(known, keys_tried=True)
        data.compact()
        newly = len({order.id for order in (*todo, *again)})
        summary = _summary(data, [order.id for order in ordered], len(every), newly)
        return replace(summary, unversioned=listed.unversioned, first_look=request.look.partial)


def _begun(found: int, ordered: Sequence[Order], todo: Sequence[Order]) -> Begun:
    """What a pass has before it. ordered: what is chosen. todo: what of it is examined."""
    return Begun(
        found=found,
        chosen=len(ordered),
        examined_before=len(ordered) - len(todo),
        todo=len(todo),
        size=sum(order.backup.size for order in todo),
    )


def _begin(data: DataSet, request: FleetScan) -> None:
    """Say what holds for the data set, and bring in what a run that was stopped has left."""
    compare = request.settings.compare_check
    if request.new_compare_key and data.about and data.about.get("compare") != compare:
        data.check(redaction=request.redaction)
        _take(data, data.pending())  # of the earlier key: their value ids go too
        data.restart_values(compare)
    data.create(compare=compare, redaction=request.redaction)
    data.tidy()
    _take(data, data.pending())


def _with_facts(request: FleetScan, beside: Sequence[KeyObject], data: DataSet) -> FleetScan:
    """The scan with the objects that hold keys, which every worker reads again, and what the data set says."""
    settings = replace(
        request.settings,
        neighbours=tuple(each.url for each in beside if each),
        beside=key_objects.digest(beside),
        restarts=data.restarts,
        run=uuid.uuid4().hex,
    )
    return replace(request, settings=settings)


def _is_due(known: Known | None, order: Order, request: FleetScan) -> bool:
    """Whether a backup is to be examined: what the tables hold of it, if anything, holds no more."""
    if known is None or known.state.again or order.backup.anew:
        return True
    if known.applied != order.settings.applied(order.backup, known.cluster):
        return True  # --clusters says otherwise now whose it is, or how it is judged
    if known.state is State.EXAMINED:  # other keys lie in the sources now, and may open what it holds
        return (known.local or key_backups.recorded(known)) and known.beside != request.settings.beside
    return request.retry_failed


def _examine(data: DataSet, request: FleetScan, todo: Sequence[Order], done: Callable[[Row], None]) -> None:
    if not todo:
        return
    ready: list[str] = []
    with engine.started(request.engine) as client:
        for row in engine.run(client, todo, engine.room(request.engine)):
            if row["attempts"] < 0:  # its worker wrote nothing
                row["attempts"] = 1 if row["state"] == State.UNREACHABLE.value else engine.DEATHS + 1
                data.folder.write(pending_path(row["backup"]), tables.pack(row, {}))
            ready.append(row["backup"])
            done(row)
            if len(ready) >= BATCH:
                data.take(ready)
                ready.clear()
                if len(data.files) > MOST_FILES:
                    data.compact()
    _take(data, ready)


def _take(data: DataSet, ids: Sequence[str]) -> None:
    for at in range(0, len(ids), BATCH):
        data.take(ids[at : at + BATCH])


def _refuse_own(sources: Iterable[str], every: Iterable[Backup], folder: DataSetFolder) -> None:
    """Raises UsageError where a source holds the data set, or the data set a backup: nothing is written there."""
    root = places.real(folder.url) if folder.local else folder.url.rstrip("/")
    own = [root, *(f"{root}/{name}" for name in PROBES)]
    within = any(places.holds(source, place) for source in sources for place in own)
    if within or any(places.is_inside(each.real or each.url, root) for each in every):
        raise UsageError(f"{folder.shown} and a source lie inside each other: choose another place for the data set")


def _listing(
    request: FleetScan,
    orders: Iterable[Order],
    examined: tuple[set[str], set[str]],
    met: tuple[Listing, Sequence[KeyObject]],
) -> tuple[list[Row], dict[str, object]]:
    """What the sources hold: a row a backup, and facts of the run.

    examined: URLs of what was chosen, and of what is to be examined, chosen or not. met: all of them, and small objects
    with keys.
    """
    (chosen, due), (listed, beside) = examined, met
    urls = {order.backup.url for order in orders}
    rows: list[Row] = []
    for order in orders:
        backup = order.backup
        cluster = request.settings.clusters.of_url(*backup.places)
        names = ("modified", "etag", "taken", "size")
        rows.append(
            {
                "backup": order.id,
                "url": backup.kept,
                "source_argument": backup.source,
                "label": cluster.name if cluster is not None else "",
                "chosen": backup.url in chosen,
                "due": backup.url in due,
                **{name: getattr(backup, name) for name in names},
            }
        )
    look = request.look
    about: dict[str, object] = {
        "run": request.settings.run,
        "listed": moment(datetime.now(UTC).timestamp()),
        "sources": [tables.legible(public_url(source)) for source in request.sources],
        "first_look": [look.since, look.sample, look.newest] if look.partial else [],
        "unversioned": list(listed.unversioned),
        "earlier_versions": listed.earlier,
        "delete_markers": listed.deleted,
        "others": sum((each.text or each.archive) and not each and each.url not in urls for each in beside),
        "tool": __version__,
        "compare": request.settings.compare_check,
        "redaction": request.redaction,
        "clusters": [
            {name: getattr(each, name) for name in ("name", "uid", "owner", "every", "retention", "api_servers")}
            for each in request.settings.clusters.all
        ],
    }
    return rows, about


def _summary(data: DataSet, ids: Sequence[str], found: int, newly: int) -> Summary:
    states, severities, incomplete = data.conclusions(ids)
    return Summary(
        found=found,
        chosen=len(ids),
        states=states,
        incomplete=incomplete,
        severities=severities,
        newly=newly,
        unversioned=(),
        first_look=False,
    )
