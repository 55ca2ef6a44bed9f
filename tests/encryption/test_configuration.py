"""EncryptionConfiguration files: every fixture, every form and every rule of kube-apiserver, and that nothing leaks."""

import base64
import copy
import hashlib
import json
import os
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from auditor import inputs
from auditor.encryption.configuration import Configuration, Key, load
from auditor.encryption.strict_json import MOST_EVENTS
from auditor.encryption.strict_yaml import ConfigurationError
from auditor.errors import UsageError
from auditor.model.vocabulary import Provider
from tests.helpers.calls import calls
from tests.helpers.fixtures import FIXTURES

FILES = sorted(FIXTURES.glob("**/*.encryption.json"))
MARKER = "MARKERmarker"
SECRET = base64.b64encode(bytes(range(200, 232))).decode()
LABELS = {
    Provider.IDENTITY: "identity",
    Provider.AESCBC: "aescbc",
    Provider.AESGCM: "aesgcm",
    Provider.SECRETBOX: "secretbox",
    Provider.KMS_V1: "kms",
    Provider.KMS_V2: "kms",
}
Document = dict[str, Any]


def local(provider: str = "aescbc", secret: str = SECRET, name: str = MARKER) -> Document:
    return {provider: {"keys": [{"name": name, "secret": secret}]}}


def kms(**changes: Any) -> Document:
    fields = {"apiVersion": "v2", "name": MARKER, "endpoint": "unix:///run/kms.sock"} | changes
    return {"kms": {name: value for name, value in fields.items() if value is not None}}


def entry(*resources: str, providers: list[Document] | None = None) -> Document:
    return {"resources": list(resources), "providers": providers or [local(), {"identity": {}}]}


def document(*entries: Document) -> Document:
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": list(entries or (entry("secrets"),)),
    }


