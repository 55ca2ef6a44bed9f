"""Where things lie: one file under several names, what is under a prefix, and what a source would take in."""

import fnmatch
import glob
import os
from collections.abc import Sequence

from auditor.evidence.discovery.arguments import URL

_SCHEMES = {"gcs": "gs", "abfs": "az", "abfss": "az"}
"""Second names of stores."""
_WILDCARDS = "*?["


def real(path: str | os.PathLike[str]) -> str:
    """A path without links and `..`, with slashes."""
    return os.path.realpath(path).replace(os.sep, "/")


def real_pattern(pattern: str) -> str:
    """A path without links and `..`; of a pattern the folder above its first wildcard."""
    if not glob.has_magic(pattern):
        return real(pattern)
    folder, name = _split(pattern)
    return f"{real(folder).rstrip('/')}/{name}"


def is_under(place: str, prefix: str) -> bool:
    """Whether a path or URL is a prefix or lies in it, by whole segments; or fits it, where it is a pattern."""
    if any(mark in prefix for mark in _WILDCARDS):
        return fnmatch.fnmatchcase(place, prefix)
    prefix = prefix.rstrip("/")
    return place == prefix or place.startswith(f"{prefix}/")


def holds(source: str, place: str) -> bool:
    """Whether a source is a place, or has it inside, under whatever name; or would, once the place is there."""
    if (URL in source) != (URL in place):
        return False
    if URL in source:
        source, place = _url(source), _url(place)
        above = _parents(place) if glob.has_magic(source) else []
        return any(is_under(each, source) for each in (place, *above))
    own = real(place)
    if os.path.lexists(source) or not glob.has_magic(source):
        return is_inside(own, real(source))
    pattern = real_pattern(source).split("/")
    if any(_fits(each.split("/"), pattern) for each in (own, *_parents(own))):
        return True
    matches = glob.iglob(source, recursive=True)  # noqa: PTH207 - patterns may be absolute
    return any(is_inside(own, real(each)) for each in matches)


def is_inside(place: str, folder: str) -> bool:
    """Whether a path is a folder's or lies in it; both without links, and no patterns."""
    return place == folder or place.startswith(f"{folder.rstrip('/')}/")


def _split(pattern: str) -> tuple[str, str]:
    """The folder above the first wildcard of a pattern, and the rest."""
    first = next(at for at, mark in enumerate(pattern) if mark in _WILDCARDS)
    folder, slash, _ = pattern[:first].rpartition("/")
    return f"{folder}{slash}", pattern[len(folder) + len(slash) :]


def _parents(place: str) -> list[str]:
    parts = place.split("/")
    return ["/".join(parts[:count]) for count in range(len(parts) - 1, 0, -1)]


def _url(url: str) -> str:
    scheme, _, rest = url.partition(URL)
    return f"{_SCHEMES.get(scheme, scheme)}{URL}{rest.rstrip('/')}"


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether the parts of a path fit those of a pattern as glob takes it: `**` is any number of folders."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_fits(parts[at:], pattern[1:]) for at in range(len(parts) + 1))
    if not parts or (parts[0].startswith(".") and not pattern[0].startswith(".")):
        return False  # no wildcard stands for the dot of a hidden file
    return fnmatch.fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])
