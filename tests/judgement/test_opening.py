"""Values of the fixtures opened with their keys, judged, and what damage and foreign keys make of them."""

import base64
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import auditor
from auditor.model.vocabulary import Severity
from tests.helpers import sealing
from tests.helpers.command import run
from tests.helpers.etcd import Etcd
from tests.helpers.fixtures import MIGRATION, PROVIDERS, canaries, name_of, truth
from tests.helpers.kms_plugin import KmsPlugin, read_keks
from tests.helpers.objects import StoredObject

STAGES = sorted(PROVIDERS.glob("*.db"))


def config(path: Path) -> Path:
    return path.with_suffix(".encryption.json")


def audit(path: Path, **options: Any) -> auditor.Audit:
    given = {"encryption_configs": (str(config(path)),), **options}
    return auditor.scan(path, auditor.Options(**given))


def keys_with(found: pd.DataFrame, finding: str) -> set[str]:
    return set(found[found.finding == finding].key)


@pytest.fixture
def plugins(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Both KMS plugins of the lab, serving over unix sockets; the options that name them."""
    vault, legacy = read_keks(PROVIDERS / "kek-vault.json"), read_keks(PROVIDERS / "kek-legacy.json")
    with (
        KmsPlugin(tmp_path, vault, current="kek-b", socket="vault.sock") as first,
        KmsPlugin(tmp_path, legacy, socket="legacy.sock") as second,
    ):
        yield f"vault={first.endpoint}", f"legacy={second.endpoint}"


@pytest.mark.parametrize("path", STAGES, ids=name_of)
def test_every_value_of_every_provider_opens_to_the_object_its_key_names(path: Path, plugins: tuple[str, str]) -> None:
    made = audit(path, resources=("secrets", "configmaps"), kms_plugins=plugins)
    rows = made.inventory
    encrypted = rows[(rows.provider != "identity") & (rows.provider != "")]
    assert set(encrypted.decrypted) == {"yes"}
    assert not keys_with(made.findings, "undecryptable") | keys_with(made.findings, "misplaced")
    secrets = truth(path)["secrets"]
    latest = encrypted[(encrypted.place == "latest") & (encrypted.resource == "secrets")]
    assert len(latest) >= 30
    for namespace, name, type_, keys in zip(
        latest.namespace, latest["name"], latest.type, latest.data_keys, strict=True
    ):
        said = secrets[f"{namespace}/{name}"]
        assert type_ == said["type"]
        assert sorted(keys.split(";")) == sorted(said["data_keys"])


@pytest.mark.parametrize("path", STAGES, ids=name_of)
def test_without_the_plugins_exactly_the_kms_values_stay_closed(path: Path) -> None:
    made = audit(path, resources=("secrets", "configmaps"))
    rows = made.inventory
    closed = rows.decrypted == "no key"
    assert closed.any()
    assert (closed == rows.provider.isin(["kms v1", "kms v2"])).all()
    assert not made.complete


def test_rotation_half_way_reports_exactly_what_is_under_the_old_key() -> None:
    path = MIGRATION / "6-rotating.db"
    stored = truth(path)["stored"]
    old = {entry["key"] for entry in stored if "/secrets/" in entry["key"] and entry["key_name"] == "key1"}
    found = audit(path).findings
    assert set(found[found.finding == "stale-key"].key) == old
    assert len(old) == 20
    rotated = audit(MIGRATION / "7-rotated.db").findings
    assert not (rotated.finding == "stale-key").any()


def test_an_older_kek_is_stale_by_the_plugin_s_word_and_by_presumption(plugins: tuple[str, str]) -> None:
    path = PROVIDERS / "2-kek-rotated.db"
    for options in ({"kms_plugins": plugins}, {}, {"current_keks": ("vault=kek-b",)}):
        made = audit(path, **options)
        found = made.findings
        stale = found[found.finding == "stale-kek"]
        rows = made.inventory
        assert set(stale.key) == set(rows[(rows.kek_id == "kek-a") & (rows.place == "latest")].key)
        assert len(stale)


def test_a_rewritten_value_is_compared_with_the_leftovers() -> None:
    path = MIGRATION / "3-rewritten.db"
    rows = audit(path).inventory
    history = rows[rows.place == "history"]
    assert Counter(history.same_as_latest) == {"yes": 27, "no": 1}
    severe = audit(path).findings
    critical = severe[(severe.finding == "plaintext") & (severe.severity == "critical")]
    assert len(critical) == 27


def test_identity_moved_first_never_makes_plaintext_pass(tmp_path: Path) -> None:
    for path in (MIGRATION / "1-plaintext.db", MIGRATION / "2-enabled.db", PROVIDERS / "1-every-provider.db"):
        source = config(path) if config(path).exists() else config(MIGRATION / "2-enabled.db")
        document = json.loads(source.read_text())
        for entry in document["resources"]:
            entry["providers"].sort(key=lambda provider: "identity" not in provider)
        moved = tmp_path / "moved.json"
        moved.write_text(json.dumps(document))
        made = auditor.scan(path, auditor.Options(encryption_configs=(str(moved),)))
        assert made.tally.readable >= 7
        assert made.exit_code(Severity.CRITICAL) == 1
        assert (made.findings.finding == "configuration").any()


def _with_key(tmp_path: Path, secret: bytes, name: str = "key1") -> str:
    document = json.loads(config(MIGRATION / "3-rewritten.db").read_text())
    key = {"name": name, "secret": base64.b64encode(secret).decode()}
    document["resources"][0]["providers"][0]["aescbc"]["keys"] = [key]
    path = tmp_path / "other.json"
    path.write_text(json.dumps(document))
    return str(path)


def test_a_wrong_key_under_the_right_name_opens_nothing(tmp_path: Path) -> None:
    for seed in range(20):
        given = (_with_key(tmp_path, bytes([seed]) * 32),)
        made = auditor.scan(MIGRATION / "3-rewritten.db", auditor.Options(encryption_configs=given))
        latest = made.inventory[made.inventory.place == "latest"]
        assert set(latest.decrypted) <= {"failed", "yes"}
        assert len(keys_with(made.findings, "undecryptable") | keys_with(made.findings, "misplaced")) == len(latest)


def test_a_configuration_without_the_key_leaves_values_orphaned(tmp_path: Path) -> None:
    given = (_with_key(tmp_path, b"x" * 32, name="another"),)
    made = auditor.scan(MIGRATION / "3-rewritten.db", auditor.Options(encryption_configs=given))
    assert len(made.findings[made.findings.finding == "orphaned"]) == 34


@pytest.mark.parametrize("path", [b"configmaps/shop", b"foos/shop", b"example.com/foos/shop"])
@pytest.mark.parametrize("written", [StoredObject.protobuf, StoredObject.json], ids=["protobuf", "json"])
def test_a_readable_secret_is_orphaned_by_the_rule_of_its_key_alone(
    path: bytes, written: Callable[[StoredObject], bytes], tmp_path: Path
) -> None:
    """The API server reads a value by the rule of its path, whatever kind of object stands there."""
    leak, good = StoredObject(name=b"leak"), StoredObject(name=b"good")
    key = ("key1", sealing.KEY)
    stored = sealing.seal("secretbox", *key, good, random.Random(1))
    database = sealing.database(
        tmp_path / "a.db", [(good.key, stored), (b"/registry/" + path + b"/leak", written(leak))]
    )
    for resource, findings in (("secrets", {"plaintext"}), ("*.*", {"plaintext", "orphaned"})):
        given = sealing.configuration(
            tmp_path / f"{resource[0]}.json", sealing.provider("secretbox", key), resources=(resource,)
        )
        made = auditor.scan(database, auditor.Options(encryption_configs=(given,)))
        assert set(made.findings.finding) == findings
        orphaned = "orphaned" in findings
        assert any("no API server reads the value of" in note for note in made.notes) is orphaned
        if not orphaned:
            assert any(
                "its write key secretbox/key1 decrypts the newest value of secrets" in note for note in made.notes
            )


def _swap(path: Path, provider: str, folder: Path) -> tuple[Path, set[str]]:
    """Two values of one provider, each put under the other's key in a real etcd."""
    rows = audit(path).inventory
    rows = rows[(rows.provider == provider) & (rows.place == "latest") & (rows.resource == "secrets")].head(2)
    raw = path.read_bytes()
    stored = [raw[at : at + size] for at, size in zip(rows.offset, rows["size"], strict=True)]
    with Etcd(folder / "data") as etcd:
        for key, value in zip(rows.key, reversed(stored), strict=True):
            etcd.put(key.encode(), value)
        return etcd.save(folder / "swapped.db"), set(rows.key)


@pytest.mark.parametrize(
    ("path", "provider", "finding"),
    [
        (MIGRATION / "3-rewritten.db", "aescbc", "misplaced"),
        (PROVIDERS / "1-every-provider.db", "secretbox", "misplaced"),
        (PROVIDERS / "1-every-provider.db", "aesgcm", "undecryptable"),
        (PROVIDERS / "1-every-provider.db", "kms v2", "undecryptable"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_swapped_ciphertexts(path: Path, provider: str, finding: str, tmp_path: Path, plugins: tuple[str, str]) -> None:
    target, keys = _swap(path, provider, tmp_path)
    given = auditor.Options(encryption_configs=(str(config(path)),), kms_plugins=plugins if "kms" in provider else ())
    found = auditor.scan(target, given).findings
    assert keys_with(found, finding) == keys


def test_a_compromised_key_is_known(tmp_path: Path) -> None:
    made = audit(MIGRATION / "6-rotating.db", compromised_keys=("aescbc:key1",))
    assert len(made.findings[made.findings.finding == "known-key"]) == 20 + _leftovers(made)
    assert made.exit_code(Severity.CRITICAL) == 1


def test_a_compromised_key_that_cannot_be_tried_is_no_pass() -> None:
    path = MIGRATION / "5-defragmented.db"
    done = run("scan", path, "--compromised-key", "aescbc:key1")
    assert (done.returncode, "--compromised-key names it" in done.stdout) == (3, True)
    done = run("scan", path, "--compromised-key", "aescbc:kye1")
    assert (done.returncode, "--compromised-key aescbc/kye1: no value names this key" in done.stdout) == (0, True)
    for nameless in ("aescbc", "aescbc:"):
        assert run("scan", path, "--compromised-key", nameless).returncode == 2


@pytest.mark.parametrize(("name", "said"), [("vualt", True), ("legacy", True), ("vault", False)])
def test_a_current_kek_of_a_kms_that_no_value_names_is_said(name: str, said: bool) -> None:
    path = PROVIDERS / "2-kek-rotated.db"
    config = path.with_suffix(".encryption.json")
    done = run("scan", path, "--encryption-config", config, "--current-kek", f"{name}=kek-c")
    assert (f"--current-kek {name}: no value of KMS v2 names it" in done.stdout) is said


def _leftovers(made: auditor.Audit) -> int:
    rows = made.inventory
    return int(((rows.key_name == "key1") & (rows.place != "latest")).sum())


def test_expect_names_the_write_provider_without_a_file() -> None:
    path = MIGRATION / "6-rotating.db"
    found = auditor.scan(path, auditor.Options(expect="aescbc:key2")).findings
    assert (found.finding == "stale-key").sum() == 20
    found = auditor.scan(path, auditor.Options(expect="secretbox")).findings
    assert (found.finding == "stale-provider").sum() == 34
    plain = auditor.scan(MIGRATION / "1-plaintext.db", auditor.Options(expect="plaintext"))
    assert not (plain.findings.finding == "plaintext").any()


def test_keys_says_what_is_needed_by_what(tmp_path: Path) -> None:
    path = MIGRATION / "7-rotated.db"
    ran = run("keys", path, "--encryption-config", config(path), "--json", tmp_path / "keys.json")
    assert ran.returncode == 0
    said = {entry["key_name"]: entry for entry in json.loads((tmp_path / "keys.json").read_text())["keys"]}
    assert said["key2"]["places"]["latest"] == 34
    assert "latest" not in said["key1"]["places"]
    assert "needed by" in said["key2"]["needed"]
    assert "leftovers only" in said["key1"]["needed"]


@pytest.mark.parametrize("path", [*STAGES, MIGRATION / "6-rotating.db"], ids=name_of)
def test_no_key_and_no_secret_leaves(path: Path, tmp_path: Path, plugins: tuple[str, str]) -> None:
    options: list[str | Path] = [
        "--encryption-config",
        config(path),
        *(part for plugin in plugins for part in ("--kms-plugin", plugin)),
    ]
    outputs: list[str | Path] = [
        "--csv",
        tmp_path / "a.csv",
        "--json",
        tmp_path / "a.json",
        "--html",
        tmp_path / "a.html",
    ]
    if path.parent == MIGRATION:
        options = options[:2]
    ran = run("scan", path, *options, *outputs, "-v")
    assert ran.returncode == 1, ran.stderr
    told = [ran.stdout.encode(), ran.stderr.encode()]
    told += [file.read_bytes() for file in tmp_path.iterdir() if file.suffix in {".csv", ".json", ".html"}]
    keys = _secrets(json.loads(config(path).read_text()))
    for file in PROVIDERS.glob("kek-*.json"):
        keys += [bytes.fromhex(key) for key in json.loads(file.read_text()).values()]
    assert len(keys) >= 4
    codings = [coded for key in keys for coded in (key, key.hex().encode(), base64.b64encode(key)[:-4])]
    for needle in [*canaries(path), *codings]:
        assert not any(needle in output for output in told)


def _secrets(part: Any) -> list[bytes]:
    if isinstance(part, dict):
        mine = [base64.b64decode(part["secret"])] if "secret" in part else []
        return mine + [each for value in part.values() for each in _secrets(value)]
    return [each for value in part for each in _secrets(value)] if isinstance(part, list) else []
