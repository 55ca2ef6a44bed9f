"""Entry point of `etcd-auditor` and of `python -m auditor`."""

import gc
import io
import os
import sys

from auditor.cli import prefork, spawned, worker

EVIDENCE = ("auditor.evidence.discovery.arguments", "auditor.audit.examine", "auditor.reports.terminal")
"""Modules of the commands that read evidence into columns."""
PREIMPORTS = {
    **dict.fromkeys(("scan", "keys", "diff", "show"), EVIDENCE),
    "watch": ("auditor.watch.session", "auditor.reports.watch.terminal", "grpc"),
}
"""Modules that a command needs beside its own, imported while the command line is read."""


def main() -> None:
    """Exit with the command's code; never with Python's own 1 for an exception."""
    gc.disable()  # a command's objects live until its reports are written: a collector would find no garbage
    _replace_closed_streams()
    os.environ["GRPC_VERBOSITY"] = "NONE"  # gRPC reads it when it is loaded: its own lines are not for people
    os.environ.pop("GRPC_TRACE", None)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # no algebra here, and its idle threads would be outside the sandbox
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names need not fit the terminal's encoding

    if sys.argv[1:2] == [spawned.COMMAND]:
        sys.exit(worker.guard(lambda: spawned.run(sys.argv[2], worker.in_child)))

    def task() -> int:
        command = sys.argv[1] if len(sys.argv) > 1 else ""
        if command in PREIMPORTS and "--help" not in sys.argv:
            prefork.prepare(("numpy", f"auditor.cli.{command}", *PREIMPORTS[command]), worker.start)
        from auditor.cli.app import app

        try:
            app(prog_name="etcd-auditor")
        except SystemExit as end:
            if isinstance(end.__context__, BrokenPipeError):  # click ends with 1, which means a finding
                return worker.PIPE_CODE
            return end.code if isinstance(end.code, int) else 0
        return 0

    code = worker.guard(task)
    worker.guard(prefork.dismiss)
    sys.exit(code)


def _replace_closed_streams() -> None:
    """A standard stream that is closed at start is None in Python, and would fail at the first word."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: PTH123, SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: PTH123, SIM115


if __name__ == "__main__":
    main()
