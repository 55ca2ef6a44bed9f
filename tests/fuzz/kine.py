"""SQLite databases of kine's, written by SQLite itself out of the rows that a real kube-apiserver stored in kine.

Of a fixture in which every value is encrypted the current rows are taken, under its own schema and indexes; then one
readable Secret is written as kine writes it, and left where kine leaves it.
"""

import base64
import json
import random
import sqlite3
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from tests.fuzz import sqlite
from tests.fuzz.base import CANARY, PLAIN, Base
from tests.helpers import kine_stages
from tests.helpers.objects import StoredObject
from tests.helpers.packing import DATA_FILTER
from tests.helpers.sealing import seal

STAGE = kine_stages.KINE / "k3s-like" / "8-rotated"
REAL = kine_stages.KINE / "kine-bundled" / "2-enabled"
KEPT = 60
"""Rows that are taken over: with their indexes some 30 pages."""
FRAMES = 120
"""Of the real log: all of it has 4 MB."""
COLUMNS = "name, created, deleted, create_revision, prev_revision, lease, value, old_value"
LARGE = StoredObject(namespace=b"prod", name=b"canary", data={b"password": b"x" * 7000 + CANARY + b"y" * 3000})
Work = Callable[["Kine"], None]


class Kine:
    """A database of kine's that is open, as it is while kine runs: its log is not folded in."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "state.db"
        self.connection = sqlite3.connect(self.path, isolation_level=None)
        self.run("PRAGMA journal_mode=WAL")
        self.run("PRAGMA wal_autocheckpoint=0")
        self.run("PRAGMA synchronous=OFF")
        self.run("PRAGMA secure_delete=1")

    def run(self, line: str, *values: object) -> list[tuple[object, ...]]:
        return self.connection.execute(line, values).fetchall()

    def put(self, thing: StoredObject, value: bytes | None, old: bytes | None = None, previous: int = 0) -> int:
        """A row as kine inserts it; no value: the tombstone."""
        row = (thing.key.decode(), int(not previous), int(value is None), previous, previous, 0, value, old)
        self.run(f"INSERT INTO kine ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *row)
        ((number,),) = self.run("SELECT MAX(id) FROM kine")
        assert isinstance(number, int)
        return number

    def compact(self, number: int) -> None:
        self.run("DELETE FROM kine WHERE id = ?", number)

    def fold(self) -> None:
        self.run("PRAGMA wal_checkpoint(TRUNCATE)")

    @property
    def files(self) -> tuple[bytes, bytes]:
        log = self.path.with_name("state.db-wal")
        return self.path.read_bytes(), log.read_bytes() if log.exists() else b""


def make(folder: Path) -> list[Base]:
    """One base for each place that SQLite keeps a value in; of a real kube-apiserver's whole files one more."""
    config = kine_stages.configuration(STAGE)
    rows, schema = _rows(folder / "rows")
    (name, key), *_ = _keys(config)
    sealed = seal("aescbc", name, key, replace(PLAIN, data={b"password": b"another"}), random.Random(7))
    bases = []
    for place, work in _works(sealed).items():
        at = folder / place.replace(" ", "-")
        with _filled(at / "clean", rows, schema, wipe=True) as kine:
            clean = kine.files
        with _filled(at / "own", rows, schema, wipe=place.startswith("log")) as kine:
            work(kine)
            main, log = kine.files
        logged = place.startswith("log")
        assert CANARY in (log if logged else main), place
        assert (CANARY in main) != logged, place
        bases.append(
            Base(
                f"kine {place}",
                log if logged else main,
                partial(sqlite.mutate, log=logged),
                config,
                name="state.db-wal" if logged else "state.db",
                given="state.db",
                beside={"state.db": main} if logged else {"state.db-wal": log},
                clean=clean[logged],
                secrets=tuple(key for _, key in _keys(config)),
            )
        )
    logs = [base for base in bases if base.place.startswith("kine log")]
    alone = [
        replace(base, place=f"{base.place} alone", given="", beside={}, clean=b"", apart=True) for base in logs
    ]  # nothing without its database is concluded on: there is no clean one
    return [*bases, *alone, _real(folder / "real")]


