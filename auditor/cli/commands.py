"""Commands that refuse an option with an empty value and options that cannot hold together, and a group of them.

The group takes `help` and `version` for options.

A variable that was not set would else switch a check off without a word: `--expect-sha256 "$SHA"`.
"""

import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from functools import wraps
from types import MappingProxyType
from typing import Annotated, Any, TypeAlias

import typer
from typer.core import TyperCommand, TyperGroup

from auditor.cli import help, option_table, settings  # noqa: A004 - what it is
from auditor.errors import UsageError

SHELLS = ("bash", "zsh", "fish", "powershell", "pwsh")
COMPLETIONS = frozenset({"--show-completion", "--install-completion"})
KnownOptions: TypeAlias = Mapping[str, Sequence[settings.Known]]
"""The options of every command that has some, by the command's name."""
ConfigFile = Annotated[
    str,
    typer.Option(
        settings.OPTION,
        help="A TOML file with options [ETCD_AUDITOR_CONFIG]; see `etcd-auditor docs config`.",
        show_default=False,
    ),
]
LARGEST_NUMBER = 1e9
"""The largest value of an option that takes a number with a fraction: thirty years in seconds."""
_origins: ContextVar[Mapping[str, str]] = ContextVar("origins", default=MappingProxyType({}))


class Group(TyperGroup):
    """The program: `help`, `help COMMAND` and `version` are what `--help`, `COMMAND --help` and `--version` are."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Parse the command line, as its options say it."""
        if args[:1] == ["help"]:
            args = [*args[1:2], "--help"]
        elif args == ["version"]:
            args = ["--version"]
        elif len(args) > 1 and args[0] in COMPLETIONS:
            self._complete(ctx, args[0], args[1])
        return super().parse_args(ctx, args)

    def _complete(self, ctx: typer.Context, option: str, shell: str) -> None:
        """Print or install the completion of a shell that is named: Typer's options are of the one that runs it."""
        from typer import completion

        if shell not in SHELLS:
            ctx.fail(f"{option} {shell}: there is completion for {', '.join(SHELLS)}")
        if option == "--show-completion":
            variable = f"_{str(ctx.info_name).replace('-', '_').upper()}_COMPLETE"
            raise typer.Exit(completion.shell_complete(self, {}, str(ctx.info_name), variable, f"source_{shell}"))
        name, path = completion.install(shell=shell)  # type: ignore[attr-defined]
        typer.echo(f"{name} completion installed in {path}; it takes effect in the next shell")
        raise typer.Exit


class Commands(TyperGroup):
    """A command with commands of its own."""

    def format_help(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        """Write the help, as a command's is."""
        help.write_group(self, ctx, formatter)


class Command(TyperCommand):
    """A command of etcd-auditor. One that has options takes them from the environment and from a file, too."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Parse the command line. Raises UsageError of click for what is empty, or cannot hold together."""
        values, _, _ = self.make_parser(ctx).parse_args(args=list(args))
        if "config_file" in {parameter.name for parameter in self.params}:
            more = self._settings(ctx, values)
            args = [*more, *args]
            if more:
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
        rest = super().parse_args(ctx, args)
        for parameter in self.params:
            value = ctx.params.get(str(parameter.name))
            if isinstance(value, float) and not abs(value) <= LARGEST_NUMBER:
                ctx.fail(f"{option_name(parameter)} takes a number of at most {LARGEST_NUMBER:,.0f}: {value:g} is none")
        return rest

    def format_usage(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        """Write the line of usage, which every version of Typer words in its own way."""
        formatter.write_usage(ctx.command_path, help.usage(self.get_params(ctx)))

    def format_help(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        """Write the help, options in groups."""
        help.write(self, ctx, formatter)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Run the command; first it is said what weakens its result, or connects, and is not on the command line."""
        from auditor.reports.verdict import CONNECTING

        telling = settings.WEAKENING | CONNECTING if origins() and _path(ctx) != "scan" else ()
        if said := [f"{name} ({origin})" for name, origin in origins().items() if name in telling]:
            sys.stderr.write(f"etcd-auditor: set by {', '.join(said)}\n")
        return super().invoke(ctx)

    def _settings(self, ctx: typer.Context, values: Mapping[str, Any]) -> list[str]:
        """Arguments for the options that the command line leaves to the environment or to a file."""
        given = [option_name(parameter) for parameter in self.params if parameter.name in values]
        file = values.get("config_file")
        if file is not None and not file:
            ctx.fail(f"{settings.OPTION} is empty: give it a value, or leave it out (was a variable not set?)")
        _origins.set({})
        if not file and not settings.concerned(os.environ):
            return []
        try:
            applied = settings.apply(_path(ctx), known(ctx), given, file or "", os.environ)
        except UsageError as error:
            ctx.fail(str(error))
        _origins.set({each.option.name: each.origin for each in applied if each.arguments})
        return [argument for each in applied for argument in each.arguments]


def configurable(command: Callable[..., None]) -> Callable[..., None]:
    """A decorator: the command has --config, which Command.parse_args() heeds."""
    signature = inspect.signature(command)
    option = inspect.Parameter("config_file", inspect.Parameter.KEYWORD_ONLY, default="", annotation=ConfigFile)

    @wraps(command)
    def without(config_file: str = "", **values: Any) -> None:  # noqa: ARG001 - heeded before
        command(**values)

    parameters = [*signature.parameters.values(), option]
    without.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    without.__annotations__ = {each.name: each.annotation for each in parameters}
    return without


def known(ctx: typer.Context) -> KnownOptions:
    """The options of all commands of the program that a context is of; `fleet scan` is one."""
    return {
        name: [
            settings.Known(option_name(each), bool(each.is_flag), bool(each.multiple))
            for each in command.params
            if option_name(each) not in {"", "--help"}
        ]
        for name, command in _commands(ctx.find_root().command)
        if any(option_name(each) for each in command.params)
    }


def _commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Every command of a group and of those in it, by its whole name."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def _path(ctx: Any) -> str:
    """The whole name of a context's command, without the program's."""
    return f"{_path(ctx.parent)} {ctx.info_name}".strip() if ctx.parent is not None else ""


def origins() -> dict[str, str]:
    """The origin of each option that is set by the environment or a file, in the command that is being run."""
    return dict(_origins.get())


def option_name(parameter: Any) -> str:
    """The name of an option, as users write it in full; empty for an argument."""
    return max(parameter.opts, key=len) if parameter.param_type_name == "option" else ""


def _is_empty(value: Any) -> bool:
    if isinstance(value, str):
        return not value
    return isinstance(value, Iterable) and any(map(_is_empty, value))
