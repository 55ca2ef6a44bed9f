"""The file of --clusters: which backups are whose, and errors that quote nothing of it."""

import shutil
from pathlib import Path

import pytest

from auditor.errors import UsageError
from auditor.fleet import clusters
from auditor.fleet.backup import Backup
from auditor.fleet.listing import expand
from auditor.options import Options
from tests.helpers import fleet
from tests.helpers.fixtures import MIGRATION, PROVIDERS


def write(folder: Path, text: str, name: str = "c.toml") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def test_paths_and_uids(tmp_path: Path) -> None:
    text = """
    [cluster.a]
    paths = ["s3://b/a/", "mine/"]
    every = "90m"
    retention = "2w"
    encryption-config = "keys.yaml"
    expect = "aescbc:key1"
    [cluster.b]
    uid = "u-b"
    paths = ["s3://b/*/of-b-*"]
    """
    for known in (clusters.read(write(tmp_path, text)),):
        a, b = known.all
        assert (a.every, a.retention, b.every) == (5400, 1209600, 0)
        assert known.of_url("s3://b/a/1.db") is a
        assert known.of_url(f"{tmp_path}/mine/1.db") is a
        assert known.of_url("s3://b/x/of-b-1.db") is b
        assert known.of_url("s3://b/x/1.db") is None
        assert (known.of_uid("u-b"), known.of_uid("")) == (b, None)
        applied = a.applied(Options())
        assert (applied.encryption_configs, applied.expect) == (("keys.yaml",), "aescbc:key1")


@pytest.mark.parametrize(
    "text",
    [
        "geheim = [",
        "",
        "[cluster]",
        "[cluster.a]\npaths = 1",
        "[cluster.a]\nowner = 'x'",
        "[cluster.a]\npaths = ['a']\ngeheim = 2",
        "[cluster.a]\npaths = ['a']\nevery = 'hourly'",
        "[cluster.a]\nuid = 'u'\n[cluster.b]\nuid = 'u'",
        "[other.a]\npaths = ['a']",
    ],
)
def test_what_is_no_file_of_clusters_is_refused(tmp_path: Path, text: str) -> None:
    for name in ("c.toml", "c.yaml"):
        with pytest.raises(UsageError, match="--clusters"):
            clusters.read(write(tmp_path, text, name))


def test_a_backup_of_another_cluster_is_judged_by_its_own(tmp_path: Path) -> None:
    """A backup in another's prefix: by its uid it is judged with its own keys, and with none where it is not listed."""
    folder = tmp_path / "prod"
    folder.mkdir()
    shutil.copy(fleet.STAGES[4], folder / fleet.name(1))
    shutil.copy(PROVIDERS / "2-kek-rotated.db", folder / fleet.name(2))
    configuration = MIGRATION / "5-defragmented.encryption.json"
    uid = "71314e90-44b9-4311-833c-506d91031055"
    text = f'[cluster.elsewhere]\nuid = "{uid}"\npaths = ["x/"]\nencryption-config = ["{configuration}"]\n'
    text += '[cluster.prod]\nuid = "another"\npaths = ["prod/"]\n'
    fleet.run(fleet.request(folder, tmp_path / "set", clusters=clusters.read(write(tmp_path, text))))
    rows = {row["url"][-20:-10]: row for row in fleet.table(tmp_path / "set", "backups")}
    own, foreign = (rows[name] for name in sorted(rows))
    assert (own["label"], own["expected_label"], own["unopened_latest"]) == ("elsewhere", "prod", 0)
    assert (foreign["label"], foreign["expected_label"]) == ("", "prod")


