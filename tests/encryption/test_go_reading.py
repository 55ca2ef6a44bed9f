"""Configurations as kube-apiserver's own loader reads them: numbers, durations, URLs, aliases, documents, encodings."""

import base64
import json
from pathlib import Path

import pytest

import auditor
from auditor import Options
from auditor.encryption import go_values
from auditor.encryption.configuration import Configuration, load, parse
from auditor.encryption.strict_yaml import ConfigurationError
from tests.encryption.test_configuration import MARKER, SECRET, document, entry, kms, refusal

CASES = Path(__file__).parents[2] / "fixtures/cases"
LOADER = CASES / "configurations-by-the-real-loader"
VERDICTS = [line.split("\t")[:2] for line in (LOADER / "verdicts.tsv").read_text().splitlines()[1:]]
HEAD = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n"
RULE = f"- resources: [secrets]\n  providers: [{{aescbc: {{keys: [{{name: k, secret: {SECRET}}}]}}}}]\n"


def read(text: str) -> Configuration:
    return parse(text.encode(), "enc.yaml")


@pytest.mark.parametrize(("name", "verdict"), VERDICTS)
def test_the_loader_says_the_same(name: str, verdict: str) -> None:
    if verdict == "accept":
        load(LOADER / name)
        return
    with pytest.raises(ConfigurationError, match="another configuration is in force"):
        load(LOADER / name)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0x10", "16"),
        ("010", "8"),
        ("0o17", "15"),
        ("0b11", "3"),
        ("-0b11", "-3"),
        ("+5", "5"),
        ("1_000", "1000"),
        ("08", "8"),
        ("1e3", "1000"),
        (".5", "0.5"),
        ("1.", "1"),
        ("+1.", "1"),
        ("1.e5", "100000"),
        ("yes", "yes"),
        ("Off", "Off"),
        ("y", "y"),
        (".inf", ".inf"),
        ("1" * 80, None),
    ],
)
def test_plain_scalars_that_are_no_texts(text: str, value: str | None) -> None:
    scalar = go_values.plain(text)
    assert isinstance(scalar, go_values.Unquoted)
    assert value is None or scalar == value


@pytest.mark.parametrize("version", ["1.1", "1.2", "1.3", "2.0"])
def test_a_directive_names_the_version_that_go_reads(version: str) -> None:
    """goyaml.v2/parserc.go, yaml_parser_process_directives: 1.1 and no other."""
    text = f"%YAML {version}\n---\n{HEAD}{RULE}"
    if version == "1.1":
        assert read(text).providers
        return
    with pytest.raises(ConfigurationError):
        read(text)


@pytest.mark.parametrize("surplus", ["=", "==", "===", "===="])
def test_padding_that_is_not_due_is_refused(surplus: str) -> None:
    """encoding/base64's StdEncoding, which Python's decoder is more patient than."""
    for size in (16, 24, 32):
        secret = base64.b64encode(bytes(range(size))).decode()
        text = HEAD + RULE.replace(SECRET, f"{secret}{surplus}")
        with pytest.raises(ConfigurationError, match="not standard base64"):
            read(text)


@pytest.mark.parametrize("text", ["key1", "3s", "yEs", "2026-01-02", "1:30", "0x", "+", "-", "_1", "1e400", ".", ".5s"])
def test_plain_scalars_that_are_texts(text: str) -> None:
    assert not isinstance(go_values.plain(text), go_values.Unquoted)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3s", 3 * 10**9),
        ("+1.5h", 5400 * 10**9),
        ("1m3.5s", 63_500 * 10**6),
        ("1µs", 1000),
        ("1μs", 1000),
        (".5ms", 500_000),
        ("1.s", 10**9),
        ("0", 0),
        ("-0", 0),
        ("0.1ns", 0),
        ("-3s", -3 * 10**9),
        ("9223372036854775807ns", 2**63 - 1),
        *(
            (text, None)
            for text in ("", "+", "3", "s", ".s", "3 s", "3S", "9223372036854775808ns", "99999999h", "1s+1s")
        ),
    ],
)
def test_durations(text: str, value: int | None) -> None:
    assert go_values.nanoseconds(text) == value


