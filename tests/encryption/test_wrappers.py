"""Configurations that others wrap: Secrets, ConfigMaps, RKE's state; and what is none."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from auditor.encryption.configuration import load, parse
from auditor.encryption.strict_yaml import ConfigurationError
from tests.encryption.test_configuration import MARKER, document, entry

CASES = Path(__file__).parents[2] / "fixtures/cases/config-wrapped-by-others"
TEXT = json.dumps(document())
CODED = base64.b64encode(TEXT.encode()).decode()
STATE = {"desiredState": {"encryptionConfig": TEXT}, "currentState": {"encryptionConfig": TEXT}}


@pytest.mark.parametrize("path", sorted(CASES.iterdir()), ids=lambda path: path.name)
def test_cases(path: Path) -> None:
    (rule,) = load(path).rules
    assert rule.resources == ("secrets",)


@pytest.mark.parametrize(
    "wrapper",
    [
        {"apiVersion": "v1", "kind": "Secret", "data": {"any": CODED, "other": "AAAA"}},
        {"apiVersion": "v1", "kind": "Secret", "stringData": {"any": TEXT}},
        {"apiVersion": "v1", "kind": "ConfigMap", "data": {"any": TEXT, "other": "text"}},
        {"apiVersion": "v1", "kind": "ConfigMap", "data": {"full-cluster-state": json.dumps(STATE)}},
        STATE,
        {"desiredState": {"encryptionConfig": TEXT}, "currentState": {}},
    ],
)
def test_unwrapped(wrapper: dict[str, Any]) -> None:
    configuration = parse(json.dumps(wrapper).encode(), "enc")
    assert configuration.rules[0].resources == ("secrets",)
    assert not configuration.notes


def test_of_two_states_the_current_one_is_read() -> None:
    other = json.dumps(document(entry("configmaps")))
    configuration = parse(json.dumps(STATE | {"desiredState": {"encryptionConfig": other}}).encode(), "enc")
    assert configuration.rules[0].resources == ("secrets",)
    assert "the current one is read" in configuration.notes[0]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"apiVersion": "v1", "kind": "ConfigMap", "data": {MARKER: MARKER}}, "a v1 ConfigMap, and no field"),
        ({"apiVersion": "v1", "kind": "Secret", "data": {"a": MARKER}}, "a v1 Secret, and no field"),
        ({"apiVersion": "v1", "kind": "Pod"}, "a v1 Pod: expected"),
        ({"apiVersion": "v1", "kind": MARKER}, "an object of another kind: expected"),
        ({"apiVersion": MARKER, "kind": "EncryptionConfiguration"}, "an EncryptionConfiguration of another version"),
        ({MARKER: MARKER}, "a document without a kind"),
        ({"currentState": {}, "desiredState": {}}, "an RKE state, and neither"),
        (
            {"kind": "ConfigMap", "data": {"a": TEXT, "b": json.dumps(document(entry("pods")))}},
            "several EncryptionConfigurations",
        ),
    ],
)
def test_what_is_none_is_named_by_its_kind(content: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason) as caught:
        parse(json.dumps(content).encode(), "enc")
    assert MARKER not in str(caught.value)
