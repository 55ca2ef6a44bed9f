"""Which tests need a real etcd or a browser, or are slow: by the helpers that their code and their fixtures' code name.

An import of a module says too much (a file of sixty tests may start one etcd), a list by hand is forgotten.
"""

import types
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest

RESOURCES = {
    ("tests.helpers.etcd", "Etcd"): "etcd",
    ("tests.helpers.etcd", "binary"): "etcd",
    ("tests.helpers.browser", "window"): "browser",
    ("tests.helpers.command", "run"): "slow",
    ("tests.helpers.command", "result"): "slow",
    ("tests.helpers.drive", "Drive"): "slow",
    ("tests.helpers.fleet", "run"): "slow",
    ("tests.helpers.fleet", "command"): "slow",
}
SLOW = (
    "tests.evidence.discovery.test_remote",
    "tests.evidence.discovery.test_unpack",
    "tests.evidence.kine",
    "tests.evidence.test_damage",
    "tests.fuzz",
    "tests.judgement",
    "tests.system.test_golden",
    "tests.system.test_oracle",
    "tests.system.test_secrecy",
    "tests.system.test_secrecy_keys",
    "tests.system.test_truth",
)
"""Modules and packages that sweep, unpack, or audit every fixture."""
LONGEST = (
    "tests/reports/remediation/",
    "tests/fleet/",
    "tests/fuzz/",
    "tests/validation/",
    "tests/evidence/live/",
    "tests/watch/",
    "tests/system/",
    "tests/reports/",
)
"""Folders with modules that take a minute or more."""


def mark(item: pytest.Function) -> None:
    """Add the markers of what a test needs."""
    if f"{item.module.__name__}.".startswith(tuple(f"{name}." for name in SLOW)):
        item.add_marker("slow")
    definitions = item._fixtureinfo.name2fixturedefs
    functions: list[Any] = [item.function]
    functions += [each.func for name in item.fixturenames for each in definitions.get(name, ())[-1:]]
    for marker in sorted({marker for function in functions for marker in needs(function)}):
        item.add_marker(marker)


@cache
def needs(function: Callable[..., object]) -> frozenset[str]:
    """The resources that a function reaches through functions and classes of the tests."""
    resources, visited, waiting = set(), set(), [function]
    while waiting:
        each: Any = waiting.pop()
        each = getattr(each, "__wrapped__", each)
        if id(each) in visited or not str(getattr(each, "__module__", "")).startswith("tests."):
            continue
        visited.add(id(each))
        resource = RESOURCES.get((each.__module__, getattr(each, "__qualname__", "")))
        if resource is not None:
            resources.add(resource)
        elif isinstance(each, type):
            waiting += [member for member in vars(each).values() if isinstance(member, types.FunctionType)]
        elif isinstance(each, types.FunctionType):
            waiting += _globals(each)
    return frozenset(resources)


def _globals(function: types.FunctionType) -> Iterator[Any]:
    """The objects that a function's code names, attributes of modules among them."""
    names = {name for code in _codes(function.__code__) for name in code.co_names}
    objects = [function.__globals__[name] for name in names & function.__globals__.keys()]
    for each in objects:
        if not isinstance(each, types.ModuleType):
            yield each
        elif each.__name__.startswith("tests."):
            yield from (vars(each)[name] for name in names & vars(each).keys())


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)