def load_text(directory: Path, content: Any) -> Configuration:
    path = directory / "enc.yaml"
    if isinstance(content, dict):
        content = json.dumps(content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load(path)


def refusal(directory: Path, content: Any) -> str:
    """What load() says of a file that it must refuse, after a look at whether it quotes the file."""
    with pytest.raises(ConfigurationError) as caught:
        load_text(directory, content)
    return discreet(caught.value)


def discreet(error: ConfigurationError) -> str:
    text = str(error)
    assert text.startswith("enc.yaml")
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__
    for shown in (text, repr(error), str(error.__context__), repr(getattr(error.__context__, "object", ""))):
        assert MARKER not in shown
        assert SECRET not in shown
        assert SECRET[:12] not in shown
    return text


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_fixtures(path: Path) -> None:
    raw = json.loads(path.read_text())
    loaded = load(path)
    assert loaded.source == path.name
    assert loaded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [list(rule.resources) for rule in loaded.rules] == [each["resources"] for each in raw["resources"]]
    for number, (rule, each) in enumerate(zip(loaded.rules, raw["resources"], strict=True)):
        for place, (mine, theirs) in enumerate(zip(rule.providers, each["providers"], strict=True)):
            ((label, fields),) = theirs.items()
            assert LABELS[mine.provider] == label
            assert mine.path == f"resources[{number}].providers[{place}].{label}"
            assert (mine.name, mine.endpoint) == (fields.get("name", ""), fields.get("endpoint", ""))
            keys = [(key["name"], base64.b64decode(key["secret"])) for key in fields.get("keys", ())]
            assert [(key.name, key.secret) for key in mine.keys] == keys
            if label == "kms":
                assert (mine.provider is Provider.KMS_V2) == (fields["apiVersion"] == "v2")


def test_fixtures_exist() -> None:
    assert len(FILES) >= 9


def test_the_wildcard_fixture_is_not_merged() -> None:
    loaded = load(FIXTURES / "providers" / "3-wildcards.encryption.json")
    firsts = {}
    for resource in ("secrets", "secrets.", "foos.lab.example.com", "configmaps", "deployments.apps"):
        entries = loaded.providers_for(resource)
        assert entries is not None
        firsts[resource] = (len(entries), entries[0].provider)
    assert firsts == {
        "secrets": (6, Provider.SECRETBOX),
        "secrets.": (6, Provider.SECRETBOX),
        "foos.lab.example.com": (2, Provider.AESGCM),
        "configmaps": (2, Provider.AESCBC),
        "deployments.apps": (2, Provider.AESCBC),
    }


@pytest.mark.parametrize(
    ("rules", "resource", "expected"),
    [
        ([["secrets"]], "configmaps", None),
        ([["secrets."]], "secrets", [0]),
        ([["*."]], "secrets", [0]),
        ([["*."]], "deployments.apps", None),
        ([["*.apps"]], "deployments.apps", [0]),
        ([["*.apps"]], "foos.apps.example.com", None),
        ([["*.*"]], "foos.apps.example.com", [0]),
        ([["secrets"], ["*."], ["*.*"]], "secrets", [0]),
        ([["secrets"], ["*."], ["*.*"]], "pods", [1]),
        ([["secrets"], ["*."], ["*.*"]], "jobs.batch", [2]),
        ([["secrets"], ["pods", "secrets."]], "secrets", [0, 1]),
        ([["foos.example.com"], ["*.example.com"]], "foos.example.com", [0]),
    ],
)
def test_which_rule_covers(tmp_path: Path, rules: list[list[str]], resource: str, expected: list[int] | None) -> None:
    loaded = load_text(tmp_path, document(*(entry(*each, providers=[local()]) for each in rules)))
    entries = loaded.providers_for(resource)
    if expected is None:
        assert entries is None
    else:
        assert entries is not None
        assert [each.path for each in entries] == [f"resources[{number}].providers[0].aescbc" for number in expected]


@pytest.mark.parametrize("text", [b"secrets-of-a-key", bytes(32)])
def test_a_key_shows_nothing_of_its_secret(text: bytes) -> None:
    key = Key("k", text)
    assert repr(key) == "Key(name='k')"
    assert str(text)[2:-1] not in f"{key} {key!r}"


def forms() -> dict[str, str]:
    whole = document()
    old = whole | {"apiVersion": "v1", "kind": "EncryptionConfig"}
    coded = base64.b64encode(json.dumps(whole).encode()).decode()
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "encryption-config-openshift-kube-apiserver"},
    }
    return {
        "k3s": json.dumps(
            {"kind": whole["kind"], "apiVersion": whole["apiVersion"], "resources": whole["resources"]},
            separators=(",", ":"),
        ),
        "json": json.dumps(whole, indent=2),
        "json with tabs": json.dumps(whole, indent="\t"),
        "json with crlf": json.dumps(whole, indent=1).replace("\n", "\r\n"),
        "yaml": yaml.safe_dump(whole),
        "yaml document": "---\n# a comment\n" + yaml.safe_dump(whole, default_style='"'),
        "byte order mark": "\ufeff" + json.dumps(whole),
        "old kind": yaml.safe_dump(old),
        "null elsewhere": json.dumps(document(entry("secrets", providers=[local() | {"kms": None}, {"identity": {}}]))),
        "openshift data": json.dumps(manifest | {"data": {"encryption-config": coded}}),
        "openshift data, yaml block": yaml.safe_dump(
            manifest | {"data": {"encryption-config": coded[:76] + "\n" + coded[76:] + "\n"}}, default_style="|"
        ),
        "openshift stringData": json.dumps(manifest | {"stringData": {"encryption-config": yaml.safe_dump(whole)}}),
    }


@pytest.mark.parametrize("form", forms())
def test_forms(tmp_path: Path, form: str) -> None:
    loaded = load_text(tmp_path, forms()[form])
    (rule,) = loaded.rules
    assert loaded.kind == ("EncryptionConfig" if form == "old kind" else "EncryptionConfiguration")
    assert rule.resources == ("secrets",)
    assert [each.provider for each in rule.providers] == [Provider.AESCBC, Provider.IDENTITY]
    assert rule.providers[0].keys == (Key(MARKER, base64.b64decode(SECRET)),)
    assert loaded.sha256 == hashlib.sha256((tmp_path / "enc.yaml").read_bytes()).hexdigest()


