"""Evidence that is in order ends with 0, whatever its readable objects say and its ciphertexts happen to hold."""

import base64
import gzip
import json
import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import auditor
from auditor import Audit, Options, Severity
from tests.evidence.etcd.test_dump_responses import as_json, as_protobuf
from tests.evidence.etcd.test_wal import put
from tests.helpers import members_on_disk, planting_stores, sealing
from tests.helpers.bolt_builder import backend, record
from tests.helpers.ciphertexts import ciphertext
from tests.helpers.etcd import Etcd
from tests.helpers.fixtures import FIXTURES
from tests.helpers.members_on_disk import LEAK, clean, sealed, write
from tests.helpers.objects import StoredObject
from tests.helpers.sweeps import everything
from tests.kubernetes.test_resources import KINDS

Row = tuple[bytes, bytes]
LARGE = 1 << 20
MANIFEST = LEAK.json()
COMPACT = json.dumps(LEAK.tree(), separators=(",", ":")).encode()
YAML = b"apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\ndata:\n  password: aHVudGVyMg==\n"
ENCRYPTED = b"values begin with k8s:enc:aescbc:v1:key1: and k8s:enc:kms:v2:name:"
RELEASE = base64.b64encode(
    base64.b64encode(gzip.compress(json.dumps({"name": "web", "manifest": YAML.decode()}).encode()))
)


def readable(path: bytes, kind: bytes, **fields: object) -> Iterator[Row]:
    """An object in protobuf and one in JSON."""
    for number, encoded in enumerate((StoredObject.protobuf, StoredObject.json)):
        name = b"%s-%d" % (kind.lower(), number)
        yield b"/registry/" + path + b"/" + name, encoded(StoredObject(kind=kind, name=name, **fields))  # type: ignore[arg-type]


APPLIED = {b"kubectl.kubernetes.io/last-applied-configuration": COMPACT}
CORPUS: dict[str, list[Row]] = {
    "manifests in ConfigMaps": [
        *readable(b"configmaps/a", b"ConfigMap", data={b"a.json": MANIFEST, b"b.yaml": YAML, b"c": COMPACT})
    ],
    "a value in a ConfigMap": [*readable(b"configmaps/b", b"ConfigMap", data={b"raw": LEAK.protobuf()})],
    "a text about encryption": [*readable(b"configmaps/c", b"ConfigMap", data={b"doc.md": ENCRYPTED * 40})],
    "manifests in annotations": [*readable(b"pods/a", b"Pod", labels=APPLIED)],
    "a Helm release": [
        *readable(
            b"configmaps/d", b"ConfigMap", data={b"release": RELEASE}, selectors={b"owner": b"helm", b"name": b"web"}
        )
    ],
    "RBAC names with colons": [
        *(
            (b"/registry/" + path + b"/" + name, StoredObject(kind=kind, name=name).protobuf())
            for path, kind in ((b"clusterroles", b"ClusterRole"), (b"rolebindings/kube-system", b"RoleBinding"))
            for name in (b"system:controller:k8s:enc:reader", b"k8s:enc:aescbc:v1:key1:x", b"system::leader-locking")
        )
    ],
    "the JSON of other applications": [
        (b"/apisix/routes/1", json.dumps({"kind": "Job", "ref": {"kind": "Secret", "name": "x"}}).encode()),
        (b"/apisix/routes/2", json.dumps([{"kind": "Secrets", "items": [1, 2]}]).encode()),
        (b'/app/{"kind":"Secret"}/x', b'{"state": "on", "text": "it says k8s:enc: here"}'),
        (b"/coreos.com/network/config", b'{"Network":"10.244.0.0/16","Backend":{"Type":"vxlan"}}'),
    ],
}
SEALED = [sealed(b"db%d" % number) for number in range(3)]


def snapshot(folder: Path, rows: list[Row]) -> Path:
    records = [record(20 + number, key, value) for number, (key, value) in enumerate(rows)]
    return write(folder / "a.db", backend([*clean(), *records]).seal())


def member(folder: Path, rows: list[Row]) -> Path:
    """A data directory whose log holds the same."""
    puts = [put(key, value) for key, value in rows]
    return members_on_disk.data_directory(folder / "data", *puts)


def kine(folder: Path, rows: list[Row]) -> Path:
    """With rows that are gone, and a freelist of zeroed pages."""
    connection = planting_stores.filled(folder / "state.db")
    for key, value in rows:
        members_on_disk.row(connection, key, value)
    connection.close()
    return folder / "state.db"


