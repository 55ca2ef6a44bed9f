"""One world: a store under a random workload, its evidence, and the measures of every audit of it."""

import random
import shutil
import sqlite3
import struct
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import lz4.frame

import auditor
from auditor import Options
from tests.helpers import members, oracle, sealing
from tests.helpers.kms_plugin import KmsPlugin
from tests.validation.history import Form, Write
from tests.validation.measure import Counts, HexMeasure, Measure, PlaceOf
from tests.validation.stores import DqliteStore, EtcdStore, KineStore, Renumbered, dump
from tests.validation.workload import Workload

KINDS = ("etcd of the wheel", "kine", "etcd of the system", "kine")
"""Of the worlds whose seed leaves 0, 1, 2, 3 when divided by four."""
MORE_KINDS = ("dqlite", "dump of PostgreSQL", "dump of MariaDB")
"""Of the worlds of MORE, by what the seed leaves when divided by three."""
MORE = range(10_000, 100_000)
"""Seeds of the stores that came later: the others make the worlds that they always made."""
LZ4 = struct.pack("<I", 0x184D2204)
UNDER_LOAD = 0.4
"""Share of the snapshots that are taken while the workload goes on."""


Visible: TypeAlias = dict[tuple[bytes, int], tuple[str, Write]]
"""What a store shows, by key and revision: place and write."""


@dataclass(frozen=True, slots=True)
class World:
    """The result of one world."""

    seed: int
    kind: str
    counts: Counts
    void: str = ""
    """Why the world has no truth: the store itself did not keep what it had acknowledged; empty for others."""


def world(seed: int, plugin: KmsPlugin) -> World:
    """Make, audit and measure the world of a seed. plugin: the KMS of every world."""
    rng = random.Random(seed)
    kind = MORE_KINDS[seed % len(MORE_KINDS)] if seed in MORE else KINDS[seed % len(KINDS)]
    counts = Counts()
    with tempfile.TemporaryDirectory(prefix="auditor-world-") as name:
        folder = Path(name)
        try:
            if kind == "kine":
                _kine(folder, rng, plugin, counts)
            elif kind == "dqlite":
                _dqlite(folder, rng, plugin, counts)
            elif kind in MORE_KINDS:
                _dump(folder, kind, rng, plugin, counts)
            else:
                program = members.program("distro" if kind == "etcd of the wheel" else "system")
                _etcd(folder, program, rng, plugin, counts)
        except Renumbered as error:
            return World(seed, kind, Counts(), str(error))
    return World(seed, kind, counts)


def options_of(folder: Path, forms: list[Form], plugin: KmsPlugin) -> Options:
    """Every key that was ever used, the write provider's first."""
    providers, seen = [], set[tuple[str, str]]()
    for form in reversed(forms):
        label = form.provider, form.key_name
        if form.key_name and label not in seen:
            seen.add(label)
            providers.append(sealing.provider(form.sealing, (form.key_name, form.key)))
    if forms[-1].key_name:
        providers.append({"identity": {}})
    else:
        providers.insert(0, {"identity": {}})
    plugins = [
        f"{name}={plugin.endpoint}" for name in ("vault-v1", "vault-v2") if any(name == each for _, each in seen)
    ]
    path = sealing.configuration(folder / "encryption.json", *providers)
    return Options(encryption_configs=(path,), kms_plugins=tuple(plugins))


def _etcd(folder: Path, program: str, rng: random.Random, plugin: KmsPlugin, counts: Counts) -> None:
    data = folder / "data"
    store = EtcdStore(data, program, rng)
    try:
        work = Workload(store, rng)
        work.run(rng.randint(15, 90))
        options = options_of(folder, work.forms, plugin)
        snapshot, revision = folder / "snapshot.db", work.revision
        if rng.random() < UNDER_LOAD:
            revision = 0
            with ThreadPoolExecutor(1) as pool:
                saving = pool.submit(store.etcd.save, snapshot)
                _go_on(work, rng.randint(5, 20))
                saving.result()
        else:
            store.etcd.save(snapshot)
        _go_on(work, rng.randint(0, 3))
    finally:
        store.stop(kill=rng.random() < 0.5)
    measure_etcd(snapshot, options, work, {"snapshot.db": snapshot}, ("snapshot", "snapshot.db", revision), counts)
    database = "member/snap/db"
    measure_etcd(data, options, work, files_of(data), ("data directory", database, 0), counts)