def test_names_are_what_go_reads(tmp_path: Path) -> None:
    """Surrogate pairs of JSON are joined and lone ones replaced: a name can always be made into a prefix."""
    for escaped, expected in (("\\ud83d\\ude00", "\U0001f600"), ("\\ud800", "\ufffd")):
        entries = load_text(tmp_path, json.dumps(document()).replace(MARKER, escaped)).providers_for("secrets")
        assert entries is not None
        assert entries[0].keys[0].name == expected


@pytest.mark.parametrize(
    "providers",
    [
        *([local("aescbc", base64.b64encode(bytes(size)).decode())] for size in (16, 24, 32)),
        *([local("aesgcm", base64.b64encode(bytes(size)).decode())] for size in (16, 24, 32)),
        [local("secretbox")],
        [local(secret=SECRET[:20] + "\r\n" + SECRET[20:] + "\n")],
        [{"aescbc": {"keys": [{"name": "k", "secret": SECRET}, {"name": "k", "secret": SECRET}]}}],
        [local(name="aescbckey-2026-01-02T03:04:05Z")],
        [{"identity": {}}],
        [kms(apiVersion="v1", name="a:b", cachesize=-1, timeout="1m3.5s")],
        [kms(apiVersion=None, cachesize=1000)],
        [kms(apiVersion="")],
        [kms(endpoint="unix:///@abstract", timeout="500ms")],
        [kms(apiVersion="v1", name="same"), kms(apiVersion="v1", name="same")],
        [kms(name="one"), kms(name="two")],
    ],
)
def test_accepted(tmp_path: Path, providers: list[Document]) -> None:
    (rule,) = load_text(tmp_path, document(entry("secrets", providers=providers))).rules
    assert len(rule.providers) == len(providers)


P = "resources[0].providers[0]"
K = f"{P}.aescbc.keys[0]"
BAD_PROVIDERS: list[tuple[list[Any], str]] = [
    ([{}], f"{P}: expected exactly one provider, found 0"),
    ([{"identity": None}], f"{P}: expected exactly one provider, found 0"),
    ([local() | local("aesgcm")], f"{P}: expected exactly one provider, found 2"),
    ([MARKER], P),
    ([{MARKER: {}}], P),
    ([local(), {MARKER * 50: {}}], "resources[0].providers[1]"),
    ([{"aescbc": {"keys": []}}], f"{P}.aescbc.keys"),
    ([{"aescbc": {}}], f"{P}.aescbc.keys"),
    ([{"aescbc": MARKER}], f"{P}.aescbc"),
    ([{"aescbc": {"keys": [MARKER]}}], K),
    ([{"aescbc": {"keys": [{"name": "", "secret": SECRET}]}}], f"{K}.name"),
    ([{"aescbc": {"keys": [{"secret": SECRET}]}}], f"{K}.name"),
    ([{"aescbc": {"keys": [{"name": MARKER}]}}], f"{K}.secret"),
    ([{"aescbc": {"keys": [{"name": MARKER, "secret": [SECRET]}]}}], f"{K}.secret"),
    ([local(secret=MARKER + "!")], f"{K}.secret"),
    ([local(secret="é" + MARKER)], f"{K}.secret"),
    ([local(secret=SECRET[:-1])], f"{K}.secret"),
    ([local(secret=SECRET[:10] + " " + SECRET[10:])], f"{K}.secret"),
    ([local(secret="-_" + SECRET[2:])], f"{K}.secret"),
    ([local(secret=base64.b64encode(bytes(15)).decode())], f"{K}.secret: 15 bytes, expected 16 or 24 or 32"),
    ([local("aesgcm", base64.b64encode(bytes(33)).decode())], f"{P}.aesgcm.keys[0].secret: 33 bytes"),
    (
        [local("secretbox", base64.b64encode(bytes(16)).decode())],
        f"{P}.secretbox.keys[0].secret: 16 bytes, expected 32",
    ),
    ([{"identity": MARKER}], f"{P}.identity"),
    ([kms(apiVersion=MARKER)], f"{P}.kms.apiVersion"),
    ([kms(name=None)], f"{P}.kms.name"),
    ([kms(name=MARKER + ":a")], f"{P}.kms.name"),
    ([kms(endpoint=None)], f"{P}.kms.endpoint"),
    ([kms(endpoint="https://" + MARKER)], f"{P}.kms.endpoint"),
    ([kms(cachesize="5")], f"{P}.kms.cachesize"),
    ([kms(apiVersion="v1", cachesize=0)], f"{P}.kms.cachesize"),
    ([kms(apiVersion="v1", cachesize=MARKER)], f"{P}.kms.cachesize"),
    ([kms(timeout="0s")], f"{P}.kms.timeout"),
    ([kms(timeout="-3s")], f"{P}.kms.timeout"),
    ([kms(timeout=MARKER)], f"{P}.kms.timeout"),
    ([kms(), kms()], "resources[0].providers[1].kms.name"),
    ([kms(apiVersion="v1"), kms()], "resources[0].providers[1].kms.name"),
]


