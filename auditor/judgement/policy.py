"""The policy: every value of the selected resources must be encrypted. Values that break it get findings.

The policy knows neither files nor formats, only columns of providers and places.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.dtypes import Bools
from auditor.encryption.configuration import Configuration, ProviderEntry
from auditor.encryption.published import PUBLISHED
from auditor.model.vocabulary import KMS_PROVIDERS, FindingKind, Provider, Severity
from auditor.text import printable

if TYPE_CHECKING:
    from auditor.encryption.keyring import Candidate

FIXED = {
    FindingKind.KNOWN_KEY: Severity.CRITICAL,
    FindingKind.KEY_PRESENT: Severity.CRITICAL,
    FindingKind.COPIED_VALUE: Severity.HIGH,
    FindingKind.MISPLACED: Severity.HIGH,
    FindingKind.UNDECRYPTABLE: Severity.HIGH,
    FindingKind.ORPHANED: Severity.HIGH,
    FindingKind.UNRECOGNISED: Severity.MEDIUM,
    FindingKind.STALE_PROVIDER: Severity.MEDIUM,
    FindingKind.STALE_KEY: Severity.MEDIUM,
    FindingKind.STALE_KEK: Severity.MEDIUM,
    FindingKind.WEAK_PROVIDER: Severity.LOW,
}
WEAK = {
    Provider.AESCBC: "aescbc is unauthenticated (CIS accepts it)",
    Provider.KMS_V1: "kms v1 is deprecated",
}


@dataclass(frozen=True, slots=True)
class Policy:
    """Requirements beside encryption: of the configurations, `--expect` and `--compromised-key`."""

    configurations: tuple[Configuration, ...] = ()
    """Configurations of the API servers."""
    expected: tuple[Provider, str] | None = None
    """Write provider and key name by --expect, for the resources of the options."""
    plaintext: bool = False
    """Whether values must be readable (--expect plaintext, a decryption migration)."""
    compromised: frozenset[tuple[Provider, str]] = frozenset()
    """Provider and name of the keys that others have."""
    neighbours: Mapping[bytes, str] = field(default_factory=dict, repr=False, compare=False)
    """Place of each key in another object that lies with the evidence, by the key's bytes."""

    @property
    def configured(self) -> bool:
        """Whether there is a configuration."""
        return bool(self.configurations)

    def covers(self, resource: str) -> bool:
        """Whether a configuration says that this resource is written encrypted."""
        return bool(resource) and any(
            entries is not None and entries[0].provider is not Provider.IDENTITY
            for configuration in self.configurations
            for entries in (configuration.providers_for(resource),)
        )

    def covers_all(self, resources: Sequence[str]) -> bool:
        """Whether every configuration covers each; of `*`, all that there are, by a rule for `*.*`."""
        alone = [replace(self, configurations=(each,)) for each in self.configurations]
        return bool(alone) and all(
            "*.*" in own.encrypted if name == "*" else own.covers(name) for own in alone for name in resources
        )

    @property
    def encrypted(self) -> frozenset[str]:
        """The names of resources, and the wildcards, that a configuration writes encrypted."""
        return frozenset(
            name
            for configuration in self.configurations
            for rule in configuration.rules
            if rule.providers and rule.providers[0].provider is not Provider.IDENTITY
            for name in rule.resources
        )

    @property
    def names(self) -> frozenset[str]:
        """The names of resources, and the wildcards, of every rule."""
        rules = (rule for configuration in self.configurations for rule in configuration.rules)
        return frozenset(name for rule in rules for name in rule.resources)

    def serves(self, resource: str) -> bool:
        """Whether a configuration is of an API server that may write this resource."""
        return any(configuration.serves(resource) for configuration in self.configurations)

    def may_cover(self, resource: str) -> bool:
        """Whether some rule could be of a resource whose group is not known."""
        return any(name.partition(".")[0] in {"*", resource} for name in self.names)

    def covers_any(self, resource: str) -> bool:
        """Whether a resource is written encrypted whatever its group is, which is not known: by `*.*` alone."""
        return self.covers(resource) and not any(
            name.partition(".")[0] in {"*", resource} for name in self.names - {"*.*"}
        )

    def write(self, resource: str) -> tuple[Provider, str, bytes] | None:
        """Provider, key name and key that write this resource today; None where they are not known."""
        for configuration in self.configurations:
            entries = configuration.providers_for(resource)
            if entries:
                first = entries[0]
                key = first.keys[0] if first.keys else None
                return first.provider, key.name if key else first.name, key.secret if key else b""
        return (*self.expected, b"") if self.expected else None

    def contradiction(self, resources: Sequence[str]) -> str:
        """A configuration that writes what --expect rules out, and what that is; empty where both can hold.

        resources: those of the options, which --expect is of; `*` for all that a configuration names.
        """
        if not self.plaintext and self.expected is None:
            return ""
        for configuration in self.configurations:
            named = [name for rule in configuration.rules for name in rule.resources]
            for resource in named if "*" in resources else resources:
                entries = configuration.providers_for(resource.rstrip("."))
                if entries and (writes := self._ruled_out(entries[0])):
                    return f"{configuration.source} writes {printable(resource.encode())} as {writes}"
        return ""

    def _ruled_out(self, entry: ProviderEntry) -> str:
        """What a provider writes, where --expect rules it out; else empty."""
        name = entry.keys[0].name if entry.keys else entry.name
        writes = entry.provider.label + (f"/{printable(name.encode())}" if name else "")
        if self.plaintext:
            return "" if entry.provider is Provider.IDENTITY else writes
        provider, expected = self.expected or (entry.provider, "")
        return "" if entry.provider is provider and expected in {"", name} else writes

    def reads_plaintext(self, resource: str) -> bool:
        """Whether an API server under these configurations can read a plain value: only with identity listed."""
        for configuration in self.configurations:
            entries = configuration.providers_for(resource)
            if entries is not None and not any(entry.provider is Provider.IDENTITY for entry in entries):
                return False
        return True

    def stale(self, resource: str, label: tuple[Provider, str], secret: bytes) -> int:
        """The finding of a current encrypted value that the write provider would write otherwise; 0 where it would not.

        Args:
            resource: name of the value's resource.
            label: provider and key name of the value.
            secret: the local key that opens the value; empty where it is not known.
        """
        if self.plaintext:
            return FindingKind.STALE_PROVIDER
        write = self.write(resource)
        if write is None or write[0] is Provider.IDENTITY:
            return 0
        provider, name, key = write
        if label[0] is not provider:
            return FindingKind.STALE_PROVIDER
        if name and label[1] and label[1] != name:
            # a KMS plugin of another name is another provider; keys of a local provider differ by name
            return FindingKind.STALE_PROVIDER if provider in KMS_PROVIDERS else FindingKind.STALE_KEY
        return FindingKind.STALE_KEY if secret and key and secret != key else 0

    def known(self, candidate: "Candidate") -> str:
        """Why others have the key that opens a value; empty where it is not known that they do."""
        if candidate.secret in PUBLISHED:
            return f"decrypts with a published key ({PUBLISHED[candidate.secret]})"
        if candidate.secret in self.neighbours:
            return f"decrypts with the key in {self.neighbours[candidate.secret]}"
        return "its key was named by --compromised-key" if candidate.label in self.compromised else ""

    def words(self, resources: Sequence[str]) -> str:
        """The policy as one line of the report."""
        names = ", ".join(resources)
        if self.plaintext:
            return f"{names} not encrypted (--expect plaintext)"
        if not self.configurations and self.expected is None:
            return f"{names} encrypted by something other than identity; no configuration given"
        written = sorted(self.names) if "*" in resources else resources
        targets = {write[:2]: None for name in written for write in (self.write(name),) if write is not None}
        keys = ", ".join(
            "/".join(part for part in (provider.label, printable(name.encode())) if part) for provider, name in targets
        )
        files = ", ".join(configuration.source for configuration in self.configurations) or "--expect"
        return f"{names} encrypted; write key {keys or 'none'} ({files})"


