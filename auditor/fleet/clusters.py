"""The clusters of a fleet by the file of --clusters: which backups are whose, what opens them, what should exist.

In TOML one table `[cluster.NAME]` for each, in YAML a mapping `cluster: {NAME: {...}}`:

    uid = "71314e90-..."            of the kube-system namespace
    paths = ["s3://backups/prod/"]  patterns or prefixes of backups' URLs; relative ones begin at the file's folder
    encryption-config = ["/keys/prod.yaml"]
    kms-plugin, kms, current-kek, resource, compromised-key (lists), expect, k3s-token
    sources = ["s3://backups/prod/"] further SOURCEs, all of whose backups are its own
    api-servers = 3                 as many configurations prove a migration
    owner = "team-a"
    every = "1h"                    one backup in each such span is expected
    retention = "90d"               a backup leaves the store when it is so old
"""

import glob
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from auditor.errors import UsageError
from auditor.evidence.discovery import remote
from auditor.fleet import places
from auditor.options import Options
from auditor.text import shown

LARGEST = 4 << 20
"""Bytes of the file."""
UNKNOWN, SEVERAL = "unknown", "several"
"""Clusters of backups that show none, and of those that show more than one."""
STRAYS = frozenset({UNKNOWN, SEVERAL})
"""Both: of these backups each is alone."""
_LISTS = {
    "encryption-config": "encryption_configs",
    "kms-plugin": "kms_plugins",
    "kms": "kms",
    "current-kek": "current_keks",
    "compromised-key": "compromised_keys",
    "resource": "resources",
}
"""Keys of a cluster with lists of texts, and the options that they are."""
_TEXTS = {"expect": "expect", "k3s-token": "k3s_token"}
_OWN = ("uid", "paths", "sources", "owner", "every", "retention", "api-servers")
_SPAN = re.compile(r"(\d{1,6})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A cluster as the file describes it."""

    name: str
    uid: str = ""
    """Uid of its kube-system namespace; empty where the file has none."""
    paths: tuple[str, ...] = ()
    """Patterns and prefixes of its backups' URLs."""
    sources: tuple[str, ...] = ()
    """Folders and prefixes that are listed beside the SOURCEs of the command line."""
    owner: str = ""
    api_servers: int = 0
    """Number of its API servers; 0 where the file says nothing."""
    every: int = 0
    """Seconds between two backups; 0 where nothing is expected."""
    retention: int = 0
    """Seconds after which a backup is gone; 0 where the file says nothing."""
    options: tuple[tuple[str, Any], ...] = ()
    """Names and values of options."""

    def applied(self, options: Options) -> Options:
        """The options with those of the cluster."""
        return replace(options, **dict(self.options))

    def fits(self, *urls: str) -> bool:
        """Whether a backup is under one of the paths. urls: of Backup.places."""
        return any(places.is_under(remote.plain(url), path) for path in self.paths for url in urls)


@dataclass(frozen=True, slots=True)
class Clusters:
    """The clusters of a file."""

    all: tuple[Cluster, ...] = ()

    def of_url(self, *urls: str) -> Cluster | None:
        """The first cluster whose paths fit a backup. urls: of Backup.places."""
        return next((cluster for cluster in self.all if cluster.fits(*urls)), None)

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources of all clusters."""
        return tuple(source for cluster in self.all for source in cluster.sources)

    def options_of(self, cluster: Cluster | None, options: Options) -> Options:
        """The options for a backup of one cluster; None for one that the file does not name."""
        return options if cluster is None else cluster.applied(options)

    def of_uid(self, uid: str) -> Cluster | None:
        """The cluster with this uid."""
        return next((cluster for cluster in self.all if uid and cluster.uid == uid), None)

    def own(self, by_url: Cluster | None, uid: str) -> Cluster | None:
        """The cluster by whose configuration a backup is judged: that of its uid, else that of its path.

        One that shows another cluster's uid than its path says is of none. uid: as the column `cluster` has it.
        """
        if uid in STRAYS:
            return by_url
        if (by_uid := self.of_uid(uid)) is not None:
            return by_uid
        return None if by_url is not None and by_url.uid and uid and by_url.uid != uid else by_url


def named(own: Cluster | None, uid: str) -> tuple[str, str]:
    """Name and owner of a backup's cluster; empty where the file does not say. own: of Clusters.own()."""
    if own is None or (uid == SEVERAL and own.uid):  # the path is one cluster's, and the backup several's
        return "", ""
    return own.name, own.owner


NONE = Clusters()


def read(path: str) -> Clusters:
    """The clusters of a file, TOML or YAML by its ending. Raises UsageError, which quotes nothing of it."""
    try:
        with Path(path).open("rb") as file:
            raw = file.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(f"--clusters {shown(path)} cannot be read: {error.strerror}") from None
    if len(raw) > LARGEST:
        raise UsageError(f"--clusters {shown(path)}: more than {LARGEST:,} bytes")
    document = _document(raw, path)
    tables = document.get("cluster")
    if not isinstance(tables, dict) or not tables or set(document) != {"cluster"}:
        raise UsageError(f"--clusters {shown(path)}: expected one table `cluster` with a table for each cluster")
    if nameless := [name for name in tables if not name.strip() or name in STRAYS]:
        raise UsageError(
            f"--clusters {shown(path)}: a cluster cannot be named {shown(nameless[0])!r}: name it otherwise"
        )
    every = tuple(_cluster(name, table, path) for name, table in tables.items())
    uids = [cluster.uid for cluster in every if cluster.uid]
    if len(set(uids)) < len(uids):
        raise UsageError(f"--clusters {shown(path)}: two clusters have the same uid")
    return Clusters(every)


def seconds(text: str) -> int | None:
    """The seconds of a span such as 90d, 1h, 30m; None for another text."""
    match = _SPAN.fullmatch(text)
    return int(match[1]) * _SECONDS[match[2]] if match else None


def _document(raw: bytes, path: str) -> Mapping[str, Any]:
    """The file's content. Parsers quote what they do not understand: only its place is said."""
    try:
        text = raw.decode("utf-8")
        document = _yaml(text) if path.endswith((".yaml", ".yml")) else tomllib.loads(text)
    except _Refused as error:
        raise UsageError(f"--clusters {shown(path)}: {error}") from None
    except Exception as error:  # noqa: BLE001
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark is not None else ""
        raise UsageError(f"--clusters {shown(path)}: it is no {'YAML' if mark else 'TOML or YAML'}{where}") from None
    return document if isinstance(document, dict) else {}


class _Refused(Exception):
    """A mapping of which YAML would make something else than what stands there."""


def _yaml(text: str) -> Any:
    """The document of a YAML text, of whose mappings every key is a text and stands once. Raises _Refused."""
    import yaml

    class Loader(yaml.SafeLoader):
        """The safe loader, which lets the last of two equal keys win, and makes `no` a truth value."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            names: set[str] = set()
            for key, _ in node.value:
                where = f"line {key.start_mark.line + 1}"
                if key.tag not in {"tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"}:
                    raise _Refused(f"{where}: a name that is no text: put it in quotes")
                if key.value in names:
                    raise _Refused(f"{where}: a name that stands twice")
                names.add(key.value)
            return super().construct_mapping(node, deep)

    return yaml.load(text, Loader)  # noqa: S506 - a safe one


def _cluster(name: str, table: object, path: str) -> Cluster:
    where = f"--clusters {shown(path)}: cluster {shown(name)}"
    if not isinstance(table, dict):
        raise UsageError(f"{where}: expected a table")
    if unknown := sorted(map(str, set(table) - {*_OWN, *_LISTS, *_TEXTS})):
        raise UsageError(f"{where}: {shown(unknown[0])} is not known; {', '.join((*_OWN, *_LISTS, *_TEXTS))} are")
    options: list[tuple[str, Any]] = [
        (option, _texts(table[key], f"{where}: {key}")) for key, option in _LISTS.items() if key in table
    ]
    options += [(option, _text(table, key, where)) for key, option in _TEXTS.items() if key in table]
    sources = tuple(_absolute(each, path) for each in _texts(table.get("sources", ()), f"{where}: sources"))
    paths = [_absolute(each, path) for each in _texts(table.get("paths", ()), f"{where}: paths")]
    paths += [*sources, *(f"{each.rstrip('/')}/*" for each in sources if glob.has_magic(each))]
    cluster = Cluster(
        name=name,
        uid=_text(table, "uid", where),
        paths=tuple(dict.fromkeys(form for each in paths for form in _forms(each))),
        sources=sources,
        api_servers=_number(table, "api-servers", where),
        owner=_text(table, "owner", where),
        every=_span(table, "every", where),
        retention=_span(table, "retention", where),
        options=tuple(options),
    )
    if not cluster.uid and not cluster.paths:
        raise UsageError(f"{where}: give its uid or paths: nothing else says which backups are its own")
    return cluster


def _absolute(pattern: str, path: str) -> str:
    """A pattern as backups' URLs are: from the folder of the file on where it is relative."""
    if "://" in pattern or pattern.startswith(("/", "*")):
        return pattern
    return str(Path(path).parent.absolute() / pattern) + ("/" if pattern.endswith("/") else "")


def _forms(pattern: str) -> tuple[str, ...]:
    """A pattern as it is written, and as the paths of backups are without links and `..`."""
    if "://" in pattern or pattern.startswith("*"):
        return (pattern,)
    return (pattern, places.real_pattern(pattern))


def _text(table: Mapping[str, object], key: str, where: str) -> str:
    value = table.get(key, "")
    if not isinstance(value, str):
        raise UsageError(f"{where}: {key}: expected a text")
    return value


def _texts(value: object, where: str) -> tuple[str, ...]:
    several = [value] if isinstance(value, str) else value
    if not isinstance(several, list | tuple) or not all(isinstance(each, str) and each for each in several):
        raise UsageError(f"{where}: expected a list of texts")
    return tuple(several)


def _number(table: Mapping[str, object], key: str, where: str) -> int:
    value = table.get(key, 0)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise UsageError(f"{where}: {key}: expected a number")
    return value


def _span(table: Mapping[str, object], key: str, where: str) -> int:
    text = _text(table, key, where)
    if not text:
        return 0
    span = seconds(text)
    if not span:
        raise UsageError(f"{where}: {key}: expected a number and one of s, m, h, d, w, such as 1h")
    return span
