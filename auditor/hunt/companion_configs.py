"""Encryption configurations in the files that came with the evidence: keys that travel with what they protect."""

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from auditor.encryption.configuration import Configuration, Key, ProviderEntry, parse
from auditor.encryption.strict_yaml import ConfigurationError
from auditor.evidence.file import EvidenceFile
from auditor.hunt import key_material
from auditor.hunt.hit import Hit
from auditor.model.vocabulary import FindingKind, Provider
from auditor.text import shown

LARGEST = 4 << 20
_REVISION = re.compile(r"kube-apiserver-pod-(\d+)/")
"""OpenShift's backup holds the files of several revisions of the API server's pod."""


@dataclass(frozen=True, slots=True)
class CompanionConfigs:
    """What the files hold. configurations: those that --use-found-config uses, each named after its file.

    older: keys of configurations that a later revision replaces. keys: (file, offset or -1, size, key), all of them.
    """

    configurations: tuple[Configuration, ...] = ()
    older: tuple[ProviderEntry, ...] = field(default=(), repr=False)
    keys: tuple[tuple[str, int, int, ProviderEntry], ...] = field(default=(), repr=False)


def read(files: Sequence[EvidenceFile]) -> CompanionConfigs:
    """Every configuration in the files, once where several are the same."""
    newest = max((_revision(file) for file in files), default=-1)
    current: dict[str, Configuration] = {}
    older: dict[str, Configuration] = {}
    keys: dict[tuple[str, Provider, Key], tuple[str, int, int, ProviderEntry]] = {}
    for file in files:
        raw = file.map[:LARGEST]
        for found in _configurations(raw, file.name):
            kept = current if _revision(file) in {-1, newest} else older
            kept.setdefault(found.sha256, found)
            for entry in _entries(found):
                for key in entry.keys:
                    at, size = _where(raw, key)
                    one = ProviderEntry(entry.provider, (key,))
                    keys.setdefault((file.name, entry.provider, key), (file.name, at, size, one))
    replaced = (entry for digest, found in older.items() if digest not in current for entry in _entries(found))
    return CompanionConfigs(tuple(current.values()), tuple(replaced), tuple(keys.values()))


def hits(found: CompanionConfigs) -> list[Hit]:
    """A finding for every key; what it opens is added where the values are known."""
    made = []
    for source, at, size, entry in found.keys:
        detail = f"of={_label(entry)} field= as={'base64' if at >= 0 else 'configuration'}"
        made.append(
            Hit(FindingKind.KEY_PRESENT, source, at, size, None, "", "", 0, Provider.IDENTITY, -1, -1, detail)
        )  # fmt: skip
    return made


def notes(found: CompanionConfigs, *, used: bool) -> list[str]:
    """Where each configuration was found, and whether it was used."""
    how = "used (--use-found-config)" if used else "not used: --use-found-config would"
    said = [
        f"{each.source} came with the evidence and holds an {each.kind}, SHA-256 {each.sha256}; {how}"
        for each in found.configurations
    ]
    if found.older:
        count = len(found.older)
        said.append(f"{count:,} providers of older revisions came with the evidence; {how}")
    return said


def _configurations(raw: bytes, name: str) -> Iterator[Configuration]:
    for document in key_material.documents(raw):
        if len(document) > LARGEST:
            continue
        try:
            found = parse(document, name)
        except ConfigurationError:
            continue
        yield replace(found, source=name)


def _entries(found: Configuration) -> list[ProviderEntry]:
    return [entry for rule in found.rules for entry in rule.providers if entry.keys]


def _revision(file: EvidenceFile) -> int:
    found = _REVISION.search(file.name)
    return int(found[1]) if found else -1


def _where(raw: bytes, key: Key) -> tuple[int, int]:
    """Where the key's text stands in the file; -1 where it is written in another form."""
    text = base64.b64encode(key.secret)
    at = raw.find(text)
    return (at, len(text)) if at >= 0 else (-1, 0)


def _label(entry: ProviderEntry) -> str:
    return f"{entry.provider.label}/{shown(entry.keys[0].name)}"
