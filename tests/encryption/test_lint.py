"""What an auditor says of configurations that kube-apiserver accepts."""

import base64
from pathlib import Path
from typing import Any

import pytest

from auditor.encryption.configuration import Configuration, Key, ProviderEntry, Rule, load
from auditor.encryption.lint import Advice, advise, differences, obligations
from auditor.encryption.published import PUBLISHED
from auditor.model.vocabulary import Provider, Severity
from tests.helpers.fixtures import FIXTURES

FILES = sorted(FIXTURES.glob("**/*.encryption.json"))
A, B = bytes(range(128, 160)), bytes(range(160, 192))
IDENTITY = (Provider.IDENTITY, ())
SECRETS = frozenset({"secrets"})


def configuration_of(*rules: tuple[list[str], list[tuple[Provider, tuple[tuple[str, bytes], ...]]]]) -> Configuration:
    built = []
    for number, (resources, providers) in enumerate(rules):
        path = f"resources[{number}]"
        entries = tuple(
            ProviderEntry(
                provider,
                tuple(Key(name, secret) for name, secret in keys if secret),
                name=next((name for name, secret in keys if not secret), ""),
                path=f"{path}.providers[{place}]",
            )
            for place, (provider, keys) in enumerate(providers)
        )
        built.append(Rule(tuple(resources), entries, path))
    return Configuration("enc.yaml", "EncryptionConfiguration", tuple(built), "")


def cbc(*keys: tuple[str, bytes]) -> tuple[Provider, tuple[tuple[str, bytes], ...]]:
    return Provider.AESCBC, keys or (("key1", A),)


def judged_paths(said: list[Advice]) -> list[tuple[Severity, str]]:
    return [(each.severity, each.path) for each in said if each.judged]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_fixtures_are_sound_but_still_list_identity(path: Path) -> None:
    loaded = load(path)
    said = advise(loaded, {"secrets", "configmaps"}, SECRETS)
    assert judged_paths(said) == []
    assert [each.severity for each in said] == [Severity.LOW] * len(loaded.rules)
    assert all("identity" in each.text for each in said)


def test_a_sound_configuration_has_none() -> None:
    assert advise(configuration_of((["secrets", "*.apps"], [cbc()])), [], SECRETS) == []


def test_identity_first() -> None:
    configuration = configuration_of((["secrets"], [IDENTITY, cbc()]), (["configmaps"], [IDENTITY]))
    assert judged_paths(advise(configuration, [], SECRETS)) == [
        (Severity.HIGH, "resources[0].providers[0]"),
        (Severity.MEDIUM, "resources[1].providers[0]"),
    ]
    assert all(each.judged for each in advise(configuration, [], SECRETS))


def test_identity_first_by_a_wildcard() -> None:
    assert judged_paths(advise(configuration_of((["*.*"], [IDENTITY])), [], SECRETS)) == [
        (Severity.HIGH, "resources[0].providers[0]")
    ]


def test_identity_after_encryption_is_only_noted() -> None:
    (said,) = advise(configuration_of((["secrets"], [cbc(), IDENTITY])), [], SECRETS)
    assert (said.judged, said.severity, said.path) == (False, Severity.LOW, "resources[0].providers[1]")


@pytest.mark.parametrize("name", ["secret", "configmap", "secrets.core", "secrets.v1", "deployments"])
def test_names_that_protect_nothing(name: str) -> None:
    said = advise(configuration_of((["secrets", name], [cbc()])), ["foos.example.com"], SECRETS)
    assert judged_paths(said) == [(Severity.MEDIUM, "resources[0].resources[1]")]
    assert name in said[0].text


@pytest.mark.parametrize(
    "name",
    [
        "secrets.",
        "deployments.apps",
        "foos.example.com",
        "*.nowhere",
        "nodes",
        "customresourcedefinitions.apiextensions.k8s.io",
        "apiservices.apiregistration.k8s.io",
    ],
)
def test_names_that_exist(name: str) -> None:
    assert advise(configuration_of((["secrets"], [cbc()]), ([name], [cbc()])), ["foos.example.com"], SECRETS) == []


def test_hostile_names_are_shown_printable() -> None:
    (said,) = advise(configuration_of((["secrets", "a\x1b[31m"], [cbc()])), [], SECRETS)
    assert said.text.isprintable()


