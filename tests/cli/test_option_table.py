"""The table of options: every pair of every command is in it, and what it refuses is refused, naming both."""

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from auditor.cli import option_table
from auditor.cli.app import app
from auditor.cli.commands import option_name
from auditor.cli.option_table import NEEDS, REFUSED, STAGES, TOGETHER, Effect, Stage, relation
from tests.helpers.command import run
from tests.helpers.fixtures import MIGRATION


def commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Every command by its name, those of a group behind the group's."""
    for name, command in group.commands.items():
        yield from commands(command, f"{name} ") if hasattr(command, "commands") else [(before + name, command)]


COMMANDS = dict(commands(typer.main.get_command(app)))
OPTIONS = {
    name: [option_name(each) for each in command.params if option_name(each) and option_name(each) != "--help"]
    for name, command in COMMANDS.items()
}
FLAGS = {
    option_name(each) for command in COMMANDS.values() for each in command.params if getattr(each, "is_flag", False)
}
VALUES = {"--fail-on": "low", "--hunt-min-length": "9", "--jobs": "1", "--expect-sha256": "0" * 64}
"""Values that an option takes; of the others a path, or a number, is one."""
ARGUMENTS = {"diff": ["a.db", "b.db"], "show": ["a.db", "n/s"]}
WITH = [(name, options) for name, own in OPTIONS.items() for options in REFUSED if options <= set(own)]
ALONE = [
    (name, option)
    for name, own in OPTIONS.items()
    for option, others in NEEDS.items()
    if option in own and set(others) & set(own) and name != "verify"  # whose options are all for another audit
]


def line(command: str, *options: str) -> list[str]:
    arguments = [*command.split(), *ARGUMENTS.get(command, ["a.db"])]
    for option in options:
        arguments += [option] if option in FLAGS else [option, VALUES.get(option, "5")]
    return arguments


@pytest.mark.parametrize("command", OPTIONS)
def test_every_pair_is_in_the_table(command: str) -> None:
    for first, second in combinations(OPTIONS[command], 2):
        assert relation(first, second).why
        assert relation(first, second) == relation(second, first)


def test_the_table_has_nothing_else() -> None:
    every = {option for own in OPTIONS.values() for option in own}
    assert set(STAGES) == every
    assert set(TOGETHER) == set(Stage)
    assert {option for options in REFUSED for option in options} | set(NEEDS) <= every
    assert {options for _, options in WITH} == set(REFUSED)
    assert {option for _, option in ALONE} == set(NEEDS)


@pytest.mark.parametrize(("command", "options"), WITH, ids=[f"{name} {' '.join(sorted(each))}" for name, each in WITH])
def test_each_refusal_is_made(command: str, options: frozenset[str]) -> None:
    for order in (sorted(options), sorted(options, reverse=True)):
        done = CliRunner().invoke(app, line(command, *order), env={"COLUMNS": "4000"})
        assert done.exit_code == 2
        assert REFUSED[options] in done.output
        assert all(option in done.output for option in options)


@pytest.mark.parametrize(("command", "option"), ALONE)
def test_what_says_nothing_alone_is_refused(command: str, option: str) -> None:
    done = CliRunner().invoke(app, line(command, option), env={"COLUMNS": "4000"})
    assert done.exit_code == 2
    assert f"{option} says nothing without {' or '.join(NEEDS[option])}" in done.output


NUMBERS = [
    (name, option_name(each))
    for name, command in COMMANDS.items()
    for each in command.params
    if getattr(each.type, "name", "").startswith("float")
]


@pytest.mark.parametrize(("command", "option"), NUMBERS)
def test_what_is_no_number_is_refused(command: str, option: str) -> None:
    needed = [option_name(each) for each in COMMANDS[command].params if each.required and option_name(each)]
    for value in ("nan", "inf", "1e10"):
        done = CliRunner().invoke(app, [*line(command, *needed), option, value], env={"COLUMNS": "4000"})
        assert done.exit_code == 2
        assert f"{option} takes a number of at most 1,000,000,000: {float(value):g} is none" in done.output


def test_pairs_that_hold_are_not_refused() -> None:
    for own in OPTIONS.values():
        for pair in combinations(own, 2):
            needed = [NEEDS[option][0] for option in pair if option in NEEDS]
            if not needed:
                refused = relation(*pair).effect is Effect.REFUSED
                assert bool([*option_table.refusals(pair, STAGES)]) is refused


LIVE = [each for each, stage in STAGES.items() if stage is Stage.LIVE]


@pytest.mark.parametrize("option", LIVE)
def test_an_option_of_a_live_etcd_is_refused_for_a_file(option: str, tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_text("word\n")
    values = {"--timeout": "5", "--endpoint": "http://127.0.0.1:1", "--user": "u"}
    done = run("keys", MIGRATION / "1-plaintext.db", option, values.get(option, str(file)))
    assert done.returncode == 2
    assert "options of a live etcd need https://HOST:2379" in done.stderr


def test_a_resource_beside_an_etcd_key_is_refused() -> None:
    done = run("show", MIGRATION / "1-plaintext.db", "/registry/secrets/a/b", "--resource", "configmaps")
    assert done.returncode == 2
    assert "--resource is of a NAMESPACE/NAME" in done.stderr
