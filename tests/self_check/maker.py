"""Make auditor/self_check/known-answers.tar.xz: evidence of every store and place, and the rows of its audits.

    python -m tests.self_check.maker             evidence and rows: real etcds write it anew
    python -m tests.self_check.maker --answers   the rows alone, where a change of the reports is meant

What is made is written only where the measures of tests/validation have nothing to say against it: every byte that was
put into a store is known.
"""

import argparse
import gzip
import io
import json
import random
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from auditor.self_check import known_answers
from auditor.self_check.known_answers import ANSWERS, PACK, Case
from tests.evidence.gardener.test_backup import event, increment
from tests.helpers import members, sealing
from tests.helpers.fixtures import FIXTURES
from tests.helpers.kms_plugin import KmsPlugin
from tests.helpers.objects import StoredObject
from tests.helpers.packing import DATA_FILTER
from tests.self_check import stores
from tests.validation.history import FORMS, IDENTITY, Form, Write, blocks, secret
from tests.validation.job import kms
from tests.validation.measure import Counts
from tests.validation.stores import EtcdStore, KineStore
from tests.validation.workload import Workload
from tests.validation.worlds import files_of, measure_etcd, measure_kine, options_of

TARGET = Path(known_answers.__file__).with_name(PACK)
V2_STORE = FIXTURES / "cases" / "v2-store-leftovers"
SEED = 26
EACH = ((100, 1),)
"""Every operation is a commit: of a member that is killed the older root shows the state before the last one."""
LOCAL = 6
"""Forms behind the first whose keys a configuration holds."""
TIMES = 1_790_000_000
"""Of every member of the pack: it is the same bytes where the same evidence is packed."""


@dataclass(frozen=True, slots=True)
class Item:
    """One item of evidence before it is audited."""

    name: str
    path: str
    configurations: tuple[str, ...] = ("encryption.json",)
    carve: bool = False


ITEMS = (
    Item("snapshot of etcd 3.5, every provider", "snapshot.db"),
    Item("data directory of etcd 3.5, with its write-ahead log", "data"),
    Item("snapshot of etcd 3.4", "snapshot-3.4.db"),
    Item("raft snapshots with a v2 store", "v2-store/data", ("v2-store/config.json",)),
    Item("SQLite of kine, with its log", "kine/state.db"),
    Item("SQLite's log of kine, alone", "log-alone/state.db-wal"),
    Item("dump of etcdctl", "dump.json"),
    Item("full snapshot and increments of Gardener", "gardener"),
    Item("dump of PostgreSQL, in SQL", "postgres/plain.sql", ("kine-keys.json",)),
    Item("archive of pg_dump", "postgres/custom.dump", ("kine-keys.json",)),
    Item("dump of MariaDB", "mariadb/dump.sql", ("kine-keys.json",)),
    Item("dump of SQLite's", "sqlite-dump/dump.sql", ("kine-keys.json",)),
    Item("data directory of dqlite", "dqlite/backend", ("kine-keys.json",)),
    Item("snapshot of vCluster", "vcluster/snapshot.tar.gz", ("vcluster/config.json",)),
    Item("backup of Rancher's operator", "rancher/backup.tar.gz", ("rancher/config.json",)),
    Item("backup of MicroK8s' dbctl", "dbctl/backup.tar.gz", ()),
    Item("backup of Velero", "velero/backup.tar.gz", ()),
    Item("objects that kubectl printed", "objects/secrets.json", ()),
    Item("raw bytes with pages and a value, carved", "image/image.raw", (), carve=True),
)


class Story(Workload):
    """The same story in every store: each provider, an update, deletions, compaction, pages that are used again."""

    def put_secret(self, number: int, size: int = 120) -> None:
        key = b"/registry/secrets/default/s%02d" % number
        data = {b"password": blocks(self.letters(), size), b"token": blocks(self.letters(), 45)}
        self.put(key, secret(key, data, self.rng))

    def begin(self) -> None:
        """Readable Secrets, then each under a provider of its own; some stay readable."""
        for number in range(len(FORMS) + 4):
            self.put_secret(number, 5_000 if number == 2 else 120)
        for number, form in enumerate(FORMS[1:]):
            self.use(form)
            key = sorted(self.objects)[number]
            self.put(key, self.objects[key])

    def use(self, form: Form) -> None:
        self.form = form
        self.forms = [*(each for each in self.forms if each != form), form]

    def end(self, *, readable: bool = False) -> None:
        """Deletions, a compaction, and writes that take some of the pages that it freed.

        readable: whether what a KMS encrypts is written anew first, so that all that is current can be decrypted.
        """
        self.use(FORMS[1])
        if readable:
            for key in sorted(self.objects)[LOCAL : len(FORMS) - 1]:
                self.put(key, self.objects[key])
        for _ in range(3):
            self.delete()
        self.other()
        self.store.compact(self.revision - 12)
        self.truth.compacted.append((self.revision, self.revision - 12))
        for _ in range(3):
            self.update()
        self.other()
        self.use(IDENTITY)
        self.update()
        self.delete()
        self.use(FORMS[1])
        self.update()

    def other(self) -> None:
        for number in range(8):
            name = b"/registry/configmaps/default/c%03d" % number
            thing = StoredObject(
                name=name[-4:], kind=b"ConfigMap", data={b"filler": b"filler " * 150 * (number % 3 + 1)}
            )
            self.revision = self.store.put(name, thing.protobuf())

    def letters(self) -> str:
        return "".join(self.rng.sample("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", 8))


def evidence(folder: Path, plugin: KmsPlugin) -> None:
    """The evidence of every item, in a folder. Raises AssertionError where an audit of it is not what was written."""
    rng, counts = random.Random(SEED), Counts()
    _etcd(Story(EtcdStore(folder / "data", members.program("distro"), rng, EACH), rng), folder, plugin, counts)
    _old(folder, rng)
    shutil.copytree(V2_STORE, folder / "v2-store")
    _kine(folder, rng, plugin, counts)
    assert not counts.missed, counts.misses