def test_what_no_rule_covers() -> None:
    ((severity, _),) = judged_paths(advise(configuration_of((["configmaps"], [cbc()])), [], SECRETS))
    assert severity is Severity.HIGH
    assert len(judged_paths(advise(configuration_of((["secret"], [cbc()])), [], SECRETS))) == 2


def test_all_resources_is_no_name() -> None:
    assert advise(configuration_of((["secrets"], [cbc()])), [], {"*", "secrets"}) == []


def test_of_all_resources_those_without_a_rule_are_one_row() -> None:
    must = {"*", "secrets", "configmaps", *(f"foo{number}.example.com" for number in range(9))}
    (said,) = advise(configuration_of((["secrets"], [cbc()])), [], must)
    assert (said.severity, said.path, said.judged) == (Severity.HIGH, "resources", True)
    assert said.text.startswith("no rule covers configmaps, foo0.example.com, ")
    assert said.text.endswith(" and 5 more: they are written in plain")
    assert advise(configuration_of((["*.*"], [cbc()])), [], must) == []


def test_of_all_resources_identity_first_is_said_once_a_rule() -> None:
    configuration = configuration_of((["secrets"], [cbc()]), (["*.*"], [IDENTITY]))
    said = advise(configuration, [], {"*", "secrets", "configmaps", "leases.coordination.k8s.io"})
    assert judged_paths(said) == [(Severity.MEDIUM, "resources[1].providers[0]")]


def test_of_all_resources_those_of_an_api_server_whose_file_is_not_given_are_not_required() -> None:
    configuration = configuration_of((["secrets"], [cbc()]))
    must = {"*", "secrets", "routes.route.openshift.io"}
    assert obligations(configuration, [configuration], must) == {"*", "secrets"}
    aggregated = configuration_of((["routes.route.openshift.io"], [cbc()]))
    assert obligations(aggregated, [configuration, aggregated], must) == {"*", "routes.route.openshift.io"}


def test_two_keys_of_one_name() -> None:
    said = advise(configuration_of((["secrets"], [cbc(("key1", A), ("key1", B))])), [], SECRETS)
    assert judged_paths(said) == [(Severity.MEDIUM, "resources[0].providers[0].keys[1].name")]


def test_one_key_of_two_names() -> None:
    said = advise(configuration_of((["secrets"], [cbc(("key1", A), ("key2", A))])), [], SECRETS)
    assert judged_paths(said) == [(Severity.MEDIUM, "resources[0].providers[0].keys[1].secret")]


def test_two_keys_of_one_name_in_two_elements() -> None:
    said = advise(configuration_of((["secrets"], [cbc(("1", A)), cbc(("1", B))])), [], SECRETS)
    assert judged_paths(said) == [(Severity.MEDIUM, "resources[0].providers[1].keys[0].name")]
    other = (Provider.AESGCM, (("1", B),))
    assert judged_paths(advise(configuration_of((["secrets"], [cbc(("1", A)), other])), [], SECRETS)) == []


def test_one_key_in_two_elements() -> None:
    """As OpenShift lists keys: one element each."""
    said = advise(configuration_of((["secrets"], [cbc(("1", A)), cbc(("2", B)), IDENTITY, cbc(("3", A))])), [], SECRETS)
    assert judged_paths(said) == [(Severity.MEDIUM, "resources[0].providers[3].keys[0].secret")]
    other = (Provider.AESGCM, (("1", A),))
    assert judged_paths(advise(configuration_of((["secrets"], [cbc(("1", A)), other])), [], SECRETS)) == [
        (Severity.MEDIUM, "resources[0].providers[1].keys[0].secret")
    ]


def test_keys_across_rules() -> None:
    """Only where the rules make up one resource's list, and only where they differ."""
    second = ["configmaps", "secrets."]
    said = advise(configuration_of((["secrets"], [cbc(("1", A))]), (second, [cbc(("1", B))])), [], SECRETS)
    assert judged_paths(said) == [(Severity.MEDIUM, "resources[1].providers[0].keys[0].name")]
    said = advise(configuration_of((["secrets"], [cbc(("1", A))]), (second, [cbc(("2", A))])), [], SECRETS)
    assert judged_paths(said) == [(Severity.MEDIUM, "resources[1].providers[0].keys[0].secret")]
    assert (
        judged_paths(advise(configuration_of((["secrets"], [cbc(("1", A))]), (second, [cbc(("1", A))])), [], SECRETS))
        == []
    )
    apart = configuration_of(
        (["secrets"], [cbc(("1", A))]), (["configmaps"], [cbc(("1", B))]), (["pods"], [cbc(("2", A))])
    )
    assert judged_paths(advise(apart, [], SECRETS)) == []