def _works(sealed: bytes) -> dict[str, Work]:
    """What leaves the canary in each place. log: in the log alone, in a frame that counts, or in an older one."""

    def replaced(kine: Kine, thing: StoredObject) -> None:
        number = kine.put(thing, thing.protobuf())
        kine.put(thing, sealed, None, number)
        kine.compact(number)
        kine.fold()

    def latest(kine: Kine) -> None:
        kine.put(PLAIN, PLAIN.protobuf())
        kine.fold()

    def overflow(kine: Kine) -> None:
        kine.put(LARGE, LARGE.protobuf())
        kine.fold()

    def old(kine: Kine) -> None:
        number = kine.put(PLAIN, sealed)
        kine.put(PLAIN, sealed, PLAIN.protobuf(), number)
        kine.compact(number)
        kine.fold()

    def tombstone(kine: Kine) -> None:
        number = kine.put(PLAIN, sealed)
        kine.put(PLAIN, None, PLAIN.protobuf(), number)
        kine.compact(number)
        kine.fold()

    def logged(kine: Kine) -> None:
        kine.fold()
        kine.put(PLAIN, PLAIN.protobuf())

    def superseded(kine: Kine) -> None:
        kine.fold()
        replaced_in_log(kine)

    def replaced_in_log(kine: Kine) -> None:
        number = kine.put(PLAIN, PLAIN.protobuf())
        kine.put(PLAIN, sealed, None, number)
        kine.compact(number)

    def stale(kine: Kine) -> None:
        kine.fold()
        replaced_in_log(kine)
        kine.run("PRAGMA wal_checkpoint(RESTART)")
        kine.put(StoredObject(name=b"later"), None, None, 1)

    return {
        "latest": latest,
        "overflow": overflow,
        "old-value": old,
        "deleted": tombstone,
        "slack": partial(replaced, thing=PLAIN),
        "freed": partial(replaced, thing=LARGE),
        "log": logged,
        "log superseded": superseded,
        "log stale": stale,
    }


@contextmanager
def _filled(folder: Path, rows: list[tuple[object, ...]], schema: list[str], *, wipe: bool) -> Iterator[Kine]:
    folder.mkdir(parents=True)
    kine = Kine(folder)
    for line in schema:
        kine.run(line)
    for row in rows:
        kine.run(f"INSERT INTO kine ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *row)
    kine.run("VACUUM")
    kine.fold()
    kine.run(f"PRAGMA secure_delete={int(wipe)}")
    yield kine
    kine.connection.close()


def _rows(folder: Path) -> tuple[list[tuple[object, ...]], list[str]]:
    """The newest row of each of KEPT names, and the schema, as SQLite shows them."""
    with closing(sqlite3.connect(kine_stages.unpack(STAGE, folder) / "state.db")) as connection:
        names = "SELECT MAX(id) FROM kine GROUP BY name"
        kept = f"SELECT {COLUMNS} FROM kine WHERE id IN ({names}) AND deleted = 0"
        secrets = connection.execute(f"{kept} AND name LIKE '/registry/secrets/%' AND length(value) < 2000").fetchall()
        others = connection.execute(f"{kept} AND name NOT LIKE '/registry/secrets/%' AND length(value) < 2000")
        rows = [*secrets, *others.fetchall()][:KEPT]
        schema = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%'"
        lines = [line for (line,) in connection.execute(schema)]
    connection.close()
    assert len(secrets) > 10
    return rows, lines


def _real(folder: Path) -> Base:
    """The files of a real kine as they are, with a part of its log."""
    with tarfile.open(f"{REAL}.raw.tar.gz") as archive:
        archive.extractall(folder, **DATA_FILTER)
    raw = folder / f"{REAL.name}.raw"
    log = (raw / "state.db-wal").read_bytes()[: 32 + FRAMES * (24 + 4096)]
    config = kine_stages.configuration(REAL)
    return Base(
        "kine real",
        (raw / "state.db").read_bytes(),
        partial(sqlite.mutate, log=False),
        config,
        name="state.db",
        beside={"state.db-wal": log},
        canaries=tuple(kine_stages.canaries(REAL)),
        secrets=tuple(key for _, key in _keys(config)),
    )


def _keys(config: str) -> list[tuple[str, bytes]]:
    """Names and bytes of the keys of aescbc, in the order of the file."""
    providers = json.loads(Path(config).read_text())["resources"][0]["providers"]
    keys = [key for each in providers for key in each.get("aescbc", {"keys": []})["keys"]]
    return [(key["name"], base64.b64decode(key["secret"])) for key in keys]