def _etcd(story: Story, folder: Path, plugin: KmsPlugin, counts: Counts) -> None:
    store, data = story.store, folder / "data"
    assert isinstance(store, EtcdStore)
    try:
        story.begin()
        backup = folder / "gardener"
        backup.mkdir()
        full = store.etcd.save(folder / "full.db")
        first, count = story.revision, len(story.truth.writes)
        (backup / f"Full-00000000-{first:08}-1700000000.gz").write_bytes(gzip.compress(full.read_bytes(), mtime=0))
        full.unlink()
        story.end(readable=True)
        snapshot = store.etcd.save(folder / "snapshot.db")
        (folder / "dump.json").write_bytes(store.etcd.ctl("get", "--prefix", "/registry/secrets", "-w", "json"))
        raw = increment(*_events(story.truth.writes, count))
        (backup / f"Incr-{first + 1:08}-{story.revision:08}-1700000100").write_bytes(raw)
    finally:
        store.stop(kill=True)
    for log in data.rglob("*.wal"):
        used = len(log.read_bytes().rstrip(b"\0"))
        with log.open("r+b") as file:  # etcd preallocates 64 MB
            file.truncate(-(-used // 4096) * 4096 + 4096)
    options = options_of(folder, story.forms, plugin)
    database = "snapshot", "snapshot.db", story.revision
    measure_etcd(snapshot, options, story, {"snapshot.db": snapshot}, database, counts)
    database = "data directory", "member/snap/db", 0
    measure_etcd(data, options, story, files_of(data), database, counts)
    providers = [sealing.provider(form.sealing, (form.key_name, form.key)) for form in _keys(story.forms)]
    sealing.configuration(folder / "encryption.json", *providers)


def _old(folder: Path, rng: random.Random) -> None:
    """A snapshot of the system's etcd, whose current values are under a KMS too."""
    store = EtcdStore(folder / "data-3.4", members.program("system"), rng)
    story = Story(store, rng)
    try:
        story.begin()
        story.end()
        store.etcd.save(folder / "snapshot-3.4.db")
    finally:
        store.stop(kill=False)
    shutil.rmtree(folder / "data-3.4")


def _kine(folder: Path, rng: random.Random, plugin: KmsPlugin, counts: Counts) -> None:
    run = folder / "run"
    run.mkdir()
    store = KineStore(run / "state.db", rng)
    story = Story(store, rng)
    store.base.executescript("PRAGMA secure_delete=OFF; PRAGMA wal_autocheckpoint=25;")
    story.begin()
    story.end(readable=True)
    kine = store.copy(folder / "kine")
    store.base.close()
    measure_kine(kine, run / "asked", options_of(run, story.forms, plugin), story, counts)
    shutil.rmtree(run)
    (folder / "log-alone").mkdir()
    shutil.copyfile(kine / "state.db-wal", folder / "log-alone" / "state.db-wal")


def _keys(forms: list[Form]) -> list[Form]:
    """The keys of the forms, the write provider's first; each name once."""
    named = {(form.provider, form.key_name): form for form in reversed(forms) if form.key_name}
    return list(named.values())


def _events(writes: list[Write], count: int) -> Iterator[dict[str, object]]:
    """As etcd-backup-restore stores the writes behind the first `count`."""
    created: dict[bytes, tuple[int, int]] = {}
    for number, write in enumerate(writes):
        if not write.stored:
            created.pop(write.key, None)
            form = event(write.key, write.revision, None, 0, 0)
        else:
            create, version = created.get(write.key, (write.revision, 0))
            created[write.key] = create, version + 1
            form = event(write.key, write.revision, write.stored, create, version + 1)
        if number >= count:
            yield form


def cases(folder: Path) -> list[Case]:
    """The items with the rows that an audit reports today."""
    made = []
    for item in ITEMS:
        case = Case(item.name, item.path, item.configurations, item.carve, 0, ())
        rows, code = known_answers.report(case, folder)
        made.append(replace(case, exit_code=code, rows=rows))
    return made


def pack(folder: Path, target: Path) -> None:
    """Write answers and evidence of a folder into one archive."""
    entries = [
        {
            "name": case.name,
            "path": case.path,
            "configurations": list(case.configurations),
            "carve": case.carve,
            "exit_code": case.exit_code,
            "rows": [list(row) for row in case.rows],
        }
        for case in cases(folder)
    ]
    (folder / ANSWERS).write_text(json.dumps({"cases": entries}, separators=(",", ":")), encoding="utf-8")
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:xz", preset=9) as tar:
        for path in sorted(folder.rglob("*")):
            member = tar.gettarinfo(path, str(path.relative_to(folder)))
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mtime, member.mode = TIMES, 0o755 if path.is_dir() else 0o644
            if path.is_dir():
                tar.addfile(member)
            else:
                with path.open("rb") as file:
                    tar.addfile(member, file)
    target.write_bytes(archive.getvalue())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.self_check.maker")
    parser.add_argument("--answers", action="store_true", help="keep the evidence, and write its rows anew")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.answers:
            with tarfile.open(TARGET) as archive:
                archive.extractall(folder, **DATA_FILTER)
        else:
            with kms() as plugin:
                evidence(folder, plugin)
        stores.add(folder)
        keys = [sealing.provider(form, ("key1", sealing.KEY)) for form in ("aescbc", "aesgcm", "secretbox")]
        sealing.configuration(folder / "kine-keys.json", *keys, {"identity": {}})
        pack(folder, TARGET)
    print(f"{TARGET.name}: {TARGET.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
