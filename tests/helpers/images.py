"""Raw bytes with real stores in them: ext4 images without a loop device, and what an etcd wrote in all its life."""

import random
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.helpers import sealing
from tests.helpers.etcd import Etcd
from tests.helpers.objects import StoredObject

KEY = bytes(range(32))
KEY_NAME = "key1"
CONFIGURATION = f"""\
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers:
  - aescbc: {{keys: [{{name: {KEY_NAME}, secret: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=}}]}}
  - identity: {{}}
"""


@dataclass
class Life:
    """Every value that an etcd was told to store, whatever became of it."""

    values: dict[bytes, bytes] = field(default_factory=dict)
    """Etcd key of each value."""

    def put(self, etcd: Etcd, key: bytes, value: bytes) -> None:
        self.values[value] = key
        etcd.put(key, value)

    def lying_in(self, image: bytes) -> set[bytes]:
        """The values that lie whole in an image: what carving can be asked for."""
        return {value for value in self.values if value in image}


def live(folder: Path, count: int, *, seed: int = 1, largest: int = 900) -> Life:
    """A data directory of an etcd that stored Secrets, plain and encrypted, replaced and deleted some, compacted once.

    Args:
        folder: The data directory, which is made.
        count: Secrets.
        seed: Of what is in them.
        largest: Bytes of the largest value, about.
    """
    chance, life = random.Random(seed), Life()
    with Etcd(folder) as etcd:
        fill(etcd, life, count, chance, seed=seed, largest=largest)
        for number in range(0, count, 5):
            again = StoredObject(
                namespace=b"ns%d" % (number % 7),
                name=b"secret-%d-%d" % (seed, number),
                data={b"password": chance.randbytes(40)},
                uid=b"%08x-0000-4000-8000-%012x" % (seed, number),
            )
            life.put(etcd, again.key, again.protobuf())
            if number % 10 == 0:
                etcd.delete(again.key)
        etcd.compact(count // 2)
        for number in range(count // 10):
            life.put(etcd, b"/registry/secrets/late/s-%d-%d" % (seed, number), _late(seed, number))
    return life


def fill(etcd: Etcd, life: Life, count: int, chance: random.Random, *, seed: int = 1, largest: int = 900) -> None:
    """Store this many Secrets, one of three encrypted. Arguments as of live()."""
    for number in range(count):
        secret = StoredObject(
            namespace=b"ns%d" % (number % 7),
            name=b"secret-%d-%d" % (seed, number),
            data={b"password": chance.randbytes(chance.randrange(16, largest))},
            uid=b"%08x-0000-4000-8000-%012x" % (seed, number),
        )
        value = secret.protobuf()
        if number % 3 == 1:
            value = sealing.seal("aescbc", KEY_NAME, KEY, secret, chance)
        life.put(etcd, secret.key, value)


def _late(seed: int, number: int) -> bytes:
    name = b"s-%d-%d" % (seed, number)
    return StoredObject(namespace=b"late", name=name, data={b"token": b"late %d %d" % (seed, number) * 3}).protobuf()


def ext4(image: Path, size: int, root: Path) -> None:
    """An ext4 file system with the files of a folder, in a file of this size."""
    with image.open("wb") as file:
        file.truncate(size)
    command = ["mkfs.ext4", "-q", "-F", "-b", "4096", "-O", "^has_journal", "-d", str(root), str(image)]
    subprocess.run(command, check=True, capture_output=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})


def debugfs(image: Path, commands: Iterable[str]) -> None:
    """Change an ext4 image by debugfs' commands."""
    subprocess.run(
        ["debugfs", "-w", "-f", "-", str(image)],
        input="\n".join(commands).encode(),
        check=True,
        capture_output=True,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )


def delete(image: Path, folder: str, files: Iterable[str]) -> None:
    """Delete files of a folder in an image: their blocks are free, and keep what stands in them."""
    names = [f"{folder}/{name}" for name in files]
    debugfs(image, [line for name in names for line in (f"kill_file {name}", f"rm {name}")])


def blocks(image: Path, file: str) -> list[int]:
    """Numbers of the blocks of a file in an image, in the order of the file."""
    answer = subprocess.run(
        ["debugfs", "-R", f"blocks {file}", str(image)],
        check=True,
        capture_output=True,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    return [int(number) for number in answer.stdout.split()]
