"""Inputs rebuilt after public reports, each through the command with the options of its report, and its right answer.

fixtures/cases/ holds them. Cases with a test in the room of their code are not repeated here.
"""

import json
import shutil
from pathlib import Path

import pytest

from tests.helpers.command import run
from tests.helpers.fixtures import FIXTURES

CASES = FIXTURES / "cases"
CONFIG = "--encryption-config"


def scan(case: str, *arguments: str | Path) -> tuple[int, str]:
    """The exit code and all output of a scan in the folder of a case."""
    done = run("scan", *arguments, cwd=CASES / case)
    text = " ".join((done.stdout + done.stderr).split())
    assert "CANARY" not in text
    return done.returncode, text


PASSES: dict[str, list[tuple[str, ...]]] = {
    "data-dir-of-k3s": [("etcd", CONFIG, "config.json")],
    "stopped-member-same-root": [
        ("data", CONFIG, "config.json"),
        ("data/member/snap/db", "--raw", CONFIG, "config.json"),
    ],
    "kops-main-and-events": [("store", CONFIG, "config.json")],
    "config-that-kube-apiserver-accepts": [
        ("snapshot.db", CONFIG, name)
        for name in ("alias.yaml", "anchor.yaml", "trailing-separator.yaml", "two-documents.yaml")
    ],
    "two-clusters-in-one-etcd": [
        ("snapshot.db", CONFIG, "config.json"),
        ("snapshot.db", CONFIG, "config.json", "--expect-cluster", "00000000-0000-4000-8000-000000000001"),
        ("snapshot.db", CONFIG, "config.json", "--expect-cluster", "00000001-0000-4000-8000-000000000001"),
    ],
}


@pytest.mark.parametrize(("case", "arguments"), [(case, each) for case, every in PASSES.items() for each in every])
def test_what_is_in_order_passes(case: str, arguments: tuple[str, ...]) -> None:
    assert scan(case, *arguments)[0] == 0


def test_of_a_database_alone_both_possibilities_are_said() -> None:
    code, text = scan("stopped-member-same-root", "data/member/snap/db", CONFIG, "config.json")
    assert code == 3
    assert "API snapshot without its trailer, or a raw database file that looks like one" in text
    assert "say so with --raw" in text


@pytest.mark.parametrize("dump", ["dump.json", "dump.pb"])
def test_every_response_of_a_dump_is_read(dump: str) -> None:
    code, text = scan("dump-of-several-responses", dump, CONFIG, "config.json")
    assert code == 1
    assert "1 readable value of 1 Secret" in text
    assert "latest 2 1 1" in text


BROKEN = {
    "etcd-snapshot-2.db": "is empty",
    "etcd-snapshot-3.db": "zeros alone",
    "etcd-snapshot-5.db.gpg": "encrypted by OpenPGP",
    "etcd-snapshot-7.db": "an XML or HTML page",
    "kine.sql": "SQL dump of SQLite's",
}


@pytest.mark.parametrize("argument", ["backups", "backups/*", "backups.tar.gz"])
def test_a_folder_a_pattern_and_a_tar_of_broken_backups_agree(argument: str, tmp_path: Path) -> None:
    """The one that is base64 is read: its Secrets are readable. All others are named for what they are, and swept."""
    folder = CASES / "folder-with-broken-backups"
    if argument.endswith(".gz"):
        shutil.make_archive(str(tmp_path / "backups"), "gztar", folder, "backups")
    done = run("scan", argument, CONFIG, folder / "config.json", cwd=tmp_path if argument.endswith(".gz") else folder)
    text = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 1
    assert "3 readable values of 3 Secrets" in text  # one in the dump of SQL
    for name, words in BROKEN.items():
        assert name in text
        assert words in text


def test_a_folder_with_sqlite_etcd_and_snapshots_holds_three_pieces(tmp_path: Path) -> None:
    folder = CASES / "k3s-db-folder-after-migration"
    code, text = scan(folder.name, "db", CONFIG, "config.json")
    assert code == 1
    assert "2 readable values of 2 Secrets" in text
    for name in ("etcd", "on-demand-node1-1700000000", "state.db"):
        assert name in text
    shutil.copytree(folder / "db", tmp_path / "db")
    for path in (tmp_path / "db").glob("state.db*"):
        path.unlink()
    assert run("scan", tmp_path / "db", CONFIG, folder / "config.json").returncode == 1


OTHER_STORES = {
    "kine-in-postgres-and-mysql/pg_dump.sql": ("PostgreSQL dump", 3),
    "kine-in-postgres-and-mysql/mysqldump.sql": ("MySQL or MariaDB dump", 3),
    "kine-in-postgres-and-mysql/sqlite-dump.sql": ("SQL dump of SQLite's", 3),
    "rancher-backup-operator/backup.tar.gz": ("backup of Rancher's backup-restore-operator", 1),
    "vcluster-snapshot/snapshot.tar.gz": ("vCluster's snapshot", 2),
}
"""The kind of each, and how many Secrets in it are readable."""


