"""The data set's store, when it takes nothing for a moment: no backup is blamed for that, and the lock goes on."""

import threading
import time
from pathlib import Path

import pytest

from auditor.fleet import lock, task
from auditor.fleet.folder import DataSetFolder
from auditor.fleet.listing import backups as listed
from tests.helpers import fleet


def test_a_backup_whose_rows_are_not_taken_is_not_called_unreadable(tmp_path: Path) -> None:
    backups, dataset = fleet.migration(tmp_path / "backups"), tmp_path / "set"
    dataset.mkdir()
    (dataset / task.PENDING).write_text("")  # no folder: nothing can be written below it
    orders = fleet.request(backups, dataset).settings.orders(listed([str(backups)]))
    row = task._examine(next(iter(orders.values())), time.monotonic())
    assert row["state"] == "unreachable"
    assert f"{task.PENDING}/" in row["reason"]
    assert "cannot be written" in row["reason"]


def test_the_lock_of_a_bucket_outlives_a_moment_without_its_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "BEAT", 0.01)
    folder = DataSetFolder(str(tmp_path))
    (tmp_path / lock.NAME).mkdir()  # no file can take its place
    over = threading.Event()
    beats = threading.Thread(target=lock._beats, args=(folder, "own", over))
    beats.start()
    try:
        beats.join(0.2)
        assert beats.is_alive()
        (tmp_path / lock.NAME).rmdir()
        while not (tmp_path / lock.NAME).exists():
            assert beats.is_alive()
    finally:
        over.set()
        beats.join()
    assert (folder.read(lock.NAME) or b"").startswith(b"own ")
