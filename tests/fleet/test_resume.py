"""What the data set holds is examined again where something that it was judged by is another now."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from auditor.errors import UsageError
from auditor.fleet import clusters
from auditor.fleet.clusters import Clusters
from auditor.fleet.dataset import DataSet
from auditor.fleet.folder import DataSetFolder
from auditor.model.vocabulary import Severity
from auditor.options import Options
from tests.helpers import fleet
from tests.helpers.fixtures import MIGRATION
from tests.helpers.https_server import Request, serving

UID = "71314e90-44b9-4311-833c-506d91031055"
"""Of the cluster of the migration."""
ROTATED = MIGRATION / "7-rotated.encryption.json"


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    folder = tmp_path / "backups"
    folder.mkdir()
    shutil.copy(MIGRATION / "5-defragmented.db", folder / fleet.name(5))
    shutil.copy(MIGRATION / "7-rotated.db", folder / fleet.name(7))
    return folder


def known(folder: Path, text: str, name: str = "prod") -> Clusters:
    """The clusters of a file with one."""
    path = folder / "c.toml"
    path.write_text(f"[cluster.{name}]\n{text}\n")
    return clusters.read(str(path))


def rows(dataset: Path, *names: str) -> set[tuple[object, ...]]:
    return {tuple(row[name] for name in names) for row in fleet.table(dataset, "backups")}


def test_options_of_a_cluster_that_the_uid_tells_count_too(backups: Path, tmp_path: Path) -> None:
    """Before a backup is read nobody knows whose it is; afterwards a change of that cluster's options is seen."""
    dataset = tmp_path / "set"
    fleet.run(fleet.request(backups, dataset, clusters=known(tmp_path, f'uid = "{UID}"')))
    more = known(tmp_path, f'uid = "{UID}"\nencryption-config = ["{ROTATED}"]')
    summary, again = fleet.run(fleet.request(backups, dataset, clusters=more))
    fresh, _ = fleet.run(fleet.request(backups, tmp_path / "fresh", clusters=more))
    assert len(again) == 2
    assert summary.severities == fresh.severities
    assert summary.exit_code(Severity.MEDIUM) == fresh.exit_code(Severity.MEDIUM) == 1
    names = ("url", "policy", "configurations", "severity")
    assert rows(dataset, *names) == rows(tmp_path / "fresh", *names)
    assert fleet.run(fleet.request(backups, dataset, clusters=more))[1] == []
    copy = shutil.copy(ROTATED, tmp_path / "k.json")
    copied = known(tmp_path, f'uid = "{UID}"\nencryption-config = ["{copy}"]')
    assert len(fleet.run(fleet.request(backups, dataset, clusters=copied))[1]) == 2


@pytest.mark.parametrize("place", [f'uid = "{UID}"', 'paths = ["backups/"]'])
def test_a_name_or_an_owner_that_changes_is_seen(backups: Path, tmp_path: Path, place: str) -> None:
    """Reports are about the clusters as their file names them today, failed backups too."""
    (backups / fleet.name(8)).write_bytes(b"\x1f\x8b" + bytes(4000))
    dataset = tmp_path / "set"
    fleet.run(fleet.request(backups, dataset))
    assert rows(dataset, "label", "owner") == {("", "")}
    for name, owner in (("prod", "a"), ("prod", "b"), ("production", "b")):
        file = known(tmp_path, f'{place}\nowner = "{owner}"', name)
        fleet.run(fleet.request(backups, dataset, clusters=file))
        failed = (name, owner) if "paths" in place else ("", "")
        assert rows(dataset, "label", "owner") == {(name, owner), failed}
        assert fleet.run(fleet.request(backups, dataset, clusters=file))[1] == []
    assert len(fleet.table(dataset, "backups")) == 3


