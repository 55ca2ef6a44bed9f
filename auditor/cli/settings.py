"""Options that a configuration file or the environment sets: both are read as if they stood on the command line.

Precedence: the command line, ETCD_AUDITOR_*, the file, etcdctl's own variables, the default. No file is read unless
--config or ETCD_AUDITOR_CONFIG names it: one that lies in the working directory or beside the evidence decides nothing.
"""

import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from auditor import inputs
from auditor.errors import UsageError
from auditor.text import shown

OPTION = "--config"
PREFIX = "ETCD_AUDITOR_"
VARIABLE = "ETCD_AUDITOR_CONFIG"
OWN_TESTS = "ETCD_AUDITOR_TEST_"
"""Beginning of the variables of etcd-auditor's own test suite, which set no option."""
NEVER = frozenset({"--config", "--help", "--reveal", "--yes", "--force", "--schema"})
"""Options that only a person sets, each time."""
LARGEST = 1 << 20
"""Bytes of a configuration file, at most."""
WEAKENING = frozenset({"--fail-on", "--ignore", "--accept-partial", "--quick", "--range", "--expect"})


@dataclass(frozen=True, slots=True)
class Known:
    """An option of a command."""

    name: str
    """Its long name, with dashes."""
    flag: bool
    """Whether it takes no value."""
    repeatable: bool


@dataclass(frozen=True, slots=True)
class Applied:
    """An option with the values that something else than the command line gives it."""

    option: Known
    values: tuple[str, ...]
    """As on a command line; of a flag `true` or `false`."""
    origin: str
    """The variable's or the file's name, printable."""

    @property
    def arguments(self) -> list[str]:
        """What would stand on the command line."""
        if self.option.flag:
            return [self.option.name] if self.values == ("true",) else []
        return [f"{self.option.name}={value}" for value in self.values]


def concerned(environment: Mapping[str, str]) -> bool:
    """Whether the environment names a file, or may set an option."""
    return any(name.startswith(PREFIX) and not name.startswith(OWN_TESTS) for name in environment)


def apply(
    command: str,
    commands: Mapping[str, Sequence[Known]],
    given: Collection[str],
    file: str,
    environment: Mapping[str, str],
) -> list[Applied]:
    """The options of a command that its command line leaves to the environment or to a file.

    Args:
        command: The command's name.
        commands: The options of every command.
        given: The options that stand on the command line.
        file: What --config names; else the environment does.
        environment: The environment variables.

    Raises UsageError for what is unknown, is none of the option's values, or must not be set so.
    """
    own = {option.name: option for option in commands[command]}
    settings = from_environment(commands, environment)
    if path := file or environment.get(VARIABLE, ""):
        settings |= {
            name: setting for name, setting in from_file(path, command, commands).items() if name not in settings
        }
    return [
        Applied(own[name], _values(own[name], value, origin), origin)
        for name, (value, origin) in settings.items()
        if name in own and name not in given
    ]


def from_environment(
    commands: Mapping[str, Sequence[Known]], environment: Mapping[str, str]
) -> dict[str, tuple[Any, str]]:
    """Value and origin of each option that a variable names; several values are lines. Raises UsageError."""
    known = _every(commands)
    settings: dict[str, tuple[Any, str]] = {}
    for variable in sorted(environment):
        if not variable.startswith(PREFIX) or variable == VARIABLE or variable.startswith(OWN_TESTS):
            continue
        name = f"--{variable.removeprefix(PREFIX).lower().replace('_', '-')}"
        _check(name, known, f"the variable {shown(variable)}", [_variable(each) for each in known])
        text = environment[variable]
        option = known[name]
        settings[name] = (text.split("\n") if option.repeatable else text, variable)
    return settings


def from_file(path: str, command: str, commands: Mapping[str, Sequence[Known]]) -> dict[str, tuple[Any, str]]:
    """Value and origin of each option that a file sets for a command; its own table before what is of all.

    Every table is checked, those of other commands too. Raises UsageError.
    """
    document = _document(path)
    name = shown(Path(path).name)
    everywhere = {key: value for key, value in document.items() if not isinstance(value, dict)}
    known = _every(commands)
    for key, value in everywhere.items():
        _check(f"--{key}", known, name, [option.removeprefix("--") for option in known])
        _values(known[f"--{key}"], value, f"{name}: {shown(key)}")
    tables = dict(_tables(document, commands))
    for table, entries in tables.items():
        if table not in commands:
            raise UsageError(f"{name}: [{shown(table)}] is no command{_nearest(table, commands)}")
        own = {option.name: option for option in commands[table]}
        for key, value in entries.items():
            _check(f"--{key}", own, f"{name}: [{table}]", [option.removeprefix("--") for option in own])
            _values(own[f"--{key}"], value, f"{name}: {shown(key)}")
    return {f"--{key}": (value, name) for key, value in {**everywhere, **tables.get(command, {})}.items()}


