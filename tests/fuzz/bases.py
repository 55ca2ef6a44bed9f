"""Evidence with exactly one readable Secret, made by a real etcd: where a mutation hides it, nothing else is found."""

import random
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.etcd import Etcd
from tests.sealing import KEY, configuration, provider, seal
from tests.support import Thing

CANARY = b"CANARY-fuzz-5f1d7c0a9be24386"
PLAIN = Thing(namespace=b"prod", name=b"canary", data={b"password": CANARY})
SEALED = 40


@dataclass(frozen=True)
class Base:
    """A database, or (`log`) one segment of the write-ahead log beside a database without the canary.

    place: where the canary lies; config: the configuration that opens everything else.
    """

    place: str
    data: bytes
    config: str
    log: bool = False
    database: bytes = b""

    def lay(self, folder: Path, data: bytes) -> Path:
        """The mutated file as evidence in a folder; what was there before is replaced."""
        if not self.log:
            (folder / "mutated.db").write_bytes(data)
            return folder / "mutated.db"
        snap, wal = folder / "member" / "snap", folder / "member" / "wal"
        snap.mkdir(parents=True, exist_ok=True)
        wal.mkdir(exist_ok=True)
        (snap / "db").write_bytes(self.database)
        (wal / "0000000000000000-0000000000000000.wal").write_bytes(data)
        return folder


def make(folder: Path) -> list[Base]:
    """The same key is latest, then history, then freed; last it stands in the log alone."""
    rng = random.Random(5)
    config = configuration(folder / "config.json", provider("aescbc", ("key1", KEY)))
    bases = []
    with Etcd(folder / "data") as etcd:

        def put(thing: Thing) -> int:
            return etcd.put(thing.key, seal("aescbc", "key1", KEY, thing, rng))

        def save(place: str) -> None:
            if place != "freed":
                etcd.defragment()  # which leaves one copy, and no freed page
            data = etcd.save(folder / f"{place}.db").read_bytes()
            assert data.count(CANARY) == 1 or (place == "freed" and CANARY in data), place
            bases.append(Base(place, data, config))

        for number in range(SEALED):
            put(Thing(namespace=b"prod", name=b"s%d" % number, data={b"p": rng.randbytes(200).hex().encode()}))
            other = Thing(namespace=b"prod", name=b"c%d" % number, kind=b"ConfigMap", data={b"a": b"b" * 300})
            etcd.put(b"/registry/configmaps/prod/c%d" % number, other.protobuf())
        etcd.put(PLAIN.key, PLAIN.protobuf())
        save("latest")
        etcd.delete(PLAIN.key)
        save("deleted")
        put(PLAIN)
        save("history")
        etcd.compact(put(Thing(namespace=b"prod", name=b"last", data={b"p": b"x" * 300})))
        save("freed")
        etcd.defragment()
    database = (folder / "data" / "member" / "snap" / "db").read_bytes()
    (segment,) = (folder / "data" / "member" / "wal").glob("*.wal")
    written = segment.read_bytes().rstrip(b"\0")
    assert CANARY in written
    assert CANARY not in database
    shutil.rmtree(folder / "data")
    bases.append(Base("wal", written + bytes(-len(written) % 4096 + 4096), config, log=True, database=database))
    return bases
