"""Gardener's objects packed with LZW: a full snapshot by itself, an increment in its backup. Damage that knows codes.

Widths of codes stay as they were: what follows a changed one is read where it lay.
"""

import random
from dataclasses import replace
from functools import partial

from tests.fuzz import archive_damage as damage
from tests.fuzz import exports
from tests.fuzz.base import Base, Change
from tests.fuzz.mutate import Mutator
from tests.helpers import packing

Codes = list[tuple[int, int]]
CLEAR, END = 256, 257
BYTES: tuple[Mutator, ...] = (
    damage.head,
    damage.tail,
    damage.noise,
    damage.bit,
    damage.cut,
    damage.grown,
    damage.dropped,
)


def make(latest: Base, increment: Base) -> list[Base]:
    full = replace(latest, place="full", name="Full-00000000-00000082-1700000000")
    return [
        replace(
            base,
            place=f"{base.place}, LZW",
            name=f"{base.name}.Z",
            data=packing.lzw(base.data),
            clean=packing.lzw(base.clean),
            change=partial(change, raw=base.data, within=base.change),
            readable=readable,
            whole=whole,
        )
        for base in (full, increment)
    ]


def readable(data: bytes) -> bool:
    return exports.readable(data) or exports.readable(packing.unlzw(data)[0])


def whole(data: bytes) -> bool:
    """Whether the codes go to their end."""
    return packing.unlzw(data)[1]


def change(data: bytes, seed: int, *, raw: bytes, within: Change) -> bytes:
    """What is packed damaged before it is; or codes changed; or bytes. Written in every way that a reader must know."""
    rng = random.Random(seed)
    how = rng.random()
    if how < 0.2:
        return packing.lzw(within(raw, seed), clear=rng.random() < 0.5, emptied=rng.random() < 0.5)
    if how < 0.6:
        codes = list(packing.lzw_codes(data))
        for _ in range(rng.choice([1, 1, 2, 8])):
            _changed(codes, rng)
        return packing.lzw_of(codes)
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 4])):
        rng.choice(BYTES)(changed, rng)
    return bytes(changed)


def _changed(codes: Codes, rng: random.Random) -> None:
    """One code another: one of the two that are none, the next or the highest of the table, one from elsewhere."""
    at = rng.choice([rng.randrange(len(codes)), rng.randrange(min(len(codes), 20)), len(codes) - 1])
    _, width = codes[at]
    since = next((back for back in range(at) if codes[at - 1 - back][0] == CLEAR), at)
    code = rng.choice(
        [CLEAR, END, 255, 258, END + since, END + since + 1, (1 << width) - 1, rng.randrange(1 << width),
         rng.choice(codes)[0]]
    )  # fmt: skip
    how = rng.randrange(6)
    if how < 4:
        codes[at] = min(code, (1 << width) - 1), width
    elif how == 4:
        del codes[at : at + rng.choice([1, 1, 10])]
    else:
        codes[at:at] = [(min(code, (1 << width) - 1), width)] * rng.choice([1, 1, 100])
    if not codes:
        codes.append((END, 9))
