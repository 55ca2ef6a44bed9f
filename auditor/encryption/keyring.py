"""The keyring: all keys and plugins to open values with, tried in the API server's order.

Source: k8s.io/apiserver pkg/storage/value/transformer.go (prefixTransformers): among the providers of a resource, and
among the keys of a provider, those with a matching prefix are tried in order until one opens the value.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from auditor.encryption.configuration import Configuration, ProviderEntry
from auditor.encryption.envelope import GCM_KEY, KmsV1, KmsV2
from auditor.encryption.kms.interface import KmsMismatch, KmsRefused, KmsUntried, Unwrapper
from auditor.encryption.transformers import TRANSFORMERS, AesCbc, AssociatedData, Transformer, encoding
from auditor.errors import AuditorError
from auditor.model.vocabulary import Encoding, Opened, Provider
from auditor.text import encode

CBC = "CBC"
FORMS: dict[Provider, dict[str, Callable[[Unwrapper], Transformer]]] = {
    Provider.KMS_V1: {"GCM": KmsV1, CBC: partial(KmsV1, body=AesCbc)},
    Provider.KMS_V2: {"seed": KmsV2, "key": partial(KmsV2, kind=GCM_KEY)},
}
"""Forms of a KMS's values in the order of trial: the cipher of the body, or the type of the wrapped source."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One key that may have written a value, compared by identity: a keyring holds each key once."""

    provider: Provider
    """Provider of the key."""
    name: str
    """Name of the key or KMS plugin."""
    prefix: bytes
    """Prefix of the values that the key writes."""
    transformer: Transformer | None = field(repr=False)
    """Cipher of the key; None where neither --kms-plugin nor --kms names its KMS."""
    secret: bytes = field(repr=False, default=b"")
    """The local key's bytes; empty for a KMS."""
    form: str = ""
    """Form of a KMS's values that it reads, a key of FORMS; empty for local keys."""
    tentative: bool = False
    """Whether nobody says that it is the key of these values: where it does not open one, nothing is wrong."""

    @property
    def aged(self) -> bool:
        """Whether its values are stale to kube-apiserver, whatever key wrote them (unionTransformers)."""
        return self.form == CBC

    @property
    def label(self) -> tuple[Provider, str]:
        """Provider and name."""
        return self.provider, self.name

    def opens(self, key: bytes, value: bytes) -> bool:
        """Whether this local key opens a value to the beginning of an object."""
        if self.transformer is None or not value.startswith(self.prefix):
            return False
        plaintext = self.transformer.open(value[len(self.prefix) :], key)
        return plaintext is not None and bool(encoding(plaintext))


class Attempt(NamedTuple):
    """The outcome of opening one value."""

    opened: Opened
    """The outcome."""
    by: Candidate | None = None
    """Candidate that opened the value, or whose name the value has."""
    reason: str = ""
    """Reason for the outcome; empty where the outcome says all."""
    plaintext: bytes = b""
    """Bytes of the opened value."""
    encoding: Encoding = Encoding.NONE
    """Encoding of the opened value."""

    def __repr__(self) -> str:
        return "Attempt(...)"


