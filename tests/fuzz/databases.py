"""etcd's own files, made by a real etcd: a snapshot for each place, and a segment of the write-ahead log."""

import random
from functools import partial
from pathlib import Path

from tests.fuzz import mutate
from tests.fuzz.base import CANARY, PLAIN, Base
from tests.helpers.etcd import Etcd
from tests.helpers.objects import StoredObject
from tests.helpers.sealing import KEY, configuration, provider, seal

SEALED = 40


def make(folder: Path) -> list[Base]:
    """The same key is latest, then history, then freed; last it stands in the log alone."""
    rng = random.Random(5)
    config = configuration(folder / "config.json", provider("aescbc", ("key1", KEY)))
    saved = {}
    with Etcd(folder / "data") as etcd:

        def put(thing: StoredObject) -> int:
            return etcd.put(thing.key, seal("aescbc", "key1", KEY, thing, rng))

        def save(place: str) -> None:
            if place != "freed":
                etcd.defragment()  # which leaves one copy, and no freed page
            data = saved[place] = etcd.save(folder / f"{place}.db").read_bytes()
            assert data.count(CANARY) == (place != "clean") or (place == "freed" and CANARY in data), place

        for number in range(SEALED):
            put(StoredObject(namespace=b"prod", name=b"s%d" % number, data={b"p": rng.randbytes(200).hex().encode()}))
            other = StoredObject(namespace=b"prod", name=b"c%d" % number, kind=b"ConfigMap", data={b"a": b"b" * 300})
            etcd.put(b"/registry/configmaps/prod/c%d" % number, other.protobuf())
        save("clean")
        etcd.put(PLAIN.key, PLAIN.protobuf())
        save("latest")
        etcd.delete(PLAIN.key)
        save("deleted")
        put(PLAIN)
        save("history")
        etcd.compact(put(StoredObject(namespace=b"prod", name=b"last", data={b"p": b"x" * 300})))
        save("freed")
        etcd.defragment()
    clean = saved.pop("clean")
    bases = [Base(place, data, partial(mutate.mutate, log=False), config, clean=clean) for place, data in saved.items()]
    return [*bases, _log(folder / "data", config)]


def _log(folder: Path, config: str) -> Base:
    """A data directory of which the log alone holds the canary."""
    database = (folder / "member" / "snap" / "db").read_bytes()
    (segment,) = (folder / "member" / "wal").glob("*.wal")
    written = segment.read_bytes().rstrip(b"\0")
    assert CANARY in written
    assert CANARY not in database
    return Base(
        "wal",
        written + bytes(-len(written) % 4096 + 4096),
        partial(mutate.mutate, log=True),
        config,
        name="member/wal/0000000000000000-0000000000000000.wal",
        given=".",
        beside={"member/snap/db": database},
    )
