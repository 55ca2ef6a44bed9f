"""EncryptionConfiguration files: parsed and validated by kube-apiserver's rules, without ever quoting them.

Source: k8s.io/apiserver pkg/apis/apiserver/types_encryption.go, pkg/apis/apiserver/validation/
validation_encryption.go, pkg/server/options/encryptionconfig/config.go (the rule that covers a resource).
"""

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from auditor import inputs
from auditor.encryption import go_values, manifests, wrappers
from auditor.encryption.strict_yaml import LARGEST, REFUSES, ConfigurationError, Reader
from auditor.kubernetes.resources import AGGREGATED
from auditor.model.vocabulary import KMS_PROVIDERS, KMS_VERSIONS, LOCAL_PROVIDERS, Provider

KINDS = {("apiserver.config.k8s.io/v1", "EncryptionConfiguration"), ("v1", "EncryptionConfig")}
SIZES = {"aescbc": (16, 24, 32), "aesgcm": (16, 24, 32), "secretbox": (32,)}
LOCAL = {provider.label: provider for provider in LOCAL_PROVIDERS}
KMS = {f"v{number}": provider for provider, number in KMS_VERSIONS.items()}
REFUSED = {"apiserveripinfo", "serviceipallocations", "servicenodeportallocations"}
REFUSED_GROUPS = {"events.k8s.io", "extensions"}
INT32 = 1 << 31


@dataclass(frozen=True, slots=True)
class Key:
    """One named key of a local provider."""

    name: str
    """Name of the key, which prefixes of values carry."""
    secret: bytes = field(repr=False)
    """The key's bytes."""


@dataclass(frozen=True, slots=True)
class ProviderEntry:
    """One element of a providers list."""

    provider: Provider
    """The provider."""
    keys: tuple[Key, ...] = ()
    """Keys of a local provider."""
    name: str = ""
    """Name of a KMS plugin."""
    endpoint: str = ""
    """Endpoint of a KMS plugin, `unix:///path`."""
    path: str = ""
    """Path of the entry in the file, such as `resources[0].providers[1].kms`."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One element of the list `resources`."""

    resources: tuple[str, ...]
    """Names of resources, and wildcards."""
    providers: tuple[ProviderEntry, ...]
    """Providers in the order of trial; the first one writes."""
    path: str
    """Path of the rule in the file, such as `resources[0]`."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """One EncryptionConfiguration file."""

    source: str
    """Printable name of the file."""
    kind: str
    """EncryptionConfiguration, or EncryptionConfig of older versions."""
    rules: tuple[Rule, ...]
    """Rules in the order of the file."""
    sha256: str
    """SHA-256 of the file's bytes."""
    notes: tuple[str, ...] = ()
    """What in the file only some releases accept, or what was not read."""

    @property
    def providers(self) -> tuple[ProviderEntry, ...]:
        """Every entry of every rule, in the order of the file."""
        return tuple(entry for rule in self.rules for entry in rule.providers)

    def providers_for(self, resource: str) -> tuple[ProviderEntry, ...] | None:
        """The providers of a resource, in order; None where no rule covers it.

        Rules with the exact name come before those with the group's wildcard, and these before `*.*`; the providers of
        several rules with the same name are concatenated.
        """
        name, group = _split(resource)
        for pattern in ((name, group), ("*", group), ("*", "*")):
            covering = [rule for rule in self.rules if pattern in map(_split, rule.resources)]
            if covering:
                return tuple(entry for rule in covering for entry in rule.providers)
        return None

    @property
    def aggregated(self) -> bool:
        """Whether it is of an aggregated API server: its rules name nothing that kube-apiserver serves."""
        return all(_split(name)[1] in AGGREGATED for rule in self.rules for name in rule.resources)

    def serves(self, resource: str) -> bool:
        """Whether its API server may write a resource: an aggregated one only what its rules name."""
        return not self.aggregated or self.providers_for(resource) is not None

    def lists(self) -> list[tuple[Rule, ...]]:
        """The distinct lists of rules: for each resource or wildcard the rules that name it."""
        numbers_of: dict[tuple[str, str], list[int]] = {}
        for number, rule in enumerate(self.rules):
            for name in rule.resources:
                numbers_of.setdefault(_split(name), []).append(number)
        return [
            tuple(self.rules[number] for number in numbers)
            for numbers in dict.fromkeys(map(tuple, numbers_of.values()))
        ]


