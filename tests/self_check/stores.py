"""Evidence of the stores beside etcd and kine's SQLite, for the known answers: small, and by the real programs."""

import io
import json
import random
import shutil
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

from tests.evidence.dqlite.test_folder import unpacked
from tests.evidence.objects import test_dbctl
from tests.evidence.sql.test_dumps import LINE
from tests.helpers import sealing, sql_servers
from tests.helpers.fixtures import FIXTURES
from tests.helpers.objects import StoredObject
from tests.helpers.sql_servers import Row

LARGEST = 10_000
"""Bytes of a value that the pack may hold."""
CASES = FIXTURES / "cases"
OBJECTS = tuple(
    StoredObject(b"shop", b"object-%d" % number, {b"password": b"CANARY-of-an-object-%d" % number})
    for number in range(3)
)
BARE = StoredObject(b"shop", b"bare", {b"password": b"CANARY-of-a-bare-object"})
"""In the raw bytes alone, on no page."""
NOISE = 1_337
"""Bytes before the pages of a database in the raw bytes: no page lies at a multiple of anything."""


def history() -> list[Row]:
    """What is written into each SQL database."""
    rows = sql_servers.history()
    return [row for row in rows if max(len(row.value or b""), len(row.old_value or b"")) < LARGEST]


def add(folder: Path) -> None:
    """Write the evidence that the folder does not hold yet."""
    for name, make in MAKERS.items():
        target = folder / name
        if not target.exists():
            target.mkdir()
            make(target)


def _postgres(folder: Path) -> None:
    with sql_servers.postgres() as server:
        server.fill("kubernetes", history())
        (folder / "plain.sql").write_bytes(server.program("pg_dump", "kubernetes"))
        (folder / "custom.dump").write_bytes(server.program("pg_dump", "-Fc", "kubernetes"))


def _mariadb(folder: Path) -> None:
    with sql_servers.mariadb() as server:
        server.fill("kubernetes", history())
        options = ("--no-defaults", f"--socket={server.folder}/s", "-uroot", "kubernetes")
        (folder / "dump.sql").write_bytes(server.program(*LINE, *options))


def _sqlite(folder: Path) -> None:
    with closing(sqlite3.connect(":memory:")) as base:
        base.execute(
            "CREATE TABLE kine (id INTEGER PRIMARY KEY AUTOINCREMENT, name INTEGER, created INTEGER, deleted INTEGER, "
            "create_revision INTEGER, prev_revision INTEGER, lease INTEGER, value BLOB, old_value BLOB)"
        )
        base.executemany(
            "INSERT INTO kine VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?)",
            [
                (row.id, row.name.decode(), row.created, row.deleted, row.create_revision, row.prev_revision, *blobs)
                for row, blobs in ((row, (row.value, row.old_value)) for row in history())
            ],
        )
        (folder / "dump.sql").write_text("".join(f"{line}\n" for line in base.iterdump()), encoding="utf-8")


def _dqlite(folder: Path) -> None:
    unpacked("dqlite-1.18", folder)


def _vcluster(folder: Path) -> None:
    shutil.copytree(CASES / "vcluster-snapshot", folder, dirs_exist_ok=True)


def _rancher(folder: Path) -> None:
    shutil.copytree(CASES / "rancher-backup-operator", folder, dirs_exist_ok=True)


def _dbctl(folder: Path) -> None:
    test_dbctl.packed(folder, test_dbctl.FILES).rename(folder / "backup.tar.gz")


def _velero(folder: Path) -> None:
    with tarfile.open(folder / "backup.tar.gz", "w:gz") as archive:
        for thing in OBJECTS:
            path = f"resources/secrets/namespaces/shop/{thing.name.decode()}.json"
            for name, content in (("metadata/version", b"1.1.0\n"), (path, thing.json())):
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))


def _objects(folder: Path) -> None:
    items = [json.loads(thing.json()) for thing in OBJECTS]
    text = json.dumps({"apiVersion": "v1", "items": items, "kind": "List"}, indent=4)
    (folder / "secrets.json").write_text(f"{text}\n", encoding="utf-8")


def _image(folder: Path) -> None:
    rng = random.Random(NOISE)
    database = sealing.database(folder / "a.db", [(each.key, each.protobuf()) for each in OBJECTS])
    image = rng.randbytes(NOISE) + database.read_bytes() + rng.randbytes(NOISE) + BARE.protobuf() + rng.randbytes(64)
    (folder / "image.raw").write_bytes(image)
    database.unlink()


MAKERS = {
    "postgres": _postgres,
    "mariadb": _mariadb,
    "sqlite-dump": _sqlite,
    "dqlite": _dqlite,
    "vcluster": _vcluster,
    "rancher": _rancher,
    "dbctl": _dbctl,
    "velero": _velero,
    "objects": _objects,
    "image": _image,
}
"""By folder."""