def test_each_pair_is_said_once() -> None:
    rules = (["secrets", "configmaps", "pods"], [cbc(("1", A), ("1", B))])
    assert len(judged_paths(advise(configuration_of(rules, (["pods"], [cbc(("2", B))])), [], SECRETS))) == 2


@pytest.mark.parametrize(
    "text",
    [
        b"secret is secure",
        b"this is password",
        b"abcdefghijklmnopqrstuvwxyz123456",
        b"E73F1C830C0205ADE842A1FE48B7397B",
        b"passwordpassword",
        b"this-is-very-sec",
        bytes(16),
        bytes(24),
        bytes(32),
    ],
)
def test_published_keys(text: bytes) -> None:
    said = advise(configuration_of((["secrets"], [cbc(("key1", B), ("key2", text))])), [], SECRETS)
    assert judged_paths(said) == [(Severity.HIGH, "resources[0].providers[0].keys[1].secret")]
    assert PUBLISHED[text] in said[0].text
    assert repr(text)[2:-1] not in said[0].text


def test_published_keys_are_of_sizes_that_a_provider_has() -> None:
    assert len(PUBLISHED) == 9
    assert {len(key) for key in PUBLISHED} <= {16, 24, 32}


MARKED = (Provider.AESGCM, (("3", bytes(16)),))


@pytest.mark.parametrize(
    ("providers", "marks"),
    [
        ([IDENTITY, MARKED], 1),
        ([cbc(), MARKED, IDENTITY], 1),
        ([cbc(), MARKED, (Provider.AESGCM, (("5", bytes(16)),))], 2),
    ],
)
def test_openshift_s_marker_that_encrypts_nothing(
    providers: list[tuple[Provider, tuple[tuple[str, bytes], ...]]], marks: int
) -> None:
    """Behind identity, or as an old read key, it is what the operator writes."""
    said = advise(configuration_of((["secrets"], providers)), [], SECRETS)
    assert [each.judged for each in said if "marker" in each.text] == [False] * marks
    assert not any("published" in each.text or "same key" in each.text for each in said)


def test_openshift_s_marker_as_write_key() -> None:
    said = advise(configuration_of((["secrets"], [MARKED, IDENTITY])), [], SECRETS)
    assert judged_paths(said) == [(Severity.HIGH, "resources[0].providers[0].keys[0].secret")]
    said = advise(configuration_of((["secrets"], [cbc(), (Provider.AESCBC, (("3", bytes(16)),))])), [], SECRETS)
    assert judged_paths(said) == [(Severity.HIGH, "resources[0].providers[1].keys[0].secret")]


@pytest.mark.parametrize("text", [b"0123456789ABCDEF0123456789ABCDEF", b"correct horse battery st"])
def test_passphrases(text: bytes) -> None:
    said = advise(configuration_of((["secrets"], [cbc(("key1", text))])), [], SECRETS)
    assert judged_paths(said) == [(Severity.MEDIUM, "resources[0].providers[0].keys[0].secret")]
    assert text.decode() not in repr(said)


def test_no_secret_is_told() -> None:
    keys = (("key1", b"abcdefghijklmnopqrstuvwxyz123456"), ("key1", b"p4ssphrase-p4ssphrase-p4ssphrase"), ("key2", A))
    shown = repr(advise(configuration_of((["secrets"], [IDENTITY, cbc(*keys, ("key3", A))])), [], SECRETS))
    for _, secret in keys:
        for form in (repr(secret)[2:-1], secret.hex(), base64.b64encode(secret).decode()):
            assert form not in shown


VAULT = (Provider.KMS_V2, (("vault", b""),))
OTHER = (Provider.KMS_V2, (("other", b""),))


