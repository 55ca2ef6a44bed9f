"""EncryptionConfiguration files: parsed and validated by kube-apiserver's rules, without ever quoting them.

Source: k8s.io/apiserver pkg/apis/apiserver/types_encryption.go, pkg/apis/apiserver/validation/
validation_encryption.go, pkg/server/options/encryptionconfig/config.go (which rule covers a resource).
"""

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from auditor.errors import AuditorError
from auditor.model import Provider
from auditor.text import printable

LARGEST = 1 << 20
DEEPEST = 32
KINDS = {("apiserver.config.k8s.io/v1", "EncryptionConfiguration"), ("v1", "EncryptionConfig")}
SIZES = {"aescbc": (16, 24, 32), "aesgcm": (16, 24, 32), "secretbox": (32,)}
LOCAL = {"aescbc": Provider.AESCBC, "aesgcm": Provider.AESGCM, "secretbox": Provider.SECRETBOX}
REFUSED = {"apiserveripinfo", "serviceipallocations", "servicenodeportallocations"}
REFUSED_GROUPS = {"events.k8s.io", "extensions"}
NULL = "tag:yaml.org,2002:null"
NULLS = {"", "~", "null", "Null", "NULL"}
_DURATION = re.compile(r"^(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))*$")


class ConfigurationError(AuditorError):
    """The file is no EncryptionConfiguration that kube-apiserver would accept; says where, never what stands there."""


@dataclass(frozen=True, slots=True)
class Key:
    """One named key of a local provider."""

    name: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ProviderEntry:
    """One element of a providers list. name and endpoint are a KMS's; path is where it stands in the file."""

    provider: Provider
    keys: tuple[Key, ...] = ()
    name: str = ""
    endpoint: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    resources: tuple[str, ...]
    providers: tuple[ProviderEntry, ...]
    path: str


@dataclass(frozen=True, slots=True)
class Configuration:
    """source: the file's printable name; sha256: of its bytes."""

    source: str
    kind: str
    rules: tuple[Rule, ...]
    sha256: str

    def providers_for(self, resource: str) -> tuple[ProviderEntry, ...] | None:
        """What reads and writes a resource, in order; None where no rule covers it.

        The exact name, else its group's wildcard, else everything's; entries that name the same are concatenated.
        """
        name, group = _split(resource)
        for wanted in ((name, group), ("*", group), ("*", "*")):
            found = [rule for rule in self.rules if wanted in map(_split, rule.resources)]
            if found:
                return tuple(entry for rule in found for entry in rule.providers)
        return None


def load(path: Path) -> Configuration:
    """Read a YAML or JSON file. Raises ConfigurationError."""
    name = printable(os.fsencode(path.name))
    try:
        if not path.is_file():
            raise ConfigurationError(f"{name}: no such file")
        if path.stat().st_size > LARGEST:
            raise ConfigurationError(f"{name}: larger than {LARGEST:,} bytes: no EncryptionConfiguration")
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{name} cannot be read: {error.strerror}") from None
    reader = _Reader(name)
    document = _wrapped(reader, reader.parse(raw))
    top = reader.mapping(document, "", {"apiVersion", "kind", "resources"})
    api_version, kind = reader.text(top, "apiVersion", ""), reader.text(top, "kind", "")
    if (api_version, kind) not in KINDS:
        reader.fail("kind", "expected apiserver.config.k8s.io/v1 EncryptionConfiguration or v1 EncryptionConfig")
    rules = tuple(
        _rule(reader, each, f"resources[{number}]") for number, each in enumerate(reader.sequence(top, "resources", ""))
    )
    _between(reader, rules)
    return Configuration(name, kind, rules, hashlib.sha256(raw).hexdigest())


