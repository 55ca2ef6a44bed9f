"""All that was supplied to open values with, tried in the API server's order.

Source: k8s.io/apiserver pkg/storage/value/transformer.go (prefixTransformers): of the providers of a resource, and
of the keys of a provider, each whose prefix matches is tried in order until one opens the value.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from auditor.encryption.configuration import Configuration, ProviderEntry
from auditor.encryption.envelope import GCM_KEY, KmsV1, KmsV2, Unwrapper
from auditor.encryption.kms import KmsRefused
from auditor.encryption.transformers import TRANSFORMERS, AesCbc, Transformer, encoding
from auditor.errors import AuditorError
from auditor.model import Encoding, Opened, Provider

_SPELLED = {
    Provider.AESCBC: "aescbc:v1",
    Provider.AESGCM: "aesgcm:v1",
    Provider.SECRETBOX: "secretbox:v1",
    Provider.KMS_V1: "kms:v1",
    Provider.KMS_V2: "kms:v2",
}
CBC = "CBC"
FORMS: dict[Provider, dict[str, Callable[[Unwrapper], Transformer]]] = {
    Provider.KMS_V1: {"GCM": KmsV1, CBC: partial(KmsV1, body=AesCbc)},
    Provider.KMS_V2: {"seed": KmsV2, "key": partial(KmsV2, kind=GCM_KEY)},
}
"""What a KMS's values may hold, in the order of trial: in which cipher the body, or what is wrapped."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One key that a value may have been written with. transformer: None where its plugin was not named to us.

    form: which of a KMS's two forms of value it reads; empty for local keys.
    """

    provider: Provider
    name: str
    prefix: bytes
    transformer: Transformer | None = field(repr=False)
    secret: bytes = field(repr=False, default=b"")
    form: str = ""

    @property
    def aged(self) -> bool:
        """Whether it reads what kube-apiserver's reader calls stale, whoever wrote it (unionTransformers)."""
        return self.form == CBC

    @property
    def label(self) -> tuple[Provider, str]:
        return self.provider, self.name

    def opens(self, key: bytes, value: bytes) -> bool:
        """Whether this local key opens a value to something that begins as an object does."""
        if self.transformer is None or not value.startswith(self.prefix):
            return False
        plaintext = self.transformer.open(value[len(self.prefix) :], key)
        return plaintext is not None and bool(encoding(plaintext))


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of opening one value. by: the candidate that opened it, or whose name it has."""

    opened: Opened
    by: Candidate | None = None
    reason: str = ""
    plaintext: bytes = field(repr=False, default=b"")
    encoding: Encoding = Encoding.NONE


class Keyring:
    """The keys of the configurations, and the KMS plugins that may be called. more: keys from elsewhere, tried last."""

    def __init__(
        self,
        configurations: Sequence[Configuration],
        plugins: Mapping[tuple[Provider, str], Unwrapper],
        more: Sequence[ProviderEntry] = (),
    ) -> None:
        self._configurations = configurations
        self._plugins = plugins
        self._made: dict[tuple[Provider, str, bytes, str], Candidate] = {}
        self._rules: dict[str, tuple[Candidate, ...]] = {}
        self._orders: dict[str, tuple[Candidate, ...]] = {}
        entries = [entry for each in configurations for rule in each.rules for entry in rule.providers]
        named = [ProviderEntry(provider, name=name) for provider, name in plugins]
        self._every = self._candidates([*entries, *named, *more])

    def rule(self, resource: str) -> tuple[Candidate, ...]:
        """The candidates of the rules that cover a resource, in trial order; without identity."""
        if resource not in self._rules:
            lists = [each.providers_for(resource) or () for each in self._configurations]
            self._rules[resource] = self._candidates([entry for entries in lists for entry in entries])
        return self._rules[resource]

    def order(self, resource: str) -> tuple[Candidate, ...]:
        """Those, and then all others: an auditor may read what the API server cannot."""
        if resource not in self._orders:
            self._orders[resource] = tuple(dict.fromkeys((*self.rule(resource), *self._every)))
        return self._orders[resource]

    def open(self, resource: str, key: bytes, value: bytes) -> Attempt:
        """Try each key whose prefix the value has, in the order of trial."""
        mine = [each for each in self.order(resource) if value.startswith(each.prefix)]
        failure, reason = "the supplied key does not open it", ""
        for each in mine:
            if each.transformer is None:
                continue
            try:
                plaintext = each.transformer.open(value[len(each.prefix) :], key)
            except KmsRefused:
                failure = f"KMS plugin {each.name} refuses its data key"
            except AuditorError as error:
                reason = str(error)
            else:
                if plaintext is not None and (kind := encoding(plaintext)):
                    return Attempt(Opened.YES, each, "", plaintext, kind)
                failure = failure if plaintext is None else "opens to nonsense"
        if not mine:
            return Attempt(Opened.NO_KEY)
        longest = max(mine, key=lambda each: len(each.prefix))
        if all(each.transformer is None for each in mine):
            reason = f"KMS plugin {longest.name} was not named by --kms-plugin"
        return Attempt(Opened.NO_KEY, longest, reason) if reason else Attempt(Opened.FAILED, longest, failure)

    def _candidates(self, entries: Sequence[ProviderEntry]) -> tuple[Candidate, ...]:
        found: dict[Candidate, None] = {}
        for entry in entries:
            for key in entry.keys:
                found[self._make(entry.provider, key.name, key.secret)] = None
            for form in FORMS.get(entry.provider, ()):
                found[self._make(entry.provider, entry.name, b"", form)] = None
        return tuple(found)

    def _make(self, provider: Provider, name: str, secret: bytes, form: str = "") -> Candidate:
        known = (provider, name, secret, form)
        if known not in self._made:
            transformer: Transformer | None = None
            if provider in TRANSFORMERS:
                transformer = TRANSFORMERS[provider](secret)
            elif (plugin := self._plugins.get((provider, name))) is not None:
                transformer = FORMS[provider][form](plugin)
            prefix = f"k8s:enc:{_SPELLED[provider]}:{name}:".encode("utf-8", "surrogateescape")
            self._made[known] = Candidate(provider, name, prefix, transformer, secret, form)
        return self._made[known]