@pytest.mark.parametrize(
    ("first", "second", "differ"),
    [
        ([cbc()], [cbc()], False),
        ([cbc()], [cbc(), IDENTITY], False),
        ([cbc(("key1", A))], [cbc(("key1", A), ("key2", B))], False),
        ([cbc(("key1", A))], [cbc(("key2", B), ("key1", A))], True),
        ([cbc(("key1", A))], [cbc(("key2", A))], True),
        ([cbc(("key1", A))], [cbc(("key1", B))], True),
        ([cbc()], [IDENTITY, cbc()], True),
        ([cbc()], [(Provider.AESGCM, (("key1", A),))], True),
        ([VAULT], [VAULT], False),
        ([VAULT], [OTHER], True),
    ],
)
def test_differences(
    first: list[tuple[Provider, tuple[tuple[str, bytes], ...]]],
    second: list[tuple[Provider, tuple[tuple[str, bytes], ...]]],
    differ: bool,
) -> None:
    configurations = [configuration_of((["secrets"], first)), configuration_of((["secrets"], second))]
    said = differences(configurations, SECRETS)
    assert [each.severity for each in said] == [Severity.HIGH] * differ
    assert all(each.judged for each in said)
    assert differences(configurations, {"configmaps"}) == []


def test_differences_of_coverage() -> None:
    assert (
        len(differences([configuration_of((["secrets"], [cbc()])), configuration_of((["pods"], [cbc()]))], SECRETS))
        == 1
    )
    assert (
        len(differences([configuration_of((["secrets"], [cbc()])), configuration_of((["*.*"], [cbc()]))], SECRETS)) == 0
    )
    assert differences([configuration_of((["secrets"], [cbc()]))], SECRETS) == []
    assert differences([], SECRETS) == []


def test_the_documented_opt_out_is_noted() -> None:
    """Kubernetes' documentation leaves events out like this (kubernetes/website#39897)."""
    configuration = configuration_of((["events"], [IDENTITY]), (["*.*"], [cbc()]))
    (note,) = advise(configuration, [], SECRETS)
    assert (note.judged, note.path) == (False, "resources[0].providers[0]")
    assert "events" in note.text


@pytest.mark.parametrize(
    ("rules", "must"),
    [
        (((["events"], [IDENTITY, cbc()]), (["*.*"], [cbc()])), SECRETS),
        (((["events"], [IDENTITY]), (["*.*"], [cbc()])), SECRETS | {"events"}),
        (((["events"], [IDENTITY]), (["*.*"], [cbc()])), SECRETS | {"*"}),
        (((["events"], [IDENTITY]), (["*.*"], [IDENTITY])), SECRETS),
        (((["events"], [IDENTITY]), (["secrets"], [cbc()])), SECRETS),
        (((["events", "jobs.batch"], [IDENTITY]), (["*."], [cbc()])), SECRETS),
    ],
)
def test_what_is_no_opt_out_stays_a_finding(rules: tuple[Any, ...], must: frozenset[str]) -> None:
    assert "resources[0].providers[0]" in [path for _, path in judged_paths(advise(configuration_of(*rules), [], must))]


@pytest.mark.parametrize("name", ["", ".", "*.*.*", "apiserveripinfo.foo", "secrets..", "*x"])
def test_names_that_match_nothing(name: str) -> None:
    said = judged_paths(advise(configuration_of(([name], [cbc()]), (["*."], [cbc()])), [""], SECRETS))
    assert said == [(Severity.MEDIUM, "resources[0].resources[0]")]


def test_an_aggregated_api_server_is_held_to_what_it_serves() -> None:
    kube = configuration_of((["secrets"], [cbc()]))
    route = configuration_of((["routes.route.openshift.io"], [cbc(("1", B))]))
    oauth = configuration_of((["oauthaccesstokens.oauth.openshift.io"], [cbc(("1", A))]))
    every = (kube, route, oauth)
    must = SECRETS | {"routes.route.openshift.io", "oauthaccesstokens.oauth.openshift.io"}
    assert [sorted(obligations(one, every, must)) for one in every] == [
        ["secrets"],
        ["routes.route.openshift.io"],
        ["oauthaccesstokens.oauth.openshift.io"],
    ]
    assert differences(every, must) == []
    assert obligations(route, (route,), SECRETS) == frozenset()
    assert obligations(kube, (kube,), must) == must


def test_two_files_of_one_aggregated_api_server_are_compared() -> None:
    files = [configuration_of((["routes.route.openshift.io"], [cbc(("1", key))])) for key in (A, B)]
    assert len(differences(files, ["routes.route.openshift.io"])) == 1
