"""Every kind of evidence that is mutated."""

from pathlib import Path

from tests.fuzz import archives, configurations, databases, dqlite, exports, images, kine, lzw, others, stores
from tests.fuzz.base import Base


def make(folder: Path) -> list[Base]:
    """All of them; the folder holds the configurations that they are judged by."""
    made = databases.make(folder)
    latest, config = next(base for base in made if base.place == "latest"), made[0].config
    exported = exports.make(folder, latest, config)
    freed = next(base for base in made if base.place == "freed")
    dump = next(base for base in exported if base.place == "dump")
    increment = next(base for base in exported if base.place == "increment")
    of_kine, of_dqlite = kine.make(folder), dqlite.make(folder / "dqlite", config)
    return [
        *made,
        *of_kine,
        *archives.make(latest),
        *configurations.make(latest),
        *exported,
        *lzw.make(latest, increment),
        *others.make(folder, latest, freed, dump),
        *stores.make(config),
        *of_dqlite,
        *images.make({each.place: each for each in (*made, *of_kine, *of_dqlite)}, folder),
    ]
