"""Commands as forks of one process that has imported what they import: a third of a short command's time is imports.

A fork differs from a new interpreter in what that reads once, at its start. A server is started for each set of the
variables that decide it (STARTING), and nothing of a command outlives its fork. Who tests the start itself, or signals
the command, starts a process of its own.
"""

import atexit
import gc
import io
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

STARTING = ("PYTHON", "LC_", "LANG", "LD_", "TERMINAL_WIDTH", "FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "_TYPER")
"""How the names of variables begin that the interpreter, or a module, reads once."""
_LIBRARIES = (
    "hyperscan",
    "isal.igzip_lib",
    "jinja2",
    "nacl.secret",
    "pandas",
    "rich.markdown",
    "typer.rich_utils",
    "yaml",
)
"""What commands import when they need it."""
_OTHERS = tuple(
    f"auditor.{name}"
    for name in ("cli.fleet", "cli.watch", "encryption.kms", "evidence.live", "fleet", "reports.dataset")
)
"""What imports libraries that start threads (gRPC's, Dask's, Arrow's), which a fork would lack."""
_SIZE = struct.Struct("<Q")


class Server:
    """A process that forks a process for each command."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        """folder: holds the packages `auditor` and `tests`."""
        self._lock = threading.Lock()
        self._own, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with its:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.helpers.fork_server", str(its.fileno())],
                pass_fds=[its.fileno()],
                env={**environment, "PYTHONPATH": os.pathsep.join([str(folder), environment.get("PYTHONPATH", "")])},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,  # the streams are those of its forks, which write to pipes
                stderr=subprocess.PIPE,
            )

    def close(self) -> None:
        """End the process."""
        self._own.close()
        self._process.communicate()

    def run(
        self, arguments: Sequence[str], environment: Mapping[str, str], cwd: str | Path, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """The result of one command, with nothing to read and its output in pipes.

        Raises subprocess.TimeoutExpired.
        """
        own, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        out, out_end = os.pipe()
        errors, errors_end = os.pipe()
        nothing = os.open(os.devnull, os.O_RDONLY)
        ends = [its.fileno(), nothing, out_end, errors_end]
        order = json.dumps([list(arguments), dict(environment), str(cwd)]).encode()
        try:
            with self._lock:
                socket.send_fds(self._own, [_SIZE.pack(len(order))], ends)
                self._own.sendall(order)
        finally:
            its.close()
            for end in ends[1:]:
                os.close(end)
        with own, ThreadPoolExecutor(2) as pool, open(out, "rb") as stdout, open(errors, "rb") as stderr:  # noqa: PTH123
            own.settimeout(timeout)
            texts = [pool.submit(stream.read) for stream in (stdout, stderr)]
            (process,) = _SIZE.unpack(_received(own, _SIZE.size))
            try:
                (code,) = _SIZE.unpack(_received(own, _SIZE.size))
            except TimeoutError:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
                raise subprocess.TimeoutExpired(list(arguments), timeout) from None
            stdout_text, stderr_text = (_text(each.result()) for each in texts)
        signed = code if code < 1 << 63 else code - (1 << 64)
        return subprocess.CompletedProcess(list(arguments), signed, stdout_text, stderr_text)


_servers: dict[tuple[tuple[str, str], ...], Server] = {}


def run(
    arguments: Sequence[str], environment: Mapping[str, str], cwd: str | Path, folder: Path, timeout: float
) -> subprocess.CompletedProcess[str]:
    """The result of a command under an environment, by the server that was started in one like it."""
    starting = tuple(sorted(item for item in environment.items() if item[0].startswith(STARTING)))
    if starting not in _servers:
        _servers[starting] = Server(environment, folder)
        atexit.register(_servers[starting].close)
    return _servers[starting].run(arguments, environment, cwd, timeout)


def _text(raw: bytes) -> str:
    return io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8").read()


def _received(connection: socket.socket, count: int) -> bytes:
    parts = b""
    while len(parts) < count:
        part = connection.recv(count - len(parts))
        if not part:
            raise EOFError
        parts += part
    return parts


def _import_all() -> None:
    """Import what commands import."""
    for name in _LIBRARIES:
        import_module(name)
    for module in walk_packages(import_module("auditor").__path__, "auditor."):
        if not module.name.startswith(_OTHERS):
            import_module(module.name)
    import_module("auditor.audit.custody").tools()  # as a fleet's workers do: the versions of what is installed


def _serve(connection: socket.socket) -> list[str] | None:
    """Fork for each order; in the fork of one its arguments, ready to be run; None at the end."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for keepers
    while True:
        head, descriptors, _, _ = socket.recv_fds(connection, _SIZE.size, 4)
        if not head:
            return None
        order = json.loads(_received(connection, _SIZE.unpack(head)[0]))
        if not os.fork():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            connection.detach()
            return _keep(descriptors, *order)
        for descriptor in descriptors:
            os.close(descriptor)


def _keep(descriptors: list[int], arguments: list[str], environment: dict[str, str], cwd: str) -> list[str]:
    """Answer with number and end of the command's process, and end; in that process its arguments."""
    answer, *streams = descriptors
    command = os.fork()
    if command:
        for stream in streams:
            os.close(stream)
        os.write(answer, _SIZE.pack(command))
        _, status = os.waitpid(command, 0)
        os.write(answer, _SIZE.pack(os.waitstatus_to_exitcode(status) % (1 << 64)))
        os._exit(0)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(3, max(descriptors) + 64)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    return arguments


def _command(arguments: list[str]) -> None:
    """Be the process that `python -m auditor ARGUMENTS` starts."""
    main = import_module("auditor.__main__")
    sys.modules["__main__"] = main  # what multiprocessing imports in the processes that it starts
    sys.argv = [str(main.__file__), *arguments]
    sys.path[0] = str(Path.cwd())
    try:
        main.main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1 if end.code else 0
    # as the interpreter ends, but for the teardown of modules, which takes as long as a short command
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


if __name__ == "__main__":
    _import_all()
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as orders:
        ordered = _serve(orders)
    if ordered is not None:
        _command(ordered)
