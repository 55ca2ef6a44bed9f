"""The settings of a fleet's scan, and what a worker gets for each backup: paths of keys, and never a key."""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace

from auditor.fleet.backup import Backup
from auditor.fleet.clusters import Cluster, Clusters
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

    def orders(self, backups: Iterable[Backup]) -> "dict[str, Order]":
        """The orders for some backups, by URL."""
        fingerprints: dict[str, str] = {}
        orders = {}
        for backup in backups:
            cluster = self.clusters.of_url(backup.url)
            name = cluster.name if cluster is not None else ""
            if name not in fingerprints:
                fingerprints[name] = self._fingerprint(cluster)
            orders[backup.url] = Order(backup, backup.id(fingerprints[name]), self)
        return orders

    def options_of(self, cluster: Cluster | None) -> Options:
        """The options for a backup of one cluster of the file; None for one that the file does not name."""
        options = replace(self.options, neighbours=self.neighbours)
        return self.clusters.options_of(cluster, options)

    def _fingerprint(self, cluster: Cluster | None) -> str:
        """A digest of the options, of the tool's version and of when the files of keys were last changed."""
        options = self.options_of(cluster)
        chosen = {name: value for name, value in settings(options).items() if name not in _KEEP}
        files = (*options.encryption_configs, options.k3s_token, options.redact_key, self.compare_key)
        text = repr((__version__, sorted(chosen.items()), list(_dates(files)), self.compare_check))
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
class Order:
    """The order of one backup's audit."""

    backup: Backup
    id: str
    """Of the backup under these settings."""
    settings: Settings