def test_lists_of_sources(tmp_path: Path) -> None:
    listed = write(tmp_path, "# comment\n/a\n\n  s3://b/c/  \n/a\n", "list")
    assert expand([f"@{listed}", "d"]) == ["/a", "s3://b/c/", "d"]
    for arguments in ([f"@{tmp_path}/none"], [f"@{write(tmp_path, '', 'empty')}"]):
        with pytest.raises(UsageError):
            expand(arguments)


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("etcd-snapshot-2026-11-23T035916Z", "2026-11-23T03:59:16Z"),
        ("snapshot_2026-11-23_035916.db", "2026-11-23T03:59:16Z"),
        ("etcd-20261123-035916.db.gz", "2026-11-23T03:59:16Z"),
        ("2026-11-23.db", "2026-11-23T23:59:59Z"),
        ("etcd-20261123.db", "2026-11-23T23:59:59Z"),
        ("etcd-2026-11-23_2300.db", "2026-11-23T23:00:00Z"),
        ("etcd-2026-11-23_23-00.db", "2026-11-23T23:00:00Z"),
        ("etcd-2026-11-23T23:00Z.db", "2026-11-23T23:00:00Z"),
        ("etcd-202611232300.db", "2026-11-23T23:00:00Z"),
        ("2026-11-23T23:00:00-05:00.db", "2026-11-24T04:00:00Z"),
        ("2026-11-23T23:00-05:00.db", "2026-11-24T04:00:00Z"),
        ("2026-11-23_230000-0500.db", "2026-11-24T04:00:00Z"),
        ("2026-11-23T23-00-00-05-00.db", "2026-11-24T04:00:00Z"),
        ("2026-11-23T01:30:00.25+02:00.db", "2026-11-22T23:30:00Z"),
        ("2026-11-23T01:30:00+02.db", "2026-11-22T23:30:00Z"),
        ("2026-11-23T01:30:00+0530_a.db", "2026-11-22T20:00:00Z"),
        # no zone: a number of something else
        ("2026-11-23_230000-05.db", "2026-11-23T23:00:00Z"),
        ("2026-11-23_230000-0512.db", "2026-11-23T23:00:00Z"),
        ("2026-11-23_230000-3000.db", "2026-11-23T23:00:00Z"),
        ("2026-11-23_230000-0500a1.db", "2026-11-23T23:00:00Z"),
        # no time
        ("2026-11-23_17.db", "2026-11-23T23:59:59Z"),
        ("2026-11-23_2561.db", "2026-11-23T23:59:59Z"),
        ("2026-11-23-1795406356.db", "2026-11-23T03:59:16Z"),
        ("2026-11-22-1795406356.db", "2026-11-22T23:59:59Z"),
        ("etcd-snapshot-node-1-1795406356", "2026-11-23T03:59:16Z"),
        ("2026-13-45_000000.db", "2020-01-01T00:00:00Z"),
        ("nightly.db", "2020-01-01T00:00:00Z"),
    ],
)
def test_the_time_in_a_name(name: str, taken: str) -> None:
    backup = Backup(url=f"s3://b/{name}", source="s3://b", size=1, modified="2020-01-01T00:00:00.5Z")
    assert backup.taken == taken


@pytest.mark.parametrize(
    ("modified", "taken"),
    [
        ("2026-11-23T23:00:00.5Z", "2026-11-23T23:00:00Z"),
        ("2026-11-24T00:00:00Z", "2026-11-23T23:59:59Z"),
        ("2026-11-22T23:59:59Z", "2026-11-23T23:59:59Z"),
    ],
)
def test_a_day_in_a_name_has_the_time_of_the_file(modified: str, taken: str) -> None:
    """Else its last second: a finding never leaves the retention early."""
    assert Backup(url="s3://b/2026-11-23.db", source="s3://b", size=1, modified=modified).taken == taken


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("cluster:\n  prod: {paths: [a/]}\n  prod: {paths: [b/]}\n", "line 3: a name that stands twice"),
        ("cluster:\n  prod:\n    paths: [a/]\n    paths: [b/]\n", "line 4: a name that stands twice"),
        ("cluster: {a: {uid: u}}\ncluster: {b: {uid: u}}\n", "line 2: a name that stands twice"),
        ('cluster:\n  1: {paths: [a/]}\n  "1": {paths: [b/]}\n', "line 2: a name that is no text"),
        ("cluster:\n  no: {paths: [a/]}\n", "line 2: a name that is no text"),
        ("cluster:\n  ~: {paths: [a/]}\n", "line 2: a name that is no text"),
        ("cluster:\n  2026-11-01: {paths: [a/]}\n", "line 2: a name that is no text"),
        ("cluster:\n  [a]: {paths: [a/]}\n", "line 2: a name that is no text"),
    ],
)
def test_names_of_yaml_are_texts_that_stand_once(tmp_path: Path, text: str, what: str) -> None:
    """Else the last of two wins, two are one, and `no` is called False; nothing of the file is quoted."""
    with pytest.raises(UsageError, match=what):
        clusters.read(write(tmp_path, text, "c.yaml"))


def test_names_that_would_be_read_otherwise_are_names_in_quotes(tmp_path: Path) -> None:
    text = 'x: &x {owner: a, every: 1h}\ncluster:\n  "no": {<<: *x, owner: b, paths: [a/]}\n  "1": {uid: u}\n'
    with pytest.raises(UsageError, match="expected one table"):
        clusters.read(write(tmp_path, text, "c.yaml"))
    text = 'cluster:\n  "no": &x {owner: a, every: 1h, paths: [a/]}\n  "1": {<<: *x, owner: b, paths: [b/]}\n'
    known = clusters.read(write(tmp_path, text, "c.yaml"))
    assert [(each.name, each.owner, each.every) for each in known.all] == [("no", "a", 3600), ("1", "b", 3600)]


@pytest.mark.parametrize("name", ["", " ", "unknown", "several"])
def test_names_that_reports_give_are_no_cluster_s(tmp_path: Path, name: str) -> None:
    for text, file in (
        (f'[cluster."{name}"]\npaths = ["a/"]', "c.toml"),
        (f'cluster: {{"{name}": {{paths: [a/]}}}}', "c.yml"),
    ):
        with pytest.raises(UsageError, match="cannot be named"):
            clusters.read(write(tmp_path, text, file))