def load(path: Path) -> Configuration:
    """The configuration in a YAML or JSON file. Raises ConfigurationError."""
    name = inputs.name(path)
    try:
        raw = inputs.read(path, LARGEST)
    except FileNotFoundError:
        raise ConfigurationError(f"{name}: no such file") from None
    except OSError as error:
        raise ConfigurationError(f"{name} cannot be read: {error.strerror}") from None
    if len(raw) > LARGEST:
        raise ConfigurationError(f"{name}: larger than {LARGEST:,} bytes: no EncryptionConfiguration")
    return parse(raw, name)


def parse(raw: bytes, name: str) -> Configuration:
    """The configuration in a YAML or JSON text. Raises ConfigurationError, with `name` for the file."""
    reader = Reader(name)
    document = manifests.read(reader, raw)
    if isinstance(document, dict) and not wrappers.is_of(document, KINDS):
        expected = "expected apiserver.config.k8s.io/v1 EncryptionConfiguration or v1 EncryptionConfig"
        reader.fail("", f"{wrappers.described(document)}: {expected}")
    top = reader.mapping(document, "", {"apiVersion", "kind", "resources"})
    kind = reader.text(top, "kind", "")
    rules = tuple(
        _rule(reader, value, f"resources[{number}]")
        for number, value in enumerate(reader.sequence(top, "resources", ""))
    )
    _check_rules(reader, rules)
    return Configuration(name, kind, rules, hashlib.sha256(raw).hexdigest(), tuple(reader.notes))


def _rule(reader: Reader, element: Any, path: str) -> Rule:
    entry = reader.mapping(element, path, {"resources", "providers"})
    resources = reader.sequence(entry, "resources", path)
    for number, name in enumerate(resources):
        _resource(reader, name, f"{path}.resources[{number}]")
    pairs = [_split(name) for name in resources]
    counts, groups = Counter(pairs), Counter(group for _, group in pairs)
    for number, (name, group) in enumerate(pairs):
        at = f"{path}.resources[{number}]"
        if counts[name, group] > 1:
            reader.fail(at, "stands twice in this list")
        if name == "*" and (len(pairs) if group == "*" else groups[group]) > 1:
            reader.fail(at, "a wildcard beside what it covers")
    providers = tuple(
        _provider(reader, value, f"{path}.providers[{number}]")
        for number, value in enumerate(reader.sequence(entry, "providers", path))
    )
    return Rule(tuple(resources), providers, path)


def _resource(reader: Reader, name: Any, path: str) -> None:
    """Refuse what validateResourceNames does: names that match nothing are none of it."""
    if not isinstance(name, str):
        reader.fail(path, "expected the name of a resource")
    if isinstance(name, go_values.Unquoted):
        reader.fail(path, "a number or a boolean, not a text in quotes" + REFUSES)
    resource, group = _split(name)
    if name != name.lower():
        reader.fail(path, "capital letters")
    if name == "*" or (group == "*" and resource != "*"):
        reader.fail(path, "a wildcard must be *.GROUP, *. or *.*")
    if name in REFUSED or group in REFUSED_GROUPS:
        reader.fail(path, "kube-apiserver refuses this resource or group")


