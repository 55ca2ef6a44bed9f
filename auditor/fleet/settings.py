"""The settings of a fleet's scan, and what a worker gets for each backup: paths of keys, and never a key."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from auditor.evidence.discovery import companions
from auditor.fleet.backup import ID, Backup
from auditor.fleet.clusters import Cluster, Clusters, named
from auditor.options import Options, settings
from auditor.text import encode
from auditor.version import __version__

_KEEP = ("work_dir", "keep", "keep_force")
"""Options that change nothing of what a backup's rows say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What holds for every backup of a run."""

    dataset: str
    """Folder or bucket of the data set."""
    options: Options
    """What to audit and how far, where no cluster of the file says otherwise."""
    clusters: Clusters
    """The clusters of --clusters; empty without it."""
    compare_key: str = ""
    """Path of the key of value ids; empty with --no-compare."""
    compare_check: str = ""
    """Check value of that key."""
    neighbours: tuple[str, ...] = ()
    """Paths and URLs of the objects of the sources that hold keys."""
    beside: str = ""
    """Digest of these."""
    retries: int = 2
    """Further attempts at a backup that fails for a passing reason."""
    run: str = ""
    """What tells the run from any other: each row says which one wrote it."""
    restarts: int = 0
    """How often the data set's table of value ids was begun anew."""
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    """Digest of the options of each cluster, by its name, empty for none: the worker's files have other dates."""

    def orders(self, backups: Iterable[Backup]) -> "dict[str, Order]":
        """The orders for some backups, by URL."""
        every = {each.name if each is not None else "": self._fingerprint(each) for each in (None, *self.clusters.all)}
        own = replace(self, fingerprints=every)
        orders = {}
        for backup in backups:
            cluster = self.clusters.of_url(*backup.places)
            text = every[cluster.name if cluster is not None else ""]
            if "://" not in backup.url:  # files beside it are looked at for keys
                beside = sorted(map(str, companions.candidates(Path(backup.url))))
                text += repr(list(_dates(beside))) if beside else ""
            orders[backup.url] = Order(backup, backup.id(text), own)
        return orders

    def applied(self, backup: Backup, uid: str) -> str:
        """What tells how a backup is judged and named, by its uid too, which is known once it was examined.

        uid: as the column `cluster` has it.
        """
        by_url = self.clusters.of_url(*backup.places)
        own = self.clusters.own(by_url, uid)
        names = (*named(own, uid), by_url.name if by_url is not None else "")
        text = repr((self.fingerprints.get(own.name if own is not None else "", ""), names))
        return hashlib.sha256(encode(text)).hexdigest()[:ID]

    def options_of(self, cluster: Cluster | None) -> Options:
        """The options for a backup of one cluster of the file; None for one that the file does not name."""
        options = replace(self.options, neighbours=self.neighbours)
        options = self.clusters.options_of(cluster, options)
        # one file under several names is one configuration: each proves one API server's
        configurations = {os.path.realpath(path): path for path in reversed(options.encryption_configs)}
        return replace(options, encryption_configs=tuple(reversed(configurations.values())))

    def _fingerprint(self, cluster: Cluster | None) -> str:
        """A digest of the options, of the tool's version and of when the files of keys were last changed."""
        options = self.options_of(cluster)
        chosen = {name: value for name, value in settings(options).items() if name not in _KEEP}
        files = (*options.encryption_configs, options.k3s_token, options.redact_key, self.compare_key)
        values = (self.compare_check, *([self.restarts] if self.restarts else []))
        text = repr((__version__, sorted(chosen.items()), list(_dates(files)), *values))
        return hashlib.sha256(encode(text)).hexdigest()


def _dates(paths: Iterable[str]) -> Iterable[tuple[str, int, int]]:
    """Size and last change of files, as far as this machine has them: their content is the worker's to read."""
    for path in filter(None, paths):
        try:
            stat = os.stat(path)  # noqa: PTH116 - a text of the command line
        except OSError:
            continue
        yield path, stat.st_size, stat.st_mtime_ns


@dataclass(frozen=True, slots=True)
class KeyBackup:
    """A backup in which keys lie readable: where, and never what they are."""

    id: str
    backup: Backup
    labels: tuple[str, ...]
    """PROVIDER/NAME of each."""


@dataclass(frozen=True, slots=True)
class Order:
    """The order of one backup's audit."""

    backup: Backup
    id: str
    """Of the backup under these settings."""
    settings: Settings
    key_backups: tuple[KeyBackup, ...] = ()
    """Backups whose keys are tried on it; none in the first pass, which says where keys lie."""
    tried_keys: str = ""
    """Digest of what tells these keys from others, of what is known of where they lie."""
    held_keys: str = ""
    """What the first pass says of where keys lie in it; empty in the first pass."""
