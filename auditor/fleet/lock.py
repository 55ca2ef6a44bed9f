"""The lock of a data set: one run writes it at a time.

In a folder it is a lock of the kernel's on a file, which ends with its process. In a bucket it is an object that its
run writes again every minute; one that is older than TIMEOUT is of a run that died.
"""

import contextlib
import os
import threading
import time
import uuid
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from auditor.errors import UsageError
from auditor.fleet.errors import DataSetError
from auditor.fleet.folder import FOLDER_MODE, MODE, DataSetFolder

NAME = ".lock"
BEAT, TIMEOUT = 60.0, 600.0
"""Seconds between two signs of life, and after which there was none."""


@contextlib.contextmanager
def held(folder: DataSetFolder) -> Iterator[None]:
    """The lock, for as long as a run lasts. Raises UsageError where another run has it."""
    locks: Any = None
    with contextlib.suppress(ImportError):  # a system without such locks
        locks = import_module("fcntl")
    with _folder(folder, locks) if folder.local and locks is not None else _bucket(folder):
        yield


@contextlib.contextmanager
def _folder(folder: DataSetFolder, locks: Any) -> Iterator[None]:
    try:
        os.makedirs(folder.path(""), FOLDER_MODE, exist_ok=True)  # noqa: PTH103
        descriptor = os.open(folder.path(NAME), os.O_RDWR | os.O_CREAT, MODE)
    except OSError as error:
        raise UsageError(f"{folder.shown} cannot be written: {error.strerror}") from None
    try:
        try:
            locks.flock(descriptor, locks.LOCK_EX | locks.LOCK_NB)
        except OSError:
            raise _busy(folder) from None
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _bucket(folder: DataSetFolder) -> Iterator[None]:
    own = uuid.uuid4().hex
    if (text := folder.read(NAME)) is not None and time.time() - _beat(text) < TIMEOUT:
        raise _busy(folder)
    _sign(folder, own)
    if not (folder.read(NAME) or b"").startswith(own.encode()):
        raise _busy(folder)
    over = threading.Event()
    beats = threading.Thread(target=_beats, args=(folder, own, over), daemon=True)
    beats.start()
    try:
        yield
    finally:
        over.set()
        beats.join()
        folder.remove([NAME])


def _beats(folder: DataSetFolder, own: str, over: threading.Event) -> None:
    while not over.wait(BEAT):
        with contextlib.suppress(DataSetError):  # the store is away: a later sign is in time, or the lock is another's
            _sign(folder, own)


def _sign(folder: DataSetFolder, own: str) -> None:
    folder.write(NAME, f"{own} {time.time():.0f}\n".encode())


def _beat(text: bytes) -> float:
    """The time of the last sign of life; 0 where it is none of ours."""
    with contextlib.suppress(IndexError, ValueError):
        return float(text.split()[1])
    return 0.0


def _busy(folder: DataSetFolder) -> UsageError:
    return UsageError(f"{folder.shown}: another run writes this data set: wait for its end")
