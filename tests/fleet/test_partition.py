"""A fleet's scan while its network fails: hosts in namespaces of their own, links are cut, packets are lost."""

import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.helpers import fleet
from tests.helpers.fleet_network import (
    BOUND,
    REMOVED,
    SCHEDULER,
    STORE,
    WORKERS,
    FleetNetwork,
    fleet_network,
    until,
)
from tests.helpers.sweeps import everything

BACKUPS = 60 if everything() else 16
"""Backups, at night and by day."""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[FleetNetwork]:
    folder = tmp_path / "backups"
    folder.mkdir()
    for number in range(BACKUPS):
        shutil.copy(fleet.STAGES[number % len(fleet.STAGES)], folder / fleet.name(1 + number % 28, number // 28))
    with fleet_network(tmp_path) as made:
        made.put(folder)
        yield made


def scanning(cluster: FleetNetwork) -> "subprocess.Popen[str]":
    arguments = ["fleet", "scan", "s3://backups/etcd/", "--dataset", "s3://sets/fleet", "--no-compare", "--json", "-"]
    return cluster.client([*arguments, "--retries", "0"])


def ended(client: "subprocess.Popen[str]", lines: str = "") -> tuple[int, list[dict[str, Any]], str]:
    """The exit code, the events, and what it said. lines: those that were read already."""
    out, errors = client.communicate(timeout=BOUND)
    return client.returncode, fleet.lines(lines + out), errors


def nothing_lost(cluster: FleetNetwork, folder: Path) -> None:
    """Each backup is one row, each row is there once, and nothing else lies in the data set."""
    cluster.get(folder)
    dataset = next(folder.rglob("manifest.json")).parent
    rows = fleet.table(dataset, "backups")
    assert len({row["url"] for row in rows}) == len(rows) == BACKUPS
    assert {row["state"] for row in rows} == {"examined"}
    for name in ("findings", "inventory", "sources"):
        table = fleet.table(dataset, name)
        assert len({tuple(sorted(map(repr, row.items()))) for row in table}) == len(table)
    assert fleet.is_tidy(dataset)


def nobody_left(cluster: FleetNetwork) -> None:
    """Every process that examines a backup ends, also on hosts that nobody reaches, and none lost its parent."""
    until(lambda: not any(map(cluster.reading, WORKERS)))
    _, alive = psutil.wait_procs(cluster.network.orphans(), timeout=BOUND)
    assert [each for each in alive if each.status() != psutil.STATUS_ZOMBIE] == []


def test_every_worker_is_cut_off(cluster: FleetNetwork, tmp_path: Path) -> None:
    """The run ends once the scheduler has waited for others as long as it is told to."""
    with scanning(cluster) as client:
        assert client.stdout is not None
        lines = client.stdout.readline()
        for host in WORKERS:
            cluster.network.cut(host)
        code, _, errors = ended(client, lines)
    assert code == 2, errors
    assert "the scheduler has no workers left" in errors
    assert "Traceback" not in errors
    nobody_left(cluster)


if everything():  # each waits for what Dask takes for gone

    def test_workers_that_are_cut_off(cluster: FleetNetwork, tmp_path: Path) -> None:
        """One in the midst of a backup, another for good; a third loses packets; the scheduler is away for a moment."""
        passing, gone, lossy, _ = WORKERS
        network = cluster.network
        with scanning(cluster) as client:
            assert client.stdout is not None
            lines = client.stdout.readline()
            network.lose(lossy, 10)
            for host in (passing, gone):
                until(lambda: cluster.reading(host))  # noqa: B023 - it is called here
                network.cut(host)
            network.cut(SCHEDULER)  # shorter than what counts as gone
            network.mend(SCHEDULER)
            until(lambda: cluster.said(REMOVED, passing) and cluster.said(REMOVED, gone))
            until(lambda: not network.processes(passing))  # whom the scheduler does not answer ends by itself
            network.mend(passing)
            cluster.start_worker(passing)
            code, events, errors = ended(client, lines)
        assert code == 1, errors
        assert events[-1]["states"] == {"examined": BACKUPS}
        assert network.lost(lossy)
        until(lambda: not network.processes(gone))
        nobody_left(cluster)
        nothing_lost(cluster, tmp_path / "copy")

    def test_a_scheduler_that_is_cut_off(cluster: FleetNetwork, tmp_path: Path) -> None:
        """The run ends and says so; when the network is whole again the same command goes on."""
        with scanning(cluster) as client:
            assert client.stdout is not None
            lines = "".join(client.stdout.readline() for _ in range(3))
            until(lambda: any(map(cluster.reading, WORKERS)))
            cluster.network.cut(SCHEDULER)
            code, events, errors = ended(client, lines)
        assert code == 2, errors
        assert "the scheduler is gone" in errors
        assert "Traceback" not in errors
        assert events[-1]["event"] == "backup"
        nobody_left(cluster)
        cluster.network.mend(SCHEDULER)
        until(lambda: not any(map(cluster.network.processes, WORKERS)))
        cluster.start_workers()
        with scanning(cluster) as client:
            code, events, errors = ended(client)
        assert code == 1, errors
        assert events[0]["examined_before"] >= 2
        assert events[-1]["states"] == {"examined": BACKUPS}
        nobody_left(cluster)
        nothing_lost(cluster, tmp_path / "copy")

    def test_a_store_that_refuses_one_worker(cluster: FleetNetwork, tmp_path: Path) -> None:
        """What that worker took is `unreachable`, written by the client, and ends no run; the next run reads it."""
        cluster.network.refuse(STORE, WORKERS[0])
        with scanning(cluster) as client:
            code, events, errors = ended(client)
        assert code == 1, errors
        states = events[-1]["states"]
        assert set(states) == {"examined", "unreachable"}
        assert sum(states.values()) == BACKUPS
        reasons = {event["reason"] for event in events if event.get("state") == "unreachable"}
        assert {reason for reason in reasons if "cannot be written" in reason} == reasons
        cluster.network.admit(STORE)
        with scanning(cluster) as client:
            code, events, errors = ended(client)
        assert code == 1, errors
        assert events[0]["examined_before"] == states["examined"]
        nobody_left(cluster)
        nothing_lost(cluster, tmp_path / "copy")

    @pytest.mark.parametrize("seed", range(8))
    def test_a_network_that_fails_at_random(cluster: FleetNetwork, tmp_path: Path, seed: int) -> None:
        """Links of workers and scheduler are cut for as long as chance wills; the last of some runs has peace."""
        chance = random.Random(seed)
        for peace in (False, False, False, True):
            with scanning(cluster) as client:
                while client.poll() is None:
                    host = chance.choice((*WORKERS, SCHEDULER))
                    if not peace:
                        cluster.network.cut(host)
                    with suppress(subprocess.TimeoutExpired):
                        client.wait(chance.choice((1, 5, 25)))
                    cluster.network.mend(host)
                    for each in WORKERS:
                        if not cluster.network.processes(each):
                            cluster.start_worker(each)
                code, events, errors = ended(client)
            assert code == 1 or (code == 2 and not peace), errors
            assert "Traceback" not in errors
        assert events[-1]["states"] == {"examined": BACKUPS}
        nobody_left(cluster)
        nothing_lost(cluster, tmp_path / "copy")
