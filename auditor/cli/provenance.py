"""What the command line knows of a run for its chain of custody: itself, the folder of the evidence, who ran it."""

import os
import platform
import re
import shlex
import sys
from collections.abc import Iterator, Sequence

from auditor import inputs
from auditor.text import shown

HIDDEN = "***"
"""What stands for a secret."""
MOST_FOLDERS = 3
_USER = "--user"
_LOGIN = re.compile(r"(?<=://)[^/?#\s]*@")
"""User and password of a URL, wherever in a text it stands."""
_URL = re.compile(r"(?:[^=]*=)?[A-Za-z][A-Za-z0-9+.-]*://[^?#]*[?#]", re.DOTALL)
"""A URL, alone or as NAME=URL, up to its query, which may hold a signature."""


def origin(evidence: Sequence[str], *, case: str = "", examiner: str = "") -> tuple[tuple[str, str], ...]:
    """Name and text of each fact, for Options.origin.

    Args:
        evidence: The evidence, as on the command line.
        case: The text of --case.
        examiner: The text of --examiner. With either of them the host's name is a fact too.
    """
    return tuple(_facts(evidence, case=case, examiner=examiner))


def _facts(evidence: Sequence[str], *, case: str, examiner: str) -> Iterator[tuple[str, str]]:
    if examiner:
        yield "examiner", shown(examiner)
    if case or examiner:
        yield "host", shown(platform.node()) or "unknown"
    yield "command line", command_line(sys.argv[1:])
    folders = list(dict.fromkeys(_folder(path) for path in evidence if _is_path(path)))
    if folders:
        more = len(folders) - MOST_FOLDERS
        yield "folder of the evidence", "; ".join(folders[:MOST_FOLDERS]) + (f"; and {more:,} more" if more > 0 else "")


def command_line(arguments: Sequence[str]) -> str:
    """The command as it was typed, less what is secret: passwords of users and in URLs, and queries of URLs."""
    parts = ["etcd-auditor"]
    previous = ""
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if equals and name.startswith("-"):
            parts.append(f"{name}={_less_secrets(name, value)}")
        else:
            parts.append(_less_secrets(previous, argument))
        previous = argument
    return shown(shlex.join(parts))


def setting(option: str, value: str) -> str:
    """The value of an option less what is secret in it, printable. option: its long name."""
    return shown(_less_secrets(option, value))


def _less_secrets(option: str, value: str) -> str:
    return _user(value) if option == _USER else _address(value)


def _user(text: str) -> str:
    """A user's name; what stands behind a colon is a password."""
    name, colon, _ = text.partition(":")
    return f"{name}:{HIDDEN}" if colon else name


def _address(text: str) -> str:
    """The text; of a URL without user, password and query."""
    text = _LOGIN.sub(f"{HIDDEN}@", text)
    match = _URL.match(text)
    return f"{match[0]}{HIDDEN}" if match else text


def _is_path(path: str) -> bool:
    return "://" not in path and not inputs.is_pipe(path)


def _folder(path: str) -> str:
    """The folder that a path lies in; of a folder its own."""
    whole = os.path.abspath(path)  # noqa: PTH100 - links stay as they were named
    return shown(whole if os.path.isdir(whole) else os.path.dirname(whole))  # noqa: PTH112, PTH120