def judge(provider: NDArray[np.uint8], malformed: Bools, *, plaintext: bool = False) -> NDArray[np.uint16]:
    """Bits of the findings of each value of a resource that must be encrypted; columns of shape (n,).

    Args:
        provider: provider of each value.
        malformed: whether the payload of each value is malformed.
        plaintext: whether the policy expects readable values (a decryption migration).
    """
    bits = np.zeros(provider.shape, np.uint16)
    if not plaintext:
        bits[provider == Provider.IDENTITY] |= np.uint16(FindingKind.PLAINTEXT)
    bits[(provider == Provider.UNKNOWN) | malformed] |= np.uint16(FindingKind.UNRECOGNISED)
    for weak in WEAK:
        bits[(provider == weak) & ~malformed] |= np.uint16(FindingKind.WEAK_PROVIDER)
    return bits


def severity(finding: FindingKind, *, current: bool, same_as_latest: bool) -> Severity:
    """The severity of a finding. A readable value is critical if it is current, or has the current value's content.

    Args:
        finding: kind of finding.
        current: whether the API server reads the value, or would.
        same_as_latest: whether a leftover holds something that is current.
    """
    if finding is FindingKind.PLAINTEXT:
        return Severity.CRITICAL if current or same_as_latest else Severity.HIGH
    return FIXED[finding]
