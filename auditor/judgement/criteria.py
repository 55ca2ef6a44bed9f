"""Audit criteria: configurations, plugins, keys and the policy that values are judged by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from auditor.encryption import published_trial
from auditor.encryption.configuration import Configuration, ProviderEntry, load
from auditor.encryption.lint import Advice, advise, differences, obligations
from auditor.encryption.published import PUBLISHED
from auditor.errors import UsageError
from auditor.judgement.policy import Policy
from auditor.model.vocabulary import KMS_VERSIONS, Provider
from auditor.options import Options
from auditor.text import shown

if TYPE_CHECKING:
    from auditor.encryption.keyring import Keyring
    from auditor.encryption.kms.client import Client
    from auditor.encryption.kms.plugin import Plugin
    from auditor.judgement.selection import Selection

NAMED = {provider.label.replace(" ", "-"): provider for provider in Provider} | {"kms": Provider.KMS_V2}


@dataclass(frozen=True, slots=True)
class Criteria:
    """Keys to open values with, and the policy to judge them by."""

    keyring: Keyring | None
    """Keys; None where the options name none, and no other policy than the usual one."""
    policy: Policy
    """Policy that values are judged by."""
    current_keks: dict[str, str]
    """Id of the current KEK by name of the KMS."""
    plugins: dict[tuple[Provider, str], Plugin]
    """KMS plugins that may be called, by provider and name."""
    configurations: tuple[Configuration, ...]
    """Configurations of the options and of companion files."""
    notes: tuple[str, ...]
    """Notes on keys and plugins for the report."""
    clients: tuple[Client, ...] = ()
    """KMSes that may be called themselves."""
    supplied_keks: frozenset[str] = frozenset()
    """Names of the KMSes whose current KEK an option states."""
    prove: bool = False
    """Whether they are to show for each wrapped key alone that a value is decrypted with it."""

    def close(self) -> None:
        """Close the connections of --kms; what they answered stays at hand."""
        for client in self.clients:
            client.close()

    @property
    def entries(self) -> tuple[ProviderEntry, ...]:
        """The providers of every configuration, and keys from elsewhere."""
        configured = (entry for configuration in self.configurations for entry in configuration.providers)
        return (*configured, *(self.keyring.others if self.keyring is not None else ()))

    def extended(self, entries: Sequence[ProviderEntry], *notes: str) -> Criteria:
        """The criteria with further keys, tried after all others, and with notes on them."""
        from auditor.encryption.keyring import Keyring

        keyring = self.keyring or Keyring(self.configurations, self.plugins)
        return replace(self, keyring=keyring.extended(entries), notes=(*self.notes, *notes))

    def advice(self, present: frozenset[str], must: frozenset[str]) -> list[tuple[str, Advice]]:
        """Advice on every configuration and on the differences between several, each with its file.

        Args:
            present: names of the resources in the evidence.
            must: names of the resources that must be encrypted.
        """
        advice = [
            (configuration.source, advised)
            for configuration in self.configurations
            for advised in advise(configuration, present, obligations(configuration, self.configurations, must))
        ]
        names = ", ".join(configuration.source for configuration in self.configurations)
        return advice + [(names, advised) for advised in differences(self.configurations, must)]


def prepare(
    options: Options,
    companions: tuple[Configuration, ...] = (),
    others: tuple[ProviderEntry, ...] = (),
    clients: tuple[Client, ...] | None = None,
) -> Criteria:
    """The criteria by the options. Calls Status of each plugin that --kms-plugin names.

    Args:
        options: of the run.
        companions: configurations in companion files, used like those of the options.
        others: further keys.
        clients: the clients of --kms, where they have called for other evidence already.

    Raises:
        ConfigurationError: a configuration is not acceptable.
        UsageError: an option has no valid value.
    """
    policy = Policy(
        expected=_expected(options.expect),
        plaintext=options.expect == "plaintext",
        compromised=frozenset(map(_compromised, options.compromised_keys)),
    )
    supplied = options.encryption_configs or options.kms_plugins or options.current_keks or options.kms
    if policy == Policy() and not (supplied or companions or others):
        return Criteria(keyring=None, policy=policy, current_keks={}, plugins={}, configurations=(), notes=())
    from auditor.encryption.keyring import Keyring  # loads ciphers, which a run without keys does not need

    configurations = (*(load(Path(path)) for path in options.encryption_configs), *companions)
    plugins = _plugins(options, configurations)
    clients = kms_clients(options) if clients is None else clients
    keks = dict(_pair(text, "--current-kek") for text in options.current_keks)
    notes = [f"{configuration.source}: {note}" for configuration in configurations for note in configuration.notes]
    notes += _ask_for_keks(plugins, keks)
    if not options.opening_only:
        policy = replace(policy, configurations=configurations)
    if contradiction := policy.contradiction(options.resources):
        option = f"{options.expect} is expected (--expect, or of BEFORE --expect-before)"
        raise UsageError(f"{option}, and {contradiction}: leave one of the two out, or give the right one")
    return Criteria(
        keyring=Keyring(configurations, plugins, others),
        policy=policy,
        current_keks=keks,
        plugins=plugins,
        configurations=configurations,
        notes=tuple(notes),
        clients=clients,
        supplied_keks=frozenset(text.partition("=")[0] for text in options.current_keks),
        prove=options.kms_prove,
    )


def _ask_for_keks(plugins: Mapping[tuple[Provider, str], Plugin], keks: dict[str, str]) -> Iterator[str]:
    """Add the KEK in force of each plugin whose KEK is not named; what plugins refuse, as notes."""
    from auditor.encryption.kms.interface import KmsError

    for (provider, name), plugin in plugins.items():
        if provider is not Provider.KMS_V2 or name in keks:
            continue
        try:
            current = plugin.current_key_id()
        except KmsError as error:
            yield str(error)
        else:
            if current:
                keks[name] = current


def with_published(criteria: Criteria, selections: Sequence[Selection]) -> Criteria:
    """The criteria with the published keys that open some of the encrypted values, and a note on the trial.

    Without values under a local provider nothing is tried, and no ciphers are loaded.
    """
    trials = [published_trial.used(values.batch, values.prefixes, values.resources) for values in selections]
    total = sum(count for count, _ in trials)
    if not total:
        return criteria
    entries = dict.fromkeys(entry for _, opening in trials for entry in opening)
    names = ", ".join(f"{entry.provider.label}/{shown(key.name)}" for entry in entries for key in entry.keys)
    tally = f"{len(PUBLISHED)} published keys were tried on {total:,} {'value' if total == 1 else 'values'}"
    note = f"{tally}: {f'one is {names}' if entries else 'none decrypts any'}"
    if not entries:
        return replace(criteria, notes=(*criteria.notes, note))
    return criteria.extended(tuple(entries), note)


def kms_clients(options: Options) -> tuple[Client, ...]:
    """The clients of --kms. Nothing is called yet. Raises UsageError."""
    if not options.kms:
        return ()
    from auditor.encryption.kms.address import parse
    from auditor.encryption.kms.client import Budget, Client
    from auditor.encryption.kms.services import connect

    budget = Budget(options.kms_budget or None)
    addresses = [parse(text) for text in options.kms]
    names = [address.name for address in addresses]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"--kms {shown(name)} is given {names.count(name)} times: give it once")
    return tuple(Client(address.name, connect(address), budget) for address in addresses)


def _plugins(options: Options, configurations: tuple[Configuration, ...]) -> dict[tuple[Provider, str], Plugin]:
    """The plugins that --kms-plugin names; the configurations know their endpoints and versions."""
    from auditor.encryption.kms.plugin import Plugin

    entries = [
        entry for configuration in configurations for entry in configuration.providers if entry.provider in KMS_VERSIONS
    ]
    plugins: dict[tuple[Provider, str], Plugin] = {}
    for text in options.kms_plugins:
        name, _, endpoint = text.partition("=")
        configured = [entry for entry in entries if entry.name == name]
        if not endpoint and not configured:
            raise UsageError(f"--kms-plugin {name}: no configuration names its endpoint; write {name}=unix:///path")
        kinds = {entry.provider: endpoint or entry.endpoint for entry in configured}
        for provider, address in (kinds or dict.fromkeys(KMS_VERSIONS, endpoint)).items():
            plugins[provider, name] = Plugin(name, address, version=KMS_VERSIONS[provider])
    return plugins


def _expected(text: str) -> tuple[Provider, str] | None:
    return None if text in {"encrypted", "plaintext"} else _provider_and_name(text, "--expect")


def _provider_and_name(text: str, option: str) -> tuple[Provider, str]:
    provider, _, name = text.partition(":")
    if provider not in NAMED or NAMED[provider] in {Provider.UNKNOWN, Provider.IDENTITY}:
        providers = ", ".join(sorted(name for name in NAMED if name not in {"unknown", "identity"}))
        raise UsageError(f"{option} {text}: the provider must be one of {providers}")
    return NAMED[provider], name


def _compromised(text: str) -> tuple[Provider, str]:
    provider, name = _provider_and_name(text, "--compromised-key")
    if not name.strip():
        raise UsageError(f"--compromised-key {text}: write PROVIDER:NAME; a key without a name fits no value")
    return provider, name.strip()


def _pair(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"{option} {text}: write NAME=KEYID")
    return name, value
