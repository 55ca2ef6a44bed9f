"""All that was supplied to open values with, tried in the API server's order.

Source: k8s.io/apiserver pkg/storage/value/transformer.go (prefixTransformers): of the providers of a resource, and
of the keys of a provider, each whose prefix matches is tried in order until one opens the value.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from auditor.encryption.configuration import Configuration, ProviderEntry
from auditor.encryption.envelope import KmsV1, KmsV2, Unwrapper
from auditor.encryption.kms import KmsRefused
from auditor.encryption.transformers import AesCbc, AesGcm, SecretBox, Transformer
from auditor.errors import AuditorError
from auditor.model import Opened, Provider

_SPELLED = {
    Provider.AESCBC: "aescbc:v1",
    Provider.AESGCM: "aesgcm:v1",
    Provider.SECRETBOX: "secretbox:v1",
    Provider.KMS_V1: "kms:v1",
    Provider.KMS_V2: "kms:v2",
}
_LOCAL: dict[Provider, type[AesCbc | AesGcm | SecretBox]] = {
    Provider.AESCBC: AesCbc,
    Provider.AESGCM: AesGcm,
    Provider.SECRETBOX: SecretBox,
}
MAGIC = (b"k8s\0", b"{", b"\xd9\xd9\xf7")
"""What every opened value begins with: without it a padding that fits proves nothing."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One key that a value may have been written with. transformer: None where its plugin was not named to us."""

    provider: Provider
    name: str
    prefix: bytes
    transformer: Transformer | None = field(repr=False)
    secret: bytes = field(repr=False, default=b"")

    @property
    def label(self) -> tuple[Provider, str]:
        return self.provider, self.name


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of opening one value. by: the candidate that opened it, or whose name it has."""

    opened: Opened
    plaintext: bytes | None = field(repr=False, default=None)
    by: Candidate | None = None
    reason: str = ""


class Keyring:
    """The keys of the configurations, and the KMS plugins that may be called."""

    def __init__(
        self, configurations: Sequence[Configuration], plugins: Mapping[tuple[Provider, str], Unwrapper]
    ) -> None:
        self._configurations = configurations
        self._plugins = plugins
        self._made: dict[tuple[Provider, str, bytes], Candidate] = {}
        self._rules: dict[str, tuple[Candidate, ...]] = {}
        self._every = self._candidates(
            [entry for each in configurations for rule in each.rules for entry in rule.providers]
            + [ProviderEntry(provider, name=name, path="--kms-plugin") for provider, name in plugins]
        )

    def rule(self, resource: str) -> tuple[Candidate, ...]:
        """The candidates of the rules that cover a resource, in trial order; without identity."""
        if resource not in self._rules:
            entries = [
                entry
                for each in self._configurations
                for entry in each.providers_for(resource) or ()
                if entry is not None
            ]
            self._rules[resource] = self._candidates(entries)
        return self._rules[resource]

    def open(self, resource: str, key: bytes, value: bytes) -> Attempt:
        """Try the keys of the resource's rule, then all others: an auditor may read what the API server cannot."""
        mine = [each for each in self.rule(resource) if value.startswith(each.prefix)]
        mine += [each for each in self._every if value.startswith(each.prefix) and each not in mine]
        if not mine:
            return Attempt(Opened.NO_KEY)
        longest = max(mine, key=lambda each: len(each.prefix))
        reason = ""
        nonsense = refused = False
        for each in mine:
            if each.transformer is None:
                continue
            try:
                plaintext = each.transformer.open(value[len(each.prefix) :], key)
            except KmsRefused:
                refused = True
                continue
            except AuditorError as error:
                reason = str(error)
                continue
            if plaintext is not None and plaintext.startswith(MAGIC):
                return Attempt(Opened.YES, plaintext, each)
            nonsense |= plaintext is not None
        if all(each.transformer is None for each in mine):
            return Attempt(Opened.NO_KEY, by=longest, reason=f"KMS plugin {longest.name} was not named by --kms-plugin")
        if reason:
            return Attempt(Opened.NO_KEY, by=longest, reason=reason)
        failure = "opens to nonsense" if nonsense else "the supplied key does not open it"
        if refused:
            failure = f"KMS plugin {longest.name} refuses its data key"
        return Attempt(Opened.FAILED, by=longest, reason=failure)

    def _candidates(self, entries: Sequence[ProviderEntry]) -> tuple[Candidate, ...]:
        found: dict[Candidate, None] = {}
        for entry in entries:
            if entry.provider in _LOCAL:
                for key in entry.keys:
                    found[self._make(entry.provider, key.name, key.secret)] = None
            elif entry.provider is not Provider.IDENTITY:
                found[self._make(entry.provider, entry.name, b"")] = None
        return tuple(found)

    def _make(self, provider: Provider, name: str, secret: bytes) -> Candidate:
        known = (provider, name, secret)
        if known not in self._made:
            transformer: Transformer | None
            if provider in _LOCAL:
                transformer = _LOCAL[provider](secret)
            elif (plugin := self._plugins.get((provider, name))) is None:
                transformer = None
            else:
                transformer = KmsV1(plugin) if provider is Provider.KMS_V1 else KmsV2(plugin)
            prefix = f"k8s:enc:{_SPELLED[provider]}:{name}:".encode("utf-8", "surrogateescape")
            self._made[known] = Candidate(provider, name, prefix, transformer, secret)
        return self._made[known]