def files_of(data: Path) -> dict[str, Path]:
    """The files of a data directory, by the names that rows give."""
    files = {file.relative_to(data).as_posix(): file for file in data.rglob("*") if file.suffix in (".wal", ".snap")}
    return files | {"member/snap/db": data / "member" / "snap" / "db"}


def _go_on(work: Workload, steps: int) -> None:
    for _ in range(steps):
        work.rng.choice((work.update, work.other, work.create, work.delete))()


def measure_etcd(
    evidence: Path,
    options: Options,
    work: Workload,
    files: Mapping[str, Path],
    database: tuple[str, str, int],
    counts: Counts,
) -> None:
    """The measures of one audit of a snapshot or a data directory.

    Args:
        evidence: what is audited.
        options: of the audit.
        work: what was written.
        files: of the evidence, by the names that rows give.
        database: kind of the evidence, name of its database, and the store's revision; 0 for what its file holds.
        counts: to add to.
    """
    kind, name, revision = database
    raw = files[name].read_bytes()
    if not revision:  # a compaction commits what was written before it
        revision = max([oracle.newest_revision(raw), *(at for at, _ in work.truth.compacted)])
    visible = work.truth.visible(revision)
    # beside a log that goes on, what is current is what the log ends with
    current = work.truth.current(revision)
    audit = auditor.scan(evidence, options)
    measure = Measure(audit, files, work.truth, current, counts)
    measure.live(kind, visible, [name])
    live, page_size = oracle.live_pages(raw)
    places = {each: PlaceOf(frozenset(), 1, "wal") for each in files}
    places[name] = PlaceOf(live, page_size)
    measure.surviving(kind, places)
    measure.precision(kind)
    measure.remains(kind, visible, revision)
    measure.keys(kind, visible)
    if len(files) > 1:
        _log(measure, kind, work, counts)


def _log(measure: Measure, kind: str, work: Workload, counts: Counts) -> None:
    """Every put that was ever acknowledged is in the log: its segments are kept.

    But for the last, of a member that is killed: one alone acknowledges before it writes to its log, up to etcd 3.4.20
    and 3.5.4 (etcd-io/etcd issue 14370). Whether the log has it is asked of its bytes, which hold a put as it is.
    """
    rows = {(row.cells["key"], measure.content(row)) for row in measure.rows if row.cells["place"] == "wal"}
    logs = [raw for name, raw in measure.raw.items() if name.endswith(".wal")]
    for write in work.truth.writes:
        if not write.stored:
            continue
        if write is work.truth.writes[-1] and not any(write.stored in raw for raw in logs):
            counts.tried[f"{kind}|acknowledged, and not in the log"] += 1
            continue
        text = f"{write.key.decode()} at revision {write.revision}"
        counts.add(f"{kind}|recall|wal", holds=(write.key.decode(), write.stored) in rows, text=text)


def _kine(folder: Path, rng: random.Random, plugin: KmsPlugin, counts: Counts) -> None:
    (folder / "run").mkdir()
    store = KineStore(folder / "run" / "state.db", rng)
    work = Workload(store, rng)
    work.run(rng.randint(15, 120))
    options = options_of(folder, work.forms, plugin)
    evidence = store.copy(folder / "copy")
    store.base.close()
    measure_kine(evidence, folder / "asked", options, work, counts)


