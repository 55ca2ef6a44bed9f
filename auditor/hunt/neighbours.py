"""Keys in other objects that lie with the evidence: whoever holds a bucket reads what they decrypt.

Configurations, also inside a manifest, RKE1's state, k0s' configuration or OpenShift's archive of resources, and the
server tokens of k3s and RKE2, which decrypt the record of keys in their snapshots. They are read into memory alone.

Source of the tokens' form: k3s pkg/clientaccess/token.go; of their files: docs.k3s.io/cli/token.
"""

import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, product
from pathlib import Path

from auditor.encryption.configuration import Key, ProviderEntry
from auditor.encryption.keyring import Keyring
from auditor.errors import UnreadableEvidence
from auditor.evidence.containers import magic
from auditor.evidence.discovery import bystanders, remote
from auditor.evidence.exhibit import role_of
from auditor.hunt import companion_configs, k3s, text_archives
from auditor.judgement.criteria import Criteria
from auditor.judgement.selection import Selection
from auditor.kubernetes.store import Store
from auditor.model.vocabulary import LOCAL_PROVIDERS, Provider
from auditor.text import decode, restore, shown

LARGEST = 4 << 20
"""Bytes of an object that may hold keys, and of a file packed in one."""
MOST_UNPACKED = 64 << 20
"""Bytes that one object may unpack to."""
MOST_MEMBERS = 10_000
"""Files of an archive that are looked at."""
MOST_CANDIDATES = 4096
"""Keys under names that are tried beside those under their own names."""
_TOKEN = re.compile(rb"K10[0-9a-f]{64}::(?:[A-Za-z0-9._-]{1,64}:)?([^\s\"']{1,1024})")
_SETTING = re.compile(
    rb"(?m)^[ \t]*(?:export[ \t]+)?(?:token|K3S_TOKEN|RKE2_TOKEN)[ \t]*[:=][ \t]*[\"']?([^\s\"']{4,1024})"
)
_FILES = frozenset({"token", "server-token", "node-token", "k3s-token", "rke2-token"})


@dataclass(frozen=True, slots=True)
class Neighbour:
    """What one object holds."""

    name: str
    """Its path or URL, printable."""
    entries: tuple[ProviderEntry, ...] = field(default=(), repr=False)
    """Its keys, an entry for each."""
    tokens: tuple[bytes, ...] = field(default=(), repr=False)
    """Passwords of server tokens."""
    text: bool = False
    """Whether it is a text in which no value begins, and so no backup."""
    archive: bool = False
    """Whether it is an archive of nothing but such texts."""

    def __bool__(self) -> bool:
        return bool(self.entries or self.tokens)

    @property
    def labels(self) -> list[str]:
        """PROVIDER/NAME of each key, printable, sorted."""
        return sorted({f"{entry.provider.label}/{shown(entry.keys[0].name)}" for entry in self.entries})


def name(location: str) -> str:
    """The printable name of an object. location: its path or URL."""
    return remote.shown(location) if "://" in location else shown(location)


def read(location: str) -> Neighbour:
    """The keys in one object. location: its path or URL. Raises UnreadableEvidence where it cannot be read whole."""
    raw = remote.read(location, LARGEST) if "://" in location else _local(location)
    if magic.sniff(raw[: magic.HEAD]) in magic.STORES:
        return Neighbour(name(location))
    entries: dict[tuple[Provider, Key], ProviderEntry] = {}
    tokens: dict[bytes, None] = {}
    for path, part in ((location, raw), *_members(raw)):
        for configuration in companion_configs.configurations(part, ""):
            for entry in configuration.providers:
                entries.update(
                    ((entry.provider, key), ProviderEntry(entry.provider, (key,)))
                    for key in entry.keys
                    if entry.provider in LOCAL_PROVIDERS
                )
        tokens.update(dict.fromkeys(_passwords(path, part)))
    return Neighbour(
        name(location),
        tuple(entries.values()),
        tuple(tokens),
        text=_is_text(raw),
        archive=text_archives.holds_texts(raw, MOST_UNPACKED, _is_text),
    )


