"""Everything that is ever written into a store: the truth that an audit of it is held against.

A data value is a run of blocks, `W` with eight letters that no other value of the world has and the block's number, so
that every surviving part of it is recognised in raw bytes by one regular expression, without a parser. The letters are
distinct: a value of fewer bits is one that the design calls common, and `same_as_latest` passes over it.
"""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.helpers import sealing
from tests.helpers.objects import StoredObject

BLOCK = re.compile(rb"W([A-Za-z]{8})\.([0-9a-f]{4})-")
BLOCK_SIZE = 15
CIPHERTEXT = re.compile(rb"k8s:enc:[a-z]+:v[12]:")
HEAD = 72
"""Bytes that identify a ciphertext: prefix, key name, and enough of what is random."""


@dataclass(frozen=True, slots=True)
class Form:
    """How a value is stored: the provider with what its KMS holds, as `sealing` names it, and the key's name."""

    sealing: str
    key_name: str = ""
    key: bytes = b""

    @property
    def provider(self) -> str:
        return self.sealing.partition(", ")[0]


IDENTITY = Form("identity")
FORMS = (
    IDENTITY,
    *(
        Form(form, name, key)
        for form in sealing.LOCAL
        for name, key in (("key1", sealing.KEY), ("key2", sealing.OTHER))
    ),
    *(Form(form, "vault-v1", sealing.KEY) for form in sealing.FORMS if form.startswith("kms v1")),
    *(Form(form, "vault-v2", sealing.KEY) for form in sealing.FORMS if form.startswith("kms v2")),
)


@dataclass(frozen=True, slots=True)
class Write:
    """A put of a Secret, or a deletion, whose `stored` is empty."""

    key: bytes
    revision: int
    stored: bytes = b""
    form: Form = IDENTITY
    data: Mapping[bytes, bytes] = field(default_factory=dict)


def blocks(content: str, size: int) -> bytes:
    """About `size` bytes that say in every part which content they are of, by its eight letters."""
    return b"".join(b"W%s.%04x-" % (content.encode(), number) for number in range(max(size // BLOCK_SIZE, 1)))


def contents(raw: bytes) -> set[str]:
    """The letters of every content that some bytes hold a block of."""
    return {match.group(1).decode() for match in BLOCK.finditer(raw)}


@dataclass
class Truth:
    """The writes of one store, in order, and what they imply."""

    writes: list[Write] = field(default_factory=list)
    compacted: list[tuple[int, int]] = field(default_factory=list)
    """Compactions: the revision at which each was done, and the one up to which it went."""

    def visible(self, revision: int) -> dict[tuple[bytes, int], tuple[str, Write]]:
        """The puts that a store at this revision shows, with their place, by key and revision."""
        limit = max((upto for at, upto in self.compacted if at <= revision), default=0)
        by_key: dict[bytes, list[Write]] = {}
        for write in self.writes:
            if write.revision <= revision:
                by_key.setdefault(write.key, []).append(write)
        shown: dict[tuple[bytes, int], tuple[str, Write]] = {}
        for key, writes in by_key.items():
            old = [write for write in writes if write.revision <= limit]
            kept = [*(old[-1:] if old and old[-1].stored else ()), *writes[len(old) :]]
            for write in kept:
                if write.stored:
                    deleted = not writes[-1].stored
                    place = "deleted" if deleted else "latest" if write is writes[-1] else "history"
                    shown[key, write.revision] = place, write
        return shown

    def current(self, revision: int) -> dict[bytes, Write]:
        return {key: write for (key, _), (place, write) in self.visible(revision).items() if place == "latest"}

    def by_content(self) -> dict[str, list[Write]]:
        """Every write by each content that it holds."""
        writes: dict[str, list[Write]] = {}
        for write in self.writes:
            for content in contents(b"".join(write.data.values())):
                writes.setdefault(content, []).append(write)
        return writes


def same_as_latest(write: Write, current: Mapping[bytes, Write]) -> str:
    """Whether the data of a write are current, where all that is current can be read.

    All of them in the Secret of the same name: yes; some: part; else one in a Secret of another name: elsewhere.
    """
    own = current.get(write.key)
    kept = set(own.data.values()) if own is not None else set()
    if all(value in kept for value in write.data.values()):
        return "yes"
    if any(value in kept for value in write.data.values()):
        return "part"
    others = {value for key, other in current.items() if key != write.key for value in other.data.values()}
    return "elsewhere" if any(value in others for value in write.data.values()) else "no"


def secret(key: bytes, data: Mapping[bytes, bytes], rng: random.Random) -> StoredObject:
    """The Secret with this etcd key."""
    namespace, name = key.rsplit(b"/", 2)[-2:]
    uid = b"%08x-0000-4000-8000-%012x" % (rng.getrandbits(32), rng.getrandbits(48))
    return StoredObject(
        namespace=namespace, name=name, data=data, uid=uid, created=1_790_000_000 + rng.randrange(10**6)
    )


def stored(form: Form, thing: StoredObject, rng: random.Random) -> bytes:
    """The bytes that kube-apiserver would store."""
    if form == IDENTITY:
        return thing.protobuf()
    return sealing.seal(form.sealing, form.key_name, form.key, thing, rng)
