"""Raw bytes with a store in them at an odd offset, which is damaged as it is as a file; or its surroundings are.

Carving proves no absence: the canary must be told of where its value lies whole.
"""

import random
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from tests.fuzz.base import CANARY, PLAIN, Base
from tests.fuzz.mutate import odd

PLACES = {
    "image of etcd": "latest",
    "image of freed pages": "freed",
    "image of a log": "wal",
    "image of kine": "kine latest",
    "image of kine's overflow pages": "kine overflow",
    "image of kine's log": "kine log",
    "image of a dqlite log": "dqlite log",
}
"""Kinds of images, and the base that lies in each."""
ALONE = "image of a bare value"
QEMU = {"QCOW2": "qcow2", "VMDK": "vmdk", "VHD": "vpc", "VHDX": "vhdx"}
"""Formats of disks that qemu-img writes, and its names of them."""
EXPERT = "E01"
DISKS = (*(QEMU if shutil.which("qemu-img") else ()), *((EXPERT,) if shutil.which("ewfacquire") else ()))
"""Those whose tools are here."""
NAMES = (*PLACES, ALONE, *DISKS)
BEFORE, BEHIND = random.Random(1).randbytes(4096 + 777), random.Random(2).randbytes(9000)


def make(bases: Mapping[str, Base], folder: Path) -> list[Base]:
    """An image of each of these bases, one of a value alone, and disks with a database in them.

    Args:
        bases: By place.
        folder: For the tools that write disks.
    """
    alone = Base(
        ALONE,
        BEFORE + PLAIN.protobuf() + bytes(600) + BEHIND,
        _damage,
        bases["latest"].config,
        name="disk.img",
        readable=_whole,
        carve=True,
    )
    images = (_image(place, bases[inner]) for place, inner in PLACES.items())
    return [*images, alone, *_disks(bases["latest"], folder)]


def _disks(latest: Base, folder: Path) -> Iterator[Base]:
    """A database on a disk of each format: what is damaged is the format."""
    raw = folder / "disk.raw"
    content = BEFORE + latest.data + BEHIND
    raw.write_bytes(content + bytes(-len(content) % (1 << 20)))
    for place in DISKS:
        path = folder / f"disk.{place}"
        if place == EXPERT:
            command = ["ewfacquire", "-u", "-q", "-t", str(path.with_suffix("")), "-f", "encase6", str(raw)]
        else:
            command = ["qemu-img", "convert", "-f", "raw", "-O", QEMU[place], str(raw), str(path)]
        subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
        disk = path.read_bytes()
        yield Base(place, disk, _damage, latest.config, name=path.name, readable=disk.__eq__, carve=True)


def _image(place: str, inner: Base) -> Base:
    image = BEFORE + inner.data + BEHIND
    return Base(
        place,
        image,
        partial(_change, inner),
        inner.config,
        name="disk.img",
        clean=BEFORE + inner.clean + BEHIND if inner.clean else b"",
        secrets=inner.secrets,
        readable=partial(_readable, image),
        carve=True,
    )


def _readable(image: bytes, data: bytes) -> bool:
    """Whether the value lies whole in it, or in parts as it was laid."""
    return _whole(data) or (data == image and CANARY in data)


def _whole(data: bytes) -> bool:
    return PLAIN.protobuf() in data


def _change(inner: Base, data: bytes, seed: int) -> bytes:
    """The store damaged as it is as a file, seven times in eight; else the image as a whole."""
    if random.Random(seed).random() < 7 / 8:
        store = data[len(BEFORE) : len(data) - len(BEHIND)]
        return BEFORE + inner.change(store, seed) + BEHIND
    return _damage(data, seed)


def _damage(data: bytes, seed: int) -> bytes:
    """Numbers made odd, blocks overwritten, moved and doubled, the end cut."""
    rng = random.Random(seed)
    raw = bytearray(data)
    for _ in range(rng.choice([1, 2, 4, 16])):
        at, size = rng.randrange(len(raw)), rng.choice([1, 8, 512, 4096])
        how = rng.randrange(5)
        if how == 0:
            raw[at : at + 4] = odd(rng, 4)
        elif how == 1:
            raw[at : at + size] = rng.randbytes(size)
        elif how == 2:
            raw[at:at] = raw[at : at + size]
        elif how == 3:
            other = rng.randrange(len(raw))
            raw[at : at + size] = raw[other : other + size]
        else:
            del raw[at : at + size]
    return bytes(raw) or b"\0"