@pytest.mark.parametrize(
    ("text", "scheme"),
    [
        ("unix:///a", "unix"),
        ("UNIX:///a", "unix"),
        ("unix://@abstract", "unix"),
        ("unix:///@abstract", "unix"),
        ("unix:a%zz", "unix"),
        ("unix:///a b", "unix"),
        ("unix:///a%20b?%zz", "unix"),
        ("tcp://a", "tcp"),
        *(
            (text, None)
            for text in (
                "",
                "/a",
                "://a",
                "unix:///a%zz",
                "unix:///a\n",
                "unix://a b/",
                "unix:///a#%z",
                "unix://a:b/",
                "1x:a",
            )
        ),
    ],
)
def test_urls(text: str, scheme: str | None) -> None:
    assert go_values.scheme(text) == scheme


@pytest.mark.parametrize(
    ("size", "accepted"), [("0x10", True), ("1e2", True), ("-1", True), ("0", False), ("1.5", False)]
)
def test_cachesize(size: str, *, accepted: bool) -> None:
    text = (
        f"{HEAD}- resources: [secrets]\n  providers: [{{kms: {{name: a, endpoint: 'unix:///a', cachesize: {size}}}}}]\n"
    )
    if accepted:
        (note,) = read(text).notes
        assert note.endswith("KMS v1 is refused since Kubernetes 1.29 without the feature gate KMSv1")
    else:
        with pytest.raises(ConfigurationError):
            read(text)


def test_cachesize_of_a_kms_v2_is_noted() -> None:
    (note,) = read(json.dumps(document(entry("secrets", providers=[kms(cachesize=5)])))).notes
    assert "Kubernetes 1.25 and 1.26, refused since 1.27" in note


def test_a_configuration_of_kubernetes_1_25() -> None:
    """k8s.io/apiserver v0.25.0, valid-configs: accepted, with a note on each KMS v2 with a cache."""
    configuration = load(CASES / "kms-v2-with-cachesize" / "kmsv2-first.yaml")
    assert configuration.providers[0].provider.label == "kms v2"
    caches = [note for note in configuration.notes if "cachesize" in note]
    assert caches
    assert all("Kubernetes 1.25 and 1.26, refused since 1.27" in note for note in caches)


def test_a_ciphertext_that_somebody_else_published() -> None:
    """simonkrenger/k8s-etcd-decryptor, README.md."""
    case = CASES / "k8s-etcd-decryptor-readme"
    options = Options(encryption_configs=(str(case / "encryption-config.yaml"),))
    (row,) = auditor.scan(case / "dump.json", options).inventory.to_dict("records")
    assert (row["decrypted"], row["namespace"], row["name"]) == ("yes", "simon-project", "my-secret")
    assert (row["uid"], row["type"]) == ("6567b48b-9f45-11ea-8fb6-fa163e827b27", "Opaque")
    assert row["data_keys"] == "mykey"


def test_unknown_fields_are_noted_and_not_quoted() -> None:
    rule = entry("secrets", providers=[kms(**{MARKER: 1})]) | {MARKER: 1}
    notes = read(json.dumps(document(rule) | {MARKER: [1]})).notes
    assert [note.partition(":")[0] for note in notes] == [
        "the document",
        "resources[0]",
        "resources[0].providers[0].kms",
    ]
    assert all("ignored up to Kubernetes 1.30, refused since 1.31" in note and MARKER not in note for note in notes)


@pytest.mark.parametrize(
    ("behind", "noted"),
    [
        ("---\n", False),
        ("---\n---\n...\n", False),
        ("---\nkind: x\n", True),
        ("---\n]", True),
        ("---\n" * 30_000, True),
    ],
)
def test_the_first_of_several_documents_is_read(behind: str, *, noted: bool) -> None:
    assert bool(read(HEAD + RULE + behind).notes) == noted


@pytest.mark.parametrize("before", ["---\n---\n", "---\n# of Ansible's\n---\n", "# nothing\n---\n# yet\n---\n"])
def test_an_empty_first_document_is_what_kube_apiserver_reads(before: str) -> None:
    with pytest.raises(ConfigurationError, match="document"):
        read(before + HEAD + RULE)


@pytest.mark.parametrize(
    ("text", "with_tab"),
    [
        ("secrets]", "secrets]\t"),
        ("kind: EncryptionConfiguration", "kind: EncryptionConfiguration\t"),
        ("kind: EncryptionConfiguration", "kind: EncryptionConfiguration\t# of 1.13"),
        ("kind: Enc", "kind:\tEnc"),
    ],
)
def test_tabs_that_are_no_indentation(text: str, with_tab: str) -> None:
    """As libyaml has it, which go-yaml is a port of."""
    assert (HEAD + RULE).count(text) == 1
    assert read((HEAD + RULE).replace(text, with_tab)).rules == read(HEAD + RULE).rules


