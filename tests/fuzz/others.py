"""What is read beside the usual: several responses in one dump, texts in a folder, v2 stores, freelists that lie."""

import gzip
import json
import random
import struct
from functools import partial
from pathlib import Path

from tests.evidence.etcd.test_wal import crc32c
from tests.fuzz import exports
from tests.fuzz.base import CANARY, PLAIN, Base
from tests.fuzz.mutate import odd, overwrite
from tests.helpers.fixtures import repair
from tests.helpers.members_on_disk import data_directory
from tests.helpers.objects import field

PAGE, HEADER = 4096, 16
SNAP = "member/snap/0000000000000002-0000000000000001.snap"


def make(folder: Path, latest: Base, freed: Base, dump: Base) -> list[Base]:
    return [_responses(dump), _folder(latest), _v2_store(folder, latest.config), _freelist(freed)]


def _responses(dump: Base) -> Base:
    return Base(
        "responses",
        dump.clean + dump.data + dump.clean,
        dump.change,
        dump.config,
        name=dump.name,
        clean=dump.clean * 3,
        readable=exports.readable,
    )


def _readable(data: bytes) -> bool:
    """Whether the canary stands in a text as hex, behind the beginning of a value: by nothing else a text is told.

    A function of a name, which another process is given.
    """
    _, _, rest = data.lower().partition(b"k8s\0\n".hex().encode())
    return CANARY.hex().encode() in rest


def _folder(latest: Base) -> Base:
    """A backup of Gardener's and beside it a text, which holds the canary in hex."""
    text = b"-- a note of %d lines\n" % 3 + b"INSERT INTO notes VALUES (1, X'%b');\n-- the end\n"
    return Base(
        "folder",
        text % PLAIN.protobuf().hex().encode(),
        partial(exports.change, hashed=False),
        latest.config,
        name="backup/notes.txt",
        given="backup",
        beside={"backup/Full-00000000-00000082-1700000000.gz": gzip.compress(latest.clean)},
        clean=text % b"00ff",
        readable=_readable,
    )


def _v2_store(folder: Path, config: str) -> Base:
    """A data directory whose raft snapshot holds a node of the v2 store with the canary, as JSON in JSON.

    Formats: etcd server/etcdserver/api/snap/snappb/snap.proto, raft/raftpb/raft.proto (Snapshot), server/etcdserver/
    api/v2store/store.go (Save).
    """
    top = data_directory(folder / "v2")
    beside = {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}
    return Base(
        "v2 store",
        _snap(PLAIN.json()),
        _changed_store,
        config,
        name=SNAP,
        given=".",
        beside=beside,
        apart=True,
        readable=exports.readable,
    )


def _snap(value: bytes) -> bytes:
    node = {"Path": "/registry/secrets/prod/canary", "CreatedIndex": 3, "ModifiedIndex": 3, "Value": value.decode()}
    tree = {"Root": {"Path": "/", "Children": {"registry": node}}, "CurrentIndex": 3, "CurrentVersion": 2}
    return _sealed_snap(json.dumps(tree, separators=(",", ":")).encode())


def _sealed_snap(store: bytes) -> bytes:
    metadata = field(1, field(1, b"")) + b"\x10\x01\x18\x02"
    data = field(1, store) + field(2, metadata)
    return b"\x08" + _varint(crc32c(data)) + field(2, data)


def _varint(number: int) -> bytes:
    octets = bytearray()
    while number > 127:
        octets.append(number & 127 | 128)
        number >>= 7
    return bytes([*octets, number])


def _changed_store(data: bytes, seed: int) -> bytes:
    """The text of the store damaged and its checksum made right, seven times in eight."""
    rng = random.Random(seed)
    if rng.random() < 1 / 8:
        raw = bytearray(data)
        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
        return bytes(raw)
    store = data[data.index(b'{"Root"') : data.rindex(b"}") + 1]
    return _sealed_snap(exports.change(store, seed, hashed=False))


def _freelist(freed: Base) -> Base:
    """The canary stands in a freed page, and the list of freed pages says something else."""
    return Base("freelist", freed.data, _changed_freelist, freed.config, readable=freed.readable)


def _changed_freelist(data: bytes, seed: int) -> bytes:
    """Ids changed, left out, doubled, added, in another order; bbolt page.go, freelist.go (write)."""
    rng = random.Random(seed)
    raw = bytearray(data)
    metas = [struct.unpack_from("<QQQ", raw, at + HEADER + 32) for at in (0, PAGE)]
    root = max(metas, key=lambda meta: meta[2])[0]
    begin = root * PAGE
    if begin + PAGE > len(raw):
        return bytes(raw)
    for _ in range(rng.choice([1, 1, 2, 5])):
        count = struct.unpack_from("<H", raw, begin + 10)[0]
        at = begin + HEADER + 8 * rng.randrange(max(count, 1))
        how = rng.randrange(6)
        if how == 0:
            overwrite(raw, at, struct.pack("<Q", rng.randrange(len(raw) // PAGE + 3)))
        elif how == 1:
            overwrite(raw, begin + 10, struct.pack("<H", (count + rng.choice([-1, 1, -2, 3])) % (1 << 16)))
        elif how == 2:
            other = begin + HEADER + 8 * rng.randrange(max(count, 1))
            overwrite(raw, at, bytes(raw[other : other + 8]))
        elif how == 3:
            overwrite(raw, at, odd(rng, 8))
        elif how == 4:
            overwrite(raw, begin + rng.choice([0, 8, 10, 12]), odd(rng, 2))
        else:
            overwrite(raw, begin + HEADER + 8 * count, odd(rng, 8))
    return repair(bytes(raw)) if rng.random() < 7 / 8 else bytes(raw)
