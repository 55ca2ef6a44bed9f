"""The bases by their places, for tests that need a few of them."""

from collections.abc import Callable
from functools import cache

import pytest

from tests.fuzz import archives, configurations, databases, dqlite, exports, images, kine, lzw, others, stores
from tests.fuzz.base import Base

DATABASES = ("latest", "deleted", "history", "freed", "wal")
KINE = {
    "kine latest": "latest",
    "kine overflow": "latest",
    "kine old-value": "old-value",
    "kine deleted": "deleted",
    "kine slack": "slack",
    "kine freed": "freed",
    "kine log": "latest",
    "kine log superseded": "wal",
    "kine log stale": "wal",
    "kine log alone": "unplaced",
    "kine log superseded alone": "wal",
    "kine log stale alone": "wal",
    "kine real": "old-value",
}
"""Where the canary lies, as the auditor says."""
ARCHIVES = tuple(archives.PACKS)
CONFIGURATIONS = ("configuration, yaml", "configuration, json")
EXPORTS = ("dump", "increment", "bootstrap record")
OTHERS = ("responses", "folder", "v2 store", "freelist")
STORES = tuple(stores.NAMES)
DQLITE = dqlite.NAMES
IMAGES = images.NAMES
LZW = ("full, LZW", "increment, LZW")
Find = Callable[[str], Base]


@pytest.fixture(scope="session")
def find(tmp_path_factory: pytest.TempPathFactory) -> Find:
    """The base of a name; a test makes no more of them than it needs."""

    @cache
    def family(name: str) -> dict[str, Base]:
        folder = tmp_path_factory.mktemp(name)
        if name == "databases":
            made = databases.make(folder)
        elif name == "kine":
            made = kine.make(folder)
        else:
            latest = family("databases")["latest"]
            makers: dict[str, Callable[[], list[Base]]] = {
                "archives": lambda: archives.make(latest),
                "configurations": lambda: configurations.make(latest),
                "exports": lambda: exports.make(folder, latest, latest.config),
                "others": lambda: others.make(folder, latest, family("databases")["freed"], family("exports")["dump"]),
                "stores": lambda: stores.make(latest.config),
                "dqlite": lambda: dqlite.make(folder, latest.config),
                "images": lambda: images.make({**family("databases"), **family("kine"), **family("dqlite")}, folder),
                "lzw": lambda: lzw.make(latest, family("exports")["increment"]),
            }
            made = makers[name]()
        return {each.place: each for each in made}

    names = {
        "others": OTHERS,
        "databases": DATABASES,
        "kine": KINE,
        "archives": ARCHIVES,
        "configurations": CONFIGURATIONS,
        "lzw": LZW,
        "stores": STORES,
        "dqlite": DQLITE,
        "images": IMAGES,
    }
    return lambda place: family(next((name for name, each in names.items() if place in each), "exports"))[place]
