"""What is mutated: evidence with exactly one readable Secret in it, and all that lies beside it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeAlias

from auditor import Options
from tests.helpers.objects import StoredObject
from tests.helpers.sealing import KEY

CANARY = b"CANARY-fuzz-5f1d7c0a9be24386"
PLAIN = StoredObject(namespace=b"prod", name=b"canary", data={b"password": CANARY})

Change: TypeAlias = Callable[[bytes, int], bytes]
"""(what is to be damaged, seed) -> the damaged; always the same of the same seed."""


def holds(canaries: tuple[bytes, ...], data: bytes) -> bool:
    """Whether a canary stands somewhere in these bytes, as it is."""
    return any(canary in data for canary in canaries)


def sound(_: bytes) -> bool:
    """Whether a file can be read to its end by what it is made with; nothing but a container says so of itself."""
    return True


@dataclass(frozen=True)
class Base:
    """One kind of evidence. place: its kind, and where the canary lies.

    name: where the mutated file is laid; given: what is scanned, where that is not the mutated file itself; beside:
    the files that lie with it. clean: the same evidence, whole, without the canary: then nothing is found in it.
    left: whether a canary can still be read in the file, by other means than the auditor's; whole: whether the
    file's own library reads it without a complaint. secrets: keys of which no byte may stand in an output.
    setting: the mutated file is the configuration that the evidence is judged by, and the evidence holds the canary.
    apart: it is never concluded on, since a part of it is elsewhere: a finding or a gap must tell of the canary.
    alone: the same kind of container with one snapshot in it, for commands that take no more.
    carve: it is raw bytes, and carved.
    """

    place: str
    data: bytes
    change: Change
    config: str = ""
    name: str = "mutated.db"
    given: str = ""
    beside: Mapping[str, bytes] = field(default_factory=dict)
    clean: bytes = b""
    canaries: tuple[bytes, ...] = (CANARY,)
    secrets: tuple[bytes, ...] = (KEY,)
    token: str = ""
    setting: bool = False
    apart: bool = False
    readable: Callable[[bytes], bool] | None = None
    whole: Callable[[bytes], bool] = sound
    alone: "Base | None" = None
    carve: bool = False

    def left(self, data: bytes) -> bool:
        return (self.readable or partial(holds, self.canaries))(data)

    def lay(self, folder: Path, data: bytes) -> tuple[Path, Options]:
        """The mutated file as evidence in a folder, and what it is scanned with."""
        for name, content in {self.name: data, **self.beside}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        config = str(folder / self.name) if self.setting else self.config
        options = Options(encryption_configs=(config,) if config else (), k3s_token=self.token, carve=self.carve)
        return (folder / self.given if self.given else folder / self.name), options
