"""What kube-apiserver accepts in a configuration and an auditor must not pass over."""

import base64
import string
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from auditor.encryption.configuration import Configuration, Key, ProviderEntry
from auditor.model import Provider, Severity
from auditor.storage.resources import BUILT_IN
from auditor.text import printable

PUBLISHED = frozenset(
    base64.b64decode(text)
    for text in (
        "c2VjcmV0IGlzIHNlY3VyZQ==",  # k8s.io/apiserver, comments of types_encryption.go
        "dGhpcyBpcyBwYXNzd29yZA==",  # Kubernetes documentation
        "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXoxMjM0NTY=",  # Kubernetes documentation
        "AAAAAAAAAAAAAAAAAAAAAA==",  # OpenShift's marker of identity mode
    )
)
"""Keys that anyone can look up."""
_PRINTABLE = frozenset(string.printable.encode())


@dataclass(frozen=True, slots=True)
class Advice:
    """judged: whether it is a finding; else it is only noted."""

    severity: Severity
    path: str
    text: str
    judged: bool = True


def advise(configuration: Configuration, resources: Collection[str], must: Collection[str]) -> list[Advice]:
    """Of one file, given the resources seen in the evidence and those that must be encrypted."""
    known = {*BUILT_IN.values(), *resources}
    said = []
    for name in sorted(set(must) - {"*"}):
        entries = configuration.providers_for(name)
        if entries is None:
            said.append(Advice(Severity.HIGH, "resources", f"no rule covers {name}: it is written in plain"))
        elif entries[0].provider is Provider.IDENTITY:
            said.append(Advice(Severity.HIGH, entries[0].path, f"identity is first: {name} is written in plain"))
    covered = {entry.path for name in must for entry in (configuration.providers_for(name) or ())[:1]}
    for rule in configuration.rules:
        first = rule.providers[0]
        if first.provider is Provider.IDENTITY and first.path not in covered:
            said.append(
                Advice(Severity.MEDIUM, first.path, "identity is first: what this rule covers is written in plain")
            )
        for number, name in enumerate(rule.resources):
            if not name.startswith("*") and name.rstrip(".") not in known:
                path = f"{rule.path}.resources[{number}]"
                shown = printable(name.encode("utf-8", "surrogateescape"))
                text = f"{shown} is no resource known or seen: it protects nothing"
                said.append(Advice(Severity.MEDIUM, path, text))
        listed = [entry for entry in rule.providers[1:] if entry.provider is Provider.IDENTITY]
        said += [
            Advice(
                Severity.LOW,
                entry.path,
                "identity is still listed: plain values stay readable to the API server",
                judged=False,
            )
            for entry in listed
            if first.provider is not Provider.IDENTITY
        ]
        for entry in rule.providers:
            said += _of_keys(entry)
    return said


def _of_keys(entry: ProviderEntry) -> Iterator[Advice]:
    seen: dict[str, Key] = {}
    secrets: dict[bytes, str] = {}
    for number, key in enumerate(entry.keys):
        path = f"{entry.path}.keys[{number}]"
        if key.name in seen:
            yield Advice(
                Severity.MEDIUM, f"{path}.name", "two keys of one name: which of them wrote a value cannot be told"
            )
        if secrets.get(key.secret, key.name) != key.name:
            yield Advice(
                Severity.MEDIUM, f"{path}.secret", "the same key under two names: rotating to it changes nothing"
            )
        if key.secret in PUBLISHED:
            yield Advice(Severity.HIGH, f"{path}.secret", "a published key: anyone can open what it encrypts")
        elif set(key.secret) <= _PRINTABLE:
            yield Advice(
                Severity.MEDIUM, f"{path}.secret", "all bytes are printable: a passphrase, weaker than its length"
            )
        seen[key.name] = key
        secrets[key.secret] = key.name


def differences(configurations: Sequence[Configuration], must: Collection[str]) -> list[Advice]:
    """Of several API servers: a resource that they do not write with the same provider and key."""
    said = []
    for name in sorted(set(must) - {"*"}):
        writers = {_writer(each.providers_for(name)) for each in configurations}
        if len(writers) > 1:
            text = f"the configurations write {name} with different providers or keys"
            said.append(Advice(Severity.HIGH, "resources", text))
    return said


def _writer(entries: tuple[ProviderEntry, ...] | None) -> tuple[Provider, str, bytes]:
    if not entries:
        return Provider.IDENTITY, "", b""
    first = entries[0]
    return first.provider, first.keys[0].name if first.keys else first.name, first.keys[0].secret if first.keys else b""
