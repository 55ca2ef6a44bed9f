"""Keys that lie readable in a backup: which, when it is examined, and themselves, when they are tried on another one.

Both in the process that audits, whose memory ends with it.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from auditor.encryption.configuration import ProviderEntry
from auditor.errors import AuditorError, describe
from auditor.evidence.discovery.remote import Unreachable
from auditor.evidence.scratch import NoRoom
from auditor.fleet.settings import KeyBackup, Settings
from auditor.hunt.exposed_keys import ExposedKeys, exposed_keys
from auditor.hunt.key_material import EvidenceKey
from auditor.hunt.literal_search import MOST
from auditor.hunt.neighbours import Neighbour, name
from auditor.options import Options
from auditor.scanning.one import one

if TYPE_CHECKING:
    from auditor.audit.judgement import Judgement


TOO_MANY = f"more than {MOST:,} texts that may hold encryption keys: not all of them were looked into"
THROUGH = "encryption keys in values that another backup's key decrypts, which were tried on no backup"


@dataclass(slots=True)
class KeyGathering:
    """The keys that whoever holds a backup reads in it, gathered while its judgements are at hand."""

    locations: Sequence[str]
    """Paths and URLs of the objects that lie with it, whose tokens open records of keys."""
    exposed: ExposedKeys = field(default_factory=ExposedKeys)
    tried: set[bytes] = field(default_factory=set, repr=False)
    """The keys of other objects and backups that were tried."""

    def gather(self, judgement: "Judgement") -> None:
        """Add the keys of a judgement."""
        criteria, reading = judgement.criteria, judgement.reading
        self.exposed += exposed_keys(criteria, judgement.store, reading.pages, reading.serves, self.locations)
        self.tried.update(criteria.policy.neighbours)

    @property
    def document(self) -> str:
        """Where they lie, as JSON: PROVIDER/NAME of each, and the newest mod revision that holds it."""
        places = sorted((key.label, key.newest) for key in self._distinct)
        return json.dumps({"keys": places, "recorded": self.exposed.recorded})

    def gaps(self, earlier: str) -> Iterator[str]:
        """What keys leave open. earlier: the document of the first pass; empty in it."""
        if not self.exposed.whole:
            yield TOO_MANY
        if earlier:
            alone = Counter(label for label, _ in json.loads(earlier)["keys"])
            more = Counter(key.label for key in self._distinct) - alone
            fresh = {key.label for key in self._distinct if key.entry.keys[0].secret not in self.tried}
            if through := sorted(fresh.intersection(more)):
                yield f"{', '.join(through)}: {THROUGH}"

    @property
    def _distinct(self) -> list[EvidenceKey]:
        """Each key once: several exhibits may hold it, or several objects."""
        newest: dict[ProviderEntry, EvidenceKey] = {}
        for key in sorted(self.exposed.keys, key=lambda each: each.newest):
            newest[key.entry] = key
        return list(newest.values())


def neighbour(holder: KeyBackup, settings: Settings) -> Neighbour:
    """The keys of a backup, read as when it was examined, and with nothing that its owner alone has.

    Raises:
        Unreachable: It cannot be read, or a key is no longer there: nothing is concluded without it.
        NoRoom: The scratch disk does not hold it.
    """
    own = settings.options
    options = Options(
        storage_prefixes=own.storage_prefixes,
        raw=own.raw,
        carve=own.carve,
        work_dir=own.work_dir,
        max_unpacked=own.max_unpacked,
        max_ratio=own.max_ratio,
        neighbours=settings.neighbours,
        quick=own.quick,
        rows=False,
    )
    gathering = KeyGathering(settings.neighbours)
    place = name(holder.backup.url)
    try:
        one(holder.backup.url, options, listener=gathering.gather)
    except NoRoom:
        raise
    except AuditorError as error:
        raise Unreachable(f"{place} holds keys and cannot be read again: {describe(error)}") from None
    keys = gathering.exposed.keys
    if lacking := set(holder.labels) - {key.label for key in keys}:
        raise Unreachable(f"{place} held keys that are not read there again: {', '.join(sorted(lacking))}")
    return Neighbour(place, tuple(key.entry for key in keys))