def _provider(reader: Reader, element: Any, path: str) -> ProviderEntry:
    entry = reader.mapping(element, path, {*LOCAL, "identity", "kms"})
    known = [kind for kind in (*LOCAL, "identity", "kms") if kind in entry]
    if len(known) != 1:
        reader.fail(path, f"expected exactly one provider, found {len(known)}")
    kind = known[0]
    settings = entry[kind]
    path = f"{path}.{kind}"
    if kind == "identity":
        reader.mapping(settings, path, set())
        return ProviderEntry(Provider.IDENTITY, path=path)
    if kind == "kms":
        return _kms(reader, settings, path)
    settings = reader.mapping(settings, path, {"keys"})
    keys = []
    for number, value in enumerate(reader.sequence(settings, "keys", path)):
        at = f"{path}.keys[{number}]"
        key = reader.mapping(value, at, {"name", "secret"})
        name, secret = reader.text(key, "name", at), _secret(reader, reader.text(key, "secret", at), f"{at}.secret")
        if not name:
            reader.fail(f"{at}.name", "empty")
        if len(secret) not in SIZES[kind]:
            expected = " or ".join(map(str, SIZES[kind]))
            reader.fail(f"{at}.secret", f"{len(secret)} bytes, expected {expected}")
        keys.append(Key(name, secret))
    return ProviderEntry(LOCAL[kind], tuple(keys), path=path)


def _secret(reader: Reader, text: str, path: str) -> bytes:
    """The bytes of a base64 text."""
    if (secret := go_values.octets(text)) is None:
        reader.fail(path, "not standard base64 with padding")
    return secret or b""


def _kms(reader: Reader, value: Any, path: str) -> ProviderEntry:
    settings = reader.mapping(value, path, {"apiVersion", "name", "cachesize", "endpoint", "timeout"})
    version = reader.text(settings, "apiVersion", path) or "v1"
    name, endpoint = reader.text(settings, "name", path), reader.text(settings, "endpoint", path)
    if version not in KMS:
        reader.fail(f"{path}.apiVersion", f"expected {' or '.join(KMS)}")
    if not name or (version == "v2" and ":" in name):
        reader.fail(f"{path}.name", "empty, or a colon in the name of a KMS v2")
    if go_values.scheme(endpoint) != "unix":
        reader.fail(f"{path}.endpoint", "expected unix:///path" + REFUSES)
    _cache(reader, settings.get("cachesize"), version, f"{path}.cachesize")
    if version == "v1":
        reader.note(f"{path}: KMS v1 is refused since Kubernetes 1.29 without the feature gate KMSv1")
    timeout = reader.text(settings, "timeout", path, "3s")
    if (go_values.nanoseconds(timeout) or 0) <= 0:
        reader.fail(f"{path}.timeout", "expected a duration above 0, such as 3s" + REFUSES)
    endpoint = "unix" + endpoint[len("unix") :]
    return ProviderEntry(KMS[version], name=name, endpoint=endpoint, path=path)


def _cache(reader: Reader, cache: Any, version: str, path: str) -> None:
    """Refuse a cachesize that is no int32 other than 0; that of a KMS v2 is noted."""
    if cache is None:
        return
    whole = isinstance(cache, go_values.Unquoted) and re.fullmatch(r"-?\d{1,10}", cache)
    if not whole or not -INT32 <= int(cache) < INT32 or (version == "v1" and int(cache) == 0):
        reader.fail(path, "expected a whole number other than 0, without quotes" + REFUSES)
    if version == "v2":
        reader.note(f"{path}: accepted for KMS v2 by Kubernetes 1.25 and 1.26, refused since 1.27")


def _check_rules(reader: Reader, rules: tuple[Rule, ...]) -> None:
    """Refuse a KMS v2 name that is not unique, and a rule that an earlier wildcard masks."""
    names: set[str] = set()
    for rule in rules:
        for entry in rule.providers:
            if entry.provider is Provider.KMS_V2 and entry.name in names:
                reader.fail(f"{entry.path}.name", "the name of a KMS v2 must be unique in the file")
            if entry.provider in KMS_PROVIDERS:
                names.add(entry.name)
    wildcards: set[str] = set()
    for rule in rules:
        for name in rule.resources:
            _, group = _split(name)
            if wildcards & {"*", group}:
                reader.fail(rule.path, "masked by an earlier rule: kube-apiserver refuses to start")
        wildcards |= {group for resource, group in map(_split, rule.resources) if resource == "*"}


def _split(name: str) -> tuple[str, str]:
    """Resource and group; the core group is empty."""
    resource, _, group = name.partition(".")
    return resource, group
