"""Value ids: by an independent HMAC over every Secret of a fixture, and none of them where it would not belong."""

import hmac
import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from auditor.errors import UsageError
from auditor.fleet import clusters as clusters_file
from auditor.fleet import compare
from auditor.judgement.secret_comparison import Habit
from auditor.protobuf import kubernetes_pb2 as pb
from tests.helpers import fleet
from tests.helpers.fixtures import MIGRATION, PLAINTEXT, stored_secrets


def pairs(secret: pb.Secret) -> list[tuple[bytes, bytes]]:
    """Name and bytes of each value."""
    return [(bytes(entry.key), bytes(entry.value)) for entry in secret.data]


def test_ids_are_those_of_an_hmac_over_each_value(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy(PLAINTEXT, tmp_path / "in" / fleet.name(1))
    key = fleet.key(tmp_path)
    fleet.run(fleet.request(tmp_path / "in", tmp_path / "set", key))
    secret = bytes.fromhex(Path(key).read_text())
    values = [value for _, own in stored_secrets(PLAINTEXT) for value in pairs(own)]
    expected = {
        hmac.new(secret, text, sha256).hexdigest()[:24] for name, text in values if not Habit().common(name, text)
    }
    rows = fleet.table(tmp_path / "set", "values")
    assert {row["value_id"] for row in rows if row["readable"]} == expected
    (backup,) = fleet.table(tmp_path / "set", "backups")
    assert backup["value_ids"] == len(rows)
    assert backup["value_ids"] + backup["common_values"] == len(values)
    ids = {row["id"] for row in fleet.table(tmp_path / "set", "inventory")}
    assert {row["id"] for row in rows} <= ids
    other = fleet.key(tmp_path)
    with pytest.raises(UsageError, match="another --compare-key"):
        fleet.run(fleet.request(tmp_path / "in", tmp_path / "set", other))
    fleet.run(fleet.request(tmp_path / "in", tmp_path / "set", other, new_compare_key=True))
    assert not expected & {row["value_id"] for row in fleet.table(tmp_path / "set", "values")}
    assert fleet.is_tidy(tmp_path / "set")


def test_what_is_decrypted_has_the_id_of_what_was_readable(tmp_path: Path) -> None:
    """A credential is the same before and after encryption, and the data set tells with the key alone."""
    (tmp_path / "in").mkdir()
    for day, stage in ((1, 0), (4, 3)):
        shutil.copy(fleet.STAGES[stage], tmp_path / "in" / fleet.name(day))
    (tmp_path / "c.yaml").write_text(
        "cluster:\n  a:\n    paths: ['in/*-04_*']\n"
        f"    encryption-config: {MIGRATION / '3-rewritten.encryption.json'}\n"
    )
    known = clusters_file.read(str(tmp_path / "c.yaml"))
    fleet.run(fleet.request(tmp_path / "in", tmp_path / "set", fleet.key(tmp_path), clusters=known))
    urls = {row["backup"]: row["url"][-20:-10] for row in fleet.table(tmp_path / "set", "backups")}
    rows = fleet.table(tmp_path / "set", "values")
    days = {day: {row["value_id"] for row in rows if urls[row["backup"]] == day} for day in set(urls.values())}
    assert len(days) == 2
    first, last = days.values()
    assert len(first & last) > 20


@pytest.mark.parametrize("text", ["", "zz", "00" * 31, "00" * 33, "geheim" * 20])
def test_what_is_no_key_is_refused_without_a_word_of_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text)
    with pytest.raises(UsageError) as error:
        compare.read_key(str(tmp_path / "key"))
    assert "geheim" not in str(error.value)
    assert "fleet new-key" in str(error.value)
    assert "secret" not in repr(compare.ValueIds(b"secret" * 5))