@pytest.mark.parametrize("path", OTHER_STORES)
def test_stores_that_are_no_etcd_are_read(path: str, tmp_path: Path) -> None:
    """Alone, and in a folder with a snapshot."""
    kind, count = OTHER_STORES[path]
    config = CASES / Path(path).parent / "config.json"
    code, text = scan(".", path, *((CONFIG, str(config)) if config.exists() else ()))
    assert code == 1
    assert kind in text
    assert f"{count} readable value{'s' * (count > 1)} of {count} Secret{'s' * (count > 1)}" in text
    folder = tmp_path / "backups"
    (folder / "other").mkdir(parents=True)
    shutil.copy(CASES / path, folder / "other")
    shutil.copy(CASES / "folder-with-broken-backups/backups/etcd-snapshot-1.db", folder)
    done = run("scan", folder, CONFIG, CASES / "folder-with-broken-backups/config.json")
    assert done.returncode == 1
    assert kind in " ".join(done.stdout.split())


def test_each_prefix_is_named_with_its_cluster(tmp_path: Path) -> None:
    report = tmp_path / "r.json"
    code, text = scan("two-clusters-in-one-etcd", "snapshot.db", CONFIG, "config.json", "--json", report)
    assert code == 0
    assert "/cluster-a 00000000-0000-4000-8000-000000000001" in text
    assert "/cluster-b 00000001-0000-4000-8000-000000000001" in text
    cluster = json.loads(report.read_text())["evidence"]["cluster"]
    assert cluster["uid"] == ""
    assert [(each["prefix"], each["values"]) for each in cluster["clusters"]] == [("/cluster-a", 4), ("/cluster-b", 4)]
    code, text = scan(
        "two-clusters-in-one-etcd", "snapshot.db", "--expect-cluster", "0f000000-0000-4000-8000-000000000001"
    )
    assert code == 2
    assert "it holds 2 clusters" in text


def test_readable_secrets_under_another_prefix_keep_the_result_open() -> None:
    database, config = "three-prefixes-one-plain.db", "three-prefixes-config.json"
    code, text = scan("two-clusters-in-one-etcd", database, CONFIG, config, "--storage-prefix", "/cluster-a")
    assert code == 3
    assert "4 readable Secrets: under none of the storage prefixes named" in text
    code, text = scan("two-clusters-in-one-etcd", database, CONFIG, config)
    assert code == 1
    assert "4 readable values of 4 Secrets" in text


@pytest.mark.parametrize("options", [(), ("--hunt",)])
def test_what_the_v2_store_still_holds_is_a_finding(options: tuple[str, ...]) -> None:
    code, text = scan("v2-store-leftovers", "data", CONFIG, "config.json", *options)
    assert code == 1
    assert "28 readable values of 6 Secrets, in wal and v2-store" in text


def test_containers_made_by_other_programs(tmp_path: Path) -> None:
    plain = FIXTURES / "migration-aescbc"
    for archive, name in (("b.tgz", "5-defragmented"), ("f.tgz", "4-compacted")):
        config = plain / f"{name}.encryption.json"
        alone = run("scan", plain / f"{name}.db", CONFIG, config, "--json", tmp_path / f"{name}.json")
        packed = run(
            "scan", CASES / "tar-data-at-a-page" / archive, CONFIG, config, "--json", tmp_path / f"{archive}.json"
        )
        assert packed.returncode == alone.returncode
        findings = [
            [
                (row["place"], row["finding"], row["offset"])
                for row in json.loads((tmp_path / path).read_text())["findings"]
            ]
            for path in (f"{name}.json", f"{archive}.json")
        ]
        assert findings[0] == findings[1]
    code, text = scan("zip-from-a-pipe", "backup.zip")
    assert code == 1
    assert "29 readable values" in text


@pytest.mark.parametrize(("config", "code"), [("group-wildcard.json", 1), ("named.json", 1), ("core-wildcard.json", 0)])
def test_built_in_resources_of_every_release_have_their_group(config: str, code: int) -> None:
    actual, text = scan("built-in-resources-unknown", "snapshot.db", "-v", CONFIG, config)
    assert actual == code
    for name in (
        "compositepodgroups.scheduling.k8s.io",
        "evictions.lifecycle.k8s.io",
        "resourceclasses.resource.k8s.io",
    ):
        assert name in text


def test_openshifts_own_resources_have_their_group() -> None:
    _, text = scan("openshift-storage-paths", "snapshot.db", "--resource", "*", "-v")
    assert "identities.user.openshift.io" in text
    assert "rangeallocations.security.openshift.io" in text


def test_a_ciphertext_and_its_key_that_somebody_else_published(tmp_path: Path) -> None:
    inventory = tmp_path / "i.csv"
    scan("k8s-etcd-decryptor-readme", "dump.json", CONFIG, "encryption-config.yaml", "--inventory", inventory)
    assert "6567b48b-9f45-11ea-8fb6-fa163e827b27" in inventory.read_text()


def test_a_configuration_of_older_releases_is_accepted_with_a_note() -> None:
    snapshot = CASES / "config-that-kube-apiserver-accepts" / "snapshot.db"
    code, text = scan("kms-v2-with-cachesize", snapshot, CONFIG, "kmsv2-first.yaml")
    assert code in {1, 3}
    assert "1.27" in text


def test_a_formula_behind_a_semicolon_is_no_cell_of_its_own(tmp_path: Path) -> None:
    scan("csv-semicolon-formula", "semi.db", "--csv", tmp_path / "s.csv")
    for line in (tmp_path / "s.csv").read_text().splitlines():
        for mark in ";|\t,":
            assert not any(cell.lstrip('"').startswith(("=", "+", "-", "@")) for cell in line.split(mark))