def added(
    criteria: Criteria,
    selections: Sequence[Selection],
    store: Store,
    locations: Sequence[str],
    backups: Sequence[Neighbour] = (),
) -> Criteria:
    """The criteria with the keys of other objects. What one decrypts is known to others, whoever supplies the key.

    Args:
        criteria: Of the run.
        selections: The judged values.
        store: All values of the evidence.
        locations: Paths and URLs of the objects.
        backups: What other backups hold, which were read already.

    Raises:
        UnreadableEvidence: One of them cannot be read: nothing is concluded without it.
    """
    places: dict[tuple[Provider, str, bytes], str] = {}
    for neighbour in (*map(read, locations), *backups):
        for entry in neighbour.entries:
            places.setdefault((entry.provider, entry.keys[0].name, entry.keys[0].secret), neighbour.name)
        for entry in _recorded(store, neighbour.tokens):
            where = f"the /bootstrap record, which the token in {neighbour.name} decrypts"
            places.setdefault((entry.provider, entry.keys[0].name, entry.keys[0].secret), where)
    if not places:
        return criteria
    candidates = list(dict.fromkeys((*places, *_renamed(list(places), selections))))
    entries = [ProviderEntry(provider, (Key(label, secret),)) for provider, label, secret in candidates]
    keyring = criteria.keyring or Keyring(criteria.configurations, criteria.plugins)
    known: dict[bytes, str] = {}
    for (_, _, secret), where in places.items():
        known.setdefault(secret, where)
    count = len(locations) + len(backups)
    note = f"{len(known):,} keys of {count:,} other objects that lie with the evidence were tried"
    return replace(
        criteria,
        keyring=keyring.with_tentative(entries),
        policy=replace(criteria.policy, neighbours=known),
        notes=(*criteria.notes, note),
    )


def _recorded(store: Store, tokens: Sequence[bytes]) -> Iterator[ProviderEntry]:
    """The keys in records of k3s whose names are of one of the tokens."""
    for password in tokens:
        if k3s.is_recorded(store.batches, password):
            yield from (key.entry for key in k3s.keys(store.batches, password)[0])


def _renamed(
    keys: Sequence[tuple[Provider, str, bytes]], selections: Sequence[Selection]
) -> Iterator[tuple[Provider, str, bytes]]:
    """The keys under the names that values have: a key may have had another name when it wrote them."""
    pairs = dict.fromkeys(label.pair for values in selections for label in values.key_labels if label.pair[1])
    names = {provider: [name for own, name in pairs if own is provider] for provider in LOCAL_PROVIDERS}
    count = 0
    for provider in LOCAL_PROVIDERS:
        secrets = dict.fromkeys(secret for own, _, secret in keys if own is provider)
        for label, secret in product(names[provider], secrets):
            if count == MOST_CANDIDATES:
                return
            count += 1
            yield provider, decode(restore(label)), secret


def _is_text(raw: bytes) -> bool:
    head = raw[: magic.HEAD]
    try:
        evidence = magic.sniff(head) in magic.CONTAINERS or role_of(head) is not None
    except UnreadableEvidence:
        return False
    return not evidence and bystanders.is_text([raw])


def _local(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            raw = file.read(LARGEST + 1)
    except OSError as error:
        raise remote.Unreachable(f"{shown(path)} cannot be read: {error.strerror}") from None
    if len(raw) > LARGEST:
        raise UnreadableEvidence(f"{shown(path)} has more than {LARGEST:,} bytes")
    return raw


def _passwords(path: str, raw: bytes) -> Iterator[bytes]:
    """The passwords of the tokens in a text."""
    if b"\0" in raw[:4096]:
        return
    for pattern in (_TOKEN, _SETTING):
        for match in pattern.finditer(raw):
            yield match[1].rpartition(b"::")[2].rpartition(b":")[2]
    if remote.plain(path).rpartition("/")[2] in _FILES and 0 < len(word := raw.strip()) <= k3s.LARGEST_TOKEN:
        yield word.rpartition(b"::")[2].rpartition(b":")[2]


def _members(raw: bytes, depth: int = 0) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each small file that is packed in an object; of what is damaged the whole files before."""
    try:
        if raw.startswith(b"\x1f\x8b"):
            unpacked = zlib.decompressobj(wbits=31).decompress(raw, MOST_UNPACKED)
            if depth < 2:
                yield "", unpacked[:LARGEST]
                yield from _members(unpacked, depth + 1)
        elif raw.startswith(b"PK\x03\x04"):
            with zipfile.ZipFile(io.BytesIO(raw)) as archive:
                for member in archive.infolist()[:MOST_MEMBERS]:
                    if member.file_size <= LARGEST:
                        with archive.open(member) as file:
                            yield member.filename, file.read(LARGEST)
        elif magic.sniff(raw[: magic.HEAD]) is magic.Kind.TAR:
            with tarfile.open(fileobj=io.BytesIO(raw), mode="r:") as archive:
                for entry in islice(archive, MOST_MEMBERS):
                    if entry.isreg() and entry.size <= LARGEST and (content := archive.extractfile(entry)):
                        yield entry.name, content.read(LARGEST)
    except (zlib.error, zipfile.BadZipFile, tarfile.TarError, EOFError, RuntimeError, NotImplementedError, OSError):
        return