@pytest.mark.parametrize(("providers", "path"), BAD_PROVIDERS)
def test_refused_providers(tmp_path: Path, providers: list[Any], path: str) -> None:
    text = refusal(tmp_path, document(entry("secrets", providers=providers)))
    assert path in text


@pytest.mark.parametrize(
    ("names", "path"),
    [
        ([], "resources[0].resources"),
        (["Secrets"], "resources[0].resources[0]"),
        (["pods", "*"], "resources[0].resources[1]"),
        (["secrets.*"], "resources[0].resources[0]"),
        (["apiserveripinfo"], "resources[0].resources[0]"),
        (["serviceipallocations"], "resources[0].resources[0]"),
        (["servicenodeportallocations"], "resources[0].resources[0]"),
        (["events.events.k8s.io"], "resources[0].resources[0]"),
        (["*.events.k8s.io"], "resources[0].resources[0]"),
        (["ingresses.extensions"], "resources[0].resources[0]"),
        (["secrets", "secrets"], "resources[0].resources["),
        (["secrets", "secrets."], "resources[0].resources["),
        (["secrets", "*."], "resources[0].resources["),
        (["deployments.apps", "*.apps"], "resources[0].resources["),
        (["*.apps", "*.*"], "resources[0].resources["),
        (["secrets", "*.*"], "resources[0].resources["),
        ([["secrets"]], "resources[0].resources[0]"),
    ],
)
def test_refused_names(tmp_path: Path, names: list[Any], path: str) -> None:
    assert path in refusal(tmp_path, document(entry(*names)))


@pytest.mark.parametrize("names", [["secrets", "configmaps"], ["secrets", "*.apps"], ["*.", "*.apps"], ["secret"]])
def test_accepted_names(tmp_path: Path, names: list[str]) -> None:
    assert load_text(tmp_path, document(entry(*names))).rules[0].resources == tuple(names)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("*.*", "secrets"),
        ("*.*", "*."),
        ("*.", "secrets"),
        ("*.apps", "deployments.apps"),
        ("*.", "*."),
        ("*.apps", "*.apps"),
        ("*.*", "*.*"),
    ],
)
def test_a_masked_rule_is_refused(tmp_path: Path, first: str, second: str) -> None:
    """k8s.io/apiserver encryptionconfig/config.go: a wildcard masks all that follows, itself included."""
    assert "resources[1]" in refusal(tmp_path, document(entry(first), entry(second)))


@pytest.mark.parametrize(("first", "second"), [("secrets", "*."), ("*.apps", "*.*"), ("*.", "jobs.batch")])
def test_an_unmasked_rule_is_accepted(tmp_path: Path, first: str, second: str) -> None:
    assert len(load_text(tmp_path, document(entry(first), entry(second))).rules) == 2


def test_kms_v2_names_are_unique_across_rules(tmp_path: Path) -> None:
    rules = (entry("secrets", providers=[kms()]), entry("configmaps", providers=[kms()]))
    assert "resources[1].providers[0].kms.name" in refusal(tmp_path, document(*rules))


