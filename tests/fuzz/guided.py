"""Let coverage guide the damage: needs atheris (pip install '.[fuzz]').

    python -m tests.fuzz.guided [-runs=N] [-max_total_time=SECONDS] [CORPUS]

libFuzzer's own changes alternate with those of tests/fuzz/mutate.py; the oracle is that of python -m tests.fuzz.
A file with a bad end raises, which libFuzzer reports and keeps as crash-*.
"""

import random
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["auditor"], enable_loader_override=False):
    from tests.fuzz import bases, mutate, oracle


def main() -> None:
    folder = tempfile.TemporaryDirectory()
    made = bases.make(Path(folder.name))
    scratch = Path(folder.name) / "scratch"
    scratch.mkdir()

    def one(data: bytes) -> None:
        """The first byte says which base the rest is of."""
        if not data:
            return
        base = made[data[0] % len(made)]
        outcome, said = oracle.judge(base, data[1:], scratch)
        if outcome.bad:
            raise AssertionError(f"{outcome.value}: {base.place}: {said}")

    def change(data: bytes, most: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if len(data) < 2:
            number = rng.randrange(len(made))
            data = bytes([number]) + made[number].data
        if rng.random() < 0.3:
            return bytes(atheris.Mutate(data, most))
        log = made[data[0] % len(made)].log
        return (data[:1] + mutate.mutate(data[1:], seed, log=log))[:most]

    longest = max(len(base.data) for base in made) + 3 * mutate.PAGE
    options = [f"-max_len={longest}", f"-timeout={oracle.SECONDS}", "-rss_limit_mb=4096"]
    atheris.Setup([*sys.argv, *options], one, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