class _Reader:
    """Plain values out of a YAML tree; every complaint names the file and the path in it, and nothing else."""

    def __init__(self, name: str) -> None:
        self.name = name

    def fail(self, path: str, why: str) -> Any:
        raise ConfigurationError(f"{self.name}: {path or 'the document'}: {why}") from None

    def parse(self, raw: bytes) -> Any:
        import yaml

        where = ""
        try:
            text = raw.decode("utf-8")
            if text.lstrip().startswith("{"):  # JSON may be indented with tabs, YAML may not; its strings hold none
                text = text.replace("\t", " ")
            nodes = list(yaml.compose_all(text, Loader=yaml.BaseLoader))
            for event in yaml.parse(text, Loader=yaml.BaseLoader):
                if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                    self.fail(_where(event.start_mark), "anchors and aliases are not accepted")
        except yaml.MarkedYAMLError as error:
            where = _where(error.problem_mark or error.context_mark)
        except (yaml.YAMLError, RecursionError, ValueError, OverflowError):
            where = "the document"
        if where:
            self.fail(where, "neither YAML nor JSON")
        if len(nodes) != 1:
            self.fail("", f"expected one document, found {len(nodes)}")
        return self._plain(nodes[0], 0)

    def _plain(self, node: Any, depth: int) -> Any:
        import yaml

        line = f"line {node.start_mark.line + 1}"
        if depth > DEEPEST:
            self.fail(line, f"nested deeper than {DEEPEST}")
        if isinstance(node, yaml.MappingNode):
            made: dict[str, Any] = {}
            for key, value in node.value:
                if not isinstance(key, yaml.ScalarNode) or key.value in made:
                    self.fail(line, "a field that is no text, or that stands twice")
                made[key.value] = self._plain(value, depth + 1)
            return {name: each for name, each in made.items() if each is not None}  # as Go: null is absent
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(value, depth + 1) for value in node.value]
        if node.tag == NULL or (node.style is None and node.value in NULLS):
            return None
        return node.value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # as Go: pairs joined

    def mapping(self, value: Any, path: str, fields: set[str]) -> dict[str, Any]:
        if not isinstance(value, dict):
            self.fail(path, "expected an object")
        if value.keys() - fields:
            self.fail(
                path, f"a field that is none of {', '.join(sorted(fields))}; kube-apiserver refuses it since 1.31"
            )
        made: dict[str, Any] = value
        return made

    def sequence(self, value: Mapping[str, Any], name: str, path: str) -> list[Any]:
        path = f"{path}.{name}" if path else name
        found = value.get(name)
        if not isinstance(found, list) or not found:
            self.fail(path, "expected a list of at least one")
        made: list[Any] = value[name]
        return made

    def text(self, value: Mapping[str, Any], name: str, path: str, default: str = "") -> str:
        found = value.get(name, default)
        if not isinstance(found, str):
            self.fail(f"{path}.{name}" if path else name, "expected text")
        made: str = found
        return made


def _where(mark: Any) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark else "the document"


def _wrapped(reader: _Reader, document: Any) -> Any:
    """What OpenShift's Secret `encryption-config-*` wraps, or the document itself."""
    if not isinstance(document, dict) or document.get("kind") != "Secret":
        return document
    for name, coded in (("data", True), ("stringData", False)):
        part = document.get(name)
        inner = part.get("encryption-config") if isinstance(part, dict) else None
        if isinstance(inner, str):
            path = f"{name}.encryption-config"
            return reader.parse(_secret(reader, inner, path) if coded else inner.encode())
    return reader.fail("data.encryption-config", "a Secret that wraps no EncryptionConfiguration")


def _rule(reader: _Reader, value: Any, path: str) -> Rule:
    entry = reader.mapping(value, path, {"resources", "providers"})
    resources = reader.sequence(entry, "resources", path)
    for number, name in enumerate(resources):
        _resource(reader, name, f"{path}.resources[{number}]")
    split = [_split(name) for name in resources]
    for number, (name, group) in enumerate(split):
        at = f"{path}.resources[{number}]"
        others = [other for place, other in enumerate(split) if place != number]
        if (name, group) in others:
            reader.fail(at, "stands twice in this list")
        if name == "*" and any(group in ("*", other[1]) for other in others):
            reader.fail(at, "a wildcard beside what it covers")
    providers = tuple(
        _provider(reader, each, f"{path}.providers[{number}]")
        for number, each in enumerate(reader.sequence(entry, "providers", path))
    )
    return Rule(tuple(resources), providers, path)


def _resource(reader: _Reader, name: Any, path: str) -> None:
    if not isinstance(name, str) or not name:
        reader.fail(path, "expected the name of a resource")
    resource, group = _split(name)
    if name != name.lower():
        reader.fail(path, "capital letters")
    if (
        name == "*"
        or (resource != "*" and "*" in resource)
        or (group != "*" and "*" in group)
        or (group == "*" and resource != "*")
    ):
        reader.fail(path, "a wildcard must be *.GROUP, *. or *.*")
    if resource in REFUSED or group in REFUSED_GROUPS:
        reader.fail(path, "kube-apiserver refuses this resource or group")