def bad_texts() -> dict[str, Any]:
    text = json.dumps(document())
    aliased = f"kind: EncryptionConfig\napiVersion: v1\nresources: &{MARKER} []\nx: *{MARKER}\n"
    return {
        "empty": "",
        "no document": "---\n",
        "scalar": MARKER,
        "list": json.dumps([MARKER]),
        "alias": aliased,
        "anchor": text.replace('"secrets"', f"&{MARKER} secrets"),
        "undefined alias": text.replace('"secrets"', f"*{MARKER}"),
        "two documents": text + "\n---\n" + text,
        "truncated": text[:-20],
        "unterminated": text[: text.index(MARKER) + 5],
        "bad escape": text.replace(MARKER, MARKER + "\\q"),
        "huge escape": text.replace(MARKER, MARKER + "\\UFFFFFFFF"),
        "not utf-8": text.encode().replace(MARKER.encode(), MARKER.encode() + b"\xff"),
        "nul": text.replace(MARKER, MARKER + "\0"),
        "duplicate field": text[:-1] + f', "kind": "{MARKER}"}}',
        "field that is a list": text[:-1] + f", ? [{MARKER}] : 1}}",
        "deep": text[:-1] + ', "x": ' + "[" * 40 + f'"{MARKER}"' + "]" * 40 + "}",
        "very deep": "[" * 20_000 + MARKER,
        "large": text + " " * (1 << 20),
        "wrong kind": json.dumps(document() | {"kind": MARKER}),
        "wrong version": json.dumps(document() | {"apiVersion": MARKER}),
        "mixed kinds": json.dumps(document() | {"apiVersion": "v1"}),
        "no resources": json.dumps(document() | {"resources": []}),
        "resources text": json.dumps(document() | {"resources": MARKER}),
        "rule text": json.dumps(document() | {"resources": [MARKER]}),
        "no providers": json.dumps(document({"resources": ["secrets"], "providers": []})),
        "other secret": json.dumps({"kind": "Secret", "data": {MARKER: MARKER}}),
        "secret not base64": json.dumps({"kind": "Secret", "data": {"encryption-config": MARKER + "!"}}),
        "secret not ascii": json.dumps({"kind": "Secret", "data": {"encryption-config": MARKER + "é"}}),
        "secret lone surrogate": json.dumps({"kind": "Secret", "stringData": {"encryption-config": MARKER + "\ud800"}}),
        "secret of secret": json.dumps(
            {"kind": "Secret", "stringData": {"encryption-config": json.dumps({"kind": "Secret", "data": MARKER})}}
        ),
        "tag": text.replace(f'"{MARKER}"', f"!<{MARKER}%zz {MARKER}"),
        "directive": f"%YAML {'9' * 5000}.1\n--- {MARKER}",
    }


@pytest.mark.parametrize("name", bad_texts())
def test_refused_texts_are_not_quoted(tmp_path: Path, name: str) -> None:
    assert len(refusal(tmp_path, bad_texts()[name])) < 300


def test_syntax_errors_have_line_and_column(tmp_path: Path) -> None:
    assert "line 3, column" in refusal(tmp_path, f"kind: a\napiVersion: b\n{MARKER}: [{MARKER}: : }}\n")


