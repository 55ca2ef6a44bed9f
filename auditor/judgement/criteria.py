"""From options to what values are opened and judged with: configurations read, plugins named, keys made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from auditor.encryption import published_trial
from auditor.encryption.configuration import Configuration, ProviderEntry, load
from auditor.encryption.lint import Advice, advise, differences
from auditor.encryption.published import PUBLISHED
from auditor.errors import UsageError
from auditor.evidence.batch import RecordBatch
from auditor.judgement.policy import Policy
from auditor.kubernetes.prefixes import Prefixes
from auditor.model.vocabulary import Provider
from auditor.options import Options
from auditor.text import shown

if TYPE_CHECKING:
    from auditor.encryption.keyring import Keyring
    from auditor.encryption.kms import Plugin

NAMED = {provider.label.replace(" ", "-"): provider for provider in Provider} | {"kms": Provider.KMS_V2}
VERSIONS = {Provider.KMS_V1: 1, Provider.KMS_V2: 2}


@dataclass(frozen=True, slots=True)
class Criteria:
    """What values are opened and judged with. keyring: None where nothing was supplied to open or judge with.

    current_keks: KMS name -> the key id in force. more: keys from elsewhere than a configuration.
    """

    keyring: Keyring | None
    policy: Policy
    current_keks: dict[str, str]
    plugins: dict[tuple[Provider, str], Plugin]
    configurations: tuple[Configuration, ...]
    notes: tuple[str, ...]
    more: tuple[ProviderEntry, ...] = field(default=(), repr=False)

    def advice(self, seen: frozenset[str], must: frozenset[str]) -> list[tuple[str, Advice]]:
        """(file, advice) of every configuration, and of what differs between several."""
        said = [(each.source, advice) for each in self.configurations for advice in advise(each, seen, must)]
        names = ", ".join(each.source for each in self.configurations)
        return said + [(names, advice) for advice in differences(self.configurations, must)]


def prepare(options: Options, found: tuple[Configuration, ...] = (), more: tuple[ProviderEntry, ...] = ()) -> Criteria:
    """Raises ConfigurationError and UsageError. Calls a plugin's Status where --kms-plugin names one.

    found: configurations that came with the evidence, to be used as if they were given; more: other keys.
    """
    policy = Policy(
        expected=_expected(options.expect),
        plaintext=options.expect == "plaintext",
        compromised=frozenset(_provider_and_name(text, "--compromised-key") for text in options.compromised_keys),
    )
    asked = options.encryption_configs or options.kms_plugins or options.current_keks
    if policy == Policy() and not (asked or found or more):
        return Criteria(None, policy, {}, {}, (), ())
    from auditor.encryption.keyring import Keyring  # libraries of ciphers, that a run without keys need not load
    from auditor.encryption.kms import KmsError

    configurations = (*(load(Path(path)) for path in options.encryption_configs), *found)
    plugins = _plugins(options, configurations)
    keks = dict(_pair(text, "--current-kek") for text in options.current_keks)
    notes = []
    for (provider, name), plugin in plugins.items():
        if provider is not Provider.KMS_V2 or name in keks:
            continue
        try:
            current = plugin.current_key_id()
        except KmsError as error:
            notes.append(str(error))
        else:
            if current:
                keks[name] = current
    policy = replace(policy, configurations=configurations)
    return Criteria(Keyring(configurations, plugins, more), policy, keks, plugins, configurations, tuple(notes), more)


def with_published(given: Criteria, parts: Sequence[tuple[RecordBatch, Prefixes]]) -> Criteria:
    """The same with the published keys that open some of the encrypted values, and a note that they were tried.

    Where nothing is under a provider with keys of its own, nothing is tried, and no library of ciphers is loaded.
    """
    found = [published_trial.used(batch, stored) for batch, stored in parts]
    tried = sum(count for count, _ in found)
    if not tried:
        return given
    entries = dict.fromkeys(entry for _, mine in found for entry in mine)
    names = ", ".join(f"{entry.provider.label}/{shown(key.name)}" for entry in entries for key in entry.keys)
    tally = f"{len(PUBLISHED)} published keys were tried on {tried:,} {'value' if tried == 1 else 'values'}"
    note = f"{tally}: {f'one is {names}' if entries else 'none opens any'}"
    if not entries:
        return replace(given, notes=(*given.notes, note))
    from auditor.encryption.keyring import Keyring

    more = (*given.more, *entries)
    keyring = Keyring(given.configurations, given.plugins, more)
    return replace(given, keyring=keyring, notes=(*given.notes, note), more=more)


def _plugins(options: Options, configurations: tuple[Configuration, ...]) -> dict[tuple[Provider, str], Plugin]:
    from auditor.encryption.kms import Plugin

    entries = [
        entry
        for each in configurations
        for rule in each.rules
        for entry in rule.providers
        if entry.provider in VERSIONS
    ]
    made: dict[tuple[Provider, str], Plugin] = {}
    for text in options.kms_plugins:
        name, _, endpoint = text.partition("=")
        mine = [entry for entry in entries if entry.name == name]
        if not endpoint and not mine:
            raise UsageError(f"--kms-plugin {name}: no configuration names its endpoint; write {name}=unix:///path")
        kinds = {entry.provider: endpoint or entry.endpoint for entry in mine}
        for provider, where in (kinds or dict.fromkeys(VERSIONS, endpoint)).items():
            made[provider, name] = Plugin(name, where, version=VERSIONS[provider])
    return made


def _expected(text: str) -> tuple[Provider, str] | None:
    return None if text in {"encrypted", "plaintext"} else _provider_and_name(text, "--expect")


def _provider_and_name(text: str, option: str) -> tuple[Provider, str]:
    provider, _, name = text.partition(":")
    if provider not in NAMED or NAMED[provider] in {Provider.UNKNOWN, Provider.IDENTITY}:
        known = ", ".join(sorted(name for name in NAMED if name not in {"unknown", "identity"}))
        raise UsageError(f"{option} {text}: the provider must be one of {known}")
    return NAMED[provider], name


def _pair(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"{option} {text}: write NAME=KEYID")
    return name, value
