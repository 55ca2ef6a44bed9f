"""Encryption configurations in companion files of the evidence: keys that travel with the values they protect."""

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
"""Bytes at the beginning of a file in which configurations are looked for."""
_REVISION = re.compile(r"kube-apiserver-pod-(\d+)/")
"""Revision of the API server's pod, of which OpenShift's backup holds the files of several."""


@dataclass(frozen=True, slots=True)
class CompanionConfigs:
    """The encryption configurations in the companion files."""

    configurations: tuple[Configuration, ...] = ()
    """Configurations for --use-found-config, each with its file as source."""
    older: tuple[ProviderEntry, ...] = field(default=(), repr=False)
    """Keys of configurations that a later revision replaces."""
    keys: tuple[tuple[str, int, int, ProviderEntry], ...] = field(default=(), repr=False)
    """Every key: file, offset or -1, size and entry."""


def read(files: Sequence[EvidenceFile]) -> CompanionConfigs:
    """Every distinct configuration in the files."""
    newest = max((_revision(file) for file in files), default=-1)
    current: dict[str, Configuration] = {}
    older: dict[str, Configuration] = {}
    keys: dict[tuple[str, Provider, Key], tuple[str, int, int, ProviderEntry]] = {}
    for file in files:
        raw = file.map[:LARGEST]
        for configuration in configurations(raw, file.name):
            (current if _revision(file) in {-1, newest} else older).setdefault(configuration.sha256, configuration)
            for entry in _entries(configuration):
                for key in entry.keys:
                    offset, size = _offset(raw, key)
                    single = ProviderEntry(entry.provider, (key,))
                    keys.setdefault((file.name, entry.provider, key), (file.name, offset, size, single))
    retired = (
        entry for digest, configuration in older.items() if digest not in current for entry in _entries(configuration)
    )
    return CompanionConfigs(tuple(current.values()), tuple(retired), tuple(keys.values()))


def hits(companions: CompanionConfigs) -> list[Hit]:
    """A hit for every key. What it opens is added once the values are known."""
    return [
        Hit(
            finding=FindingKind.KEY_PRESENT,
            source=source,
            offset=offset,
            size=size,
            place=None,
            copy=CopyOf(owner=_label(entry), field="", more_owners=0, number=0),
            form="base64" if offset >= 0 else "configuration",
        )
        for source, offset, size, entry in companions.keys
    ]


def notes(companions: CompanionConfigs, *, used: bool) -> list[str]:
    """Notes on the file of each configuration, and on its use."""
    how = "used (--use-found-config)" if used else "not used: --use-found-config would"
    lines = [
        f"{config.source} came with the evidence and holds an {config.kind}, SHA-256 {config.sha256}; {how}"
        for config in companions.configurations
    ]
    if companions.older:
        count = len(companions.older)
        lines.append(f"{count:,} providers of older revisions came with the evidence; {how}")
    return lines


def configurations(raw: bytes, name: str) -> Iterator[Configuration]:
    """The distinct configurations in a text, and in the texts inside it. name: of its file."""
    every: list[Configuration] = []
    for document in key_material.documents(raw):
        if len(document) > LARGEST:
            continue
        try:
            configuration = parse(document, name)
        except ConfigurationError:
            continue
        if all(configuration.providers != each.providers for each in every):
            every.append(configuration)
            yield replace(configuration, source=name)


def _entries(configuration: Configuration) -> list[ProviderEntry]:
    return [entry for entry in configuration.providers if entry.keys]


def _revision(file: EvidenceFile) -> int:
    match = _REVISION.search(file.name)
    return int(match[1]) if match else -1


def _offset(raw: bytes, key: Key) -> tuple[int, int]:
    """Offset and size of the key's base64 in the file; -1 and 0 where the key is written in another form."""
    text = base64.b64encode(key.secret)
    at = raw.find(text)
    return (at, len(text)) if at >= 0 else (-1, 0)


def _label(entry: ProviderEntry) -> str:
    return f"{entry.provider.label}/{shown(entry.keys[0].name)}"
