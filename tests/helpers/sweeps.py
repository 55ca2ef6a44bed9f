"""Long sweeps (each bit flipped, each length cut): a sample of them in every run, all of them at night."""

import os
import random
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

SWEEPS = "ETCD_AUDITOR_TEST_SWEEPS"
"""Set to `all` where every case of a sweep is to run."""
Case = TypeVar("Case")


def everything() -> bool:
    return os.environ.get(SWEEPS) == "all"


def sample(cases: Sequence[Case], count: int) -> list[Case]:
    """At most `count` of the cases, in their order and spread over all of them; the same in every run and worker."""
    if everything() or len(cases) <= count:
        return list(cases)
    rng = random.Random(count)
    edges = [len(cases) * number // count for number in range(count + 1)]
    return [cases[rng.randrange(start, end)] for start, end in pairwise(edges)]


def strata(cases: Sequence[Case], count: int) -> list[list[Case]]:
    """At most `count` neighbouring parts of the cases, each in a random order: where its first does not do, the next.

    Each case is a part of its own where all are to run, or there are so few.
    """
    if everything() or len(cases) <= count:
        return [[case] for case in cases]
    rng = random.Random(count)
    edges = [len(cases) * number // count for number in range(count + 1)]
    return [rng.sample(cases[start:end], end - start) for start, end in pairwise(edges)]
