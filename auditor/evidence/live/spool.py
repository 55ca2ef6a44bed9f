"""The private file for an endpoint's answers; --keep gives it a name once it is whole."""

import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from auditor import platform
from auditor.errors import AuditorError
from auditor.evidence.scratch import WORK_DIR, ScratchFile
from auditor.text import shown

BLOCK = 1 << 20


class Spool(ScratchFile):
    """A private file in the folder of its target, whose name keep() gives it. Raises UsageError and NoRoom."""

    def __init__(self, work_dir: str, keep: Path | None = None) -> None:
        self._target = keep
        self._partial: Path | None = None
        super().__init__(
            str(keep.parent) if keep is not None else work_dir,
            "what the endpoint sends",
            WORK_DIR if keep is None else "--keep",
        )

    def keep(self, *, force: bool) -> None:
        """Give the file its target's name; another file there is replaced only with `force`."""
        if self._target is None:
            return
        name = shown(self._target)
        try:
            os.fsync(self.descriptor)
            if not platform.renames_open_files():
                self._copy(self._target, force=force)
                return
            partial = self._partial or self._linked(self._target)
            if force:
                partial.replace(self._target)
            else:
                os.link(partial, self._target)
                partial.unlink()
            self._partial = None
        except FileExistsError:
            raise AuditorError(f"{name} exists: choose another file, or overwrite it with --force") from None
        except OSError as error:
            raise AuditorError(f"{name} cannot be kept: {error.strerror}") from None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        super().__exit__(kind, error, at)
        if self._partial is not None:
            with suppress(OSError):
                self._partial.unlink()

    def _handle_path(self, path: Path) -> None:
        if self._target is None:
            super()._handle_path(path)
        else:
            self._partial = path  # a file system that cannot name a nameless file later

    def _copy(self, target: Path, *, force: bool) -> None:
        """Write the file's bytes into its target: on Windows a file that is open gets no other name."""
        self._partial = target.with_name(f".{target.name}.{os.getpid()}.partial") if force else None
        with (self._partial or target).open("xb") as out:
            at = 0
            while block := platform.read_at(self.descriptor, BLOCK, at):
                at += out.write(block)
        if self._partial is not None:
            self._partial.replace(target)
            self._partial = None

    def _linked(self, target: Path) -> Path:
        self._partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            # only with a folder's descriptor does Python ask for linkat(2), which follows /proc's link
            os.link(
                platform.PROC / "self" / "fd" / str(self.descriptor),
                self._partial,
                src_dir_fd=folder,
                follow_symlinks=True,
            )
        finally:
            os.close(folder)
        return self._partial
