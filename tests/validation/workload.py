"""A random workload on a store: what a cluster does to its Secrets, and what etcd's keepers do, by one seed."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from string import ascii_letters

from tests.helpers.objects import StoredObject
from tests.validation.history import FORMS, IDENTITY, Form, Truth, Write, blocks, secret, stored
from tests.validation.stores import Renumbered, Store

SIZES = (15, 60, 300, 1_000, 3_000, 6_000, 20_000)
"""Bytes of a data value: the longer ones go on in overflow pages."""
WEIGHTS = (2, 6, 6, 4, 2, 1, 1)
NAMES = 24


@dataclass
class Workload:
    """The state of a cluster's Secrets, and the steps that change it."""

    store: Store
    rng: random.Random
    truth: Truth = field(default_factory=Truth)
    form: Form = IDENTITY
    forms: list[Form] = field(default_factory=lambda: [IDENTITY])
    """Every form that was ever in force, the one in force last."""
    objects: dict[bytes, StoredObject] = field(default_factory=dict)
    revision: int = 1

    def run(self, steps: int) -> None:
        """The steps, after a few Secrets and, in two of three worlds, a provider that is switched on."""
        for _ in range(self.rng.randint(2, 8)):
            self.create()
        choices: list[tuple[Callable[[], object], int]] = [
            (self.create, 6),
            (self.update, 8),
            (self.delete, 4),
            (self.rotate, 2),
            (self.rewrite, 2),
            (self.other, 10),
            (self.compact, 2),
            (self.store.defragment, 1),
            (self.restart, 1),
        ]
        actions, weights = zip(*choices, strict=True)
        for action in self.rng.choices(actions, weights, k=steps):
            action()

    def value(self) -> bytes:
        return blocks("".join(self.rng.sample(ascii_letters, 8)), self.rng.choices(SIZES, WEIGHTS)[0])

    def put(self, key: bytes, thing: StoredObject) -> None:
        self.objects[key] = thing
        value = stored(self.form, thing, self.rng)
        self.revision = self.store.put(key, value)
        self.truth.writes.append(Write(key, self.revision, value, self.form, dict(thing.data or {})))

    def create(self) -> None:
        key = b"/registry/secrets/%s/s%02d" % (self.rng.choice((b"default", b"prod")), self.rng.randrange(NAMES))
        if key in self.objects:
            self.update(key)
            return
        data = {b"password": self.value()}
        if self.rng.random() < 0.4:
            data[b"token"] = self.value()
        elif self.objects and self.rng.random() < 0.2:  # the same credential in another Secret
            other = self.objects[self.rng.choice(sorted(self.objects))]
            data[b"copy"] = (other.data or {})[b"password"]
        self.put(key, secret(key, data, self.rng))

    def update(self, key: bytes = b"") -> None:
        if not self.objects:
            return
        key = key or self.rng.choice(sorted(self.objects))
        data = dict(self.objects[key].data or {})
        for name in sorted(data)[:: 1 if self.rng.random() < 0.6 else 2]:
            data[name] = self.value()
        self.put(key, replace(self.objects[key], data=data))

    def delete(self) -> None:
        if self.objects:
            key = self.rng.choice(sorted(self.objects))
            del self.objects[key]
            self.revision = self.store.delete(key)
            self.truth.writes.append(Write(key, self.revision))

    def rotate(self) -> None:
        """Another provider or key, in force from now on."""
        self.form = self.rng.choice([form for form in FORMS if form != self.form])
        self.forms = [*(form for form in self.forms if form != self.form), self.form]
        if self.rng.random() < 0.5:
            self.rewrite()

    def rewrite(self) -> None:
        """Every Secret is written again as it is, under what is in force; now and then not to the end."""
        keys = sorted(self.objects)
        if self.rng.random() < 0.2:
            keys = keys[: len(keys) // 2]
        for key in keys:
            self.put(key, self.objects[key])

    def other(self) -> None:
        """Other resources, which take freed pages: new names, and names that are written again and again."""
        for _ in range(self.rng.randint(1, 12)):
            name = b"/registry/configmaps/default/c%03d" % self.rng.randrange(60)
            filler = self.rng.randbytes(self.rng.choice((40, 400, 2_000, 9_000)))
            thing = StoredObject(name=name.rpartition(b"/")[2], kind=b"ConfigMap", data={b"filler": filler})
            self.revision = self.store.put(name, thing.protobuf())

    def compact(self) -> None:
        upto = self.rng.randint(max(self.revision // 2, 1), self.revision)
        if upto > max((each for _, each in self.truth.compacted), default=1):
            self.store.compact(upto)
            self.truth.compacted.append((self.revision, upto))

    def restart(self) -> None:
        """Stop or kill the store. Raises Renumbered where it does not go on at the revision that it acknowledged."""
        self.store.restart(kill=self.rng.random() < 0.5)
        if (revision := self.store.revision()) != self.revision:
            raise Renumbered(f"revision {revision} after a restart, {self.revision} before")