def test_tabs_that_are_indentation_are_refused() -> None:
    with pytest.raises(ConfigurationError):
        read(HEAD + RULE.replace("  providers", "\tproviders"))


def test_anchors_aliases_and_merge_keys() -> None:
    text = f"""{HEAD}
- resources: [&s secrets]
  providers: &p [{{aescbc: {{keys: [&k {{name: k, secret: {SECRET}}}, {{<<: *k}}]}}}}]
- resources: [configmaps]
  providers: *p
"""
    first, second = read(text).rules
    assert [key.name for key in first.providers[0].keys] == ["k", "k"]
    assert [key.secret for key in second.providers[0].keys] == [key.secret for key in first.providers[0].keys]


def test_of_a_field_that_stands_twice_the_last_counts() -> None:
    """goyaml.v2/decode.go, mapping() and merge(); strict since Kubernetes 1.31."""
    rest = f"[{{aescbc: {{keys: [{{name: k, secret: {SECRET}}}]}}}}]"
    whole = read(f"{HEAD}- resources: [configmaps]\n  providers: {rest}\n")
    assert not whole.notes
    for text in (
        f"- resources: [secrets]\n  providers: {rest}\n  resources: [configmaps]\n",
        f"- {{<<: {{resources: [secrets], providers: {rest}}}, resources: [configmaps]}}\n",
        f"- {{resources: [secrets], providers: {rest}, <<: {{resources: [configmaps]}}}}\n",
        f"- {{<<: [{{resources: [configmaps]}}, {{resources: [secrets], providers: {rest}}}]}}\n",
        f"- {{resources: [configmaps], providers: {rest}, kind: a, kind: ~}}\n",
    ):
        twice = read(HEAD + text)
        assert twice.rules == whole.rules
        assert any("stands twice: the last counts up to Kubernetes 1.30, refused since 1.31" in n for n in twice.notes)


def test_of_a_field_of_json_that_stands_twice_the_last_counts_but_of_objects() -> None:
    """encoding/json: an object is read into what the one before it left."""
    text = json.dumps(document())
    twice = read(text.replace('"resources": ["', '"resources": ["pods"], "resources": ["', 1))
    assert twice.rules == read(text).rules
    assert any("stands twice" in note for note in twice.notes)
    with pytest.raises(ConfigurationError, match="stands twice"):
        read(text.replace('"aescbc": {', '"aescbc": {}, "aescbc": {', 1))


def test_what_a_tag_says_is_base64_is_decoded() -> None:
    """goyaml.v2/decode.go, scalar()."""
    coded = base64.b64encode(SECRET.encode()).decode()
    text = f"""{HEAD}
- resources: [!!binary c2VjcmV0cw==]
  providers: [{{aescbc: {{keys: [{{!!binary bmFtZQ==: !!binary "a2V5\\nMQ==", secret: !!binary {coded}}}]}}}}]
"""
    (rule,) = read(text).rules
    plain = read(
        f"{HEAD}\n- resources: [secrets]\n  providers: [{{aescbc: {{keys: [{{name: key1, secret: {SECRET}}}]}}}}]"
    )
    assert rule == plain.rules[0]
    with pytest.raises(ConfigurationError, match="line 5, column 15: !!binary"):
        read(text.replace("c2VjcmV0cw==", "c2VjcmV0cw"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("&a [*a]", "an alias of nothing"),
        ("<<: 1", "no object"),
        ("[&a [" + "x, " * 99 + "], " + "*a, " * 999 + "]", "too much"),
        ("[&a " + "x" * 9999 + ", " + "*a, " * 999 + "]", "too much"),
        ("".join(f"- &a{n} [{', '.join([f'*a{n - 1}'] * 9) if n else 'x'}]\n" for n in range(9)), "too much"),
    ],
)
def test_aliases_are_bounded(text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        read(text)


def test_a_byte_order_mark(tmp_path: Path) -> None:
    for codec in ("utf-8-sig", "utf-16"):
        assert parse((HEAD + RULE).encode(codec), "enc.yaml").rules
    assert parse(json.dumps(document()).encode("utf-16"), "enc.yaml").rules
    refusal(tmp_path, json.dumps(document()).encode("utf-16-le"))


def test_scalars_of_json_keep_their_types(tmp_path: Path) -> None:
    for value in (1, True, 1.5):
        assert "in force" in refusal(tmp_path, document(entry(value)))  # type: ignore[arg-type]
