"""The folder of a data set, or the prefix of a bucket, through fsspec. A file is there whole, or not at all."""

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from auditor.errors import MissingExtra, UsageError
from auditor.evidence.discovery import remote
from auditor.fleet.errors import DataSetError
from auditor.text import shown

MODE, FOLDER_MODE = 0o600, 0o700


class DataSetFolder:
    """A folder or a bucket's prefix. url: as on the command line. Paths are relative to it, with slashes."""

    def __init__(self, url: str) -> None:
        """Raises UsageError where there is no such kind of store, MissingExtra without its library."""
        self.url = url
        self.local = "://" not in url
        scheme = url.partition("://")[0]
        if not self.local and scheme not in remote.BUCKETS:
            raise self._no_place()
        try:
            from fsspec.core import url_to_fs

            self._system, self._root = url_to_fs(url)
        except ImportError:
            library = remote.BUCKETS.get(scheme)
            raise MissingExtra(self.shown, library or "fsspec", "remote" if library else "fleet") from None
        except ValueError:
            raise self._no_place() from None

    def _no_place(self) -> UsageError:
        return UsageError(f"{self.shown}: no data set lies there: name a folder, s3://, gs:// or az://")

    @property
    def shown(self) -> str:
        """Its name in messages."""
        return shown(self.url) if self.local else remote.shown(self.url)

    def path(self, name: str) -> str:
        """The full path of a file, as the file system takes it."""
        return f"{self._root}/{name}"

    def location(self, name: str) -> str:
        """The path or URL of a file, as DuckDB and pyarrow take it."""
        return self.path(name) if self.local else f"{self.url.partition('://')[0]}://{self.path(name)}"

    @property
    def system(self) -> Any:
        """The file system of fsspec."""
        return self._system

    def write(self, name: str, data: bytes) -> None:
        """Write a file; an older one of the name is replaced. Raises DataSetError."""
        try:
            if self.local:
                self._write_local(self.path(name), data)
            else:
                self._system.pipe_file(self.path(name), data)
        except Exception as error:  # noqa: BLE001
            raise self._failure(name, "written", error) from None

    def read(self, name: str) -> bytes | None:
        """The bytes of a file; None where there is none. Raises DataSetError."""
        try:
            data: bytes = self._system.cat_file(self.path(name))
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001
            raise self._failure(name, "read", error) from None
        return data

    def names(self, folder: str = "") -> list[str]:
        """The files of a folder and below it. Raises DataSetError."""
        return sorted(self.sizes(folder))

    def sizes(self, folder: str = "") -> dict[str, int]:
        """The files of a folder and below it, and the bytes of each. Raises DataSetError."""
        try:
            self._system.invalidate_cache()
            listed = self._system.find(self.path(folder) if folder else self._root, detail=True)
        except FileNotFoundError:
            return {}
        except Exception as error:  # noqa: BLE001
            raise self._failure(folder, "listed", error) from None
        root = f"{self._root.rstrip('/')}/"
        return {path.removeprefix(root): int(info["size"] or 0) for path, info in listed.items()}

    def remove(self, names: Iterable[str]) -> None:
        """Remove files; those that are gone are. Raises DataSetError."""
        for name in names:
            try:
                with suppress(FileNotFoundError):
                    self._system.rm_file(self.path(name))
            except Exception as error:  # noqa: BLE001
                raise self._failure(name, "removed", error) from None

    def _write_local(self, path: str, data: bytes) -> None:
        folder = os.path.dirname(path)  # noqa: PTH120
        _make(folder)
        partial = f"{folder}/.{os.path.basename(path)}.{os.getpid()}.partial"  # noqa: PTH119
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, MODE)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)  # noqa: PTH105
        except BaseException:
            with suppress(OSError):
                os.unlink(partial)  # noqa: PTH108
            raise

    def _failure(self, name: str, what: str, error: Exception) -> DataSetError:
        why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        if isinstance(error, PermissionError):
            why = "access is denied"
        return DataSetError(f"{self.shown}: {shown(name) or 'the data set'} cannot be {what}: {why}")


def _make(folder: str) -> None:
    """Make a folder and those above it, each for its owner only."""
    if not os.path.isdir(folder):  # noqa: PTH112
        _make(os.path.dirname(folder))  # noqa: PTH120
        with suppress(FileExistsError):
            os.mkdir(folder, FOLDER_MODE)  # noqa: PTH102