def _provider(reader: _Reader, value: Any, path: str) -> ProviderEntry:
    entry = reader.mapping(value, path, {*LOCAL, "identity", "kms"})
    if len(entry) != 1:
        reader.fail(path, f"expected exactly one provider, found {len(entry)}")
    (kind, settings), *_ = entry.items()
    path = f"{path}.{kind}"
    if kind == "identity":
        if settings != {}:
            reader.fail(path, "identity has no settings")
        return ProviderEntry(Provider.IDENTITY, path=path)
    if kind == "kms":
        return _kms(reader, settings, path)
    settings = reader.mapping(settings, path, {"keys"})
    keys = []
    for number, each in enumerate(reader.sequence(settings, "keys", path)):
        at = f"{path}.keys[{number}]"
        key = reader.mapping(each, at, {"name", "secret"})
        name, secret = reader.text(key, "name", at), _secret(reader, reader.text(key, "secret", at), f"{at}.secret")
        if not name:
            reader.fail(f"{at}.name", "empty")
        if len(secret) not in SIZES[kind]:
            expected = " or ".join(map(str, SIZES[kind]))
            reader.fail(f"{at}.secret", f"{len(secret)} bytes, expected {expected}")
        keys.append(Key(name, secret))
    return ProviderEntry(LOCAL[kind], tuple(keys), path=path)


def _secret(reader: _Reader, text: str, path: str) -> bytes:
    try:
        return base64.b64decode(text.replace("\r", "").replace("\n", ""), validate=True)
    except (binascii.Error, ValueError):
        pass
    reader.fail(path, "not standard base64 with padding")
    return b""


def _kms(reader: _Reader, value: Any, path: str) -> ProviderEntry:
    settings = reader.mapping(value, path, {"apiVersion", "name", "cachesize", "endpoint", "timeout"})
    version = reader.text(settings, "apiVersion", path) or "v1"
    name, endpoint = reader.text(settings, "name", path), reader.text(settings, "endpoint", path)
    if version not in {"v1", "v2"}:
        reader.fail(f"{path}.apiVersion", "expected v1 or v2")
    if not name or (version == "v2" and ":" in name):
        reader.fail(f"{path}.name", "empty, or a colon in the name of a KMS v2")
    if not endpoint.startswith("unix:"):
        reader.fail(f"{path}.endpoint", "expected unix:///path")
    cache = reader.text(settings, "cachesize", path)
    if cache and (version == "v2" or not re.fullmatch(r"-?\d{1,10}", cache) or int(cache) == 0):
        reader.fail(f"{path}.cachesize", "a whole number other than 0, and only for KMS v1")
    timeout = reader.text(settings, "timeout", path, "3s")
    if not _DURATION.match(timeout) or not re.search(r"[1-9]", timeout):
        reader.fail(f"{path}.timeout", "expected a duration above 0, such as 3s")
    provider = Provider.KMS_V1 if version == "v1" else Provider.KMS_V2
    return ProviderEntry(provider, name=name, endpoint=endpoint, path=path)


def _between(reader: _Reader, rules: tuple[Rule, ...]) -> None:
    """What holds between entries: KMS v2 names are unique, and no rule is masked by an earlier wildcard."""
    names: set[str] = set()
    for rule in rules:
        for entry in rule.providers:
            if entry.provider is Provider.KMS_V2 and entry.name in names:
                reader.fail(f"{entry.path}.name", "the name of a KMS v2 must be unique in the file")
            if entry.provider in {Provider.KMS_V1, Provider.KMS_V2}:
                names.add(entry.name)
    wild: list[str] = []
    for rule in rules:
        for name in rule.resources:
            _, group = _split(name)
            if any(each in {"*", group} for each in wild):
                reader.fail(rule.path, "masked by an earlier rule: kube-apiserver refuses to start")
        wild += [group for resource, group in map(_split, rule.resources) if resource == "*"]


def _split(name: str) -> tuple[str, str]:
    """Resource and group; the core group is empty."""
    resource, _, group = name.partition(".")
    return resource, group
