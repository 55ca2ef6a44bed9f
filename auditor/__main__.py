"""Entry point of `etcd-auditor` and of `python -m auditor`."""

import gc
import io
import os
import sys

from auditor.cli import prefork, worker

READING = frozenset({"scan", "keys", "diff", "show"})
"""Commands that read evidence into columns."""
MEANWHILE = ("auditor.evidence.discovery.arguments", "auditor.audit.examine", "auditor.reports.terminal")
"""What they need beside their own module, imported while the command line is read."""


def main() -> None:
    """Exit with the command's code; never with Python's own 1 for an exception."""
    gc.disable()  # what a command makes lives until its reports are written: looking for garbage would find none
    _stand_in()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names need not fit the terminal's encoding

    def task() -> int:
        command = sys.argv[1] if len(sys.argv) > 1 else ""
        if command in READING and "--help" not in sys.argv:
            prefork.prepare(("numpy", f"auditor.cli.{command}", *MEANWHILE), worker.start)
        from auditor.cli.app import app

        try:
            app(prog_name="etcd-auditor")
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else 0
        return 0

    code = worker.guarded(task)
    worker.guarded(prefork.dismiss)
    sys.exit(code)


def _stand_in() -> None:
    """Of a stream that whoever started us has closed Python makes None, which would fail at the first word."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: PTH123, SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: PTH123, SIM115


if __name__ == "__main__":
    main()
