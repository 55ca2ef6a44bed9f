"""A first look at a fleet: fewer backups than there are, which is never a pass."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from auditor.errors import UsageError
from auditor.fleet.backup import Backup
from auditor.fleet.clusters import Clusters
from auditor.kubernetes.trees import seconds
from auditor.text import encode, moment


@dataclass(frozen=True, slots=True)
class FirstLook:
    """Which backups of the listing are examined."""

    since: str = ""
    """Day or time before which none is, ISO 8601; in UTC where it names no offset."""
    sample: int = 0
    """Number of backups, drawn by the hash of their URLs: the same ones every time; 0 for all."""
    newest: int = 0
    """Number of the newest backups of each cluster, or of each folder where none is known; 0 for all."""

    @property
    def partial(self) -> bool:
        """Whether it may leave backups out."""
        return bool(self.since or self.sample or self.newest)

    def check(self) -> None:
        """Raises UsageError for a time that is none."""
        if self.since and seconds(self.since) is None:
            raise UsageError("--since takes a day or a time in ISO 8601, such as 2026-11-28 or 2026-11-28T06:00:00Z")

    def choose(self, backups: Sequence[Backup], clusters: Clusters) -> list[Backup]:
        """Those that are examined, in the order of the listing."""
        begin = moment(seconds(self.since)) if self.since else ""
        chosen = [backup for backup in backups if backup.taken >= begin]
        if self.newest:
            groups: dict[str, list[Backup]] = {}
            for backup in chosen:
                cluster = clusters.of_url(*backup.places)
                groups.setdefault(f"cluster {cluster.name}" if cluster else backup.folder, []).append(backup)
            newest = (
                sorted(group, key=lambda each: (each.taken, each.url))[-self.newest :] for group in groups.values()
            )
            urls = {backup.url for group in newest for backup in group}
            chosen = [backup for backup in chosen if backup.url in urls]
        if self.sample:
            drawn = sorted(chosen, key=lambda each: hashlib.sha256(encode(each.url)).digest())[: self.sample]
            urls = {backup.url for backup in drawn}
            chosen = [backup for backup in chosen if backup.url in urls]
        return chosen
