"""The backups of a company: clusters of real etcds that migrate one after the other, a snapshot of each every night.

Among them is what real buckets hold too: a damaged backup, an empty one, a bomb, one that is denied, one of another
cluster, a night that is missing, and the keys of one cluster beside the backups of another.
"""

import gzip
import io
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.helpers import fleet, members, sealing
from tests.helpers.etcd import Etcd
from tests.helpers.objects import StoredObject

SECRETS = 4
STEPS = ("encrypt", "rewrite", "compact", "defragment", "rotate")
BETWEEN = 4
"""Nights between two steps of a migration."""
MIGRATING = 10
"""Clusters from this number on never do."""
BOMB = 1 << 30
"""Zeros that pack to less than a 200th."""
LARGE = 1
"""The cluster whose last backup is large."""


@dataclass(frozen=True, slots=True)
class Backup:
    """One object of the bucket."""

    cluster: int
    """Of its path."""
    night: int
    raw: bytes = field(repr=False)
    state: str = "examined"
    """What a scan of the fleet must say of it."""
    holds: int = -1
    """The cluster that it shows; -1 for none."""
    passwords: frozenset[bytes] = field(default=frozenset(), repr=False)
    """Those that were current when it was taken."""
    suffix: str = ""

    @property
    def owner(self) -> int:
        """The cluster whose backup it is."""
        return self.cluster if self.holds < 0 else self.holds

    @property
    def name(self) -> str:
        """Its key in the bucket."""
        return f"etcd/c{self.cluster:02d}/{fleet.name(self.night)}{self.suffix}"


@dataclass(frozen=True, slots=True)
class Company:
    """What lies in the bucket."""

    clusters: int
    nights: int
    folder: Path
    """Of the files of keys."""
    backups: tuple[Backup, ...]

    def configuration(self, cluster: int) -> Path:
        """The keys of a cluster."""
        return self.folder / f"c{cluster:02d}.json"

    @property
    def unnamed(self) -> int:
        """The cluster that the file of clusters does not name, and whose keys lie beside another's backups."""
        return self.clusters - 1

    @property
    def keys_object(self) -> tuple[str, bytes]:
        """Name and bytes of the object with its keys."""
        return "etcd/c00/old/enc.json", self.configuration(self.unnamed).read_bytes()

    def clusters_file(self) -> Path:
        """The file of --clusters: every cluster but one, a backup expected each night."""
        path = self.folder / "clusters.toml"
        tables = (
            f'[cluster.c{number:02d}]\nuid = "{uid(number)}"\npaths = ["s3://backups/etcd/c{number:02d}/"]\n'
            f'encryption-config = ["{self.configuration(number)}"]\nowner = "team-{number % 3}"\nevery = "1d"\n'
            'retention = "90d"\n'
            for number in range(self.clusters - 1)
        )
        path.write_text("\n".join(tables))
        return path


def uid(cluster: int) -> str:
    return f"c0000000-0000-4000-8000-{cluster:012d}"