def hostile(most: int = (1 << 20) - 100) -> dict[str, str]:
    """Files of 1 MiB, or of so many characters, each of a kind that is slow to read for one reason or another."""
    kinds = {
        "list": ("[", "1,", "]"),
        "lists": ("[", "[],", "]"),
        "block list": ("a:\n", "- x\n", ""),
        "deep keys": ("", "? ", ""),
        "deep list": ("", "- ", ""),
        "documents": ("", "---\n", ""),
        "comments": ("", "#\n", ""),
        "one comment": ("#", "x", ""),
        "blank lines": ("", "\n", ""),
        "words": ("", "a ", ""),
        "lines": ("a:\n", " x\n", ""),
        "literal": ("a: |\n", " x\n", ""),
        "folded": ("a: >\n", " x\n", ""),
        "quoted": ('"', "a ", '"'),
        "escapes": ('"', "\\x41", '"'),
        "quotes": ("'", "''", "'"),
        "tag": ("!", "a", " x"),
        "anchor": ("&", "a", " x"),
        "colons": ("", "a:", ""),
        "braces": ("", "{", ""),
        "open": ("", "[a: ", ""),
    }
    return {
        name: before + piece * ((most - len(before) - len(after)) // len(piece)) + after
        for name, (before, piece, after) in kinds.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", hostile())
def test_a_hostile_file_is_refused(tmp_path: Path, name: str) -> None:
    refusal(tmp_path, hostile()[name])


@pytest.mark.parametrize("name", hostile())
def test_the_work_grows_as_a_hostile_file_does(tmp_path: Path, name: str) -> None:
    once, twice = (calls(partial(refusal, tmp_path, hostile(size)[name])) for size in (1 << 12, 1 << 13))
    assert twice < 2.5 * once + 1_000


def many(count: int) -> dict[str, Document]:
    """Documents that are refused for nothing but their size, if at all."""
    names = [f"r{number}.g{number}" for number in range(count)]
    keys = [{"name": f"k{number}", "secret": SECRET} for number in range(count)]
    return {
        "names": document(entry(*names)),
        "wildcards": document(entry(*(f"*.g{number}" for number in range(count)))),
        "keys": document(entry("secrets", providers=[{"aescbc": {"keys": keys}}])),
        "providers": document(entry("secrets", providers=[{"identity": {}}] * count)),
        "rules": document(*(entry(name, providers=[{"identity": {}}]) for name in names)),
        "kms": document(entry("secrets", providers=[kms(name=f"k{number}") for number in range(count)])),
    }


@pytest.mark.parametrize("count", [MOST_EVENTS // 16, MOST_EVENTS])
@pytest.mark.parametrize("name", many(1))
def test_a_large_configuration_is_read_or_refused(tmp_path: Path, name: str, count: int) -> None:
    content = json.dumps(many(count)[name])
    if count == MOST_EVENTS:
        refusal(tmp_path, content)
    else:
        assert calls(lambda: load_text(tmp_path, content)) < 60 * len(content)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("kind: *a\n", "line 1, column 7: an alias of nothing"),
        ("x: " + "[" * 40, "line 1, column 36: nested"),
        ("[" + "1, " * MOST_EVENTS, "line 1, column"),
    ],
)
def test_complaints_name_line_and_column(tmp_path: Path, text: str, where: str) -> None:
    assert where in refusal(tmp_path, text)


def test_only_files_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a pipe, one that comes to its end."""
    monkeypatch.setattr(inputs, "PATIENCE", 0.2)
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "absent", tmp_path / "fifo", tmp_path / "a\0b"):
        with pytest.raises((ConfigurationError, UsageError)):
            load(path)


def test_the_source_is_printable(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[31m.yaml"
    path.write_text(json.dumps(document()))
    assert load(path).source == "a\\x1b[31m.yaml"


BASE = [
    json.dumps(document(), indent=1),
    yaml.safe_dump(document(entry("secrets"), entry("*.apps", providers=[kms()]))),
]
PIECES = st.one_of(
    st.sampled_from([MARKER, "&a ", "*a", "\n---\n", "{", "}", "[", "]", ":", ",", '"', "\\", "\t", "!!x ", "\\ud800"]),
    st.text(max_size=4),
)


@given(st.sampled_from(BASE), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), PIECES), min_size=1, max_size=4))
def test_mutated_text_is_loaded_or_refused(base: str, edits: list[tuple[float, int, str]]) -> None:
    text = base
    for at, cut, piece in edits:
        start = int(at * len(text))
        text = text[:start] + piece + text[start + cut :]
    check(text.encode("utf-8", "surrogatepass"))


LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.just(MARKER), st.text(max_size=6))
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
)


@given(st.data(), TREES)
def test_mutated_trees_are_loaded_or_refused(data: st.DataObject, value: Any) -> None:
    root = copy.deepcopy(document(entry("secrets"), entry("pods", providers=[kms(), local("secretbox")])))
    node: Any = root
    while True:
        place = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        if not isinstance(node[place], dict | list) or not node[place] or data.draw(st.booleans()):
            break
        node = node[place]
    node[place] = value
    check(json.dumps(root).encode())


def check(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "enc.yaml"
        path.write_bytes(content)
        try:
            load(path)
        except ConfigurationError as error:
            discreet(error)
