"""A fleet's scan while its processes are killed: nothing is lost, nothing is in twice, no process is left behind."""

import gzip
import os
import random
import shutil
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.helpers import fleet
from tests.helpers.objects import StoredObject
from tests.helpers.sealing import database
from tests.helpers.sweeps import everything

BACKUPS = 60 if everything() else 10
"""Backups, and how many of them the quick suite takes."""


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    folder = tmp_path / "backups"
    folder.mkdir()
    for number in range(BACKUPS):
        shutil.copy(fleet.STAGES[number % len(fleet.STAGES)], folder / fleet.name(1 + number % 28, number // 28))
    return folder


def arguments(backups: Path, dataset: Path) -> list[str]:
    return ["fleet", "scan", str(backups), "--dataset", str(dataset), "--no-compare", "--jobs", "2", "--json", "-"]


def test_workers_and_clients_are_killed(backups: Path, tmp_path: Path) -> None:
    """Workers die at random while the first run goes on; then the run itself; the last one ends what is left."""
    chance = random.Random(23)
    dataset = tmp_path / "set"
    victims = 0
    with fleet.running(arguments(backups, dataset)) as (first, out, _):
        own = psutil.Process(first.pid)
        out.readline()
        for number in range(BACKUPS // 2):
            assert '"backup"' in out.readline()
            workers = [each for each in own.children(recursive=True) if "spawn_main" in " ".join(_line(each))]
            # no backup may be blamed for more deaths than engine.DEATHS
            if number in {1, 3} and workers:
                _kill(chance.choice(workers))
                victims += 1
        others = own.children(recursive=True)
        first.kill()
    assert victims
    _, alive = psutil.wait_procs(others, timeout=60)
    assert [each for each in alive if each.is_running() and each.status() != psutil.STATUS_ZOMBIE] == []
    last = fleet.command(*arguments(backups, dataset))
    assert last.returncode == 1, last.stderr
    events = fleet.lines(last.stdout)
    assert events[0]["examined_before"] >= 1
    assert events[-1]["states"] == {"examined": BACKUPS}
    rows = fleet.table(dataset, "backups")
    assert sorted(row["url"] for row in rows) == sorted(map(str, backups.iterdir()))
    for name in ("findings", "inventory", "sources"):
        distinct = {tuple(sorted(map(repr, row.items()))) for row in fleet.table(dataset, name)}
        assert len(distinct) == len(fleet.table(dataset, name))
    assert fleet.is_tidy(dataset)


def _line(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def _kill(process: psutil.Process) -> None:
    """Kill a worker; it may have ended meanwhile."""
    try:
        os.kill(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@pytest.mark.night
def test_a_scratch_disk_that_is_full(tmp_path: Path) -> None:
    """A limit on the size of files fails the writes as a full disk does: workers and their children inherit it."""
    folder, dataset = tmp_path / "backups", tmp_path / "set"
    folder.mkdir()
    for number, stage in enumerate(fleet.STAGES[:2]):
        shutil.copy(stage, folder / fleet.name(1 + number))
    secret = StoredObject(b"n", b"s", {b"a": random.Random(5).randbytes(900_000)})
    large = database(tmp_path / "large.db", [(secret.key, secret.protobuf())] * 4)
    packed = folder / f"{fleet.name(3)}.gz"
    packed.write_bytes(gzip.compress(large.read_bytes(), 1))
    command = fleet.command_line(*arguments(folder, dataset), "--retries", "1")
    limited = subprocess.run(
        ["sh", "-c", 'ulimit -f 2000; exec "$0" "$@"', *command], capture_output=True, text=True, check=False
    )
    rows = {row["url"]: row for row in fleet.table(dataset, "backups")}
    assert {row["state"] for url, row in rows.items() if url != str(packed)} == {"examined"}, limited.stderr
    full = rows[str(packed)]
    assert (full["state"], full["attempts"]) == ("no room", 2)
    assert "name another folder with --work-dir" in full["reason"]
    assert limited.returncode == 1
    again = fleet.command(*arguments(folder, dataset))
    assert again.returncode == 1, again.stderr
    begin, attempted, end = fleet.lines(again.stdout)
    assert (begin["examined_before"], attempted["url"]) == (2, str(packed))
    assert end["states"] == {"examined": 3}
    assert len(fleet.table(dataset, "backups")) == 3
    assert fleet.is_tidy(dataset)
