"""Keys that lie readable in a backup: which, when it is examined, and themselves, when they are tried on another one.

Both in the process that audits, whose memory ends with it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from auditor.errors import AuditorError, describe
from auditor.evidence.discovery.remote import Unreachable
from auditor.evidence.scratch import NoRoom
from auditor.fleet.settings import KeyBackup, Settings
from auditor.hunt.exposed_keys import ExposedKeys, exposed_keys
from auditor.hunt.literal_search import MOST
from auditor.hunt.neighbours import Neighbour, name
from auditor.options import Options
from auditor.scanning.one import one

if TYPE_CHECKING:
    from auditor.audit.judgement import Judgement


TOO_MANY = f"more than {MOST:,} texts that may hold encryption keys: not all of them were looked into"


@dataclass(slots=True)
class KeyGathering:
    """The keys that whoever holds a backup reads in it, gathered while its judgements are at hand."""

    locations: Sequence[str]
    """Paths and URLs of the objects that lie with it, whose tokens open records of keys."""
    exposed: ExposedKeys = field(default_factory=ExposedKeys)

    def gather(self, judgement: "Judgement") -> None:
        """Add the keys of a judgement."""
        criteria, reading = judgement.criteria, judgement.reading
        self.exposed += exposed_keys(criteria, judgement.store, reading.pages, reading.serves, self.locations)

    @property
    def document(self) -> str:
        """Where they lie, as JSON: PROVIDER/NAME of each, and the newest mod revision that holds it."""
        places = sorted({(key.label, key.newest) for key in self.exposed.keys})
        return json.dumps({"keys": places, "whole": self.exposed.whole, "recorded": self.exposed.recorded})


def gap(document: str) -> str:
    """What was not looked at, for a row of `gaps`; empty for nothing. document: of KeyGathering.document."""
    return "" if json.loads(document)["whole"] else TOO_MANY


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
