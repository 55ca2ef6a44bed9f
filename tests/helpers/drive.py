"""A network drive that stalls, fails or dies when it is told to: a FUSE file system of one file, really mounted."""

import errno
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

NAME = "snap.db"


@cache
def mountable() -> bool:
    """Whether a file system of ours can be mounted here: a container may have the device, and no right to use it."""
    if not (Path("/dev/fuse").exists() and shutil.which("fusermount3")):
        return False
    with tempfile.TemporaryDirectory() as folder:
        try:
            with Drive(Path(folder) / "drive", b"probe") as made:
                return made.path.read_bytes() == b"probe"
        except (AssertionError, OSError):
            return False


def require() -> None:
    """Skip without what mounting takes."""
    if not mountable():
        pytest.skip("no FUSE file system can be mounted here: apt-get install fuse3")


class Drive:
    """A mounted folder that holds `data` as one file, `path`, served by a process of its own."""

    def __init__(self, folder: Path, data: bytes) -> None:
        folder.mkdir()
        backing = folder.with_suffix(".backing")
        backing.write_bytes(data)
        self.folder = folder
        self.path = folder / NAME
        command = [sys.executable, "-m", "tests.helpers.drive", str(folder), str(backing)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
        )
        self._expect("mounted")

    def stall(self, after: int) -> None:
        """Hold every read that goes past an offset."""
        self._tell(f"stall {after}")

    def fail(self, after: int) -> None:
        """Answer each such read with an input/output error."""
        self._tell(f"fail {after}")

    def answer(self) -> None:
        """Serve what is held, and all that follows."""
        self._tell("answer 0")

    def wait(self) -> None:
        """Until a read is being held."""
        self._expect("held")

    def die(self) -> None:
        self.process.kill()
        self.process.wait()

    def _tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        self._expect("done")

    def _expect(self, word: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.strip() == word:
                return
        raise AssertionError(f"the drive ended and never said {word}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.die()  # whatever it holds is answered with an error then
        subprocess.run(["fusermount3", "-u", "-z", str(self.folder)], check=True)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


class Gate:
    """Whether a read is answered: as the last line of standard input says."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._word, self._after = "answer", 0

    def listen(self) -> None:
        for line in sys.stdin:
            word, after = line.split()
            with self._changed:
                self._word, self._after = word, int(after)
                self._changed.notify_all()
            say("done")

    def fails(self, end: int) -> bool:
        """Whether a read of what lies before `end` fails; returns when it is to be answered at all."""
        with self._changed:
            while self._word == "stall" and end > self._after:
                say("held")
                self._changed.wait()
            return self._word == "fail" and end > self._after


def say(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


def serve(folder: str, backing: str) -> None:
    """Until killed. Imported here alone: without libfuse the import fails."""
    import mfusepy

    data = Path(backing).read_bytes()
    timestamp = time.time_ns()
    gate = Gate()

    class Served(mfusepy.Operations):  # type: ignore[misc]
        use_ns = True

        def init(self, path: str) -> None:
            threading.Thread(target=gate.listen, daemon=True).start()
            say("mounted")

        def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
            if path not in {"/", f"/{NAME}"}:
                raise mfusepy.FuseOSError(errno.ENOENT)
            mode = stat.S_IFDIR | 0o755 if path == "/" else stat.S_IFREG | 0o444
            size = 0 if path == "/" else len(data)
            times = dict.fromkeys(("st_atime", "st_mtime", "st_ctime"), timestamp)
            return {"st_mode": mode, "st_nlink": 1, "st_size": size, **times}

        def readdir(self, path: str, fh: int) -> list[str]:
            return [".", "..", NAME]

        def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
            if gate.fails(offset + size):
                raise mfusepy.FuseOSError(errno.EIO)
            return data[offset : offset + size]

    mfusepy.FUSE(Served(), folder, foreground=True, ro=True)


if __name__ == "__main__":
    serve(*sys.argv[1:])
