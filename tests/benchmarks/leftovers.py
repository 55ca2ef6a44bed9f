"""How long 75,000 leftovers take in comparison with 50,000 current Secrets, and how much memory: in one process.

    python -m tests.benchmarks.leftovers [--secrets 50000] [--leftovers 75000] [--rounds 5]

The leftovers hold what their Secrets hold, each written anew; or a third does, in a third one of two values is another,
and a third is of other names. The current Secrets are readable, or under aescbc and opened: the last two lines are what
opening takes without digests for the comparison, and with them.
"""

import argparse
import gc
import random
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial

from auditor.encryption.configuration import Key, ProviderEntry
from auditor.encryption.keyring import Keyring
from auditor.judgement import leftovers, opening
from auditor.judgement.criteria import prepare
from auditor.judgement.selection import Selection, select
from auditor.kubernetes.store import classify
from auditor.model.vocabulary import Place, Provider
from auditor.options import Options
from tests.helpers.batches import batch
from tests.helpers.objects import StoredObject
from tests.helpers.sealing import KEY, seal

KEYRING = Keyring((), {}, (ProviderEntry(Provider.AESCBC, (Key("key1", KEY),)),))


def objects(count: int, rng: random.Random) -> Iterator[StoredObject]:
    for number in range(count):
        data = {b"password": rng.randbytes(24).hex().encode(), b"ca.crt": rng.randbytes(400).hex().encode()}
        yield StoredObject(namespace=b"team-%d" % (number % 97), name=b"secret-%d" % number, data=data)


def changed(kind: int, whole: StoredObject, rng: random.Random) -> StoredObject:
    """The leftover of a Secret: written anew, with another certificate, or of another name."""
    if kind == 0:
        return replace(whole, created=whole.created - 1)
    data = {**(whole.data or {}), b"ca.crt": rng.randbytes(400).hex().encode()}
    name = whole.name if kind == 1 else whole.name + b"-7f8d"
    return StoredObject(namespace=whole.namespace, name=name, data=data)


def selection(records: list[tuple[bytes, bytes]], place: Place) -> Selection:
    store = classify([batch(records, place)])
    judged = store.match(frozenset({"secrets"}))
    return select(store.parts, store.resources, judged, authoritative=place is Place.LATEST, plaintext=False)


def measured(work: Callable[[], object], rounds: int) -> str:
    """Seconds of the clock and of the processor, median and range, and the peak of what Python and numpy allocate."""
    seconds: list[tuple[float, float]] = []
    for _ in range(rounds):
        begin = time.perf_counter(), time.process_time()
        work()
        seconds.append((time.perf_counter() - begin[0], time.process_time() - begin[1]))
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    wall, processor = map(median_and_range, zip(*seconds, strict=True))
    return f"{wall}, processor {processor}, {peak / 1e6:.0f} MB"


def median_and_range(seconds: Iterable[float]) -> str:
    each = sorted(seconds)
    return f"{statistics.median(each):.2f} s ({each[0]:.2f}-{each[-1]:.2f})"


def main() -> None:
    gc.disable()  # as the command has it
    parser = argparse.ArgumentParser()
    parser.add_argument("--secrets", type=int, default=50_000)
    parser.add_argument("--leftovers", type=int, default=75_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    rng = random.Random(7)
    current = list(objects(options.secrets, rng))
    unchanged, mixed = (
        [changed(number % kinds, current[number % options.secrets], rng) for number in range(options.leftovers)]
        for kinds in (1, 3)
    )
    kinds = {"unchanged": unchanged, "a third each": mixed}
    stale = {name: selection([(each.key, each.protobuf()) for each in old], Place.FREED) for name, old in kinds.items()}
    plain = selection([(each.key, each.protobuf()) for each in current], Place.LATEST)
    sealed = selection([(each.key, seal("aescbc", "key1", KEY, each, rng)) for each in current], Place.LATEST)
    criteria = prepare(Options())

    def opened(contents: frozenset[bytes] | None) -> Selection:
        return opening.open_all(sealed, criteria, KEYRING, contents=contents)

    every = opened(None)
    for name, values in stale.items():
        for state, latest in (("readable", plain), ("opened", every)):
            work = partial(leftovers.compare, [latest, values], keyring=KEYRING)
            print(f"{name}, {state}:".ljust(26), measured(work, options.rounds))
    print("opening:".ljust(26), measured(lambda: opened(frozenset()), options.rounds))
    print("opening, with digests:".ljust(26), measured(lambda: opened(None), options.rounds))


if __name__ == "__main__":
    main()
