"""The keys command: what each key opens, keys of one name, and keys that do not open what names them."""

import csv
import json
import re
import shutil
from pathlib import Path

import pytest

from tests.helpers.command import run

CASES = Path(__file__).parents[2] / "fixtures/cases"
SPLIT = CASES / "keys-with-a-wrong-key"
OPENSHIFT = CASES / "openshift-three-api-servers"
COMPONENTS = ("openshift-apiserver", "openshift-kube-apiserver", "openshift-oauth-apiserver")


def keys(snapshot: Path, *configs: Path) -> tuple[int, str, list[dict[str, object]]]:
    """Exit code, standard error and the table, of `keys`."""
    options = [part for config in configs for part in ("--encryption-config", str(config))]
    done = run("keys", str(snapshot), *options, "--json", "-")
    rows = json.loads(done.stdout)["keys"]
    return done.returncode, done.stderr, [row for row in rows if row["provider"] != "identity"]


@pytest.mark.parametrize(
    ("name", "opened", "sentence"),
    [
        ("wrong", 0, "None of 8 values under aescbc/key1 is decrypted by the key supplied: another key"),
        ("first", 4, "4 of 8 values under aescbc/key1 are decrypted by the key supplied: another key"),
        ("second", 4, "4 of 8 values under aescbc/key1 are decrypted by the key supplied: another key"),
    ],
)
def test_a_key_that_does_not_open_what_names_it(name: str, opened: int, sentence: str) -> None:
    code, said, (row,) = keys(SPLIT / "snapshot.db", SPLIT / f"config-{name}-key.json")
    assert code == 1
    assert (row["values"], row["decrypted"], row["failed"]) == (8, opened, 8 - opened)
    assert sentence in said


def test_two_keys_of_one_name_have_a_row_each() -> None:
    files = [SPLIT / f"config-{name}-key.json" for name in ("first", "second")]
    code, _, rows = keys(SPLIT / "snapshot.db", *files)
    assert code == 0
    assert [(row["origin"], row["values"], row["decrypted"]) for row in rows] == [(file.name, 4, 4) for file in files]
    assert [(row["oldest"], row["newest"]) for row in rows] == [(2, 5), (6, 9)]


def test_files_of_one_name_are_told_apart_by_number(tmp_path: Path) -> None:
    files = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        files.append(tmp_path / name / "config.json")
        shutil.copy(SPLIT / f"config-{name}-key.json", files[-1])
    _, _, rows = keys(SPLIT / "snapshot.db", *files)
    assert [row["origin"] for row in rows] == ["config.json (file 1)", "config.json (file 2)"]


def test_values_that_none_of_several_keys_opens_have_a_row() -> None:
    code, said, rows = keys(SPLIT / "snapshot.db", *(SPLIT / f"config-{name}-key.json" for name in ("first", "wrong")))
    assert code == 1
    assert [(row["origin"], row["values"]) for row in rows if row["values"]] == [
        ("another origin", 4),
        ("config-first-key.json", 4),
    ]
    assert "another key of this name is needed too" in said


def test_a_name_that_no_configuration_has_is_not_tried(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text((SPLIT / "config-first-key.json").read_text().replace('"key1"', '"other"'))
    code, said, _ = keys(SPLIT / "snapshot.db", config)
    assert code == 3
    assert "Nothing could be tried on 8 values under aescbc/key1" in said


def test_openshift_numbers_the_keys_of_each_api_server() -> None:
    code, _, rows = keys(OPENSHIFT / "snapshot.db", *(OPENSHIFT / f"{name}.json" for name in COMPONENTS))
    assert code == 0
    assert len(rows) == 9
    third = {row["origin"]: row["values"] for row in rows if row["key_name"] == "3"}
    assert third == {
        "openshift-apiserver.json": 1,
        "openshift-kube-apiserver.json": 13,
        "openshift-oauth-apiserver.json": 1,
    }


def test_a_hunt_counts_by_key_not_by_name() -> None:
    """Three keys are called 3: each opens its own component's values."""
    options = [part for name in COMPONENTS for part in ("--encryption-config", str(OPENSHIFT / f"{name}.json"))]
    rows = list(
        csv.DictReader(run("scan", OPENSHIFT / "snapshot.db", *options, "--hunt", "--csv", "-").stdout.splitlines())
    )
    opens = {
        row["name"].removeprefix("encryption-key-"): row["detail"].partition("; ")[2]
        for row in rows
        if row["finding"] == "key-present" and row["name"].endswith("-3")
    }
    assert {name: re.search(r"\d+", text)[0] for name, text in opens.items()} == {  # type: ignore[index]
        "openshift-apiserver-3": "1",
        "openshift-kube-apiserver-3": "13",
        "openshift-oauth-apiserver-3": "1",
    }
    configurations = {
        row["name"].removeprefix("encryption-config-"): re.findall(r"\d+", row["detail"])
        for row in rows
        if row["finding"] == "key-present" and "an EncryptionConfiguration" in row["detail"]
    }
    assert configurations == {
        "openshift-apiserver": ["3", "1"],
        "openshift-kube-apiserver": ["3", "13"],
        "openshift-oauth-apiserver": ["3", "1"],
    }


def test_scan_holds_no_aggregated_api_server_to_secrets() -> None:
    options = [part for name in COMPONENTS for part in ("--encryption-config", str(OPENSHIFT / f"{name}.json"))]
    done = run("scan", str(OPENSHIFT / "snapshot.db"), *options)
    assert done.returncode == 0
    assert "configuration (" not in done.stdout


def test_scan_notes_the_documented_opt_out() -> None:
    case = CASES / "documented-opt-out-of-events"
    done = run("scan", str(case / "snapshot.db"), "--encryption-config", str(case / "config.json"))
    assert done.returncode == 0
    assert "events: under identity alone" in " ".join(done.stdout.split())
