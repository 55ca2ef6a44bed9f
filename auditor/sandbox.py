"""The sandbox of a process that reads evidence: once it is entered, a fault in a parser can do little with it.

Landlock (Linux 5.13 and later), which needs no privilege and is inherited by every process that this one starts: files
are written in the named folders alone, no program is started, no TCP connection is made or awaited, and processes
outside get no signal. Reading stays free. Numbers and structures: include/uapi/linux/landlock.h of Linux 6.12.
The bindings on PyPI are all before their 1.0; what is needed of them is three system calls.
"""

import ctypes
import os
import struct
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from py_compile import PyCompileError
from py_compile import compile as compile_module

CREATE, ADD, RESTRICT = 444, 445, 446
"""Numbers of landlock_create_ruleset(2), landlock_add_rule(2) and landlock_restrict_self(2), on every architecture."""
VERSION = 1
"""Flag of the first: which version of the interface there is."""
CACHE = "__pycache__"
BENEATH = 1
"""LANDLOCK_RULE_PATH_BENEATH."""
PATH_ONLY = getattr(os, "O_PATH", 0)
"""Flag of open(2) for a descriptor that only names a path: Linux alone has it, and these calls."""
NO_NEW_PRIVILEGES = 38
"""PR_SET_NO_NEW_PRIVS of prctl(2), which Landlock requires."""
EXECUTE, WRITE_FILE, REFER, TRUNCATE = 1 << 0, 1 << 1, 1 << 13, 1 << 14
OF_FILES = WRITE_FILE | TRUNCATE
"""The rights of these that a rule for a file may leave."""
ENTRIES = 0b1_1111_1111_0000
"""The rights to remove (bits 4, 5) and to create (6 to 12) whatever a folder holds."""
CLIENTS = "clients of clouds and tokens keep files and start programs of their own"
"""An exemption."""
TCP = 0b11
"""The rights to bind and to connect."""
SCOPES = 0b11
"""Abstract Unix sockets and signals."""
WRITTEN_IN, TRUNCATED_IN, TCP_IN, SCOPED_IN = 2, 3, 4, 6
"""Versions of the interface from which on it knows REFER, TRUNCATE, TCP and SCOPES."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a process still needs once it has read its command line."""

    folders: tuple[Path, ...] = ()
    """Folders in which files are written; the one for temporary files is always among them."""
    connects: bool = False
    """Whether it may open connections."""
    programs: bool = False
    """Whether it may start programs."""
    exemption: str = ""
    """Why it is not confined at all; empty where it is."""


_state = "none: the audit runs in the process of whoever called it"


def state() -> str:
    """What confines this process, for a report."""
    return _state


def enter(limits: Limits) -> None:
    """Confine this process, and every one that it starts, for good. Where the system cannot, state() says so.

    prepare() comes before it, once for all processes.
    """
    global _state  # noqa: PLW0603
    _state = f"none: {limits.exemption}" if limits.exemption else _landlock(limits)


@cache
def prepare() -> None:
    """Write the bytecode of modules that have none: a confined process cannot, and would compile them every time."""
    _compile(str(Path(__file__).parent))


def _compile(folder: str) -> None:
    """The same for a folder."""
    if sys.dont_write_bytecode or not PATH_ONLY or not os.access(folder, os.W_OK):
        return
    with suppress(OSError, PyCompileError):
        compiled = _times(os.path.join(folder, CACHE))  # noqa: PTH118 - of hundreds of paths, at every start
        for name, written in _times(folder).items():
            path = f"{folder}{os.sep}{name}"
            if name.endswith(".py"):
                if compiled.get(f"{name[:-2]}{sys.implementation.cache_tag}.pyc", 0.0) < written:
                    compile_module(path, doraise=True)
            elif name != CACHE and os.path.isdir(path):  # noqa: PTH112
                _compile(path)


def _times(folder: str) -> dict[str, float]:
    """The time of the last change of each entry of a folder, by name; none where there is no folder."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        return {entry.name: entry.stat().st_mtime for entry in entries}
    return {}


def _landlock(limits: Limits) -> str:
    if not PATH_ONLY:
        return "none: this system has no Landlock"
    try:
        call = ctypes.CDLL(None, use_errno=True).syscall
        version = int(call(CREATE, None, ctypes.c_size_t(0), VERSION))
        if version < 1:
            return "none: this system has no Landlock"
        ruleset = _ruleset(call, limits, version)
    except (AttributeError, OSError, TypeError):
        return "none: this system has no Landlock"
    try:
        prctl = ctypes.CDLL(None).prctl
        if prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) or call(RESTRICT, ruleset, 0):
            return "none: Landlock was refused"
    finally:
        os.close(ruleset)
    return _sentence(limits, version)


def _ruleset(call: "ctypes._NamedFuncPointer", limits: Limits, version: int) -> int:
    """The descriptor of the rules: what is restricted, and the folders that are not. Raises OSError."""
    files = ENTRIES | WRITE_FILE | (0 if limits.programs else EXECUTE)
    files |= (REFER if version >= WRITTEN_IN else 0) | (TRUNCATE if version >= TRUNCATED_IN else 0)
    connections = TCP if version >= TCP_IN and not limits.connects else 0
    scopes = SCOPES if version >= SCOPED_IN and not limits.connects else 0
    # an older kernel knows fewer fields, and takes the rest where they are zero
    attributes = struct.pack("=QQQ", files, connections, scopes)
    ruleset = int(call(CREATE, attributes, ctypes.c_size_t(len(attributes)), 0))
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "landlock_create_ruleset")
    writes = files & ~EXECUTE
    for path in {*limits.folders, Path(tempfile.gettempdir())}:
        _allow(call, ruleset, path, writes if path.is_dir() else writes & OF_FILES)
    for device in (os.devnull, "/dev/tty"):
        _allow(call, ruleset, Path(device), writes & OF_FILES)
    return ruleset


def _allow(call: "ctypes._NamedFuncPointer", ruleset: int, path: Path, rights: int) -> None:
    """Leave these rights below a path; without effect where there is none: the command says that in its own words."""
    with suppress(OSError):
        descriptor = os.open(path, PATH_ONLY | getattr(os, "O_CLOEXEC", 0))
        try:
            if call(ADD, ruleset, BENEATH, struct.pack("=Qi", rights, descriptor), 0):
                raise OSError(ctypes.get_errno(), "landlock_add_rule")
        finally:
            os.close(descriptor)


def _sentence(limits: Limits, version: int) -> str:
    parts = ["files are written only beside the reports and in the folder for temporary files"]
    if not limits.programs:
        parts.append("no program is started")
    if version >= TCP_IN and not limits.connects:
        parts.append("no TCP connection is made")
    return f"Landlock, version {version}: {_joined(parts)}"


def _joined(parts: Iterable[str]) -> str:
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last
