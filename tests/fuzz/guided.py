"""Let coverage guide the damage: needs atheris (pip install '.[fuzz]').

    python -m tests.fuzz.guided [-runs=N] [-max_total_time=SECONDS] [CORPUS]

libFuzzer's own changes alternate with those that know the format; the oracle is that of python -m tests.fuzz.
A file with a bad end raises, which libFuzzer reports and keeps as crash-*.
"""

import importlib
import pkgutil
import random
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["auditor"], enable_loader_override=False):
    import auditor
    from tests.fuzz import bases, mutate, oracle

    # the readers wait until they are needed, and what is imported behind this block is not seen
    for module in pkgutil.walk_packages(auditor.__path__, "auditor."):
        importlib.import_module(module.name)


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
        at = scratch / str(data[0] % len(made))  # bases leave different files beside theirs
        at.mkdir(exist_ok=True)
        outcome, said = oracle.judge(base, data[1:], at, len(data))
        if outcome.bad:
            raise AssertionError(f"{outcome.value}: {base.place}: {said}")

    def change(data: bytes, most: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if len(data) < 2:
            number = rng.randrange(len(made))
            data = bytes([number]) + made[number].data
        if rng.random() < 0.3:
            return bytes(atheris.Mutate(data, most))
        return (data[:1] + made[data[0] % len(made)].change(data[1:], seed))[:most]

    longest = max(len(base.data) for base in made) + 3 * mutate.PAGE
    options = [f"-max_len={longest}", f"-timeout={oracle.PATIENCE}", "-rss_limit_mb=4096"]
    atheris.Setup([*sys.argv, *options], one, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
