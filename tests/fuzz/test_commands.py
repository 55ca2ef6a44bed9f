"""A part of what `python -m tests.fuzz --commands show diff keys verify` runs; what that run found, kept."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditor.cli import diff, keys, show, verify
from tests.fuzz import commands
from tests.fuzz.base import CANARY, Base
from tests.fuzz.conftest import Find
from tests.fuzz.oracle import Outcome

EXAMPLES = 6
GIVEN = {
    "show": ("latest", "history", "wal", "kine old-value", "zip", "dump", "increment"),
    "reveal": ("latest", "freed", "kine old-value", "dump"),
    "diff": ("latest", "deleted", "freed", "wal", "kine latest", "gzip", "dump", "configuration, yaml"),
    "keys": ("latest", "kine log"),
    "verify": ("latest", "tar"),
    "remediation": ("latest",),
}


def judged(command: str, base: Base, data: bytes, seed: int) -> tuple[Outcome, str]:
    with TemporaryDirectory() as folder:
        return commands.judge(command, base, data, Path(folder), seed)


@pytest.mark.parametrize(("command", "place"), [(name, place) for name, places in GIVEN.items() for place in places])
def test_no_command_says_what_is_not_so_of_mutated_evidence(command: str, place: str, find: Find) -> None:
    base = commands.of(command, find(place))

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 1 << 32))
    def run(seed: int) -> None:
        outcome, said = judged(command, base, base.change(base.data, seed), seed)
        assert not outcome.bad, (outcome, said, seed)

    run()


def seeds(command: str, base: Base, data: bytes) -> set[Outcome]:
    return {judged(command, base, data, seed)[0] for seed in range(12)}


def test_of_whole_evidence_every_command_has_an_answer(find: Find) -> None:
    base = find("latest")
    assert seeds("show", base, base.data) == {Outcome.ANSWERED}
    assert seeds("reveal", base, base.data) == {Outcome.ANSWERED}
    assert seeds("keys", base, base.data) == {Outcome.ANSWERED}
    assert seeds("diff", base, base.data) == {Outcome.ANSWERED, Outcome.FOUND, Outcome.REFUSED}
    assert seeds("verify", base, base.data) == {Outcome.ANSWERED, Outcome.FOUND, Outcome.REFUSED}  # reports are damaged


@pytest.mark.parametrize("command", [show, diff, keys, verify], ids=lambda module: module.__name__.split(".")[-1])
def test_the_oracle_sees_what_a_command_shows_and_what_it_passes_over(
    command: ModuleType, find: Find, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that writes a value, faults, ends with a code that is none of its own, or that is content with all."""
    name = command.__name__.split(".")[-1]
    base, run = find("latest"), command.run

    def now(done: Callable[..., int]) -> set[Outcome]:
        monkeypatch.setattr(command, "run", done)
        return seeds(name, base, base.data[:-9000] + bytes(9000))

    def content(*given: Any, **more: Any) -> int:
        """All was read, it says, and of the canary there is nothing to say."""
        run(*given, **more)
        if name == "show":
            given[-1].write_text('{"versions": [], "keys": []}')
        if name == "keys":
            given[-1][1].write_text('{"versions": [], "keys": []}')
        return 0

    assert now(lambda *_, **__: len(print(CANARY.hex()) or "")) == {Outcome.SHOWN}
    assert now(lambda *_, **__: 1 // 0) == {Outcome.CRASH}
    assert now(lambda *_, **__: 9) == {Outcome.UNTRUE}
    assert {each for each in now(content) if each.bad} & {Outcome.UNTRUE, Outcome.FALSE_PASS}


def test_a_terminal_that_is_told_to_act_is_unsafe(find: Find, monkeypatch: pytest.MonkeyPatch) -> None:
    base = find("latest")
    monkeypatch.setattr(show, "run", lambda *_, **__: len(print("\x1b[2J") or ""))
    assert seeds("reveal", base, base.data) == {Outcome.UNSAFE}
