"""A scheduler elsewhere: rows as of a run's own workers, what dies on the way, and nothing of keys or values in it."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.helpers import fleet, management
from tests.helpers.dask_cluster import DaskCluster
from tests.helpers.fixtures import MIGRATION, canaries
from tests.helpers.members import Authority
from tests.helpers.taint import Taint

ROTATING = MIGRATION / "6-rotating.encryption.json"
WORKERS = 4


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[DaskCluster]:
    with DaskCluster(tmp_path / "dask", Authority(tmp_path / "tls").issue("both", "127.0.0.1"), WORKERS) as cluster:
        yield cluster


def arguments(tmp_path: Path, cluster: DaskCluster) -> list[str]:
    named = tmp_path / "clusters.toml"
    named.write_text(f'[cluster.production]\npaths = ["backups/"]\nencryption-config = ["{ROTATING}"]\n')
    key = tmp_path / "compare.key"
    keys = ["--compare-key", str(key) if key.exists() else fleet.key(tmp_path), "--clusters", str(named)]
    dataset = ["--dataset", str(tmp_path / "set"), "--json", "-"]
    return ["fleet", "scan", str(tmp_path / "backups"), *dataset, *keys, *cluster.options()]


def test_nothing_of_keys_and_values_is_anywhere_in_it(elsewhere: DaskCluster, tmp_path: Path) -> None:
    """Not in its logs at the level of debugging, its pages, its files, nor in a column of the data set: neither keys
    that files hold nor those that lie in a backup, which a second pass reads there again.
    """
    backups = fleet.migration(tmp_path / "backups")
    holder = management.snapshot(backups / f"management-{fleet.name(9)}", ROTATING.read_bytes())
    with fleet.running(arguments(tmp_path, elsewhere)) as (process, out, errors):
        lines = []
        pages = list[str]()
        for line in out:  # while it is at work
            lines.append(line)
            pages += elsewhere.pages()
        said = errors.read()
    assert process.returncode == 1, said
    assert json.loads(lines[-1])["states"] == {"examined": len(list(backups.iterdir()))}
    decrypted = {row["decrypted"] for row in fleet.table(tmp_path / "set", "inventory")}
    assert "yes" in decrypted  # the workers had the keys
    assert str(holder) in {row["known_keys"] for row in fleet.table(tmp_path / "set", "backups")}
    secrets = [text for stage in fleet.STAGES for text in canaries(stage)]
    secrets += [base64.b64decode(text) for text in _secrets(ROTATING)]
    secrets += [bytes.fromhex((tmp_path / "compare.key").read_text())]
    taint = Taint(secrets)
    elsewhere.kill()
    written = elsewhere.written()
    assert any(b" - DEBUG - " in each for each in written)
    for text in (*lines, said, *pages, *(each.decode("latin-1") for each in written)):
        assert not taint.within(text)
    for table in ("backups", "sources", "findings", "inventory", "keys", "coverage", "values"):
        for row in fleet.table(tmp_path / "set", table):
            assert not taint.within(repr(row))
    for name in ("listing", "key-objects"):
        with duckdb.connect() as connection:
            kept = connection.execute(f"SELECT * FROM '{tmp_path}/set/{name}.parquet'").fetchall()
        assert kept
        assert not taint.within(repr(kept))
    for path in fleet.files(tmp_path / "set"):
        assert not taint.within(path.read_bytes().decode("latin-1"))


def _secrets(configuration: Path) -> Iterator[str]:
    for entry in json.loads(configuration.read_text())["resources"]:
        for provider in entry["providers"]:
            for own in provider.values():
                yield from (key["secret"] for key in own.get("keys", ()))


def test_a_scheduler_that_dies_costs_no_backup(elsewhere: DaskCluster, tmp_path: Path) -> None:
    """The run ends and says so; the same command against another one goes on where it stopped."""
    backups = fleet.migration(tmp_path / "backups")
    fleet.migration(backups, 8)
    with fleet.running(arguments(tmp_path, elsewhere)) as (process, out, errors):
        for line in out:
            if '"backup"' in line:
                elsewhere.kill_scheduler()
                break
        out.read()
        said = errors.read()
    assert process.returncode == 2, said
    assert "the scheduler is gone" in said
    assert "Traceback" not in said
    elsewhere.kill()
    elsewhere.start()
    last = fleet.command(*arguments(tmp_path, elsewhere))
    assert last.returncode == 1, last.stderr
    begin, *_, end = fleet.lines(last.stdout)
    assert begin["examined_before"] >= 1
    assert end["states"] == {"examined": 14}
    rows = fleet.table(tmp_path / "set", "backups")
    assert sorted(row["url"] for row in rows) == sorted(map(str, backups.iterdir()))
    assert fleet.is_tidy(tmp_path / "set")
