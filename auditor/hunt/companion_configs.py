"""Encryption configurations in the files that came with the evidence: keys that travel with what they protect."""

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from auditor.encryption.configuration import Configuration, Key, ProviderEntry, parse
from auditor.encryption.strict_yaml import ConfigurationError
from auditor.evidence.file import EvidenceFile
from auditor.hunt import key_material
from auditor.hunt.hit import CopyOf, Hit
from auditor.model.vocabulary import FindingKind, Provider
from auditor.text import shown

LARGEST = 4 << 20
_REVISION = re.compile(r"kube-apiserver-pod-(\d+)/")
"""OpenShift's backup holds the files of several revisions of the API server's pod."""


@dataclass(frozen=True, slots=True)
class CompanionConfigs:
    """The encryption configurations that the files hold."""

    configurations: tuple[Configuration, ...] = ()
    """Those that --use-found-config uses, each named after its file."""
    older: tuple[ProviderEntry, ...] = field(default=(), repr=False)
    """Keys of configurations that a later revision replaces."""
    keys: tuple[tuple[str, int, int, ProviderEntry], ...] = field(default=(), repr=False)
    """File, offset or -1, size and key: all of them."""


def read(files: Sequence[EvidenceFile]) -> CompanionConfigs:
    """Every configuration in the files, once where several are the same."""
    newest = max((_revision(file) for file in files), default=-1)
    current: dict[str, Configuration] = {}
    older: dict[str, Configuration] = {}
    keys: dict[tuple[str, Provider, Key], tuple[str, int, int, ProviderEntry]] = {}
    for file in files:
        raw = file.map[:LARGEST]
        for configuration in _configurations(raw, file.name):
            (current if _revision(file) in {-1, newest} else older).setdefault(configuration.sha256, configuration)
            for entry in _entries(configuration):
                for key in entry.keys:
                    offset, size = _offset(raw, key)
                    single = ProviderEntry(entry.provider, (key,))
                    keys.setdefault((file.name, entry.provider, key), (file.name, offset, size, single))
    replaced = (entry for digest, each in older.items() if digest not in current for entry in _entries(each))
    return CompanionConfigs(tuple(current.values()), tuple(replaced), tuple(keys.values()))


def hits(companions: CompanionConfigs) -> list[Hit]:
    """A finding for every key; what it opens is added where the values are known."""
    return [
        Hit(
            finding=FindingKind.KEY_PRESENT,
            source=source,
            offset=at,
            size=size,
            place=None,
            copy=CopyOf(owner=_label(entry), field="", more_owners=0, number=0),
            form="base64" if at >= 0 else "configuration",
        )
        for source, at, size, entry in companions.keys
    ]


def notes(companions: CompanionConfigs, *, used: bool) -> list[str]:
    """Where each configuration was found, and whether it was used."""
    how = "used (--use-found-config)" if used else "not used: --use-found-config would"
    lines = [
        f"{each.source} came with the evidence and holds an {each.kind}, SHA-256 {each.sha256}; {how}"
        for each in companions.configurations
    ]
    if companions.older:
        count = len(companions.older)
        lines.append(f"{count:,} providers of older revisions came with the evidence; {how}")
    return lines


def _configurations(raw: bytes, name: str) -> Iterator[Configuration]:
    for document in key_material.documents(raw):
        if len(document) > LARGEST:
            continue
        try:
            configuration = parse(document, name)
        except ConfigurationError:
            continue
        yield replace(configuration, source=name)


def _entries(configuration: Configuration) -> list[ProviderEntry]:
    return [entry for entry in configuration.providers if entry.keys]


def _revision(file: EvidenceFile) -> int:
    match = _REVISION.search(file.name)
    return int(match[1]) if match else -1


def _offset(raw: bytes, key: Key) -> tuple[int, int]:
    """Where the key's text stands in the file; -1 where it is written in another form."""
    text = base64.b64encode(key.secret)
    at = raw.find(text)
    return (at, len(text)) if at >= 0 else (-1, 0)


def _label(entry: ProviderEntry) -> str:
    return f"{entry.provider.label}/{shown(entry.keys[0].name)}"
