"""One file under several names is one backup, of one cluster; and what is the run's own is kept out of the sources."""

import shutil
from pathlib import Path

import pytest

from auditor.fleet import clusters
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
