"""dqlite's data directories: a log and a snapshot with one readable Secret, and damage that knows both.

Segments are made of what SQLite writes; their checksums are made right again, seven times in eight.
"""

import random
import sqlite3
import struct
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.base import PLAIN, Base
from tests.helpers import dqlite, dqlite_files
from tests.helpers.objects import StoredObject
from tests.helpers.sealing import KEY, seal

NAMES = ("dqlite log", "dqlite snapshot", "dqlite log superseded", "dqlite log in circles")
ODD = (0, 1, 2, 7, 8, 0x7F, 0xFF, 0x1000, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, (1 << 63) - 1, (1 << 64) - 1)
SEGMENT = "backend/0000000000000003-0000000000000004"
SNAPSHOT = "backend/snapshot-1-2-500"


def make(folder: Path, config: str) -> list[Base]:
    """The canary in the newest entry of the log, in the snapshot, and in an entry that a later one replaces."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(11)
    others = [StoredObject(namespace=b"prod", name=b"q%d" % number, data={b"p": b"x" * 60}) for number in range(7)]
    sealed = [(thing.key, seal("aescbc", "key1", KEY, thing, rng)) for thing in others]
    plain = (PLAIN.key, PLAIN.protobuf())
    states = _states(folder / "k.db", [*sealed[:5], sealed[5], sealed[6]])
    own = _states(folder / "p.db", [*sealed[:5], plain, sealed[6]])
    old = dqlite_files.snapshot(states[4])
    clean = dqlite_files.segment([[_change(states, 5)], [_change(states, 6)]])
    holding = dqlite_files.segment([[_change(own, 5)], [_change(own, 6)]])
    fixed = {f"{SNAPSHOT}.meta": dqlite_files.meta(), "backend/metadata1": dqlite_files.metadata()}
    bases = [
        Base(
            NAMES[0],
            holding,
            change,
            config,
            name=SEGMENT,
            given="backend",
            beside={**fixed, SNAPSHOT: old},
            clean=clean,
        ),
        Base(
            NAMES[1],
            dqlite_files.snapshot(own[5]),
            damage,
            config,
            name=SNAPSHOT,
            given="backend",
            beside={**fixed, SEGMENT: dqlite_files.segment([[_change(own, 6)], [_change(own, 6)]])},
        ),
    ]
    other = dqlite_files.pages(states[5])
    erased = {number: other[number] for number in dqlite_files.changed(own[4], own[5])}
    superseded = dqlite_files.segment([[_change(own, 5)], [dqlite_files.frames(erased)]])
    bases.append(
        Base(
            NAMES[2],
            superseded,
            change,
            config,
            name=SEGMENT,
            given="backend",
            beside={**fixed, SNAPSHOT: old},
            clean=clean,
        )
    )
    circles = {f"backend/{first:016}-{last:016}": clean for first, last in ((4, 3), (2, 4), (4, 5), (5, 4), (1, 6))}
    beside = {**fixed, **circles, SNAPSHOT: old}
    bases.append(Base(NAMES[3], holding, change, config, name=SEGMENT, given="backend", beside=beside, apart=True))
    return bases


def _states(path: Path, rows: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
    """kine's database after each row, without what it held before."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA secure_delete=1")
    for statement in (dqlite.TABLE, *dqlite.INDEXES):
        connection.execute(statement)
    states = []
    for number, (key, value) in enumerate(rows, 1):
        row = (number, key.decode(), value)
        connection.execute("INSERT INTO kine VALUES (?, ?, 1, 0, 0, 0, 0, ?, NULL)", row)
        states.append(path.read_bytes())
    connection.close()
    return states


def _change(states: Sequence[bytes], number: int) -> bytes:
    """The command that leads to a state from the one before it."""
    return dqlite_files.frames(dqlite_files.changed(states[number - 1], states[number]))


def change(data: bytes, seed: int) -> bytes:
    """Damage to a segment; its checksums made right, seven times in eight."""
    rng = random.Random(seed)
    damaged = damage(data, rng.randrange(1 << 32))
    return right(damaged) if rng.random() < 7 / 8 else damaged


def damage(data: bytes, seed: int) -> bytes:
    """Bytes flipped, fields made odd, stretches cut, moved and doubled."""
    rng = random.Random(seed)
    raw = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        if not raw:
            break
        early = rng.random() < 0.5
        at = rng.randrange(min(len(raw), 256) if early else len(raw))
        how = rng.randrange(6)
        if how == 0:
            raw[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            raw[at // 8 * 8 : at // 8 * 8 + 8] = struct.pack("<Q", rng.choice(ODD))
        elif how == 2:
            raw[at // 4 * 4 : at // 4 * 4 + 4] = struct.pack("<I", rng.choice(ODD) & 0xFFFFFFFF)
        elif how == 3:
            del raw[at:]
        elif how == 4:
            raw[at:at] = raw[at : at + rng.choice([8, 16, 4096, 9000])]
        else:
            del raw[at : at + rng.choice([1, 8, 16, 4096])]
    return bytes(raw)


def right(data: bytes) -> bytes:
    """The same segment with checksums that hold, as far as its batches lead."""
    raw, at = bytearray(data), 8
    while at + 16 <= len(raw):
        (count,) = struct.unpack_from("<Q", raw, at + 8)
        first = at + 16 + 16 * count
        if not count or first > len(raw):
            break
        end = first + sum(struct.unpack_from("<I", raw, at + 16 + 16 * entry + 12)[0] for entry in range(count))
        struct.pack_into("<I", raw, at, dqlite_files.crc(bytes(raw[at + 8 : first])))
        if end > len(raw):
            break
        struct.pack_into("<I", raw, at + 4, dqlite_files.crc(bytes(raw[first:end])))
        at = end
    return bytes(raw)
