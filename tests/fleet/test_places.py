"""One file under several names is one backup, of one cluster; and what is the run's own is kept out of the sources."""

import shutil
from pathlib import Path

import pytest

from auditor.errors import UsageError
from auditor.fleet import clusters, compare, places
from auditor.fleet.listing import backups as listed
from tests.helpers import fleet
from tests.helpers.fixtures import MIGRATION


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    """Two backups of prod, and a link to their folder and to one of them."""
    folder = tmp_path / "a" / "prod"
    folder.mkdir(parents=True)
    for day in (1, 2):
        shutil.copy(MIGRATION / "5-defragmented.db", folder / fleet.name(day))
    (tmp_path / "b").symlink_to("a")
    return folder


def test_a_file_under_several_names_is_one_backup(backups: Path, tmp_path: Path) -> None:
    own, link = str(tmp_path / "a" / "prod"), str(tmp_path / "b" / "prod")
    dots = str(tmp_path / "a" / ".." / "a" / "prod")
    expected = [str(backups / fleet.name(day)) for day in (1, 2)]
    for sources in ([own, dots], [dots, own], [dots], [own, link], [link, own], [link, dots, f"{own}/*"]):
        assert [backup.url for backup in listed(sources)] == expected
    assert [backup.url for backup in listed([link])] == [f"{link}/{fleet.name(day)}" for day in (1, 2)]
    (backups / "latest.db").symlink_to(fleet.name(2))
    assert [backup.url for backup in listed([own])] == expected


@pytest.mark.parametrize("key", ["paths", "sources"])
@pytest.mark.parametrize("text", ["../a/prod/", "../a/prod", "../b/prod", "../b/pro?", "../a/../b/*d"])
def test_paths_of_clusters_are_those_of_backups(backups: Path, tmp_path: Path, key: str, text: str) -> None:
    """Whether the file of --clusters, or the command line, names a folder through `..` or a link."""
    if key == "paths" and any(mark in text for mark in "*?"):
        text += "/*"
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "c.toml").write_text(f'[cluster.prod]\n{key} = ["{text}"]\n')
    known = clusters.read(str(tmp_path / "c" / "c.toml"))
    source = str(tmp_path / "a")
    found = listed([source, *known.sources])
    assert [backup.url for backup in found] == [str(backups / fleet.name(day)) for day in (1, 2)]
    for backup in (*found, *listed([str(tmp_path / "b")])):
        assert known.of_url(*backup.places) is known.all[0]


def test_a_prefix_is_of_whole_names(tmp_path: Path) -> None:
    text = '[cluster.eu]\npaths = ["w/prod"]\n[cluster.us]\nsources = ["s3://b/prod", "w/*.d"]\n'
    (tmp_path / "c.toml").write_text(text)
    known = clusters.read(str(tmp_path / "c.toml"))
    owners = {
        f"{tmp_path}/w/prod/1.db": "eu",
        f"{tmp_path}/w/prod": "eu",
        f"{tmp_path}/w/prod-eu/1.db": None,
        "s3://b/prod/1.db": "us",
        "s3://b/prod/1.db?versionId=abc": "us",
        "s3://b/prod": "us",
        "s3://b/prod-eu/1.db": None,
        f"{tmp_path}/w/x.d/1.db": "us",
        f"{tmp_path}/w/x.dd/1.db": None,
    }
    found = {url: known.of_url(url) for url in owners}
    assert {url: each and each.name for url, each in found.items()} == owners


INSIDE = ["a/prod/set", "a/../a/prod/set", "b/prod/set", "b/prod", "a/prod/x/../set"]


@pytest.mark.parametrize("source", ["a/prod", "b/prod", "a/*", "a/**", "b/pro?", "a/**/*", "a/../b/*"])
@pytest.mark.parametrize("dataset", INSIDE)
def test_a_data_set_in_a_source_is_refused_at_once(backups: Path, tmp_path: Path, source: str, dataset: str) -> None:
    """Under whatever name, and before its files would fit the pattern."""
    (backups / "x").mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match="inside each other"):
        fleet.run(fleet.request(f"{tmp_path}/{source}", f"{tmp_path}/{dataset}"))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_source_in_a_data_set_is_refused(backups: Path, tmp_path: Path) -> None:
    for source in ("b/prod", "a/prod/*.db", f"b/prod/{fleet.name(1)}"):
        with pytest.raises(UsageError, match="inside each other"):
            fleet.run(fleet.request(tmp_path / source, tmp_path / "a" / ".." / "b"))


def test_a_pattern_that_leaves_the_data_set_out_is_none_of_it(backups: Path, tmp_path: Path) -> None:
    for _ in range(2):
        summary, _ = fleet.run(fleet.request(f"{tmp_path}/a/prod/*.db", tmp_path / "a" / "set"))
        assert summary.states == {"examined": 2}


@pytest.mark.parametrize("option", ["--compare-key", "--json"])
@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("a/prod", "a/prod/own"),
        ("a/pro*", "a/prod/own"),
        ("a/prod", "b/prod/own"),
        ("a/**/*.db", "a/prod/own.db"),
        ("a/prod/*", "a/prod/own"),
        ("c.toml", "a/prod/own"),
        ("a/prod", "set/own"),
    ],
)
def test_what_is_the_run_s_own_lies_apart(backups: Path, tmp_path: Path, option: str, source: str, place: str) -> None:
    """The key of value ids and the lines of --json: in no source, not one of --clusters either, nor in the data set."""
    (tmp_path / "set").mkdir()
    (tmp_path / "other").mkdir()
    shutil.copy(MIGRATION / "5-defragmented.db", tmp_path / "other" / fleet.name(1))
    (tmp_path / "c.toml").write_text('[cluster.prod]\nsources = ["a/pr*"]\n')
    more: list[str | Path] = ["--no-compare"]
    own = tmp_path / place
    if option == "--compare-key":
        own.write_text(compare.new_key())
        more = []
    if source == "c.toml":
        source, more = "other", [*more, "--clusters", str(tmp_path / "c.toml")]
    arguments = ("--dataset", tmp_path / "set", "--jobs", "1", *more, option, own)
    result = fleet.command("fleet", "scan", tmp_path / source, *arguments)
    assert (result.returncode, f"{option} {own} lies inside" in result.stderr) == (2, True), result.stderr
    assert list((tmp_path / "set").iterdir()) == ([own] if option != "--json" and place == "set/own" else [])
    assert own.exists() == (option == "--compare-key")


@pytest.mark.parametrize(
    ("source", "place", "inside"),
    [
        ("s3://b/etcd", "s3://b/etcd/set", True),
        ("s3://b/etcd/", "s3://b/etcd", True),
        ("s3://b/*/x", "s3://b/a/x/set", True),
        ("gs://b/etcd", "gcs://b/etcd/set", True),
        ("s3://b/etcd", "s3://b/etcd-set", False),
        ("s3://b/etcd", "gs://b/etcd/set", False),
        ("s3://b/etcd", "/b/etcd/set", False),
        ("/b/*", "/b/.hidden/set", False),
        ("/b/.h*", "/b/.hidden/set", True),
        ("/b/*.db", "/b/set/x.db", False),
        ("/b/**/*.db", "/b/set/x.db", True),
    ],
)
def test_what_a_source_would_take_in(source: str, place: str, *, inside: bool) -> None:
    assert places.holds(source, place) == inside
