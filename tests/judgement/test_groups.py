"""Resources of no table: their group is what a decrypted object states, and no rule's where nothing states it."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

import auditor
from auditor import Options, Severity
from tests.helpers import sealing
from tests.helpers.objects import StoredObject

KEY = ("key1", sealing.KEY)
OTHER = ("key9", sealing.OTHER)
SECRETBOX, AESGCM = sealing.provider("secretbox", KEY), sealing.provider("aesgcm", OTHER)
THING = StoredObject(name=b"x", kind=b"Frobnicator", api_version=b"frob.k8s.io/v1")
RULES: dict[str, tuple[list[tuple[str, dict[str, Any]]], tuple[str, bytes], int]] = {
    "the group's": ([("*.", AESGCM), ("*.frob.k8s.io", SECRETBOX)], KEY, 0),
    "the wildcard's": ([("*.", AESGCM), ("*.*", SECRETBOX)], KEY, 0),
    "the wildcard's alone": ([("*.*", SECRETBOX)], KEY, 0),
    "its own": ([("frobnicators.frob.k8s.io", SECRETBOX)], KEY, 0),
    "a key of nobody's, of one rule": ([("*.*", SECRETBOX)], ("key7", bytes(range(7, 39))), 1),
    "a key of nobody's, of several": ([("*.", AESGCM), ("*.*", SECRETBOX)], ("key7", bytes(range(7, 39))), 3),
    "its own, and a key of nobody's": ([("frobnicators.frob.k8s.io", SECRETBOX)], ("key7", bytes(range(7, 39))), 3),
    "another group's": ([("*.apps", SECRETBOX)], KEY, 0),
}
"""Rules beside that of secrets, the key that sealed the object, and the exit code."""


@pytest.mark.parametrize("rules", RULES)
def test_an_encrypted_resource_of_no_table_is_judged_by_its_own_group(rules: str, tmp_path: Path) -> None:
    more, (name, key), code = RULES[rules]
    secret = StoredObject(name=b"a")
    rng = random.Random(rules)
    pairs = [
        (secret.key, sealing.seal("secretbox", *KEY, secret, rng)),
        (b"/registry/frobnicators/default/x", sealing.seal("secretbox", name, key, THING, rng)),
    ]
    config = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [
            {"resources": [resource], "providers": [provider]} for resource, provider in [("secrets", SECRETBOX), *more]
        ],
    }
    (tmp_path / "enc.json").write_text(json.dumps(config))
    options = Options(encryption_configs=(str(tmp_path / "enc.json"),))
    audit = auditor.scan(sealing.database(tmp_path / "a.db", pairs), options)
    assert audit.exit_code(Severity.MEDIUM) == code
    assert set(audit.findings.finding) == ({"orphaned"} if code == 1 else set())
    unknown = [part for part in audit.unexamined if "its group is unknown" in part.what]
    assert len(unknown) == (code == 3)
    assert not any("no resource known" in note for note in audit.notes)
    if code == 0:
        decrypted = audit.inventory[audit.inventory.resource == "frobnicators.frob.k8s.io"]
        assert len(decrypted) == (rules != "another group's")
