"""Every kind of evidence that is mutated."""

from pathlib import Path

from tests.fuzz import archives, configurations, databases, dqlite, exports, images, kine, lzw, others, stores
from tests.fuzz.base import Base


def families(folder: Path) -> dict[str, list[Base]]:
    """All of them, by what is damaged; the folder holds the configurations that they are judged by."""
    made = databases.make(folder)
    latest, config = next(base for base in made if base.place == "latest"), made[0].config
    exported = exports.make(folder, latest, config)
    freed = next(base for base in made if base.place == "freed")
    dump = next(base for base in exported if base.place == "dump")
    increment = next(base for base in exported if base.place == "increment")
    of_kine, of_dqlite = kine.make(folder), dqlite.make(folder / "dqlite", config)
    return {
        "etcd's snapshot and write-ahead log": made,
        "kine's SQLite and its log, also alone": of_kine,
        "packed files and archives, nested too": archives.make(latest),
        "EncryptionConfigurations": configurations.make(latest),
        "etcdctl's dump, Gardener's objects, k3s' record": [*exported, *lzw.make(latest, increment)],
        "dumps of several responses, folders, v2 stores, freelists": others.make(folder, latest, freed, dump),
        "SQL dumps, dbctl's, vCluster's and Rancher's backups, objects in files": stores.make(config),
        "dqlite's folder": of_dqlite,
        "raw bytes that are carved": images.make({each.place: each for each in (*made, *of_kine, *of_dqlite)}, folder),
    }


def make(folder: Path) -> list[Base]:
    """All of them, in one list."""
    return [base for family in families(folder).values() for base in family]