def company(folder: Path, clusters: int, nights: int, bulk: int) -> Company:
    """The backups of so many clusters over so many nights, with their keys in a folder.

    bulk: megabytes of ConfigMaps that one cluster gets in the last night.
    """
    backups: list[Backup] = []
    for number in range(clusters):
        rng = random.Random(number)
        keys = [(f"key{number}", rng.randbytes(32)), (f"key{number}-next", rng.randbytes(32))]
        provider = sealing.provider("aescbc", *reversed(keys))
        sealing.configuration(folder / f"c{number:02d}.json", provider, {"identity": {}})
        etcd = Etcd(folder / f"etcd-{number}", program=members.program("distro"))
        try:
            own = _Cluster(number, etcd, keys, rng, bulk if number == LARGE else 0)
            backups += own.backups(nights, folder / "snapshot.db")
        finally:
            etcd.stop()
    by_place = {(each.cluster, each.night): each for each in backups}
    last = nights - 1
    for cluster, special in enumerate(("damaged", "empty", "bomb", "denied", "foreign", "missing")):
        where = (cluster % (clusters - 1), last - cluster // (clusters - 1))
        by_place[where] = _special(special, by_place[where], by_place[(clusters - 2, nights)])
    missing = next(place for place, each in by_place.items() if each.state == "missing")
    del by_place[missing]
    return Company(clusters, nights, folder, tuple(by_place.values()))


def _special(what: str, usual: Backup, other: Backup) -> Backup:
    """A backup that is not as the others, in the place of a usual one."""
    place = (usual.cluster, usual.night)
    if what == "damaged":
        return Backup(*place, usual.raw[: len(usual.raw) // 3], "unreadable or incomplete", holds=usual.holds)
    if what == "empty":
        return Backup(*place, b"", "unreadable")
    if what == "bomb":
        packed = io.BytesIO()
        with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, compresslevel=1) as file:
            for _ in range(BOMB >> 20):
                file.write(bytes(1 << 20))
        return Backup(*place, packed.getvalue(), "refused", suffix=".gz")
    if what == "denied":
        return Backup(*place, usual.raw, "denied", suffix=".denied.db")
    if what == "foreign":
        return Backup(*place, other.raw, holds=other.holds, passwords=other.passwords)
    return Backup(*place, b"", "missing")


class _Cluster:
    """A cluster on a real etcd; one after the other begins to migrate a night later."""

    def __init__(self, number: int, etcd: Etcd, keys: list[tuple[str, bytes]], rng: random.Random, bulk: int) -> None:
        self.number, self.etcd, self.keys, self.rng, self.bulk = number, etcd, keys, rng, bulk
        self.key: tuple[str, bytes] | None = None
        self.passwords: dict[int, bytes] = {}
        space = StoredObject(b"", b"kube-system", kind=b"Namespace", uid=uid(number).encode())
        etcd.put(b"/registry/namespaces/kube-system", space.protobuf())
        for name in range(SECRETS):
            self.renew(name)

    def backups(self, nights: int, snapshot: Path) -> Iterator[Backup]:
        """A snapshot each night."""
        for night in range(1, nights + 1):
            step = (night - 2 - self.number % 5) / BETWEEN
            if self.number < MIGRATING and step in range(len(STEPS)):
                self.take(STEPS[int(step)])
            if night % 3 == 0:  # the last password is never renewed
                self.renew(self.rng.randrange(SECRETS - 1))
            if night == nights:
                self.grow()
            self.etcd.save(snapshot)
            current = frozenset(self.passwords.values())
            yield Backup(self.number, night, snapshot.read_bytes(), holds=self.number, passwords=current)
            snapshot.unlink()

    def grow(self) -> None:
        """The ConfigMaps of a large cluster."""
        block = self.rng.randbytes(1 << 20)
        for number in range(self.bulk):
            name = b"bulk-%d" % number
            thing = StoredObject(b"shop", name, {b"data": block}, kind=b"ConfigMap")
            self.etcd.put(b"/registry/configmaps/shop/%s" % name, thing.protobuf())

    def take(self, step: str) -> None:
        """A step of the migration."""
        if step in {"encrypt", "rotate"}:
            self.key = self.keys[step == "rotate"]
        if step in {"rewrite", "rotate"}:
            for name in self.passwords:
                self.put(name)
        if step == "compact":
            self.etcd.compact(self.etcd.put(b"/registry/leases/kube-system/a", b"k8s\0\n\0"))
        if step == "defragment":
            self.etcd.defragment()

    def renew(self, name: int) -> None:
        """Another password."""
        self.passwords[name] = b"CANARY-%d-%d-%s" % (self.number, name, self.rng.randbytes(6).hex().encode())
        self.put(name)

    def put(self, name: int) -> None:
        """The Secret as the API server writes it by now."""
        data = {b"password": self.passwords[name], b"user": b"app"}
        thing = StoredObject(b"shop", b"s%d" % name, data, uid=b"5ec00000-0000-4000-8000-%012d" % name)
        key = self.key
        value = thing.protobuf() if key is None else sealing.seal("aescbc", *key, thing, self.rng)
        self.etcd.put(b"/registry/secrets/shop/s%d" % name, value)