def test_a_configuration_beside_a_backup_that_changes_is_seen(backups: Path, tmp_path: Path) -> None:
    """With --use-found-config it judges values that no key in a file encrypts, too."""
    plain = tmp_path / "plain"
    plain.mkdir()
    shutil.copy(MIGRATION / "1-plaintext.db", plain / fleet.name(1))
    scanned = fleet.request(plain, tmp_path / "set", options=Options(use_found_config=True))
    fleet.run(scanned)
    assert fleet.run(scanned)[1] == []
    beside = plain / "encryption-config.json"
    shutil.copy(ROTATED, beside)
    assert len(fleet.run(scanned)[1]) == 1
    beside.write_text(ROTATED.read_text().replace('"secrets"', '"configmaps"'))
    _, again = fleet.run(scanned)
    assert [row["policy"] for row in again] != []
    assert fleet.run(scanned)[1] == []


def test_what_a_web_server_serves_is_read_again_when_it_changes(tmp_path: Path) -> None:
    """By its ETag or its last modification; where the server says neither, in every run."""
    raw, never = (MIGRATION / "5-defragmented.db").read_bytes(), "1970-01-01T00:00:00Z"
    facts: dict[str, str] = {}

    def respond(_: Request) -> tuple[int, Mapping[str, str], bytes]:
        return 200, facts, raw

    with serving(respond) as address:
        scanned = fleet.request(f"{address}/{fleet.name(5)}", tmp_path / "set")
        for told, modified in (
            ({"ETag": '"one"'}, never),
            ({"ETag": '"two"'}, never),
            ({"Last-Modified": "Sat, 28 Nov 2026 06:00:00 GMT"}, "2026-11-28T06:00:00Z"),
        ):
            facts = told
            _, read = fleet.run(scanned)
            assert [(row["size"], row["modified"]) for row in read] == [(len(raw), modified)]
            assert fleet.run(scanned)[1] == []
        facts = {}
        for stage, severity in (("5-defragmented", "low"), ("1-plaintext", "critical"), ("1-plaintext", "critical")):
            raw = (MIGRATION / f"{stage}.db").read_bytes()
            assert [row["severity"] for row in fleet.run(scanned)[1]] == [severity]


def test_an_earlier_key_of_value_ids_makes_them_again(backups: Path, tmp_path: Path) -> None:
    """Whatever keys came between: a table that was begun anew has the value ids of every backup."""
    dataset, keys = tmp_path / "set", {}
    shutil.copy(MIGRATION / "1-plaintext.db", backups / fleet.name(1))
    for name in "ab":
        (tmp_path / name).mkdir()
        keys[name] = fleet.key(tmp_path / name)
    fleet.run(fleet.request(backups, dataset, keys["a"]))
    first = {row["value_id"] for row in fleet.table(dataset, "values")}
    assert first
    for name in "bab":
        request = fleet.request(backups, dataset, keys[name], new_compare_key=True)
        assert len(fleet.run(request)[1]) == 3
        found = {row["value_id"] for row in fleet.table(dataset, "values")}
        assert (found == first, len(found), found & first == first) == (name == "a", len(first), name == "a")
        assert fleet.run(request)[1] == []  # the same command again goes on
        assert fleet.is_tidy(dataset)


def test_a_new_key_of_value_ids_that_was_stopped_goes_on(backups: Path, tmp_path: Path) -> None:
    """Killed between the two documents: the earlier key is refused, and the new one takes every backup in."""
    dataset, before = tmp_path / "set", fleet.key(tmp_path)
    shutil.copy(MIGRATION / "1-plaintext.db", backups / fleet.name(1))
    fleet.run(fleet.request(backups, dataset, before))
    data = DataSet(DataSetFolder(str(dataset)))
    with pytest.raises(UsageError, match="other names"):
        fleet.run(fleet.request(backups, dataset, before, redaction="other", new_compare_key=True))
    assert any(file.table == "values" for file in data.files.values())
    data.restart_values("never said")
    with pytest.raises(UsageError, match="--new-compare-key"):
        fleet.run(fleet.request(backups, dataset, before))
    assert len(fleet.run(fleet.request(backups, dataset, before, new_compare_key=True))[1]) == 3
    assert fleet.table(dataset, "values")
