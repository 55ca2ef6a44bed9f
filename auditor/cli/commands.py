"""Commands that refuse an option with an empty value and options that cannot hold together, and a group of them.

The group takes `help` and `version` for options.

A variable that was not set would else switch a check off without a word: `--expect-sha256 "$SHA"`.
"""

from collections.abc import Iterable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from auditor.cli import help, option_table  # noqa: A004 - what it is


class Group(TyperGroup):
    """The program: `help`, `help COMMAND` and `version` are what `--help`, `COMMAND --help` and `--version` are."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Parse the command line, as its options say it."""
        if args[:1] == ["help"]:
            args = [*args[1:2], "--help"]
        elif args == ["version"]:
            args = ["--version"]
        return super().parse_args(ctx, args)


class Command(TyperCommand):
    """A command of etcd-auditor."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Parse the command line. Raises UsageError of click for what is empty, or cannot hold together."""
        values, _, _ = self.make_parser(ctx).parse_args(args=list(args))
        given = []
        for parameter in self.params:
            if parameter.name not in values:
                continue
            name = option_name(parameter) or str(parameter.name).upper()
            if _is_empty(values[parameter.name]):
                ctx.fail(f"{name} is empty: give it a value, or leave it out (was a variable not set?)")
            given.append(name)
        for reason in option_table.refusals(given, {option_name(each) for each in self.params}):
            ctx.fail(reason)
        return super().parse_args(ctx, args)

    def format_help(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        """Write the help, options in groups."""
        help.write(self, ctx, formatter)


def option_name(parameter: Any) -> str:
    """The name of an option, as users write it in full; empty for an argument."""
    return max(parameter.opts, key=len) if parameter.param_type_name == "option" else ""


def _is_empty(value: Any) -> bool:
    if isinstance(value, str):
        return not value
    return isinstance(value, Iterable) and any(map(_is_empty, value))