def _tables(
    document: Mapping[str, Any], commands: Collection[str], before: str = ""
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The tables of commands by their whole names; `[fleet.scan]` is that of `fleet scan`."""
    for key, value in document.items():
        if isinstance(value, dict):
            name = f"{before}{key}"
            group = name not in commands and any(each.startswith(f"{name} ") for each in commands)
            if group and (odd := next((entry for entry, own in value.items() if not isinstance(own, dict)), None)):
                raise UsageError(f"[{shown(name)}] has tables of commands alone: {shown(odd)} is none")
            yield from _tables(value, commands, f"{name} ") if group else [(name, value)]


def _document(path: str) -> dict[str, Any]:
    """A TOML file. Raises UsageError, whose text quotes nothing of it."""
    name = shown(path)
    try:
        raw = inputs.read(Path(path), LARGEST)
        if len(raw) > LARGEST:
            raise UsageError(f"{OPTION} {name}: it has more than {LARGEST:,} bytes")
        return tomllib.loads(raw.decode("utf-8-sig"))
    except OSError as error:
        raise UsageError(f"{OPTION} {name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{OPTION} {name}: it is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        place = str(error).rpartition("(at ")[2].removesuffix(")") if "(at " in str(error) else "its end"
        raise UsageError(f"{OPTION} {name}: it is not TOML, at {place}") from None


def _every(commands: Mapping[str, Sequence[Known]]) -> dict[str, Known]:
    """The options of all commands by name; one that any of them repeats may be repeated."""
    options = [option for own in commands.values() for option in own]
    return {option.name: option for option in sorted(options, key=lambda option: option.repeatable)}


def _check(name: str, known: Collection[str], where: str, words: Iterable[str]) -> None:
    """Raises UsageError where an option is none, or must not be set so."""
    if name in NEVER:
        raise UsageError(f"{where}: {name} is set on the command line alone")
    if name not in known:
        word = _variable(name) if where.startswith("the variable") else name.removeprefix("--")
        raise UsageError(f"{where}: no option is called {shown(name)}{_nearest(word, words)}")


def _nearest(word: str, words: Iterable[str]) -> str:
    close = get_close_matches(word, list(words), 1)
    return f": did you mean {close[0]}?" if close else ""


def _variable(name: str) -> str:
    return PREFIX + name.removeprefix("--").upper().replace("-", "_")


def _values(option: Known, value: Any, where: str) -> tuple[str, ...]:
    """The values as on a command line. Raises UsageError for those of another kind."""
    several = value if isinstance(value, list) else [value]
    if isinstance(value, list) and len(value) != 1 and not option.repeatable:
        raise UsageError(f"{where}: {option.name} takes one value")
    if option.flag:
        text = str(value).lower()
        if text not in {"true", "false"}:
            raise UsageError(f"{where}: {option.name} is true or false")
        return (text,)
    if any(isinstance(each, bool) or not isinstance(each, str | int | float) for each in several):
        raise UsageError(f"{where}: {option.name} takes text or a number")
    return tuple(map(str, several))


def schema(commands: Mapping[str, Sequence[Known]]) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a configuration file, read as TOML."""
    every = {name: option for name, option in _every(commands).items() if name not in NEVER}
    tables = {
        command: {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                option.name.removeprefix("--"): _type(option) for option in options if option.name not in NEVER
            },
        }
        for command, options in commands.items()
        if any(option.name not in NEVER for option in options)
    }
    for group in {name.partition(" ")[0] for name in tables if " " in name}:
        own = {name.partition(" ")[2]: tables.pop(name) for name in list(tables) if name.startswith(f"{group} ")}
        tables[group] = {"type": "object", "additionalProperties": False, "properties": own}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:etcd-auditor:config:1",
        "title": "Configuration of etcd-auditor: options of every command, and a table for each command's own",
        "type": "object",
        "additionalProperties": False,
        "properties": {**{name.removeprefix("--"): _type(option) for name, option in every.items()}, **tables},
    }


def _type(option: Known) -> dict[str, Any]:
    if option.flag:
        return {"type": "boolean"}
    single: dict[str, Any] = {"type": ["string", "number"]}
    return {"anyOf": [single, {"type": "array", "items": single}]} if option.repeatable else single