def measure_kine(evidence: Path, copy: Path, options: Options, work: Workload, counts: Counts) -> None:
    """The measures of one audit of a folder with kine's files.

    Args:
        evidence: the folder.
        copy: folder to make, in which SQLite itself is asked.
        options: of the audit.
        work: what was written.
        counts: to add to.
    """
    files = {file.name: file for file in evidence.iterdir()}
    shutil.copytree(evidence, copy)
    with closing(sqlite3.connect(copy / "state.db")) as base:
        visible = _shown(base.execute(SECRETS).fetchall(), work)
    measure = Measure(auditor.scan(evidence / "state.db", options), files, work.truth, _current(visible), counts)
    measure.live("kine", visible, list(files))
    places = {name: PlaceOf(frozenset(), 1, "wal" if name.endswith("-wal") else "freed") for name in files}
    measure.surviving("kine", places)
    measure.precision("kine")
    measure.remains("kine", visible, work.revision)
    measure.keys("kine", visible)


def _dqlite(folder: Path, rng: random.Random, plugin: KmsPlugin, counts: Counts) -> None:
    store = DqliteStore(folder / "backend", rng)
    try:
        work = Workload(store, rng)
        work.run(rng.randint(15, 90))
        options = options_of(folder, work.forms, plugin)
        visible = _shown(store.rows(), work)
    finally:
        store.stop(kill=rng.random() < 0.3)
    evidence = folder / "backend"
    files = dict(_unpacked(evidence, folder))
    measure = Measure(auditor.scan(evidence, options), files, work.truth, _current(visible), counts)
    measure.live("dqlite", visible, list(files))
    measure.surviving("dqlite", {name: PlaceOf(frozenset(), 1, "wal") for name in files})
    measure.precision("dqlite")
    measure.remains("dqlite", visible, work.revision)
    measure.keys("dqlite", visible)


def _unpacked(backend: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """The files of a dqlite's data directory by the names that rows give; snapshots that are packed, unpacked."""
    for file in backend.iterdir():
        raw = file.read_bytes()
        if raw.startswith(LZ4):
            plain = folder / f"{file.name}!unpacked"
            plain.write_bytes(lz4.frame.decompress(raw))
            yield plain.name, plain
        elif raw:
            yield file.name, file


def _dump(folder: Path, kind: str, rng: random.Random, plugin: KmsPlugin, counts: Counts) -> None:
    (folder / "run").mkdir()
    store = KineStore(folder / "run" / "state.db", rng)
    work = Workload(store, rng)
    work.run(rng.randint(15, 90))
    options = options_of(folder, work.forms, plugin)
    path = folder / "dump.sql"
    path.write_bytes(dump(store.base, "postgres" if "PostgreSQL" in kind else "mariadb", rng))
    visible = _shown(store.base.execute(SECRETS).fetchall(), work)
    store.base.close()
    measure = HexMeasure(auditor.scan(path, options), {path.name: path}, work.truth, _current(visible), counts)
    measure.live(kind, visible, [path.name])
    measure.precision(kind)
    measure.keys(kind, visible)


SECRETS = "SELECT id, name, deleted, value FROM kine WHERE name LIKE '/registry/secrets/%'"


def _current(visible: Visible) -> dict[bytes, Write]:
    """What is current, by key."""
    return {key: write for (key, _), (place, write) in visible.items() if place == "latest"}


def _shown(rows: Sequence[tuple[int, str, int, bytes | None]], work: Workload) -> Visible:
    """The values that a store of kine's itself shows, by name and row, with their places.

    rows: id, name, whether it is a deletion, and value.
    """
    newest: dict[str, tuple[int, int]] = {}
    for number, name, deleted, _ in rows:
        newest[name] = max(newest.get(name, (0, 0)), (number, deleted))
    writes = {(write.key, write.revision): write for write in work.truth.writes}
    shown = {}
    for number, name, deleted, value in rows:
        if deleted or value is None:
            continue
        write = writes[name.encode(), number]
        assert write.stored == value, "the store shows another value than was written"
        last, gone = newest[name]
        place = "deleted" if gone else "latest" if number == last else "history"
        shown[name.encode(), number] = place, write
    return shown
