"""Advice on a configuration: mistakes that kube-apiserver accepts."""

import string
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from auditor.encryption.configuration import Configuration, Key, ProviderEntry, Rule
from auditor.encryption.published import MARKER, PUBLISHED
from auditor.kubernetes.resources import AGGREGATED, BUILT_IN
from auditor.model.vocabulary import Provider, Severity
from auditor.text import shown

UNLISTED = frozenset({"customresourcedefinitions.apiextensions.k8s.io", "apiservices.apiregistration.k8s.io"})
"""Resources of kube-apiserver itself whose keys begin with their group, as those of custom resources do."""
MOST_NAMES = 5
"""Resources named in one note."""
_PRINTABLE = frozenset(string.printable.encode())


@dataclass(frozen=True, slots=True)
class Advice:
    """One mistake in a configuration."""

    severity: Severity
    """Severity as a finding."""
    path: str
    """Path of the mistake in the file."""
    text: str
    """The mistake, in words."""
    judged: bool = True
    """Whether it is a finding; otherwise a note."""


def advise(configuration: Configuration, resources: Collection[str], must: Collection[str]) -> list[Advice]:
    """Advice on one file.

    Args:
        configuration: the file.
        resources: names of the resources in the evidence.
        must: names of the resources that must be encrypted; with `*` among them one row is of all that lack a rule.
    """
    names = {*BUILT_IN.values(), *UNLISTED, *resources} - {""}
    advice, covered = _required(configuration, must)
    for position, rule in enumerate(configuration.rules):
        first = rule.providers[0]
        if "*" not in must and first.path not in covered and _is_exception(rule, configuration.rules[position + 1 :]):
            exempt = _names(rule.resources)
            text = f"{exempt}: under identity alone, before a wildcard that encrypts the rest: written in plain"
            advice.append(Advice(Severity.LOW, first.path, text, judged=False))
        elif first.provider is Provider.IDENTITY and first.path not in covered:
            advice.append(
                Advice(Severity.MEDIUM, first.path, "identity is first: what this rule covers is written in plain")
            )
        for number, name in enumerate(rule.resources):
            resource, _, group = name.partition(".")
            wildcard = resource == "*" and (group == "*" or "*" not in group)
            if not wildcard and (f"{resource}.{group}" if group else resource) not in names:
                path = f"{rule.path}.resources[{number}]"
                text = f"{shown(name) or 'an empty name'} is no resource known or seen: it protects nothing"
                advice.append(Advice(Severity.MEDIUM, path, text))
        listed = [entry for entry in rule.providers[1:] if entry.provider is Provider.IDENTITY]
        advice += [
            Advice(
                Severity.LOW,
                entry.path,
                "the identity provider is still listed, so the API server accepts unencrypted values",
                judged=False,
            )
            for entry in listed
            if first.provider is not Provider.IDENTITY
        ]
    advice += dict.fromkeys(advised for rules in configuration.lists() for advised in _duplicates(rules))
    return advice + [advised for rule in configuration.rules for advised in _weak(rule)]


def _required(configuration: Configuration, must: Collection[str]) -> tuple[list[Advice], set[str]]:
    """Advice on what must be encrypted and is not, and the paths of the providers that this speaks of."""
    writers = {name: configuration.providers_for(name) for name in sorted(set(must) - {"*"})}
    advice = [
        Advice(Severity.HIGH, "resources", f"no rule covers {_names(bare)}: {_are(bare)} written in plain")
        for bare in _together([name for name, entries in writers.items() if entries is None], must)
    ]
    # of `*` identity is told by rule, which is shorter
    firsts = {} if "*" in must else {name: entries[0] for name, entries in writers.items() if entries}
    advice += [
        Advice(Severity.HIGH, first.path, f"identity is first: {name} is written in plain")
        for name, first in firsts.items()
        if first.provider is Provider.IDENTITY
    ]
    return advice, {first.path for first in firsts.values()}


def _is_exception(rule: Rule, later: Sequence[Rule]) -> bool:
    """Whether a rule of identity alone takes its resources out of later wildcards that encrypt.

    This is how the documentation of Kubernetes leaves resources out: a decision, not a mistake.
    """
    if any(entry.provider is not Provider.IDENTITY for entry in rule.providers):
        return False
    encrypting = {
        name for other in later if other.providers[0].provider is not Provider.IDENTITY for name in other.resources
    }
    return all({"*.*", f"*.{name.partition('.')[2]}"} & encrypting for name in rule.resources)