class Keyring:
    """The keys of the configurations, and the KMS plugins that may be called.

    `others`: further entries, tried after these; `tentative`: keys that may be of other values, tried last.
    """

    def __init__(
        self,
        configurations: Sequence[Configuration],
        plugins: Mapping[tuple[Provider, str], Unwrapper],
        others: Sequence[ProviderEntry] = (),
        tentative: Sequence[ProviderEntry] = (),
    ) -> None:
        self._configurations = configurations
        self._plugins = plugins
        self.others, self.tentative = tuple(others), tuple(tentative)
        self._distinct: dict[tuple[Provider, str, bytes, str], Candidate] = {}
        self._rules: dict[str, tuple[Candidate, ...]] = {}
        self._orders: dict[str, tuple[Candidate, ...]] = {}
        entries = [entry for configuration in configurations for entry in configuration.providers]
        plugin_entries = [ProviderEntry(provider, name=name) for provider, name in plugins]
        self._every = self._candidates([*entries, *plugin_entries, *others])
        self._every += self._candidates(tentative, tentative=True)

    def extended(self, entries: Sequence[ProviderEntry]) -> "Keyring":
        """A keyring with further entries, tried after all others."""
        return Keyring(self._configurations, self._plugins, (*self.others, *entries), self.tentative)

    def with_tentative(self, entries: Sequence[ProviderEntry]) -> "Keyring":
        """A keyring with further keys that may be of other values: a failure of one of these says nothing."""
        return Keyring(self._configurations, self._plugins, self.others, (*self.tentative, *entries))

    def with_unwrappers(self, unwrappers: Mapping[tuple[Provider, str], Unwrapper]) -> "Keyring":
        """A keyring with further KMSes, by provider and name, in the place of plugins of the same."""
        return Keyring(self._configurations, {**self._plugins, **unwrappers}, self.others, self.tentative)

    def rule(self, resource: str) -> tuple[Candidate, ...]:
        """The candidates of the rules that cover a resource, in trial order; without identity."""
        if resource not in self._rules:
            lists = [configuration.providers_for(resource) or () for configuration in self._configurations]
            self._rules[resource] = self._candidates([entry for entries in lists for entry in entries])
        return self._rules[resource]

    def order(self, resource: str) -> tuple[Candidate, ...]:
        """The candidates of rule(), then all others: an auditor may read values that the API server cannot."""
        if resource not in self._orders:
            self._orders[resource] = tuple(dict.fromkeys((*self.rule(resource), *self._every)))
        return self._orders[resource]

    def knows(self, value: bytes) -> bool:
        """Whether a value has the prefix of a key, or of a KMS, that some configuration or option names."""
        return any(value.startswith(candidate.prefix) for candidate in self._every)

    def open(self, resource: str, keys: Sequence[AssociatedData], stored: Sequence[bytes]) -> list[Attempt]:
        """Try the keys whose prefix a value has, in the order of trial.

        Args:
            resource: name of the values' resource.
            keys: etcd key of each value, or those that it may have.
            stored: the stored values.
        """
        attempts: dict[int, Attempt] = {}
        matching: dict[int, list[Candidate]] = {}
        failures: dict[int, str] = {}
        reasons: dict[int, tuple[Opened, str]] = {}
        for candidate in self.order(resource):
            prefix = candidate.prefix
            rows = [row for row, value in enumerate(stored) if row not in attempts and value.startswith(prefix)]
            for row in rows if not candidate.tentative else ():
                matching.setdefault(row, []).append(candidate)
            if candidate.transformer is None or not rows:
                continue
            payloads = [stored[row][len(prefix) :] for row in rows]
            plaintexts = _opened(candidate.transformer, payloads, [keys[row] for row in rows])
            for row, opened in zip(rows, plaintexts, strict=True):
                if isinstance(opened, KmsMismatch):
                    failures[row] = str(opened)
                elif isinstance(opened, KmsRefused):
                    failures[row] = f"KMS plugin {candidate.name} refuses its data key"
                elif isinstance(opened, AuditorError):
                    untried = isinstance(opened, KmsUntried)
                    reasons[row] = (Opened.NOT_TRIED if untried else Opened.NO_KEY, str(opened))
                elif opened is not None and (kind := encoding(opened)):
                    attempts[row] = Attempt(Opened.YES, candidate, "", opened, kind)
                elif opened is not None and not candidate.tentative:
                    failures[row] = "decrypts to nonsense"
        return [
            attempts.get(row) or _failed(matching.get(row, []), failures.get(row, ""), reasons.get(row))
            for row in range(len(stored))
        ]

    def _candidates(self, entries: Sequence[ProviderEntry], *, tentative: bool = False) -> tuple[Candidate, ...]:
        candidates: dict[Candidate, None] = {}
        for entry in entries:
            for key in entry.keys:
                candidates[self._candidate(entry.provider, key.name, key.secret, tentative=tentative)] = None
            for form in FORMS.get(entry.provider, ()):
                candidates[self._candidate(entry.provider, entry.name, b"", form)] = None
        return tuple(candidates)

    def _candidate(
        self, provider: Provider, name: str, secret: bytes, form: str = "", *, tentative: bool = False
    ) -> Candidate:
        identity = (provider, name, secret, form)
        if identity not in self._distinct:
            transformer: Transformer | None = None
            if provider in TRANSFORMERS:
                transformer = TRANSFORMERS[provider](secret)
            elif (plugin := self._plugins.get((provider, name))) is not None:
                transformer = FORMS[provider][form](plugin)
            prefix = encode(f"k8s:enc:{provider.prefix}{name}:")
            self._distinct[identity] = Candidate(
                provider=provider,
                name=name,
                prefix=prefix,
                transformer=transformer,
                secret=secret,
                form=form,
                tentative=tentative,
            )
        return self._distinct[identity]


def _opened(
    transformer: Transformer, payloads: Sequence[bytes], keys: Sequence[AssociatedData]
) -> Sequence[bytes | AuditorError | None]:
    """The plaintext of each payload; None where the key does not open it, an error where it could not be tried."""
    if isinstance(transformer, AesCbc):
        return transformer.open_all(payloads)
    plaintexts: list[bytes | AuditorError | None] = []
    for payload, key in zip(payloads, keys, strict=True):
        try:
            plaintexts.append(transformer.open(payload, key))
        except AuditorError as error:
            plaintexts.append(error.with_traceback(None))  # a traceback keeps this call and all its payloads alive
    return plaintexts


def _failed(matching: Sequence[Candidate], failure: str, reason: tuple[Opened, str] | None) -> Attempt:
    """The outcome for a value that no key opened. matching: the candidates whose prefix it has."""
    if not matching:
        return Attempt(Opened.NO_KEY)
    longest = max(matching, key=lambda candidate: len(candidate.prefix))
    if all(candidate.transformer is None for candidate in matching):
        reason = (Opened.NO_KEY, f"KMS plugin {longest.name} was not named by --kms-plugin")
    failure = failure or "the supplied key does not decrypt it"
    if reason is None:
        return Attempt(Opened.FAILED, longest, failure)
    outcome, text = reason
    return Attempt(outcome, longest, text)