def kine_with_log(folder: Path, rows: list[Row]) -> Path:
    connection = sqlite3.connect(kine(folder, []), isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    for key, value in rows:
        members_on_disk.row(connection, key, value)
    for name in ("", "-wal"):
        write(folder / f"copy.db{name}", (folder / f"state.db{name}").read_bytes())
    connection.close()
    return folder / "copy.db"


def json_dump(folder: Path, rows: list[Row]) -> Path:
    return write(folder / "dump.json", as_json([*SEALED, *rows]))


def protobuf_dump(folder: Path, rows: list[Row]) -> Path:
    return write(folder / "dump.pb", as_protobuf([*SEALED, *rows]))


STORES: list[Callable[[Path, list[Row]], Path]] = [snapshot, member, kine, kine_with_log, json_dump, protobuf_dump]


def audited(path: Path, *configs: str) -> Audit:
    audit = auditor.scan(path, Options(encryption_configs=configs))
    told = [*audit.gaps, *(each for each in audit.unexamined if each.decisive), *audit.findings.to_dict("records")]
    assert audit.exit_code(Severity.MEDIUM) == 0, told
    return audit


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("name", CORPUS)
def test_readable_objects_of_other_kinds(name: str, store: Callable[[Path, list[Row]], Path], tmp_path: Path) -> None:
    audited(store(tmp_path, CORPUS[name]), members_on_disk.configuration(tmp_path))


@pytest.mark.parametrize("store", STORES)
def test_all_of_them_together(store: Callable[[Path, list[Row]], Path], tmp_path: Path) -> None:
    rows = [row for every in CORPUS.values() for row in every]
    audit = audited(store(tmp_path, rows), members_on_disk.configuration(tmp_path))
    assert (
        any("manifests inside readable objects: see --hunt" in note for note in audit.notes) or "dump" in store.__name__
    )
    assert all(own.unaccounted == 0 for own in audit.ledger)


def test_everything_encrypted_by_a_wildcard(tmp_path: Path) -> None:
    """With `*.*` every built-in resource and a custom one are sealed; the kinds of all of them are searched for."""
    provider = sealing.provider("secretbox", ("key1", sealing.KEY))
    config = sealing.configuration(tmp_path / "config.json", provider, resources=("*.*",))
    kinds = {path: (group, version, kind) for group, version, kind, _, path in KINDS}
    records = []
    kinds["x.io/widgets"] = ("x.io", "v1", "Widget")
    for number, (path, (group, version, kind)) in enumerate(kinds.items(), 2):
        stated = f"{group}/{version}" if group else version
        thing = StoredObject(name=b"a", kind=kind.encode(), api_version=stated.encode(), data={b"k": b"v" * 40})
        value = sealing.seal("secretbox", "key1", sealing.KEY, thing, random.Random(number))
        records.append(record(number, b"/registry/" + path.encode() + b"/default/a", value))
    audited(write(tmp_path / "a.db", backend(records).seal()), config)


def random_row(number: int, rng: random.Random) -> Row:
    """An encrypted Secret with a megabyte of random bytes."""
    return b"/registry/secrets/a/s%d" % number, ciphertext("secretbox", b"box", rng.randbytes(LARGE))


def test_random_ciphertext(tmp_path: Path) -> None:
    """64 MB in every run, a gigabyte at length: the same bytes each time."""
    count, rng = 1024 if everything() else 64, random.Random(71)
    with (tmp_path / "dump").open("wb") as file:
        for number in range(count):
            file.write(as_protobuf([random_row(number, rng)]))
    audit = audited(tmp_path / "dump")
    assert any(f"each of {count:,} beginnings of values is a row's own" in note for note in audit.notes)


@pytest.mark.parametrize("form", [as_json, as_protobuf])
def test_random_ciphertext_of_one_response(form: Callable[[list[Row]], bytes], tmp_path: Path) -> None:
    rng = random.Random(72)
    audited(write(tmp_path / "dump", form([random_row(number, rng) for number in range(4)])))


def test_openshifts_three_api_servers() -> None:
    folder = FIXTURES / "cases" / "openshift-three-api-servers"
    configs = sorted(map(str, folder.glob("*.json")))
    assert len(configs) == 3
    audited(folder / "snapshot.db", *configs)


def test_a_stopped_members_directory() -> None:
    folder = FIXTURES / "cases" / "stopped-member-same-root"
    audited(folder / "data", str(folder / "config.json"))


@pytest.mark.etcd
def test_a_real_member_that_was_just_stopped(tmp_path: Path) -> None:
    """Stopped twice and started between: every second stop leaves one root in both metas."""
    config = members_on_disk.configuration(tmp_path)
    etcd = Etcd(tmp_path / "data", "--unsafe-no-fsync")
    try:
        for number, (key, value) in enumerate(SEALED):
            etcd.put(key, value)
            etcd.put(b"/registry/configmaps/a/c%d" % number, StoredObject(kind=b"ConfigMap").protobuf())
        for _ in range(3):
            etcd.stop()
            audited(tmp_path / "data", config)
            etcd.start()
            etcd.put(*SEALED[0])
    finally:
        etcd.stop()


@pytest.mark.parametrize("seed", range(2))
def test_kine_as_it_runs(seed: int, tmp_path: Path) -> None:
    """Names in no order, deletions, a log: pages keep parts of cells over which others were written."""
    rng = random.Random(seed)
    connection = members_on_disk.kine(tmp_path / "own" / "state.db", "PRAGMA journal_mode=WAL")
    insert = (
        "INSERT INTO kine(name, created, deleted, create_revision, prev_revision, lease, value) VALUES(?,1,0,0,?,0,?)"
    )
    for number in range(400):
        space = rng.choice(["default", "kube-system", f"team-{rng.randrange(9)}"])
        name = f"s{rng.getrandbits(32):08x}-{rng.choice(['token', 'x', 'helm'])}".encode()
        thing = StoredObject(
            namespace=space.encode(), name=name, data={b"p": rng.randbytes(rng.choice((10, 200, 3000)))}
        )
        value = sealing.seal("secretbox", "key1", sealing.KEY, thing, rng)
        event = f"/registry/events/{space}/pod-{rng.getrandbits(20):05x}.{rng.getrandbits(64):016x}"
        connection.execute(insert, (thing.key.decode(), rng.randrange(9000), value))
        connection.execute(insert, (event, number, StoredObject(kind=b"Event", name=event[-16:].encode()).protobuf()))
        gone = [(rng.randrange(1, 2 * number + 4),) for _ in range(rng.choice((0, 0, 1, 2)))]
        connection.executemany("DELETE FROM kine WHERE id = ? AND name <> 'compact_rev_key'", gone)
    for name_end in ("", "-wal", "-shm"):
        write(tmp_path / f"state.db{name_end}", (tmp_path / "own" / f"state.db{name_end}").read_bytes())
    connection.close()
    audited(tmp_path / "state.db", members_on_disk.configuration(tmp_path))
