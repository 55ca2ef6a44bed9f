"""Objects of the sources that hold keys: where they lie, and never what they hold. (Backups: see key_backups.)

Each small object is read in a child process of its own kind, whose memory ends with it; workers read them there again.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from auditor.errors import AuditorError, describe
from auditor.evidence.discovery import bystanders, companions
from auditor.fleet.backup import ID, Backup
from auditor.fleet.errors import DataSetError
from auditor.fleet.task import PRELOADED
from auditor.scanning import child
from auditor.scanning.child import Death, Start
from auditor.text import encode
from auditor.version import __version__

AT_ONCE, BATCH = 8, 512
"""Objects that are read at once, and by one process."""


@dataclass(frozen=True, slots=True)
class KeyObject:
    """A small object that was looked at, or a backup among whose values keys lie readable."""

    url: str
    content: str
    """Digest of what tells this content of the URL from another."""
    labels: tuple[str, ...] = ()
    """PROVIDER/NAME of each key in it."""
    tokens: int = 0
    """Server tokens of k3s or RKE2 in it."""
    text: bool = False
    """Whether it is a text in which no value begins, and so no backup."""
    archive: bool = False
    """Whether it is an archive of nothing but such texts."""
    reason: str = ""
    """Why it could not be read; empty where it was."""
    backup: bool = False
    """Whether it is a backup, and was examined as such."""

    def __bool__(self) -> bool:
        return bool(self.labels or self.tokens)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "KeyObject":
        """One of document()."""
        return cls(**{**document, "labels": tuple(document["labels"])})

    def document(self) -> dict[str, Any]:
        """The facts, for JSON."""
        return asdict(self)


def inspected(small: Sequence[Backup], earlier: Iterable[KeyObject]) -> list[KeyObject]:
    """What is known of every small object; one that was read in an earlier run, and is the same, is not read again.

    Raises DataSetError where the process that reads them dies each time.
    """
    known = {(each.url, each.content): each for each in earlier if not (each.reason or each.backup)}
    found = {(each.url, _content(each)): known.get((each.url, _content(each))) for each in small}
    waiting = [place for place, each in found.items() if each is None]
    for at in range(0, len(waiting), BATCH):
        found.update(((each.url, each.content), each) for each in _answers(waiting[at : at + BATCH]))
    return [each for each in found.values() if each is not None]


def digest(objects: Iterable[KeyObject]) -> str:
    """What tells one set of objects with keys from another; empty for none."""
    contents = sorted(each.content for each in objects if each)
    return hashlib.sha256(encode("\n".join(contents))).hexdigest()[:ID] if contents else ""


def backups(every: Iterable[Backup], objects: Iterable[KeyObject]) -> Iterator[Backup]:
    """The backups without texts in which no value begins, and archives of such; by their content, as in folders.

    One without keys is a backup all the same where its name is one's, and of an archive no companion's.
    """
    known = {each.url: each for each in objects}
    for backup in every:
        own = known.get(backup.url)
        if own is None or not (
            (own.text and (own or not bystanders.is_likely(backup.name)))
            or (own.archive and (own or companions.is_companion(backup.name)))
        ):
            yield backup


def _content(backup: Backup) -> str:
    """Digest of the content of an object, and of the version that says what it is."""
    return hashlib.sha256(encode(f"{backup.content}\0{__version__}")).hexdigest()[:ID]


def _answers(places: Sequence[tuple[str, str]]) -> list[KeyObject]:
    answer = child.result(child.start(partial(_inspect, places), Start.SERVER, PRELOADED))
    if isinstance(answer, Death):
        if len(places) == 1:
            return [KeyObject(*places[0], reason=answer.reason)]
        half = len(places) // 2  # one of them kills it: it is named, and the others are read
        return [*_answers(places[:half]), *_answers(places[half:])]
    if isinstance(answer, str):
        raise DataSetError(f"objects beside the backups cannot be read for keys: {answer}")
    return answer


def _inspect(places: Sequence[tuple[str, str]]) -> list[KeyObject]:
    """In the child."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda place: _one(*place), places))


def _one(url: str, content: str) -> KeyObject:
    from auditor.hunt import neighbours

    try:
        neighbour = neighbours.read(url)
    except AuditorError as error:
        return KeyObject(url, content, reason=describe(error))
    return KeyObject(url, content, tuple(neighbour.labels), len(neighbour.tokens), neighbour.text, neighbour.archive)
