"""Terminals of 60 and 80 columns, without colours, dumb: golden texts, in which no number and no name is broken."""

import re

import pytest

from tests.cli import narrow
from tests.helpers.command import run
from tests.helpers.sweeps import sample
from tests.helpers.terminal import screen

ESCAPE = re.compile("(?:\x1b|\u241b)\\[[0-9;]*m")
NUMBER = re.compile(r"(?<![\w.-])[0-9][0-9,]*[0-9](?![\w.-])|--[a-z][a-z-]+")
"""A number, or the name of an option; what is a part of a name, a hash or a time is neither."""


@pytest.mark.parametrize(("command", "terminal"), sample(list(narrow.runs()), 10))
def test_a_command_prints_there_what_it_did(command: str, terminal: str) -> None:
    printed = narrow.text(command, terminal)
    assert printed == (narrow.GOLDEN / f"{command}-{terminal}.txt").read_text(encoding="utf-8")
    width, environment = narrow.TERMINALS[terminal]
    plain = ESCAPE.sub("", printed)
    assert max(map(len, plain.splitlines())) <= width
    if environment:
        assert not re.search("\u241b\\[(?:[0-9]+;)*[34][0-9]m", printed)  # no colour


@pytest.mark.parametrize("command", sample([name for name in narrow.COMMANDS if name != "help"], 3))
def test_no_number_and_no_option_is_broken(command: str) -> None:
    folder, arguments = narrow.COMMANDS[command]
    wide = ESCAPE.sub("", screen(arguments, 200, folder))
    small = ESCAPE.sub("", screen(arguments, 60, folder))
    numbers, fewer = set(NUMBER.findall(wide)), set(NUMBER.findall(small))
    # a number that is broken leaves parts that are no numbers of the wide one; columns may be dropped of several items
    assert fewer <= numbers if command == "several" else numbers <= fewer


def options_in(text: str) -> set[str]:
    return set(re.findall(r"^ +(?:-\w, )?(--[a-z0-9-]+)", text, re.MULTILINE))


def test_help_has_every_option_whole_and_in_a_group() -> None:
    for command in ("scan", "keys", "diff", "watch", "show", "find", "verify"):
        small = run(command, "--help", COLUMNS="60").stdout
        assert options_in(run(command, "--help", COLUMNS="140").stdout) == options_in(small)
        assert options_in(small.partition("\nOptions:")[2]) <= {"--help"}, command