def _names(resources: Sequence[str]) -> str:
    more = f" and {len(resources) - MOST_NAMES:,} more" if len(resources) > MOST_NAMES else ""
    return ", ".join(map(shown, resources[:MOST_NAMES])) + more


def _are(resources: Sequence[str]) -> str:
    return "it is" if len(resources) == 1 else "they are"


def _together(names: list[str], must: Collection[str]) -> list[list[str]]:
    """The names of each row: of `*`, which may be dozens, all in one."""
    return [names] * bool(names) if "*" in must else [[name] for name in names]


def _duplicates(rules: Sequence[Rule]) -> Iterator[Advice]:
    """Keys of one resource's list with the same name or bytes, in one provider element or in several."""
    named: dict[tuple[Provider, str], tuple[Key, Rule]] = {}
    secrets: dict[bytes, tuple[Provider, str]] = {}
    for rule in rules:
        for entry in rule.providers:
            for number, key in enumerate(entry.keys):
                path, label = f"{entry.path}.keys[{number}]", (entry.provider, key.name)
                first, first_rule = named.setdefault(label, (key, rule))
                # a configuration with a rule for each resource repeats its keys
                if first is not key and (first.secret != key.secret or first_rule is rule):
                    text = "two keys of one name: which of them wrote a value cannot be told"
                    yield Advice(Severity.MEDIUM, f"{path}.name", text)
                if secrets.setdefault(key.secret, label) != label and not _is_marker(entry, key):
                    text = "the same key under two names: rotating to it changes nothing"
                    yield Advice(Severity.MEDIUM, f"{path}.secret", text)


def _weak(rule: Rule) -> Iterator[Advice]:
    """Keys that are not secret: published ones, passphrases, and OpenShift's marker."""
    for place, entry in enumerate(rule.providers):
        for number, key in enumerate(entry.keys):
            path = f"{entry.path}.keys[{number}].secret"
            if _is_marker(entry, key) and (place or number):
                text = "OpenShift's marker of identity mode, 16 zero bytes: nothing must be encrypted with it"
                yield Advice(Severity.LOW, path, text, judged=False)
            elif key.secret in PUBLISHED:
                text = f"a published key ({PUBLISHED[key.secret]}): anyone can decrypt what it encrypts"
                yield Advice(Severity.HIGH, path, text)
            elif set(key.secret) <= _PRINTABLE:
                yield Advice(Severity.MEDIUM, path, "all bytes are printable: a passphrase, weaker than its length")


def _is_marker(entry: ProviderEntry, key: Key) -> bool:
    """Whether a key is OpenShift's marker of identity mode."""
    return entry.provider is Provider.AESGCM and key.secret == MARKER


def obligations(
    configuration: Configuration, configurations: Sequence[Configuration], must: Collection[str]
) -> frozenset[str]:
    """What a file must encrypt, of what must be: an aggregated API server's what it names, others not that.

    Of `*`, nothing that another API server may write whose file is not given.

    Args:
        configuration: the file.
        configurations: every file of the cluster.
        must: names of the resources that must be encrypted.
    """
    foreign = AGGREGATED if "*" in must and not configuration.aggregated else ()
    return frozenset(
        name
        for name in must
        if name == "*" or (configuration in _writers(configurations, name) and name.partition(".")[2] not in foreign)
    )


def _writers(configurations: Sequence[Configuration], name: str) -> list[Configuration]:
    """The files of the API servers that write a resource: where an aggregated one names it, kube-apiserver does not."""
    aggregated = [configuration for configuration in configurations if configuration.aggregated]
    return [configuration for configuration in aggregated if configuration.serves(name)] or [
        configuration for configuration in configurations if configuration not in aggregated
    ]


def differences(configurations: Sequence[Configuration], must: Collection[str]) -> list[Advice]:
    """Advice on several API servers: resources that they write with different providers or keys."""
    different = [
        name
        for name in sorted(set(must) - {"*"})
        if len({_writer(each.providers_for(name)) for each in _writers(configurations, name)}) > 1
    ]
    text = "the configurations write {} with different providers or keys"
    return [Advice(Severity.HIGH, "resources", text.format(_names(names))) for names in _together(different, must)]


def _writer(entries: tuple[ProviderEntry, ...] | None) -> tuple[Provider, str, bytes]:
    """Provider, name and bytes of the key that writes."""
    if not entries:
        return Provider.IDENTITY, "", b""
    first = entries[0]
    return first.provider, first.keys[0].name if first.keys else first.name, first.keys[0].secret if first.keys else b""
